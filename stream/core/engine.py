"""One event into one conversation: ``step`` is the whole of what Yanshao decides.

Pure: state and time come in as arguments, nothing is read or written elsewhere. The caller hands
over the state (``step`` changes it in place and returns it); who wants the old one keeps its bytes.
Alerts are not made here: ``stream.alerting`` turns findings into them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from stream.core import attributes, clocks, findings, issues, kinds, lifecycle, messages, rules, service
from stream.core.annotation import EMPTY, Annotation
from stream.core.book import RuleBook
from stream.core.clocks import Due, Fired
from stream.core.events import (
    AgentStatus,
    AnyEvent,
    ConversationAssigned,
    ConversationClosed,
    ConversationOpened,
    ConversationRated,
    ConversationTransferred,
    IssueAnswered,
    IssueHandedOff,
    IssueOpened,
    IssuePaused,
    IssueResolved,
    IssueResumed,
    Message,
    OrderEvent,
    Received,
    Tick,
    Timer,
)
from stream.core.issues import IssueEvent
from stream.core.rules import Rule
from stream.core.state import State
from stream.core.work import Step, Work

__all__ = ["Step", "advance", "close", "conversation_of", "on_timer", "step"]

_DIGITS = 4


def conversation_of(event: AnyEvent) -> str | None:
    """Return the id of the conversation an event belongs to; ticks and shop-wide news have none."""
    return None if isinstance(event, Tick) else event.conversation_id


def step(
    book: RuleBook,
    state: State | None,
    received: Received,
    annotation: Annotation = EMPTY,
) -> Step:
    """Apply one event of a conversation.

    Every clock with ``due < t`` fires first, in the order of (due, clock id). ``annotation`` is that
    of a message's text, scored where a customer wrote it.
    """
    if state is None or clocks.earliest(state, book.limits) >= received.t:
        return apply(book, state, received, annotation)
    before = advance(book, state, received.t)
    return before.then(apply(book, before.state, received, annotation))


def apply(
    book: RuleBook,
    state: State | None,
    received: Received,
    annotation: Annotation = EMPTY,
    concerned: Sequence[Rule] | None = None,
) -> Step:
    """Apply one event before whose ``t`` nothing is due any more: ``step`` without its first half.

    ``concerned`` are the rules that a message concerns (``RuleTable.candidates``), where the caller has
    looked them up for many messages together.
    """
    event, t = received.event, received.t
    if isinstance(event, Tick) or event.conversation_id is None:
        raise ValueError(f"{type(event).__name__} belongs to no conversation; use advance()")
    if state is None:
        state = State(conversation_id=event.conversation_id, opened_at=t, last_at=t, book=book.version)
    work = Work(book, state, annotation, concerned)
    if state.book != book.version:
        lifecycle.keep_up_with_packs(work, t)
    message = event if isinstance(event, Message) else None
    if message is not None and not messages.note(state, message):
        work.note("duplicate")
        return work.finish()
    if state.closed_at is not None and state.close_inferred and t <= state.closed_at:
        lifecycle.disprove_close(work)
    for flag in received.flags:
        work.note(flag)
    if t < state.last_at:
        work.note("late")
    was_closed = state.closed_at is not None
    had_category = "category" in state.attributes
    applied = True
    if message is not None:
        messages.apply(work, message, t)
    else:
        attributes.merge(state, event)
        applied = _apply(work, event, t)
        work.take_back(kinds.happened(book, state, event, t))
    state.last_at = max(state.last_at, t)
    if not had_category and "category" in state.attributes:
        work.introduce()
    if was_closed and applied and state.closed_at is not None:
        # A rating or a late event after the close: the next revision of the summary.
        work.summarise()
    return work.finish()


def advance(book: RuleBook, state: State, until: int) -> Step:
    """Let every clock with ``due < until`` come due; what a tick does, and what precedes any event."""
    work = Work(book, state)
    while (due := clocks.soonest(state, book.limits)).at < until:
        if state.book != book.version:
            # Nothing was heard since the packs changed: they take hold where the old ones would have spoken.
            lifecycle.keep_up_with_packs(work, due.at)
            continue
        if due.clock_id == clocks.FORGET:
            # What a late event set going after the close has nobody to end it any more.
            for clock in clocks.at_hand(state):
                clocks.stop(state, clock, due.at)
            return replace(work.finish(last=True), state=None)
        if due.clock_id == clocks.IDLE:
            lifecycle.close(work, due.at, by=None, inferred=True)
        else:
            _fire(work, due)
    return work.finish()


def on_timer(book: RuleBook, state: State, timer: Timer) -> Step:
    """Apply a timer record: it brings the moment forward, and takes back what an answer disproves.

    The record may come late, twice, or after the answer: what it finds settled in time is told as
    ``corrected`` (a worker may have told the breach and died before its state was written). This
    state never counted it, so there is nothing to take off its figures.
    """
    before = advance(book, state, timer.due + 1)
    if before.state is None:
        return before
    clock = clocks.find(state, timer.clock_id)
    if clock is None or clock.stopped_at is None or clock.stopped_at > timer.due:
        return before
    work = Work(book, state)
    for moment, offset in enumerate(clock.moments):
        if clock.started_at + offset == timer.due and moment >= clock.fired:
            finding = findings.of_clock(book, state, clocks.moment_of(clock, moment), corrected=True)
            if finding is not None:
                work.findings += (finding,)
    return before.then(work.finish())


def close(book: RuleBook, state: State, t: int) -> Step:
    """Close a conversation that nobody closed (``inferred``): the end of a recorded day."""
    before = advance(book, state, t)
    if before.state is None or state.closed_at is not None:
        return before
    work = Work(book, state)
    lifecycle.close(work, t, by=None, inferred=True)
    return before.then(work.finish())


def _fire(work: Work, due: Due) -> None:
    state = work.state
    clock = clocks.find(state, due.clock_id)
    if clock is None:  # only kept clocks are ever upcoming
        raise AssertionError(f"no clock {due.clock_id}")
    fired = clocks.fire(state, clock)
    if clocks.kind_of(due.clock_id) == clocks.RULE:
        hit = rules.on_due(work.book.rules, state.rules, state.names[clock.policy], due.at)
        if hit is not None:
            work.tell_hit(hit, clock_id=due.clock_id)
        return
    _tell(work, fired)
    if state.closed_at is not None:
        # An issue outlives its conversation: the summary's next revision says so.
        work.summarise()


def _tell(work: Work, fired: Fired) -> None:
    finding = findings.of_clock(work.book, work.state, fired)
    if finding is None:
        work.note("clock_without_policy")
    else:
        work.tell(finding)


def _apply_issue(work: Work, event: IssueEvent, t: int) -> None:
    after = issues.apply(work.book, work.state, event, t)
    for fired in after.told:
        _tell(work, fired)
    work.take_back(tuple(after.wrong))
    for name in after.counted:
        work.note(name)


def _apply(work: Work, event: AnyEvent, t: int) -> bool:
    """Apply an event that is no message; return whether it can change a summary."""
    state = work.state
    match event:
        case ConversationOpened():
            if state.closed_at is not None:
                lifecycle.reopen(work, t)
            state.opened_at = min(state.opened_at, t)
        case ConversationAssigned():
            attributes.put(state, "agent", event.agent)
            attributes.put(state, "agent_level", event.level)
            service.reached_people(work.book, state, t)
        case ConversationTransferred():
            state.count("transfers")
            attributes.put(state, "agent", event.to_agent)
            attributes.put(state, "group", event.to_group)
            service.reached_people(work.book, state, t)
        case ConversationClosed():
            if state.closed_at is not None:
                work.note("closed_twice")
                return False
            lifecycle.close(work, t, by=event.by, inferred=False)
        case ConversationRated():
            state.rating = round(min(1.0, max(0.0, event.score / event.scale)), _DIGITS)
        case AgentStatus():
            state.count(f"agent_{event.status}")
        case OrderEvent():
            attributes.put(state, "order_id", event.order_id)
            attributes.put(state, "product", event.product)
        case (
            IssueOpened()
            | IssueHandedOff()
            | IssueAnswered()
            | IssuePaused()
            | IssueResumed()
            | IssueResolved()
        ):
            _apply_issue(work, event, t)
        case _:
            raise AssertionError(f"no case for {type(event).__name__}")
    return True
