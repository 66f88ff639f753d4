"""Commits that keep up with batches acknowledged in order.

Faust enters the offsets between two carriers (`feed`) as a gap that ends *with* the second carrier's own
offset. Once that carrier is acknowledged its offset stands twice in the list of acknowledged ones, and
`consecutive_numbers`, which looks for the first unbroken run, takes the repetition for a break. So every
commit advances a partition by one carrier, however many were acknowledged: under load what is committed
falls ever further behind what is done, and a restart reads all of it again.

We acknowledge in order, so the highest acknowledged offset says it all. `tests/contract` holds both: what
Faust does, and what this makes of it.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP


class InOrderConsumer(Consumer):  # type: ignore[misc]  # faust is not typed for us
    """Faust's consumer for apps that acknowledge the batches of a partition in order, and only so."""

    def _new_offset(self, tp: TP) -> int | None:
        """Return what may be committed: one past the highest acknowledged offset; None for nothing new."""
        acked: list[int] = self._acked[tp]
        if not acked:
            return None
        offset = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        self._gap[tp].clear()
        return offset


def commit_in_order(app: Any) -> None:
    """Let an app that has not been started commit so."""
    app.transport.Consumer = InOrderConsumer
