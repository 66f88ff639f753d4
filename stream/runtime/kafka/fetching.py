"""How long a fetch waits at the broker: not at all for a single record, a moment where many come.

A fetch that is answered with the first record costs as much as one with fifty: broker, network, the
consumer's thread, and in the processors batches of their own with outputs, states and confirmations. At 1,000
messages a second that filled the loop, and an alert took 280 ms. Where fetches wait a moment, the records of
all partitions come together, and it takes less than half as long.

aiokafka has one fetch a broker under way, so a partition that was left out of one (its records were not taken
yet) waits for its answer: neither wait may be long.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Fetching(NamedTuple):
    """What a fetch asks of the broker: `max_wait_ms` milliseconds at most, `min_bytes` to answer sooner."""

    max_wait_ms: int
    min_bytes: int


AT_ONCE: Final = Fetching(200, 1)
"""With the first record; a fetch that finds none is a fifth of a second under way. Faust fixes that at 1.5 s;
ten a second would double what an idle worker costs (1% of a core, Faust's own timers mostly)."""

LONGEST_MS: Final = 50
"""An alert waits for two fetches, its message's and its notification's: for 50 ms of its 250 on average, 100
at most. 35 and 70 ms gave much the same."""

RATE_OF_A_MS: Final = 20
"""Records a second for which a fetch waits a millisecond: as long as it may at 1,000, the rate that a worker
is made for, and next to nothing where there is time for a fetch each."""

ENOUGH_BYTES: Final = 64 * 1024
"""What comes within the longest wait at 3,000 messages a second: beyond that nothing waits."""

WINDOW_S: Final = 1.0
"""For how long records are counted."""


class Fetched:
    """Counts what is fetched and says how to fetch. Times are seconds of one clock that never goes back."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._count = 0
        self._asking = AT_ONCE

    def count(self, records: int, now: float) -> Fetching:
        """Note an answer of so many records; return what the next fetches are to ask."""
        self._count += records
        if (seconds := now - self._since) >= WINDOW_S:
            wait_ms = min(LONGEST_MS, int(self._count / seconds / RATE_OF_A_MS))
            self._asking = Fetching(wait_ms, ENOUGH_BYTES) if wait_ms else AT_ONCE
            self._since, self._count = now, 0
        return self._asking
