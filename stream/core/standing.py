"""How the open clocks of a conversation stand: what gauges count and ``yanshao ola open`` lists.

A clock is open until it is answered or stopped, however late it is. A rule that waits runs a clock
too; that is the rule's own matter and none of the service's.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final

from stream.core import clocks
from stream.core.state import Clock, ClockState, State


class Standing(StrEnum):
    """How an open clock stands; ``warned`` is a running one of which a warning was told."""

    RUNNING = "running"
    WARNED = "warned"
    BREACHED = "breached"
    PAUSED = "paused"


def open_clocks(state: State) -> Iterator[Clock]:
    """Yield the clocks that somebody still owes, the running, the paused, then those past all moments."""
    for clock in clocks.at_hand(state):
        if clock.stopped_at is None and clocks.kind(state, clock) != clocks.RULE:
            yield clock


# Members that every event may ask for: looked up in their enum they cost many times as much.
_RUNNING: Final = Standing.RUNNING
_WARNED: Final = Standing.WARNED
_BREACHED: Final = Standing.BREACHED
_BY_STATE: Final = {ClockState.PAUSED: Standing.PAUSED, ClockState.BREACHED: _BREACHED}


def of(clock: Clock) -> Standing:
    """Return how an open clock stands."""
    stands = _BY_STATE.get(clock.state)
    if stands is None:
        return _WARNED if clock.fired else _RUNNING
    return stands


def look(state: State) -> tuple[tuple[tuple[str, Standing], ...], tuple[tuple[str, int], ...]]:
    """Return kind and standing of every open clock, and kind and target (milliseconds UTC) of the late ones.

    Asked after every event, so quick where nothing is open.
    """
    found: list[tuple[str, Standing]] = []
    late: list[tuple[str, int]] = []
    for listed in (state.running, state.paused, state.settled):
        for clock in listed:
            if clock.stopped_at is None and (kind := clocks.kind(state, clock)) != clocks.RULE:
                stands = of(clock)
                found.append((kind, stands))
                if stands is _BREACHED:
                    late.append((kind, clock.target_at))
    return (_shared(tuple(found)), tuple(late)) if found else ((), ())


@lru_cache(maxsize=4096)
def _shared(standings: tuple[tuple[str, Standing], ...]) -> tuple[tuple[str, Standing], ...]:
    # A hundred thousand conversations hold the same few of these, and not a copy each.
    return standings
