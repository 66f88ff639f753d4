"""The life of an issue: who owes its next word, from its opening until it is resolved.

An issue is always somebody's: the agent's, or the department's it was handed to. That is its *leg*.
A leg to a department runs a clock from the hand-off to that department's answer; the issue itself
runs one from its opening to its resolution; both stand still while it is paused. Issues outlive the
conversation: a close stops what the chat owed, not what a warehouse owes. What only the text told of
(``stream.core.inferred``) ends with it, unless a department owes.

What an event does to an issue's state is the table below. What is not in it changes no state and is
counted; clocks are answered all the same, for an answer that comes late still proves that it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from stream.core import clocks
from stream.core.book import RuleBook
from stream.core.clocks import LEG, RESOLUTION, Fired
from stream.core.events import (
    ConversationClosed,
    ConversationOpened,
    IssueAnswered,
    IssueHandedOff,
    IssueOpened,
    IssuePaused,
    IssueResolved,
    IssueResumed,
)
from stream.core.state import Clock, Issue, State
from stream.core.worktime import ALWAYS

IssueEvent = IssueOpened | IssueHandedOff | IssueAnswered | IssuePaused | IssueResumed | IssueResolved
# Of a conversation; they move only issues that the text told of.
ChatEvent = ConversationOpened | ConversationClosed

AGENT = "agent"
# The leg of an issue handed to a department that the event does not name.
SOME_DEPARTMENT = "department"
# Time in which nobody owes anything.
PAUSED_LEG = "paused"


class IssueState(StrEnum):
    """Where an issue stands."""

    OPEN = "open"
    HANDED_OFF = "handed_off"
    ANSWERED = "answered"
    PAUSED = "paused"
    RESOLVED = "resolved"
    # Nobody said that it was solved, and nobody is there any more who could.
    CLOSED = "closed"


_OPEN, _HANDED_OFF, _ANSWERED, _PAUSED, _RESOLVED, _CLOSED = IssueState

# The states in which nobody owes an issue anything.
OVER = frozenset({_RESOLVED, _CLOSED})
# The clocks that an issue's own events run; a promise about it runs by what was promised.
_OWN = frozenset({LEG, RESOLUTION})

# A pause ends where it began: at the department if one owed, else at the agent.
TRANSITIONS: Mapping[tuple[IssueState, type[IssueEvent | ChatEvent]], IssueState] = {
    (_OPEN, IssueHandedOff): _HANDED_OFF,
    (_OPEN, IssuePaused): _PAUSED,
    (_OPEN, IssueResolved): _RESOLVED,
    (_HANDED_OFF, IssueHandedOff): _HANDED_OFF,
    (_HANDED_OFF, IssueAnswered): _ANSWERED,
    (_HANDED_OFF, IssuePaused): _PAUSED,
    (_HANDED_OFF, IssueResolved): _RESOLVED,
    (_ANSWERED, IssueHandedOff): _HANDED_OFF,
    (_ANSWERED, IssueAnswered): _ANSWERED,
    (_ANSWERED, IssuePaused): _PAUSED,
    (_ANSWERED, IssueResolved): _RESOLVED,
    (_PAUSED, IssueResumed): _OPEN,
    (_PAUSED, IssueHandedOff): _HANDED_OFF,
    (_PAUSED, IssueAnswered): _ANSWERED,
    (_PAUSED, IssueResolved): _RESOLVED,
    (_RESOLVED, IssueOpened): _OPEN,
    (_RESOLVED, IssueHandedOff): _HANDED_OFF,
    (_OPEN, ConversationClosed): _CLOSED,
    (_HANDED_OFF, ConversationClosed): _CLOSED,
    (_ANSWERED, ConversationClosed): _CLOSED,
    (_CLOSED, ConversationOpened): _OPEN,
    (_CLOSED, IssueOpened): _OPEN,
    (_CLOSED, IssueHandedOff): _HANDED_OFF,
    (_CLOSED, IssueAnswered): _ANSWERED,
    (_CLOSED, IssueResolved): _RESOLVED,
}


class Applied(NamedTuple):
    """What an issue's event came to: told moments it disproves, names to be counted, moments to be told."""

    wrong: list[Fired]
    counted: list[str]
    told: tuple[Fired, ...] = ()


def apply(book: RuleBook, state: State, event: IssueEvent, t: int, *, said: bool = False) -> Applied:
    """Apply an issue's event.

    ``said``: nobody sent the event, an agent's words stand for it.

    An issue that nobody opened is made (``inferred``) and counted as ``unknown_issue``. An event that
    is earlier than the issue's latest change is counted as ``issue_event_late`` and changes no state.
    """
    issue = next((one for one in state.issues if one.issue_id == event.issue_id), None)
    if issue is None or (issue.from_text and not said):
        return _open(book, state, event, t)
    if isinstance(event, IssueOpened):
        _describe(book, state, issue, event, t)
    late = t < issue.leg_since
    after = None if late else TRANSITIONS.get((IssueState(issue.status), type(event)))
    counted = []
    if isinstance(event, IssueAnswered) and _is_anothers(event.by, issue.leg, _departments(state, issue)):
        # A department answers that was asked before; whoever owes now still does.
        after = None
        counted.append("issue_answered_by_another")
    elif late:
        counted.append("issue_event_late")
    elif after is None:
        counted.append("issue_event_out_of_place")
    elif issue.status in OVER and after not in OVER:
        counted.append("issue_reopened")
    known_at = _answered_before(issue, t) if isinstance(event, IssueHandedOff) and not said else None
    wrong, told = _tell_clocks(book, state, issue, event, t, known_at)
    if after is not None:
        _move(book, state, issue, event, after, t)
        issue.leg_from_text = said and after is _HANDED_OFF
        if known_at is not None:
            answer = IssueAnswered(
                conversation_id=state.conversation_id, at=known_at, issue_id=issue.issue_id
            )
            _move(book, state, issue, answer, _ANSWERED, known_at)
    return Applied(wrong, counted, told)


def _answered_before(issue: Issue, t: int) -> int | None:
    """Return when an answer came that nobody was known to owe, where it is later than ``t``."""
    at = issue.answered_at
    return at if at is not None and at > t and issue.leg == AGENT and issue.status not in OVER else None


def _open(book: RuleBook, state: State, event: IssueEvent, t: int) -> Applied:
    issue = _adopted(state, event, t)
    if issue is None:
        issue = Issue(
            event.issue_id, t, leg_since=t, status=_OPEN, inferred=not isinstance(event, IssueOpened)
        )
        state.issues.append(issue)
    if isinstance(event, IssueOpened):
        _describe(book, state, issue, event, t)
    if not any(state.names[clock.kind] == RESOLUTION for clock in clocks_of(state, issue)):
        clocks.start_by_policy(book, state, RESOLUTION, t, issue=issue.issue_id)
    if isinstance(event, IssueOpened):
        return Applied([], [])
    after = apply(book, state, event, t)
    return after._replace(counted=["unknown_issue", *after.counted])


def _adopted(state: State, event: IssueEvent, t: int) -> Issue | None:
    """Give the issue that the text told of, where it is not solved, the id by which events know it."""
    told = [one for one in reversed(state.issues) if one.from_text]
    issue = next((one for one in told if one.issue_id == event.issue_id or one.status != _RESOLVED), None)
    if issue is not None:
        if issue.status == _CLOSED:
            issue.status, issue.leg_since = _OPEN, max(t, issue.leg_since)
        # Clocks know an issue by its place among the names: they follow.
        if issue.issue_id in state.names:
            state.names[state.names.index(issue.issue_id)] = event.issue_id
        issue.issue_id, issue.from_text = event.issue_id, False
    return issue


def current(state: State) -> str | None:
    """Return the id of the issue that was touched last and is not resolved."""
    return next((one.issue_id for one in reversed(state.issues) if one.status != _RESOLVED), None)


def open_ms(issue: Issue, until: int) -> dict[str, int]:
    """Return how long each party has owed the issue's next word until then; their sum is its open time."""
    legs = dict(issue.legs_ms)
    if issue.status not in OVER:
        leg = _holder(issue)
        legs[leg] = legs.get(leg, 0) + max(0, until - issue.leg_since)
    return legs


def _describe(book: RuleBook, state: State, issue: Issue, event: IssueOpened, t: int) -> None:
    if event.priority is not None:
        issue.priority = event.priority
    if event.category is not None:
        issue.category = event.category
        state.attributes["category"] = event.category
        state.category_source = "event"
    if issue.inferred:
        issue.inferred = False
        if t < issue.opened_at:
            issue.legs_ms[AGENT] = issue.legs_ms.get(AGENT, 0) + issue.opened_at - t
            issue.opened_at = t
        _time_from_opening(book, state, issue)


def _time_from_opening(book: RuleBook, state: State, issue: Issue) -> None:
    """Let the solution be owed since the opening, by what that says of the issue: it was inferred before.

    A clock that was late already stays as it was told.
    """
    policy = clocks.policy_for(book, state, RESOLUTION, issue.opened_at, issue=issue.issue_id)
    if policy is None or issue.status in OVER:
        return
    for clock in clocks_of(state, issue):
        if state.names[clock.kind] == RESOLUTION:
            clocks.backdate(state, clock, policy, issue.opened_at)
            return
    clocks.start_by_policy(book, state, RESOLUTION, issue.opened_at, issue=issue.issue_id)


def _move(book: RuleBook, state: State, issue: Issue, event: IssueEvent, after: IssueState, t: int) -> None:
    before = IssueState(issue.status)
    if before in OVER:
        issue.reopened += after not in OVER
        issue.resolved_at = None
        if not issue.from_text and after not in OVER:
            clocks.start_by_policy(book, state, RESOLUTION, t, issue=issue.issue_id)
    else:
        settle_leg(issue, t)
    issue.leg_since = t
    if isinstance(event, IssueHandedOff):
        issue.leg = event.to or SOME_DEPARTMENT
    elif isinstance(event, IssueAnswered | IssueOpened):
        issue.leg = AGENT
    elif isinstance(event, IssueResolved):
        issue.resolved_at = t
    elif isinstance(event, IssueResumed) and issue.leg != AGENT:
        after = _HANDED_OFF
    if before is _PAUSED:
        for clock in clocks_of(state, issue):
            policy = book.clock_policy_by_id(state.names[clock.policy])
            clocks.go_on(state, clock, t, ALWAYS if policy is None else policy.worktime)
    issue.status = after


def settle_leg(issue: Issue, t: int) -> None:
    """Enter how long whoever has the issue has had it, until ``t``."""
    leg = _holder(issue)
    issue.legs_ms[leg] = issue.legs_ms.get(leg, 0) + t - issue.leg_since
    issue.leg_since = t


def _holder(issue: Issue) -> str:
    return PAUSED_LEG if issue.status == _PAUSED else issue.leg


def _tell_clocks(
    book: RuleBook, state: State, issue: Issue, event: IssueEvent, t: int, known_at: int | None
) -> tuple[list[Fired], tuple[Fired, ...]]:
    """Let the event start, answer, stop or pause the issue's clocks; return what is wrong, and to tell."""
    if isinstance(event, IssueHandedOff):
        return _hand_off(book, state, issue, event.to or SOME_DEPARTMENT, t, known_at)
    wrong: list[Fired] = []
    departments = _departments(state, issue)
    for clock in clocks_of(state, issue):
        if clock.started_at > t or (clock.stopped_at is not None and t >= clock.stopped_at):
            continue
        is_leg = state.names[clock.kind] == LEG
        if isinstance(event, IssueAnswered):
            if is_leg and not _is_anothers(event.by, _party(state, clock), departments):
                wrong += clocks.answer(state, clock, t)
        elif isinstance(event, IssueResolved):
            wrong += (clocks.stop if is_leg else clocks.answer)(state, clock, t)
        elif isinstance(event, IssuePaused) and t >= issue.leg_since:
            wrong += clocks.pause(state, clock, t)
    if isinstance(event, IssueAnswered):
        issue.answered_at = t if issue.answered_at is None else max(issue.answered_at, t)
    return wrong, ()


def _hand_off(
    book: RuleBook, state: State, issue: Issue, party: str, t: int, known_at: int | None
) -> tuple[list[Fired], tuple[Fired, ...]]:
    """Start the party's clock, unless it owes already; whoever owed before does so no more.

    Told of late it finds what came since: what was due before that is to be told.
    """
    wrong: list[Fired] = []
    for clock in clocks_of(state, issue):
        if state.names[clock.kind] != LEG or clock.started_at > t or clock.stopped_at is not None:
            continue
        if _party(state, clock) == party:
            return wrong, ()
        wrong += clocks.stop(state, clock, t)
    started = clocks.start_by_policy(book, state, LEG, t, issue=issue.issue_id, party=party)
    if known_at is None and t < issue.leg_since and issue.answered_at is not None and issue.answered_at >= t:
        known_at = issue.answered_at
    told: tuple[Fired, ...] = ()
    if started is not None and known_at is not None:
        told = clocks.fire_until(state, started, known_at)
        clocks.answer(state, started, known_at)
    elif started is not None and t < issue.leg_since:
        told = clocks.fire_until(state, started, issue.leg_since)
        clocks.stop(state, started, issue.leg_since)
    return wrong, told


def _departments(state: State, issue: Issue) -> set[str]:
    """Return the departments that this issue was handed to, as far as its legs and its clocks know."""
    parties = {party for clock in clocks_of(state, issue) if (party := _party(state, clock)) is not None}
    return (parties | issue.legs_ms.keys() | {issue.leg}) - {AGENT, PAUSED_LEG}


def _is_anothers(by: str | None, owing: str | None, departments: set[str]) -> bool:
    """Whether an answer is that of another department that was asked; any other is that of whoever owes."""
    return by != owing and by in departments


def _party(state: State, clock: Clock) -> str | None:
    return None if clock.party is None else state.names[clock.party]


def clocks_of(state: State, issue: Issue) -> Iterator[Clock]:
    """Yield the legs and the resolutions of an issue, running, paused and settled."""
    return (
        clock
        for clock in clocks.all_of(state)
        if clock.issue is not None
        and state.names[clock.issue] == issue.issue_id
        and state.names[clock.kind] in _OWN
    )
