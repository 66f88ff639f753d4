"""What is told of clocks: their stories, and what happened to one between two looks at its record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from stream.core.state import Clock, ClockState
from stream.core.worktime import Worktime


class Trial(msgspec.Struct, frozen=True):
    """One policy that was tried, in order; ``why`` names what it asks for and what there was."""

    policy: str
    holds: bool
    why: tuple[str, ...]


class Choice(msgspec.Struct, frozen=True):
    """Which policy was found for a clock that would start at ``at``; where None, there is no clock."""

    kind: str
    at: int
    trials: tuple[Trial, ...]
    policy: str | None


class Moment(msgspec.Struct, frozen=True):
    """What would be told, and when, as it stood when the clock started."""

    what: str
    at: int


class Happened(msgspec.Struct, frozen=True):
    """What happened to a clock at ``at``, and by what; ``over_ms`` is how far past the target, else left."""

    at: int
    what: str
    by: str
    over_ms: int | None = None
    due: int | None = None


class ClockStory(msgspec.Struct):
    """One clock from its start. ``owes`` is a department or ``agent``; ``state`` is the last one."""

    clock_id: str
    kind: str
    policy: str
    owes: str
    issue_id: str | None
    started_at: int
    target_ms: int | None
    calendar: bool
    trials: tuple[Trial, ...]
    moments: tuple[Moment, ...]
    happened: list[Happened]
    state: str = "running"


class LegSpan(msgspec.Struct):
    """A time in which one party owed an issue's next word; ``until`` is None while it does."""

    leg: str
    since: int
    until: int | None


class IssueStory(msgspec.Struct):
    """One issue's legs; ``legs_ms`` is the sum of each."""

    issue_id: str
    state: str
    legs: list[LegSpan]
    legs_ms: dict[str, int]


class ConversationStory(msgspec.Struct):
    """One conversation, from its first event until it is forgotten or the recording ends."""

    conversation_id: str
    clocks: list[ClockStory]
    issues: list[IssueStory]
    without_policy: list[Choice]


class Snap(NamedTuple):
    """What can change of a clock."""

    state: ClockState
    fired: int
    moments: tuple[int, ...]
    stopped_at: int | None
    paused_at: int | None


def snap(clock: Clock) -> Snap:
    """Return the clock as it is now."""
    return Snap(clock.state, clock.fired, tuple(clock.moments), clock.stopped_at, clock.paused_at)


class Change(NamedTuple):
    """A clock before and after a moment ``t``."""

    clock: Clock
    before: Snap
    now: Snap
    t: int
    by: str
    worktime: Worktime

    @property
    def due(self) -> int:
        """The last moment at which an answer is in time, as it is now."""
        return self.clock.started_at + self.now.moments[self.clock.target]


def changes(change: Change) -> Iterator[Happened]:
    """Yield what happened to the clock between two looks, in the order in which it is told."""
    yield from _told(change)
    before, now = change.before, change.now
    if now.paused_at is not None and before.paused_at is None:
        yield Happened(now.paused_at, "paused", change.by, over_ms=_over(change, now.paused_at))
    elif now.paused_at is None and before.paused_at is not None:
        yield Happened(max(change.t, before.paused_at), "continued", change.by, due=change.due)
    elif now.moments != before.moments:
        yield Happened(change.t, "put off", change.by, due=change.due)
    if now.stopped_at == before.stopped_at:
        return
    if now.stopped_at is None:
        yield Happened(change.t, "goes on: it had not ended", change.by)
    else:
        what = _ENDS.get(now.state, now.state.name.lower())
        stood = now.stopped_at if now.paused_at is None else now.paused_at
        yield Happened(now.stopped_at, what, change.by, _over(change, stood))


_ENDS: Final = {
    ClockState.ANSWERED: "answered in time",
    ClockState.ANSWERED_LATE: "answered late",
    ClockState.STOPPED: "withdrawn",
    ClockState.MISSED: "ended without an answer",
}


def _told(change: Change) -> Iterator[Happened]:
    """Tell the moments that came, and those that proved wrong."""
    clock, before, now = change.clock, change.before, change.now
    for moment in range(before.fired, now.fired):
        at = clock.started_at + now.moments[moment]
        yield Happened(at, named(clock, moment), "time" if at < change.t else change.by)
    if now.fired < before.fired and (now.moments == before.moments or now.paused_at is not None):
        for moment in range(now.fired, before.fired):
            yield Happened(change.t, f"{named(clock, moment)}: taken back", change.by)


def named(clock: Clock, moment: int) -> str:
    """Return what is told of a clock at its moment of that number."""
    step = moment - clock.target % len(clock.moments)
    if step < 0:
        return "warned"
    return "breached" if step == 0 else f"escalated, step {step}"


def _over(change: Change, at: int) -> int:
    """Return how far past the target ``at`` is in the policy's time; negative is what was left."""
    due = change.due
    return change.worktime.measure(due, at) if at > due else -change.worktime.measure(at, due)
