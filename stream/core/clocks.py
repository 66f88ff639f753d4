"""OLA clocks: when a party owes an answer, what comes due, and what an answer settles.

Theory of operation. A clock starts at the moment that makes somebody owe something and carries
its *moments*: warning points and, last, the target. Time never runs by itself: before an event
at ``t`` is applied, every moment with ``due < t`` fires in the order of (due, clock id), so an
answer at ``t == due`` is in time. A fired moment makes a finding; an answer that turns out to be
in time (a late event, a timer that overtook it) takes the findings of those moments back. A clock
that stands still owes nothing; when it goes on, what was left of it lies ahead again. What happens
to a clock is the table below and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from stream.core import aside
from stream.core.book import ClockPolicy, RuleBook
from stream.core.limits import Limits
from stream.core.outputs import Severity
from stream.core.state import SETTLED_LIMIT, Clock, ClockState, State
from stream.core.worktime import ALWAYS, Worktime

# Clocks that are derived from the conversation itself and leave no record of their own.
IDLE = "idle"
FORGET = "forget"
# A rule that waits (`wait`/`unless`): its clock's policy is the rule's id.
RULE = "rule"
# Severities by rank.
_SEVERITIES = tuple(Severity)
NO_FACTS: Mapping[str, str] = {}
# The two that a person's answer settles.
RESPONSES = frozenset({"first_response", "next_response"})
# From a hand-off until that department answers; from an issue's opening until it is resolved.
LEG = "leg"
RESOLUTION = "resolution"
# As ``issues.IssueState`` has it, which stands above this module.
_ISSUE_OVER = ("resolved", "closed")


class Happening(StrEnum):
    """What can happen to a clock."""

    TARGET_PASSED = "target_passed"
    ANSWERED_IN_TIME = "answered_in_time"
    ANSWERED_AFTER = "answered_after"
    STOPPED_IN_TIME = "stopped_in_time"
    STOPPED_AFTER = "stopped_after"
    RESUMED = "resumed"
    PAUSED = "paused"
    CONTINUED = "continued"
    LEFT = "left"
    RENEWED = "renewed"


# A missing entry leaves the clock as it is: an answer to a settled clock changes nothing.
TRANSITIONS: Mapping[tuple[ClockState, Happening], ClockState] = {
    (ClockState.RUNNING, Happening.TARGET_PASSED): ClockState.BREACHED,
    (ClockState.RUNNING, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.RUNNING, Happening.STOPPED_IN_TIME): ClockState.STOPPED,
    (ClockState.BREACHED, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.BREACHED, Happening.ANSWERED_AFTER): ClockState.ANSWERED_LATE,
    (ClockState.BREACHED, Happening.STOPPED_IN_TIME): ClockState.STOPPED,
    (ClockState.BREACHED, Happening.STOPPED_AFTER): ClockState.MISSED,
    (ClockState.ANSWERED, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.ANSWERED_LATE, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.ANSWERED_LATE, Happening.ANSWERED_AFTER): ClockState.ANSWERED_LATE,
    (ClockState.STOPPED, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.STOPPED, Happening.RESUMED): ClockState.RUNNING,
    (ClockState.MISSED, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.MISSED, Happening.ANSWERED_AFTER): ClockState.ANSWERED_LATE,
    (ClockState.MISSED, Happening.RESUMED): ClockState.BREACHED,
    (ClockState.RUNNING, Happening.PAUSED): ClockState.PAUSED,
    # Told of late: the clock stood still before its target came.
    (ClockState.BREACHED, Happening.PAUSED): ClockState.PAUSED,
    (ClockState.PAUSED, Happening.CONTINUED): ClockState.RUNNING,
    (ClockState.PAUSED, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.PAUSED, Happening.STOPPED_IN_TIME): ClockState.STOPPED,
    # What is owed was promised anew, for later; told of late where the breach was told already.
    (ClockState.RUNNING, Happening.RENEWED): ClockState.RUNNING,
    (ClockState.BREACHED, Happening.RENEWED): ClockState.RUNNING,
    # Whom it was owed to has gone.
    (ClockState.RUNNING, Happening.LEFT): ClockState.ABANDONED,
    (ClockState.ABANDONED, Happening.RESUMED): ClockState.RUNNING,
    (ClockState.ABANDONED, Happening.ANSWERED_IN_TIME): ClockState.ANSWERED,
    (ClockState.ABANDONED, Happening.ANSWERED_AFTER): ClockState.ANSWERED_LATE,
}


class Due(NamedTuple):
    """A moment that will come: milliseconds UTC, and whose it is. Ordered as it fires."""

    at: int
    clock_id: str


class Fired(NamedTuple):
    """A moment that came: the clock, which of its moments, and when it was due.

    ``step`` is where it stands to the target: below 0 a warning, 0 the target, above it an escalation.
    """

    clock: Clock
    moment: int
    due: int
    step: int


def moment_of(clock: Clock, moment: int) -> Fired:
    """Return a moment of the clock as one that came."""
    due = clock.started_at + clock.moments[moment]
    return Fired(clock, moment, due, moment - clock.target % len(clock.moments))


def start(
    state: State,
    kind: str,
    policy: str,
    at: int,
    moments: list[int],
    *,
    target: int = -1,
    issue: str | None = None,
    party: str | None = None,
) -> Clock:
    """Start a clock at ``at`` with ``moments`` in milliseconds from there, ascending.

    ``target`` is the index of the moment up to which an answer is in time, ``issue`` the id of the
    issue it belongs to, ``party`` the department that owes where that is not the agent.
    """
    # A rule's clocks are numbered apart: another pack's rules must not change the ids of these.
    numbered = state.intern(named(kind, policy) if kind == RULE else kind)
    number = state.clock_counts[numbered] = state.clock_counts.get(numbered, 0) + 1
    clock = Clock(
        kind=numbered,
        number=number,
        policy=state.intern(policy),
        started_at=at,
        moments=moments,
        target=target,
        issue=None if issue is None else state.intern(issue),
        party=None if party is None else state.intern(party),
    )
    state.running.append(clock)
    return clock


def named(kind: str, detail: str) -> str:
    """Return what a clock of a kind is called that is about one thing of several: ``rule:<its id>``."""
    return f"{kind}:{detail}"


def policy_for(
    book: RuleBook,
    state: State,
    kind: str,
    t: int,
    *,
    issue: str | None = None,
    party: str | None = None,
    facts: Mapping[str, str] = NO_FACTS,
) -> ClockPolicy | None:
    """Return the policy that holds for a clock that starts at ``t``; None where none does.

    ``facts`` are what only this clock knows, beside the conversation's attributes.
    """
    if not book.times(kind):
        return None
    if not book.asks(kind):
        return book.clock_policy(kind, NO_FACTS, t)
    known: dict[str, str] = {**state.attributes, "severity": _SEVERITIES[state.gravest], **facts}
    if party is not None:
        known["department"] = party
    if issue is not None:
        priority = next((one.priority for one in state.issues if one.issue_id == issue), None)
        if priority is not None:
            known["priority"] = priority
    return book.clock_policy(kind, known, t)


def start_by_policy(
    book: RuleBook,
    state: State,
    kind: str,
    t: int,
    *,
    detail: str | None = None,
    issue: str | None = None,
    party: str | None = None,
    facts: Mapping[str, str] = NO_FACTS,
) -> Clock | None:
    """Start a clock at ``t`` as the policy says that holds for it; None where none does.

    ``detail`` tells clocks of one kind apart that run side by side.
    """
    policy = policy_for(book, state, kind, t, issue=issue, party=party, facts=facts)
    if policy is None:
        return None
    moments, target = policy.moments(t), len(policy.warn_ms)
    name = kind if detail is None else named(kind, detail)
    return start(state, name, policy.id, t, moments, target=target, issue=issue, party=party)


def earliest(state: State, limits: Limits) -> int:
    """Return when the next thing comes due if nothing else happens, in milliseconds UTC."""
    at = _silent_until(state, limits)
    for clock in state.running:
        at = min(at, clock.started_at + clock.moments[clock.fired])
    return at


def _silent_until(state: State, limits: Limits) -> int:
    """Return when silence ends the conversation or, where it is closed, lets it be forgotten."""
    if state.closed_at is None:
        return state.last_at + limits.idle_close_ms
    at = state.closed_at + limits.keep_ms
    # What only the text told of is over with its conversation.
    if any(not one.from_text and one.status not in _ISSUE_OVER for one in state.issues):
        at = max(at, state.last_at + limits.issue_keep_ms)
    for clock in at_hand(state):
        if clock.issue is not None and clock.stopped_at is None:
            # A working-time clock may come due long after anybody was heard of.
            latest = max(state.last_at, clock.started_at + clock.moments[-1])
            at = max(at, latest + limits.issue_keep_ms)
    return at


def _derived(state: State, limits: Limits) -> Due:
    return Due(_silent_until(state, limits), IDLE if state.closed_at is None else FORGET)


def upcoming(state: State, limits: Limits) -> tuple[Due, ...]:
    """Return what will come due if nothing else happens, earliest first; never empty."""
    derived = _derived(state, limits)
    if not state.running:
        return (derived,)
    dues = [
        Due(clock.started_at + clock.moments[clock.fired], state.clock_id(clock)) for clock in state.running
    ]
    return tuple(sorted([*dues, derived]))


def find(state: State, clock_id: str) -> Clock | None:
    """Return the clock of that id, running or settled, if it is still kept."""
    kind, _, digits = clock_id.rpartition("#")
    if kind not in state.names or not digits.isdecimal():
        return None
    named, number = state.names.index(kind), int(digits)
    for among in (at_hand, all_of):
        for clock in among(state):
            if clock.number == number and clock.kind == named:
                return clock
    return None


def soonest(state: State, limits: Limits) -> Due:
    """Return the first of what is ``upcoming``."""
    first, at = None, _silent_until(state, limits)
    for clock in state.running:
        comes = clock.started_at + clock.moments[clock.fired]
        if comes < at:
            first, at = clock, comes
        elif comes == at:
            return upcoming(state, limits)[0]  # their ids decide
    if first is None:
        return Due(at, IDLE if state.closed_at is None else FORGET)
    return Due(at, state.clock_id(first))


def kind(state: State, clock: Clock) -> str:
    """Return the kind of a clock, without what tells those of one kind apart."""
    return state.names[clock.kind].partition(":")[0]


def kind_of(clock_id: str) -> str:
    """Return the kind of the clock of that id; nothing for what is derived from silence."""
    return clock_id.rpartition("#")[0].partition(":")[0]


def at_hand(state: State) -> list[Clock]:
    """Return the running, the paused and the settled clocks, each latest first: all that have not ended.

    Of those that have, the ones that are not laid aside.
    """
    if not state.settled and not state.paused:
        return state.running[::-1]
    return [*state.settled, *state.paused, *state.running][::-1]


def not_over_by(state: State, t: int) -> list[Clock]:
    """Return the clocks that had not ended by ``t``, those that started later too."""
    aside.recall_after(state, t)
    return [clock for clock in at_hand(state) if clock.stopped_at is None or t < clock.stopped_at]


def owed_at(state: State, t: int) -> list[Clock]:
    """Return the clocks that ``t`` falls into: started by then, and not ended by then."""
    aside.recall_after(state, t)
    return [
        clock
        for clock in at_hand(state)
        if clock.started_at <= t and (clock.stopped_at is None or t < clock.stopped_at)
    ]


def all_of(state: State) -> list[Clock]:
    """Return every clock that is kept: the running, the paused, then the settled ones, each latest first."""
    aside.recall(state)
    return at_hand(state)


def fire(state: State, clock: Clock) -> Fired:
    """Let the clock's next moment come."""
    moment = clock.fired
    fired = moment_of(clock, moment)
    clock.fired += 1
    if fired.step == 0:
        _move(state, clock, Happening.TARGET_PASSED)
    if clock.fired == len(clock.moments):
        _settle(state, clock)
    return fired


def answer(state: State, clock: Clock, at: int) -> tuple[Fired, ...]:
    """Settle the clock by an answer at ``at``; return the fired moments that this proves wrong.

    An answer that is not earlier than the one already known changes nothing.
    """
    if clock.stopped_at is not None and at >= clock.stopped_at:
        return ()
    in_time = _in_time(clock, at)
    return _end(state, clock, at, Happening.ANSWERED_IN_TIME if in_time else Happening.ANSWERED_AFTER)


def stop(state: State, clock: Clock, at: int) -> tuple[Fired, ...]:
    """End a clock that nobody has to answer any more; return the fired moments that this proves wrong.

    A clock that has ended already stays as it is.
    """
    if clock.stopped_at is not None:
        return ()
    at = max(at, clock.started_at)  # told of late: what ends the chat ends what began after it
    in_time = _in_time(clock, at)
    return _end(state, clock, at, Happening.STOPPED_IN_TIME if in_time else Happening.STOPPED_AFTER)


def fire_until(state: State, clock: Clock, at: int) -> tuple[Fired, ...]:
    """Let the clock's moments come that lie before ``at``, which is known already: it was started of late."""
    told = []
    while clock.fired < len(clock.moments) and clock.started_at + clock.moments[clock.fired] < at:
        told.append(fire(state, clock))
    return tuple(told)


def leave(state: State, clock: Clock, at: int) -> tuple[Fired, ...]:
    """End a clock whose customer has gone; return the fired moments that this proves wrong."""
    if clock.stopped_at is not None:
        return ()
    return _end(state, clock, max(at, clock.started_at), Happening.LEFT)


def resume(state: State, clock: Clock) -> None:
    """Undo ``stop``: what stopped the clock did not happen."""
    _move(state, clock, Happening.RESUMED)
    clock.stopped_at = None
    if clock.paused_at is not None:
        _move(state, clock, Happening.PAUSED)
        _put(state, clock, state.paused)
    elif clock.fired < len(clock.moments):
        _put(state, clock, state.running)


def pause(state: State, clock: Clock, at: int) -> tuple[Fired, ...]:
    """Let the clock stand still from ``at``; return the fired moments that this proves wrong.

    A clock that has ended, stands still already, or is past its target stays as it is: what is owed
    and late is owed whatever waits.
    """
    at = max(at, clock.started_at)
    if clock.stopped_at is not None or clock.paused_at is not None or at > clock.target_at:
        return ()
    wrong = _wrong(clock, at)
    clock.fired -= len(wrong)
    clock.paused_at = at
    _move(state, clock, Happening.PAUSED)
    _put(state, clock, state.paused)
    return wrong


def go_on(state: State, clock: Clock, at: int, worktime: Worktime) -> None:
    """Let a clock that stands still go on from ``at``, in its policy's time."""
    paused_at = clock.paused_at
    if paused_at is None or clock.stopped_at is not None:
        return
    at = max(at, paused_at)
    clock.moments[clock.fired :] = [
        worktime.add(at, worktime.measure(paused_at, clock.started_at + moment)) - clock.started_at
        for moment in clock.moments[clock.fired :]
    ]
    clock.paused_at = None
    clock.stood_ms += worktime.measure(paused_at, at)
    _move(state, clock, Happening.CONTINUED)
    _put(state, clock, state.running)


def renew(state: State, clock: Clock, at: int, moments: Sequence[int], target: int) -> tuple[Fired, ...]:
    """Give an open clock other moments from ``at`` on; return the fired moments that this proves wrong.

    Past its target, and once it has ended, a clock stays as it is: nobody promises a breach away.
    """
    if clock.stopped_at is not None or at > clock.target_at:
        return ()
    wrong = _wrong(clock, at)
    clock.moments, clock.target, clock.fired = list(moments), target, 0
    _move(state, clock, Happening.RENEWED)
    _put(state, clock, state.running)
    return wrong


def retime(state: State, clock: Clock, moments: Sequence[int], target: int, t: int) -> None:
    """Give an open clock the moments of its policy as it is now, counted from the old start.

    Warnings that lie before ``t`` are not told any more; a target that does is told next. For a clock that
    stands still time has gone no further than its pause.
    """
    fired_target = clock.state is ClockState.BREACHED
    t = t if clock.paused_at is None else min(t, clock.paused_at)
    clock.moments, clock.target = list(moments), target
    clock.fired = target + 1 if fired_target else 0
    while clock.fired < target and clock.started_at + clock.moments[clock.fired] < t:
        clock.fired += 1
    if clock.fired == len(clock.moments):
        _settle(state, clock)


def backdate(state: State, clock: Clock, policy: ClockPolicy, at: int) -> None:
    """Let a clock that is not late yet count by a policy from ``at``: what it is for began there."""
    if clock.state in {ClockState.RUNNING, ClockState.PAUSED}:
        clock.started_at, clock.policy = at, state.intern(policy.id)
        retime(state, clock, policy.moments(at, clock.stood_ms), len(policy.warn_ms), state.last_at)


def stood_ms(clock: Clock, until: int, worktime: Worktime = ALWAYS) -> int:
    """Return how long the clock has stood still until then, in milliseconds of its policy's time."""
    if clock.paused_at is None:
        return clock.stood_ms
    return clock.stood_ms + max(0, worktime.measure(clock.paused_at, until))


def _in_time(clock: Clock, at: int) -> bool:
    # Where a clock stands still its target has not come, however late it is.
    return clock.paused_at is not None or at <= clock.target_at


def _wrong(clock: Clock, at: int) -> tuple[Fired, ...]:
    if not clock.fired:
        return ()
    return tuple(
        moment_of(clock, moment)
        for moment in range(clock.fired)
        if clock.started_at + clock.moments[moment] >= at
    )


def _end(state: State, clock: Clock, at: int, happening: Happening) -> tuple[Fired, ...]:
    wrong = _wrong(clock, at)
    _move(state, clock, happening)
    clock.stopped_at = at
    clock.fired -= len(wrong)
    _settle(state, clock)
    return wrong


def _settle(state: State, clock: Clock) -> None:
    """Put a clock with nothing more to tell behind those that settled before; the oldest are let go."""
    _put(state, clock, state.settled)
    if len(state.settled) + aside.count(state) > SETTLED_LIMIT:
        aside.recall(state)
        state.moved += state.settled[:-SETTLED_LIMIT]
        del state.settled[:-SETTLED_LIMIT]


def _put(state: State, clock: Clock, where: list[Clock]) -> None:
    """Move the clock to one of the state's lists; the running ones stand in the order of their start."""
    for listed in (state.running, state.paused, state.settled):
        if clock in listed:  # no other one has its kind and number
            listed.remove(clock)
            break
    where.append(clock)
    if where is state.running:
        where.sort(key=lambda one: one.started_at)


def _move(state: State, clock: Clock, happening: Happening) -> None:
    state.moved.append(clock)
    clock.state = TRANSITIONS.get((clock.state, happening), clock.state)


def of_kinds(state: State, kinds: frozenset[str]) -> list[Clock]:
    """Return the clocks of these kinds, the running ones and then the settled, each latest first."""
    return [clock for clock in all_of(state) if state.names[clock.kind] in kinds]
