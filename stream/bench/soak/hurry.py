"""Promises that are due within a minute, in a process of a soak.

What an agent promises is due in a day, mostly, and a conversation is held until then: in one of two chats of
the soak's something is promised, so that an hour would show nothing but conversations growing in number. Real
installations reach that level after days. Both the worker and the oracle hurry, so they go on agreeing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream.core.book import ClockPolicy

LONGEST_MS: Final = 60_000
"""From a clock's start to its last moment: long beside a pause between messages, short beside the warm-up."""


def hurried(moments: Sequence[int]) -> list[int]:
    """Return the moments of a clock drawn together so that the last is within `LONGEST_MS`; pure."""
    last = moments[-1]
    return [moment * LONGEST_MS // last for moment in moments] if last > LONGEST_MS else list(moments)


def hurry() -> None:
    """Let the clocks that this process starts from now on be due soon, whatever was promised."""
    moments, moments_until = ClockPolicy.moments, ClockPolicy.moments_until

    def sooner(self: ClockPolicy, start: int, stood_ms: int = 0) -> list[int]:
        return hurried(moments(self, start, stood_ms))

    def sooner_until(self: ClockPolicy, start: int, deadline: int, since: int) -> tuple[list[int], int]:
        found, target = moments_until(self, start, deadline, since)
        return hurried(found), target

    ClockPolicy.moments = sooner  # type: ignore[method-assign]
    ClockPolicy.moments_until = sooner_until  # type: ignore[method-assign]
