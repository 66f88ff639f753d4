"""Ended clocks, laid aside: kept for corrections and for the summary, and in nobody's way until then.

A long chat has ended dozens of clocks, and an event that tells of nothing old concerns none of them. So where
a state is written they stand packed in one run of bytes, which the next event neither reads nor writes anew:
a byte with their number, six with the latest moment at which one of them ended, six with the start of the
first (both milliseconds UTC), then each clock as a MessagePack array whose times are told from that start and
whose last fields are left out where they are as in most clocks.

What an event at ``t`` may concern are the clocks that had not ended before ``t``: those at hand and, where
``t`` is not later than ``until``, these too.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stream.core.state import Clock, ClockState, Counted, State

_HEAD: Final = 13
_NEVER: Final = -1
# Most clocks were counted, stood never still, and are neither an issue's nor a department's.
_USUAL: Final = (int(Counted.FINAL), None, None, None, 0)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[list[Any]]).decode


def count(state: State) -> int:
    """Return how many clocks are laid aside."""
    return state.aside[0] if state.aside else 0


def until(state: State) -> int:
    """Return when the last one ended of those laid aside, in milliseconds UTC; -1 without any."""
    return int.from_bytes(state.aside[1:7], "big") if state.aside else _NEVER


def lay(state: State) -> None:
    """Lay the ended clocks aside, behind those that are there already."""
    if not state.settled:
        return
    ended = [clock for clock in state.settled if clock.stopped_at is not None]
    if not ended:
        return
    state.settled = [clock for clock in state.settled if clock.stopped_at is None]
    packed = state.aside
    base = int.from_bytes(packed[7:_HEAD], "big") if packed else ended[0].started_at
    latest = max(until(state), *[clock.stopped_at or 0 for clock in ended])
    number = count(state) + len(ended)
    head = bytes((number,)) + latest.to_bytes(6, "big") + base.to_bytes(6, "big")
    state.aside = b"".join((head, packed[_HEAD:], *[_encode(_pack(clock, base)) for clock in ended]))


def recall_after(state: State, t: int) -> None:
    """Put the clocks back where one of those laid aside ended after ``t``."""
    if state.aside and t < until(state):
        recall(state)


def recall(state: State) -> None:
    """Put what was laid aside back among the settled clocks, in front of those at hand."""
    packed = state.aside
    if packed:
        base = int.from_bytes(packed[7:_HEAD], "big")
        found = _decode(b"\xdc" + packed[0].to_bytes(2, "big") + packed[_HEAD:])  # as one array
        state.settled = [_unpack(base, *fields) for fields in found] + state.settled
        state.aside = b""


def _pack(clock: Clock, base: int) -> list[Any]:
    assert clock.stopped_at is not None
    fields = [
        clock.kind,
        clock.number,
        clock.policy,
        clock.started_at - base,
        clock.stopped_at - clock.started_at,
        clock.state,
        clock.moments,
        clock.fired,
        clock.target,
    ]
    paused = None if clock.paused_at is None else clock.paused_at - base
    last = (clock.counted, clock.issue, clock.party, paused, clock.stood_ms)
    told = len(last)
    while told and last[told - 1] == _USUAL[told - 1]:
        told -= 1
    return [*fields, *last[:told]]


def _unpack(
    base: int,
    kind: int,
    number: int,
    policy: int,
    started: int,
    lasted: int,
    state: int,
    moments: list[int],
    fired: int,
    target: int,
    counted: int = Counted.FINAL,
    issue: int | None = None,
    party: int | None = None,
    paused: int | None = None,
    stood_ms: int = 0,
) -> Clock:
    return Clock(
        kind=kind,
        number=number,
        policy=policy,
        started_at=base + started,
        moments=moments,
        fired=fired,
        state=ClockState(state),
        stopped_at=base + started + lasted,
        target=target,
        issue=issue,
        party=party,
        paused_at=None if paused is None else base + paused,
        stood_ms=stood_ms,
        counted=Counted(counted),
    )
