"""How many records may be applied in one turn of the loop, from what the latest ones took."""

from __future__ import annotations

SLICE_S = 0.005
"""For how long nothing else of the process may get a turn. An alert takes some ten turns on its way from
record to receiver, with a budget of 250 ms in all, and a machine in use makes each of them twice as long."""

BEHIND_S = 0.02
"""The same where a partition is behind by more than is read at once: what hurries there is the backlog, and
each turn of the loop takes the core out of the processor's cache."""

FIRST_S = 0.000_3
"""What a record takes before anything was measured."""

LEAST = 8
"""Records, whatever was measured: slices of single ones would cost more than they spare."""

WEIGHT = 0.2
"""Of the latest slice: five of them, and an odd one is forgotten."""


class Pace:
    """Follows the cost of a record and says how many of them make a slice."""

    def __init__(self) -> None:
        self._record_s = FIRST_S

    def records(self, *, behind: bool = False) -> int:
        """How many records to apply at once."""
        return max(LEAST, int((BEHIND_S if behind else SLICE_S) / self._record_s))

    def took(self, records: int, seconds: float) -> None:
        """Note what so many records took; a few of them say little, for a slice has costs of its own."""
        if records >= LEAST:
            self._record_s += WEIGHT * (seconds / records - self._record_s)
