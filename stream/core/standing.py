"""How the open clocks of a conversation stand: what gauges count and ``yanshao ola open`` lists.

A clock is open until it is answered or stopped, however late it is. A rule that waits runs a clock
too; that is the rule's own matter and none of the service's.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

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
    for clock in clocks.all_of(state):
        if clock.stopped_at is None and _kind(state, clock) != clocks.RULE:
            yield clock


def of(clock: Clock) -> Standing:
    """Return how an open clock stands."""
    if clock.state is ClockState.PAUSED:
        return Standing.PAUSED
    if clock.state is ClockState.BREACHED:
        return Standing.BREACHED
    return Standing.WARNED if clock.fired else Standing.RUNNING


def standings(state: State) -> tuple[tuple[str, Standing], ...]:
    """Return kind and standing of every open clock."""
    return _shared(
        tuple(
            [
                (kind, of(clock))
                for clock in (*state.running, *state.paused, *state.settled)
                if clock.stopped_at is None and (kind := _kind(state, clock)) != clocks.RULE
            ]
        )
    )


def overdue(state: State) -> tuple[tuple[str, int], ...]:
    """Return kind and target (milliseconds UTC) of every open clock that is past its target."""
    return tuple(
        [
            (kind, clock.target_at)
            for clock in (*state.running, *state.settled)
            if clock.state is ClockState.BREACHED
            and clock.stopped_at is None
            and (kind := _kind(state, clock)) != clocks.RULE
        ]
    )


def _kind(state: State, clock: Clock) -> str:
    return state.names[clock.kind].partition(":")[0]


@lru_cache(maxsize=4096)
def _shared(standings: tuple[tuple[str, Standing], ...]) -> tuple[tuple[str, Standing], ...]:
    # A hundred thousand conversations hold the same few of these, and not a copy each.
    return standings
