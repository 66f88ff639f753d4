"""`yanshao` for a soak: what is remembered for days is remembered for minutes, so that its level is seen.

How long conversations are remembered is a setting, which the soak makes short. For two more things days are
right and nobody needs another figure, so there is none: how long customers are kept for a conversation that
is told of late, and how long the ledger remembers what was decided. An hour would show both growing, as they
do for days; here they are cut short in this process alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from stream.cli import main
from stream.core.limits import Limits
from stream.runtime import knowledge
from stream.runtime.kafka import delivery, ledger, preparation
from stream.settings import Settings

REMEMBERED_S: Final = 60
"""Long beside what is in flight, short beside the warm-up."""


def forget_soon() -> None:
    """Let this process forget after `REMEMBERED_S`."""

    def limits_of(settings: Settings) -> Limits:
        return replace(knowledge.limits_of(settings), contact_late_ms=REMEMBERED_S * 1000)

    vars(preparation)["limits_of"] = limits_of
    # An alert may be told as over as long as its conversation is held: a few minutes, see `run`.
    ledger.FINAL_KEPT_MS = 10 * REMEMBERED_S * 1000
    delivery.PRUNE_S = REMEMBERED_S / 2


if __name__ == "__main__":
    forget_soon()
    main()
