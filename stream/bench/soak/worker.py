"""A worker for a soak: what is remembered for days is remembered for minutes, so that its level is seen.

    python -m stream.bench.soak.worker --config … worker

How long conversations are remembered is a setting, which the soak makes short. For two more things days are
right and nobody needs another figure, so there is none: how long customers are kept for a conversation that
is told of late, and how long the ledger remembers what was decided. An hour would show both growing, as they
do for days; here they are cut short in this process alone. So are promises (`stream.bench.soak.hurry`).
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from stream.bench.soak.hurry import hurry
from stream.core.limits import Limits
from stream.runtime import knowledge
from stream.runtime.kafka import delivery, ledger, preparation
from stream.runtime.kafka.process import run_worker
from stream.settings import Settings, load

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


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True)
@click.argument("command", type=click.Choice(["worker"]))
def main(config: Path, command: str) -> None:
    """Run a worker with all its roles, as `yanshao worker` does."""
    del command  # there is but this one
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    forget_soon()
    hurry()
    sys.exit(run_worker(load(config, env={})))


if __name__ == "__main__":
    main()
