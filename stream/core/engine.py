"""One event into one conversation: ``step`` is the whole of what Yanshao decides.

Pure: state and time come in as arguments, nothing is read or written elsewhere. The caller hands
over the state (``step`` changes it in place and returns it); who wants the old one keeps its bytes.
Alerts are not made here: ``stream.alerting`` turns findings into them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from stream.core import clocks, findings, rules, service, summary
from stream.core.annotation import EMPTY, Annotation, Scores
from stream.core.book import RuleBook
from stream.core.clocks import Due
from stream.core.events import (
    AgentStatus,
    AnyEvent,
    ConversationAssigned,
    ConversationClosed,
    ConversationEvent,
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
    Role,
    Tick,
    Timer,
)
from stream.core.evidence import last_words
from stream.core.ids import mark
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.core.rules import Arm, Counts, Disarm, RuleHit, View
from stream.core.state import MARK_SIZE, SEEN_LIMIT, SKETCH_LIMIT, Sketch, State

# The first characters of a message are enough for a sketch; what follows rarely tells two apart.
_SCOPE_NAMES = ("shop_id", "channel", "group", "category", "tier", "country", "product")
# An attribute is a label, not a document: longer values and further names are left out.
ATTRIBUTE_CHARACTERS = 128
ATTRIBUTE_LIMIT = 24


class Step(NamedTuple):
    """What one event came to.

    ``state`` is ``None`` once the conversation is forgotten. ``clocks`` is what will come due if
    nothing else happens, earliest first. ``counted`` names what was noticed on the way (duplicate,
    late, unknown issue …) for the metrics.
    """

    state: State | None
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()
    summary: Summary | None = None
    contacts: tuple[Contact, ...] = ()
    clocks: tuple[Due, ...] = ()
    counted: tuple[str, ...] = ()


class Work:
    """One step in progress: what it reads and what it gathers."""

    __slots__ = ("annotation", "book", "contacts", "counted", "findings", "scores", "state", "summary")

    def __init__(self, book: RuleBook, state: State, annotation: Annotation) -> None:
        self.book = book
        self.state = state
        self.annotation = annotation
        self.findings: list[Finding] = []
        self.scores: list[Score] = []
        self.summary: Summary | None = None
        self.contacts: list[Contact] = []
        self.counted: list[str] = []

    def tell(self, finding: Finding) -> None:
        """Gather a finding and count it for the summary."""
        self.findings.append(finding)
        self.state.count(f"finding.{finding.kind}", findings.weight(finding))

    def note(self, name: str) -> None:
        """Count a happening, for the summary and for the metrics."""
        self.counted.append(name)
        self.state.count(name)


def conversation_of(event: AnyEvent) -> str | None:
    """Return the id of the conversation an event belongs to; ticks and shop-wide news have none."""
    if isinstance(event, Tick):
        return None
    return event.conversation_id


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
    event, t = received.event, received.t
    conversation_id = conversation_of(event)
    if conversation_id is None:
        raise ValueError(f"{type(event).__name__} belongs to no conversation; use advance()")
    before: Step | None = None
    if state is not None:
        before = advance(book, state, t)
        state = before.state
    if state is None:
        state = State(conversation_id=conversation_id, opened_at=t, last_at=t)
    work = Work(book, state, annotation)
    for flag in received.flags:
        work.note(flag)
    if t < state.last_at:
        work.note("late")
    closed_before = state.closed_at is not None
    if isinstance(event, Message):
        _message(work, event, t)
    else:
        _merge_attributes(state, event)
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(work, event, t)
    state.last_at = max(state.last_at, t)
    if state.closed_at is not None and closed_before and "duplicate" not in work.counted:
        # A rating or a late event after the close: the next revision of the summary.
        _summarise(work)
    return _finish(work, before)


def advance(book: RuleBook, state: State, until: int) -> Step:
    """Let every clock with ``due < until`` come due; what a tick does, and what precedes any event."""
    work = Work(book, state, EMPTY)
    gone = False
    while True:
        dues = clocks.upcoming(state, book.limits)
        if not dues or dues[0].at >= until:
            break
        due = dues[0]
        if due.clock_id == clocks.FORGET:
            gone = True
            break
        if due.clock_id == clocks.IDLE:
            _close(work, due.at, by=None, inferred=True)
        else:
            _fire(work, due)
    done = _finish(work, None)
    return done._replace(state=None, clocks=()) if gone else done


def forgets(book: RuleBook, state: State, t: int) -> bool:
    """Return whether ``advance`` to ``t`` would end in the conversation being forgotten."""
    closed_at = state.last_at + book.limits.idle_close_ms if state.closed_at is None else state.closed_at
    return closed_at + book.limits.keep_ms < t


def on_timer(book: RuleBook, state: State, timer: Timer) -> Step:
    """Apply a timer record: it brings the moment forward, and takes back what an answer disproves.

    The record may come late, twice, or after the answer: what it finds settled in time is told as
    ``corrected`` (a worker may have told the breach and died before its state was written).
    """
    step_ = advance(book, state, timer.due + 1)
    if step_.state is None:
        return step_
    clock = clocks.find(state, timer.clock_id)
    if clock is None or clock.stopped_at is None or clock.stopped_at > timer.due:
        return step_
    work = Work(book, state, EMPTY)
    for moment, offset in enumerate(clock.moments):
        if clock.started_at + offset == timer.due and moment >= clock.fired:
            taken_back = findings.of_clock(book, state, clocks.Fired(clock, moment, timer.due), corrected=True)
            if taken_back is not None:
                work.tell(taken_back)
    return _finish(work, step_)


def close(book: RuleBook, state: State, t: int) -> Step:
    """Close a conversation that nobody closed (``inferred``): the end of a recorded day."""
    before = advance(book, state, t)
    if before.state is None or state.closed_at is not None:
        return before
    work = Work(book, state, EMPTY)
    _close(work, t, by=None, inferred=True)
    return _finish(work, before)


def _finish(work: Work, before: Step | None) -> Step:
    done = Step(
        work.state,
        tuple(work.findings),
        tuple(work.scores),
        work.summary,
        tuple(work.contacts),
        clocks.upcoming(work.state, work.book.limits),
        tuple(work.counted),
    )
    if before is None:
        return done
    return done._replace(
        findings=before.findings + done.findings,
        summary=done.summary or before.summary,
        contacts=before.contacts + done.contacts,
        counted=before.counted + done.counted,
    )


# Clocks ---------------------------------------------------------------------------------------


def _fire(work: Work, due: Due) -> None:
    clock = clocks.find(work.state, due.clock_id)
    if clock is None:  # only running clocks are ever upcoming
        raise AssertionError(f"no clock {due.clock_id}")
    fired = clocks.fire(clock)
    if work.state.names[clock.kind] == clocks.RULE:
        hit = rules.on_due(work.book.rules, work.state.rules, work.state.names[clock.policy], due.at)
        if hit is not None:
            _tell_hit(work, hit, clock_id=due.clock_id)
        return
    finding = findings.of_clock(work.book, work.state, fired)
    if finding is None:
        work.note("clock_without_policy")
    else:
        work.tell(finding)


def _take_back(work: Work, wrong: tuple[clocks.Fired, ...]) -> None:
    for fired in wrong:
        finding = findings.of_clock(work.book, work.state, fired, corrected=True)
        if finding is not None:
            work.tell(finding)


# Messages -------------------------------------------------------------------------------------


def _message(work: Work, event: Message, t: int) -> None:
    state = work.state
    known = mark(event.message_id)
    if known in _marks(state.seen):
        work.note("duplicate")
        return
    state.seen = (state.seen + known)[-SEEN_LIMIT * MARK_SIZE :]
    _merge_attributes(state, event)
    role = event.sender.role
    state.count(role)
    if state.closed_at is not None and role is Role.CUSTOMER:
        _reopen(work, t)
    if event.content.text:
        _sketch(state, event, t)
    if role is Role.CUSTOMER:
        _customer_said(work, event, t)
    elif role is Role.AGENT:
        _take_back(work, service.agent_said(work.book, state, event.sender, t))
    elif role is Role.BOT:
        service.bot_said(state, t)
    _apply_rules(work, event, t)
    if role is not Role.SYSTEM:
        state.last_role = role


def _marks(seen: bytes) -> set[bytes]:
    return {seen[at : at + MARK_SIZE] for at in range(0, len(seen), MARK_SIZE)}


def _sketch(state: State, event: Message, t: int) -> None:
    text = event.content.text
    state.sketches.append(Sketch(mark(text), len(text), event.sender.role, t))
    del state.sketches[:-SKETCH_LIMIT]


def _customer_said(work: Work, event: Message, t: int) -> None:
    state, annotation = work.state, work.annotation
    scores = annotation.scores or Scores()
    work.scores.append(
        Score(
            conversation_id=state.conversation_id,
            message_id=event.message_id,
            dissatisfaction=scores.dissatisfaction,
            anger=scores.anger,
            abuse=scores.abuse,
        )
    )
    if event.content.text:
        summary.add_scores(state, scores)
        state.pleased = summary.is_pleased(annotation)
        state.last_words = last_words(annotation)
        if state.category_source != "event":
            category = work.book.categories.match(annotation.hits)
            if category is not None and "category" not in state.attributes:
                state.attributes["category"] = category
                state.category_source = "text"
    service.customer_said(work.book, state, t)


def _apply_rules(work: Work, event: Message, t: int) -> None:
    state = work.state
    view = View(
        event.sender.role, t, _role_counts(state), work.annotation, event.sender.mode, _scope(state)
    )
    hits, arms, disarms = rules.on_message(work.book.rules, state.rules, view)
    for arm in arms:
        _arm(work, arm, t)
    for disarm in disarms:
        _disarm(work, disarm, t)
    for hit in hits:
        _tell_hit(work, hit, message_id=event.message_id)


def _arm(work: Work, arm: Arm, t: int) -> None:
    clocks.start(work.state, clocks.RULE, arm.rule_id, t, [arm.due - t])


def _disarm(work: Work, disarm: Disarm, t: int) -> None:
    state = work.state
    for clock in clocks.of_kinds(state, frozenset({clocks.RULE})):
        if state.names[clock.policy] == disarm.rule_id:
            _take_back(work, clocks.answer(clock, t))
            return


def _tell_hit(work: Work, hit: RuleHit, *, message_id: str | None = None, clock_id: str | None = None) -> None:
    state = work.state
    if hit.rule.staged:
        work.note(f"staged:{hit.rule.id}")
        return
    finding = findings.of_rule(state, hit, work.annotation, message_id=message_id, clock_id=clock_id)
    work.tell(finding)
    summary.add_points(state, hit.rule, finding)


def _role_counts(state: State) -> Counts:
    count = state.counts.get
    return Counts(count("customer", 0), count("agent", 0), count("bot", 0), count("system", 0))


def _scope(state: State) -> Mapping[str, str | None]:
    return {name: state.attributes.get(name) for name in _SCOPE_NAMES}


# What the other events do -------------------------------------------------------------------------


def _merge_attributes(state: State, event: AnyEvent) -> None:
    """Keep what the event says of shop, customer and order: once given, it holds."""
    if isinstance(event, Tick):
        return
    attributes = state.attributes
    for name in ("shop_id", "channel", "group"):
        value = getattr(event, name)
        if value is not None:
            attributes[name] = value
    if event.customer is not None:
        if event.customer.id is not None:
            attributes["customer_id"] = event.customer.id
        if event.customer.tier is not None:
            attributes["tier"] = event.customer.tier
    if isinstance(event, Message) and event.sender.role is Role.CUSTOMER and event.sender.id is not None:
        attributes.setdefault("customer_id", event.sender.id)
    for name, value in (event.attributes or {}).items():
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            continue
        if name in attributes or len(attributes) < ATTRIBUTE_LIMIT:
            attributes[name[:ATTRIBUTE_CHARACTERS]] = str(value)[:ATTRIBUTE_CHARACTERS]


def _opened(work: Work, event: ConversationOpened, t: int) -> None:
    if work.state.closed_at is not None:
        _reopen(work, t)
    work.state.opened_at = min(work.state.opened_at, t)


def _assigned(work: Work, event: ConversationAssigned, t: int) -> None:
    state = work.state
    if event.agent is not None:
        state.attributes["agent"] = event.agent
    if event.level is not None:
        state.attributes["agent_level"] = event.level
    service.reached_people(work.book, state, t)


def _transferred(work: Work, event: ConversationTransferred, t: int) -> None:
    state = work.state
    state.count("transfers")
    if event.to_agent is not None:
        state.attributes["agent"] = event.to_agent
    if event.to_group is not None:
        state.attributes["group"] = event.to_group
    service.reached_people(work.book, state, t)


def _closed(work: Work, event: ConversationClosed, t: int) -> None:
    if work.state.closed_at is None:
        _close(work, t, by=event.by, inferred=False)
    else:
        work.note("closed_twice")


def _close(work: Work, t: int, *, by: str | None, inferred: bool) -> None:
    state = work.state
    for clock in state.clocks:
        clocks.stop(clock, t)
    state.closed_at, state.closed_by, state.close_inferred = t, by, inferred
    for hit in rules.on_close(work.book.rules, state.rules, _scope(state), t, _role_counts(state)):
        _tell_hit(work, hit)
        if not hit.rule.staged:
            state.close_findings.append((hit.rule.id, work.findings[-1].finding_id))
    _summarise(work)


def _reopen(work: Work, t: int) -> None:
    """Undo a close that was not the end; what an inferred close concluded is taken back."""
    state = work.state
    work.note("reopened")
    if state.close_inferred:
        for rule_id, finding_id in state.close_findings:
            taken_back = findings.take_back_close(work.book, state, rule_id, finding_id, t)
            if taken_back is not None:
                work.tell(taken_back)
                summary.take_points(state, rule_id)
            rules.forget_firing(state.rules, rule_id)
    state.close_findings = []
    state.closed_at, state.closed_by, state.close_inferred = None, None, False


def _rated(work: Work, event: ConversationRated, t: int) -> None:
    work.state.rating = round(min(1.0, max(0.0, event.score / event.scale)), 4)


def _agent_status(work: Work, event: AgentStatus, t: int) -> None:
    work.state.count(f"agent_{event.status}")


def _order(work: Work, event: OrderEvent, t: int) -> None:
    for name in ("order_id", "product"):
        value = getattr(event, name)
        if value is not None:
            work.state.attributes[name] = value[:ATTRIBUTE_CHARACTERS]


def _issue(work: Work, event: ConversationEvent, t: int) -> None:
    if not service.issue_event(work.state, event, t):
        work.note("unknown_issue")


def _summarise(work: Work) -> None:
    work.state.revision += 1
    work.summary = summary.of(work.book, work.state)
    contact = summary.contact_of(work.summary)
    if contact is not None:
        work.contacts.append(contact)


_HANDLERS: Mapping[type, Callable[[Work, AnyEvent, int], None]] = {
    ConversationOpened: _opened,
    ConversationAssigned: _assigned,
    ConversationTransferred: _transferred,
    ConversationClosed: _closed,
    ConversationRated: _rated,
    AgentStatus: _agent_status,
    IssueOpened: _issue,
    IssueHandedOff: _issue,
    IssueAnswered: _issue,
    IssuePaused: _issue,
    IssueResumed: _issue,
    IssueResolved: _issue,
    **dict.fromkeys(OrderEvent.__subclasses__(), _order),
}  # type: ignore[dict-item]  # each handler takes the one type it is filed under
