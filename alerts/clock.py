"""Time for delivery: real time, whatever clock the events run on, because receivers live in it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the dispatcher asks of time. A settable one for tests is `alerts.testing.ManualClock`."""

    def now_ms(self) -> int:
        """The present, epoch milliseconds."""
        ...

    async def sleep_until(self, at_ms: int) -> None:
        """Return once `now_ms() >= at_ms`."""
        ...


class WallClock:
    """The system's clock."""

    def now_ms(self) -> int:
        """The present, epoch milliseconds."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, at_ms: int) -> None:
        """Sleep; checks again after waking, since the system clock may have been set meanwhile."""
        while (remaining := at_ms - self.now_ms()) > 0:  # noqa: ASYNC110 - nothing signals the time
            await asyncio.sleep(remaining / 1000)
