"""What time it is: the three drivers of design §2. Only the edges hold one of these."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The present, as a runtime sees it."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        ...


class WallClock:
    """Driver ``wall``: live events, the system's clock."""

    def now_ms(self) -> int:
        """Return the system's time."""
        return time.time_ns() // 1_000_000


class ScaledClock:
    """Driver ``scaled``: a recorded day played ``speed`` times as fast, from ``start_ms`` on.

    It rests on the monotonic clock, so it neither jumps nor steps back.
    """

    def __init__(self, start_ms: int, speed: float) -> None:
        if speed <= 0:
            raise ValueError("speed must be positive")
        self._start_ms = start_ms
        self._speed = speed
        self._begun = time.monotonic()

    def restart(self) -> None:
        """Begin the day anew, now."""
        self._begun = time.monotonic()

    def now_ms(self) -> int:
        """Return the time of the day that is played."""
        return self._start_ms + int((time.monotonic() - self._begun) * 1000 * self._speed)

    def seconds_until(self, at_ms: int) -> float:
        """Return how many real seconds pass until ``at_ms``; negative where it has passed."""
        return (at_ms - self.now_ms()) / 1000 / self._speed


class StreamClock:
    """Driver ``stream``: time moves only with the ticks of the input; no clock fires by itself."""

    def now_ms(self) -> int:
        """Return the beginning of time: nothing is ever due by it."""
        return 0
