"""Promises and hand-offs that are due within minutes, in a process of a soak.

What an agent promises is due in a day, mostly, and a conversation in which it is not kept is held until then,
so that an hour would show conversations growing in number, and nothing else. Real installations reach that
level after days. Both the worker and the oracle hurry, so they go on agreeing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream.core.book import ClockPolicy

LONGEST_MS: Final = 300_000
"""From a promise to its last moment: longer than most chats, and not half the warm-up."""


def hurried(moments: Sequence[int]) -> list[int]:
    """Return the moments of a clock drawn together so that the last is within `LONGEST_MS`; pure."""
    last = moments[-1]
    return [moment * LONGEST_MS // last for moment in moments] if last > LONGEST_MS else list(moments)


def hurry() -> None:
    """Let what is promised and handed off from now on be due soon in this process, whatever was said."""
    moments, moments_until = ClockPolicy.moments, ClockPolicy.moments_until

    def sooner(self: ClockPolicy, start: int, stood_ms: int = 0) -> list[int]:
        return hurried(moments(self, start, stood_ms))

    def sooner_until(self: ClockPolicy, start: int, deadline: int, since: int) -> tuple[list[int], int]:
        found, target = moments_until(self, start, deadline, since)
        return hurried(found), target

    ClockPolicy.moments = sooner  # type: ignore[method-assign]
    ClockPolicy.moments_until = sooner_until  # type: ignore[method-assign]
