"""Load that does not wait for answers, and what is measured with it.

A generator that sends the next message only when the last was answered slows down with the system it
measures and hides every stall (coordinated omission). Here each message has its moment beforehand, and
its latency counts from that moment, whenever it really went out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stream.bench.statistics import percentile


class Schedule(NamedTuple):
    """``rate`` messages a second, evenly, from ``begun`` on (seconds of any clock that only goes forward)."""

    begun: float
    rate: float

    def moment(self, number: int) -> float:
        """Return when message ``number`` (from 0) is to be sent."""
        return self.begun + number / self.rate

    def due(self, sent: int, now: float) -> int:
        """Return how many messages are to be sent at ``now``, where ``sent`` have been."""
        return max(0, int((now - self.begun) * self.rate) + 1 - sent) if now >= self.begun else 0


class Latencies(NamedTuple):
    """Seconds from the moment planned to the answer; ``missing`` is how many never came."""

    seconds: tuple[float, ...]
    missing: int = 0

    def at(self, share: float) -> float:
        """Return the percentile in milliseconds; what never came counts as slower than all."""
        whole = len(self.seconds) + self.missing
        if not whole:
            raise ValueError("nothing was sent")
        ordered = sorted(self.seconds)
        if share * whole > len(ordered):
            return float("inf")
        return percentile(ordered, min(1.0, share * whole / len(ordered))) * 1000


def batches(schedule: Schedule, total: int, now: Iterator[float]) -> Iterator[range]:
    """Yield the numbers of the messages to be sent at each reading of the clock, until all are."""
    sent = 0
    for reading in now:
        until = min(total, sent + schedule.due(sent, reading))
        if until > sent:
            yield range(sent, until)
            sent = until
        if sent >= total:
            return
