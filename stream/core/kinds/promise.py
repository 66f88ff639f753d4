"""What an agent promised, until when: 稍等, 今天发货, 24小时内回复您, 明天给您回电.

One clock for each thing promised and each party that is to do it; its target is the promised moment.
Promised anew before that, the later moment holds; past it the clock stays breached until it is kept.

A *hold* (稍等, 马上查) names no time and only says that an answer follows: it is kept by the next word of a
person that is not one itself, and ends with the conversation, which every other promise outlives. To reply,
to check or to handle something by a time is kept by a person's word too; where that time was beyond the
talk, by the first that comes ``SAME_TALK_MS`` after the promise, for what follows at once is the rest of the
same talk. The others are kept by being done: told by the agent, by an order's event, by an issue's.

What a bot or an automatic reply says is read only where it promises more than an answer: its 稍等 is
followed by its own next line, and whoever waits for a person is timed by the responses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from stream.core import clocks, inferred
from stream.core.book import ClockPolicy, RuleBook
from stream.core.calendars import DAY_MS, Calendar, HolidaysUnknownError, NoWorkingTimeError
from stream.core.clocks import Fired
from stream.core.deadlines import WorkingDays, due
from stream.core.events import IssueAnswered, IssueResolved, OrderRefunded, OrderShipped, Role
from stream.core.kinds.model import Heard, Kind
from stream.core.said import AGENT, Act, Said
from stream.core.said import Kind as What
from stream.core.service import PERSONAL
from stream.core.state import Clock, State

PROMISE: Final = "promise"
CALL_BACK: Final = "call_back"

HOLD: Final = "hold"
"""What policies and clocks call a promise that only asks for patience."""

SAME_TALK_MS: Final = 30 * 60_000
"""What is said sooner after a promise for later belongs to the same talk: a chat counts as closed after
thirty minutes of silence, too."""

RENEWED: Final = "promise_renewed"

_BY_WORD: Final = frozenset({What.REPLY, What.CHECK, What.HANDLE})
_TOLD: Final = frozenset({What.HAND_OFF, What.REPORT})
_HOLDING: Final = clocks.named(PROMISE, HOLD)
_WORDS: Final = frozenset({_HOLDING, *(clocks.named(PROMISE, kind) for kind in _BY_WORD)})
"""The clocks that a person's word may keep."""


def heard(book: RuleBook, state: State, message: Heard) -> tuple[Fired, ...]:
    """Let a message make, keep or take back promises; return the told moments that it disproves."""
    sender = message.message.sender
    by_person = sender.role is Role.AGENT and sender.mode in PERSONAL
    said = message.annotation.said
    if sender.role is Role.AGENT:
        wrong = _words(book, state, message, said)
    elif sender.role is Role.BOT:
        wrong = ()
    else:
        return ()
    if said and (book.times(PROMISE) or book.times(CALL_BACK)):
        told = [one for one in said if one.kind not in _TOLD and (by_person or one.kind not in _TALKS)]
        for one in told:
            if one.act is not Act.MADE:
                wrong += _ended(state, one, message.t)
        for promise in _made(one for one in told if one.act is Act.MADE):
            wrong += _promised(book, state, promise, message.t)
    return wrong


_TALKS: Final = frozenset({What.REPLY, What.CHECK})


def happened(book: RuleBook, state: State, event: object, t: int) -> tuple[Fired, ...]:  # noqa: ARG001
    """Let an order's or an issue's event keep what was promised; return the told moments it disproves."""
    if not isinstance(event, OrderShipped | OrderRefunded | IssueAnswered | IssueResolved):
        return ()
    wrong: tuple[Fired, ...] = ()
    for clock in _running_at(state, t):
        if _keeps(state, event, clock):
            wrong += clocks.answer(state, clock, t)
    return wrong


def _keeps(
    state: State, event: OrderShipped | OrderRefunded | IssueAnswered | IssueResolved, clock: Clock
) -> bool:
    name = state.names[clock.kind]
    if isinstance(event, OrderShipped):
        return name == clocks.named(PROMISE, What.SHIP)
    if isinstance(event, OrderRefunded):
        return name == clocks.named(PROMISE, What.REFUND)
    of_issue = clock.issue is not None and state.names[clock.issue] == event.issue_id
    return of_issue and (name == CALL_BACK or isinstance(event, IssueResolved))


def _words(book: RuleBook, state: State, message: Heard, said: Iterable[Said]) -> tuple[Fired, ...]:
    """Let a person's word keep what a word keeps, unless it only asks for patience again."""
    wrong: tuple[Fired, ...] = ()
    made: frozenset[str] | None = None
    for clock in _running_at(state, message.t):
        name = state.names[clock.kind]
        if name not in _WORDS or not _is_back(clock, message.t):
            continue
        if made is None:
            made = frozenset(_name(one) for one in said if one.act is Act.MADE)
        policy = book.clock_policy_by_id(state.names[clock.policy])
        counted = PERSONAL if policy is None else policy.counts
        if _HOLDING not in made and name not in made and message.message.sender.mode in counted:
            wrong += clocks.answer(state, clock, message.t)
    return wrong


def _is_back(clock: Clock, t: int) -> bool:
    """Whether a word at ``t`` is one that the promise was about, and not the rest of the talk."""
    return clock.target_at - clock.started_at <= SAME_TALK_MS or t - clock.started_at >= SAME_TALK_MS


def _ended(state: State, said: Said, t: int) -> tuple[Fired, ...]:
    """Let what is told as done keep its promise, and what is impossible take it back."""
    wrong: tuple[Fired, ...] = ()
    name = _name(said)
    for clock in _running_at(state, t):
        if state.names[clock.kind] == name:
            wrong += (clocks.answer if said.act is Act.DONE else clocks.stop)(state, clock, t)
    return wrong


class _Promise(NamedTuple):
    """What one message promises of one kind by one party, by each time that it names."""

    name: str
    by: str
    said: tuple[Said, ...]


def _made(said: Iterable[Said]) -> list[_Promise]:
    found: dict[tuple[str, str], list[Said]] = {}
    for one in said:
        found.setdefault((_name(one), one.by), []).append(one)
    return [_Promise(name, by, tuple(listed)) for (name, by), listed in found.items()]


def _promised(book: RuleBook, state: State, promise: _Promise, t: int) -> tuple[Fired, ...]:
    """Start the promise's clock, or put off the target of the one that is open."""
    party = book.promises.title_of(promise.by) if promise.by != AGENT else None
    for clock in clocks.at_hand(state):
        if clock.stopped_at is None and state.names[clock.kind] == promise.name:
            owes = None if clock.party is None else state.names[clock.party]
            if owes == party:
                return _renewed(book, state, clock, promise, t)
    return _started(book, state, promise, party, t)


def _started(book: RuleBook, state: State, promise: _Promise, party: str | None, t: int) -> tuple[Fired, ...]:
    kind, _, detail = promise.name.partition(":")
    vague = all(one.vague for one in promise.said)
    facts = {"promise": detail or kind, "deadline": "vague" if vague else "said"}
    policy = clocks.policy_for(book, state, kind, t, party=party, facts=facts)
    if policy is None:
        return ()
    moments, target = policy.moments_until(t, _deadline(policy, promise, t), t)
    issue = None if promise.name == _HOLDING else inferred.issue_for(state, t).issue_id
    clock = clocks.start(state, promise.name, policy.id, t, moments, target=target, issue=issue, party=party)
    word_at = state.human_at if promise.name in _WORDS else None
    if word_at is not None and word_at > t and _is_back(clock, word_at):
        return clocks.answer(state, clock, word_at)  # told of late: a person has written since
    return ()


def _renewed(book: RuleBook, state: State, clock: Clock, promise: _Promise, t: int) -> tuple[Fired, ...]:
    policy = book.clock_policy_by_id(state.names[clock.policy])
    if policy is None:
        return ()
    moments, target = policy.moments_until(clock.started_at, _deadline(policy, promise, t), t)
    if t > clock.target_at or clock.started_at + moments[target] <= clock.target_at:
        return ()
    state.count(RENEWED)
    return clocks.renew(state, clock, t, moments, target)


def _deadline(policy: ClockPolicy, promise: _Promise, t: int) -> int:
    """Return the latest of the promised moments."""
    return max(_due(one, t, policy.days) for one in promise.said)


def _due(said: Said, t: int, days: Calendar | None) -> int:
    if days is None:
        raise ValueError("a policy of promises names a calendar: packs without it are refused")
    try:
        return due(said.deadline, t, days)
    except HolidaysUnknownError:
        pass
    try:
        return due(said.deadline, t, days.by_week())
    except NoWorkingTimeError:
        # A calendar that works on single dates only: its days are counted as they come.
        count = said.deadline.days if isinstance(said.deadline, WorkingDays) else 1
        return t + count * DAY_MS


def _name(said: Said) -> str:
    """Return what the clock is called of what is said."""
    if said.kind is What.CALL_BACK:
        return CALL_BACK
    return _HOLDING if said.is_hold else clocks.named(PROMISE, said.kind)


def _running_at(state: State, t: int) -> list[Clock]:
    """Return the clocks of promises that ``t`` falls into."""
    names = state.names
    return [clock for clock in clocks.owed_at(state, t) if names[clock.kind].startswith(_NAMES)]


_NAMES: Final = (f"{PROMISE}:", CALL_BACK)


KIND: Final = Kind("承诺兑现", heard=heard, happened=happened, timed_anew=False, promised=True)
CALL_BACK_KIND: Final = Kind("回电", timed_anew=False, promised=True)
