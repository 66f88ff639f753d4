"""How many records may be applied in one turn of the loop, from what the latest ones took."""

from __future__ import annotations

SLICE_S = 0.005
"""For how long nothing else of the process may get a turn. An alert takes some ten turns on its way from
record to receiver, with a budget of 250 ms in all, and a machine in use makes each of them twice as long."""

FIRST = 16
"""Before anything was measured: 5 ms at 300 µs a record."""

LEAST = 8
"""Whatever was measured: slices of single records would cost more than they spare."""

WEIGHT = 0.2
"""Of the latest slice: five of them, a tenth of a second of work, and an odd one is forgotten."""


class Pace:
    """Follows the cost of a record and says how many of them make a slice."""

    def __init__(self) -> None:
        self._record_s = SLICE_S / FIRST

    @property
    def records(self) -> int:
        """How many records to apply at once."""
        return max(LEAST, int(SLICE_S / self._record_s))

    def took(self, records: int, seconds: float) -> None:
        """Note what so many records took; a few of them say little, for a slice has costs of its own."""
        if records >= LEAST:
            self._record_s += WEIGHT * (seconds / records - self._record_s)
