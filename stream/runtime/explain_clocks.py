"""Why each clock of a recording went as it did: which policies were tried, what happened to it, and by what.

The events go through the engine as in a replay, moment by moment, with a book that notes which policy was
asked for and given. What happened to a clock is read off its record before and after each moment, so that a
kind of clock that comes later is told like the others. The verdicts are the engine's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from stream.core import clocks, engine, issues
from stream.core.annotation import EMPTY, Annotation
from stream.core.book import ClockPolicy, RuleBook
from stream.core.events import (
    AnyEvent,
    ConversationClosed,
    IssueAnswered,
    IssueHandedOff,
    Message,
    Received,
    Role,
    Tick,
)
from stream.core.state import Clock, ClockState, Issue, State
from stream.core.worktime import ALWAYS, Worktime
from stream.runtime.clock_story import (
    Change,
    Choice,
    ClockStory,
    ConversationStory,
    Happened,
    IssueStory,
    LegSpan,
    Moment,
    Snap,
    Trial,
    changes,
    named,
    snap,
)
from stream.runtime.conversations import Knowledge
from stream.runtime.replay import BATCH, RUN_ON_MS


def explain(knowledge: Knowledge, events: Iterable[Received]) -> list[ConversationStory]:
    """Return the stories of all conversations in the order in which they began.

    As in a replay clocks run on for a day after the last event, and what is still open is then closed.
    """
    tellings: dict[str, _Telling] = {}
    book = _Listening.of(knowledge.book)
    last_t: int | None = None
    for received, annotation in _annotated(knowledge, events):
        last_t = received.t if last_t is None else max(last_t, received.t)
        if isinstance(received.event, Tick):
            for telling in tellings.values():
                telling.advance(received.t)
            continue
        name = engine.conversation_of(received.event)
        if name is not None:
            if name not in tellings:
                tellings[name] = _Telling(book, name)
            tellings[name].event(received, annotation)
    for telling in tellings.values():
        assert last_t is not None
        telling.end(last_t + RUN_ON_MS)
    return [story for telling in tellings.values() for story in telling.told]


def _annotated(knowledge: Knowledge, events: Iterable[Received]) -> Iterator[tuple[Received, Annotation]]:
    """Yield events with what their texts say, read many together."""
    batch: list[Received] = []
    for received in events:
        batch.append(received)
        if len(batch) >= BATCH:
            yield from _read(knowledge, batch)
            batch = []
    yield from _read(knowledge, batch)


def _read(knowledge: Knowledge, batch: list[Received]) -> Iterator[tuple[Received, Annotation]]:
    messages = {place: one.event for place, one in enumerate(batch) if isinstance(one.event, Message)}
    spoken = {place: event for place, event in messages.items() if event.content.text}
    annotations = knowledge.annotator.annotate(
        [event.content.text for event in spoken.values()],
        [event.sender.role is Role.CUSTOMER for event in spoken.values()],
    )
    read = dict(zip(spoken, annotations, strict=True))
    for place, received in enumerate(batch):
        yield received, read.get(place, EMPTY)


class _Listening(RuleBook):
    """A book that notes every choice of a policy it is asked for."""

    @classmethod
    def of(cls, book: RuleBook) -> _Listening:
        values = {one.name: getattr(book, one.name) for one in dataclasses.fields(book) if one.init}
        listening = cls(**values)
        object.__setattr__(listening, "choices", [])
        return listening

    def clock_policy(self, kind: str, attributes: Mapping[str, str], t: int) -> ClockPolicy | None:
        """Return the policy that holds, and note which were tried for it."""
        chosen = super().clock_policy(kind, attributes, t)
        trials = []
        for policy in self.clocks:
            if policy.clock == kind:
                trials.append(Trial(policy.id, policy is chosen, tuple(_why(policy, attributes, t))))
                if policy is chosen:
                    break
        self.choices.append(Choice(kind, t, tuple(trials), None if chosen is None else chosen.id))
        return chosen

    choices: list[Choice]


def _why(policy: ClockPolicy, attributes: Mapping[str, str], t: int) -> Iterator[str]:
    for key, known in policy.match:
        is_now = attributes.get(key)
        if is_now in known:
            yield f"{key} is {is_now}"
        else:
            yield f"{key} is {is_now or 'not known'}, not {' or '.join(sorted(known))}"
    if policy.promotions is not None:
        calendar, titles = policy.promotions
        title = calendar.promotion(t)
        asked = " or ".join(sorted(titles))
        yield f"in {title}" if title in titles else f"in {title or 'no promotion'}, not {asked}"


class _Telling:
    """One conversation on its way through the engine."""

    def __init__(self, book: _Listening, conversation_id: str) -> None:
        self.book = book
        self.conversation_id = conversation_id
        self.state: State | None = None
        self.told: list[ConversationStory] = []
        self._clear()

    def _clear(self) -> None:
        self._stories: dict[str, ClockStory] = {}
        self._snaps: dict[str, Snap] = {}
        self._issues: dict[str, IssueStory] = {}
        self._without: list[Choice] = []

    def event(self, received: Received, annotation: Annotation) -> None:
        """Apply an event, after what comes due before it."""
        self.advance(received.t)
        step = engine.apply(self.book, self.state, received, annotation)
        self.state = step.state
        if self.state is not None:
            self._look(self.state, received.t, _described(received.event))

    def advance(self, until: int) -> None:
        """Let what comes due before ``until`` come, moment by moment."""
        limits = self.book.limits
        while self.state is not None and clocks.earliest(self.state, limits) < until:
            due, state = clocks.soonest(self.state, limits), self.state
            self.state = engine.advance(self.book, state, due.at + 1).state
            self._look(state, due.at, _BY_ITSELF.get(due.clock_id, "time"))
            if self.state is None:
                self._finish(state)

    def end(self, until: int) -> None:
        """Let the recording end at ``until``."""
        self.advance(until)
        if self.state is not None:
            state = self.state
            engine.close(self.book, state, until)
            self._look(state, until, "the end of the recording")
            self._finish(state)

    def _finish(self, state: State) -> None:
        for issue in state.issues:
            story = self._issues[issue.issue_id]
            story.legs_ms = issues.open_ms(issue, max(state.last_at, issue.leg_since))
        self.told.append(
            ConversationStory(
                self.conversation_id, [*self._stories.values()], [*self._issues.values()], self._without
            )
        )
        self._clear()

    def _look(self, state: State, t: int, by: str) -> None:
        """Tell what is another than at the last look."""
        for clock in sorted(clocks.all_of(state), key=lambda one: (one.started_at, one.number)):
            name = state.clock_id(clock)
            if clocks.kind_of(name) == clocks.RULE:
                continue
            if name not in self._stories:
                self._stories[name] = self._began(state, clock, name, by)
                self._snaps[name] = Snap(ClockState.RUNNING, 0, tuple(clock.moments), None, None)
            before, now = self._snaps[name], snap(clock)
            if before != now:
                story = self._stories[name]
                story.happened += changes(Change(clock, before, now, t, by, self._worktime(state, clock)))
                story.state = clock.state.name.lower()
                self._snaps[name] = now
        self._without += [one for one in self.book.choices if one.policy is None]
        self.book.choices.clear()
        for known, issue in zip(list(self._issues), state.issues, strict=False):
            if known != issue.issue_id:
                self._rename(known, issue.issue_id)
        for issue in state.issues:
            self._look_at_issue(issue)

    def _rename(self, known: str, issue_id: str) -> None:
        """Follow an issue that the text told of to the id by which events know it."""
        self._issues = {issue_id if name == known else name: one for name, one in self._issues.items()}
        self._issues[issue_id].issue_id = issue_id
        for story in self._stories.values():
            if story.issue_id == known:
                story.issue_id = issue_id

    def _began(self, state: State, clock: Clock, name: str, by: str) -> ClockStory:
        policy_id = state.names[clock.policy]
        policy = self.book.clock_policy_by_id(policy_id)
        kind = clocks.kind_of(name)
        mine = (kind, clock.started_at, policy_id)
        trials: tuple[Trial, ...] = ()
        for choice in self.book.choices:
            if (choice.kind, choice.at, choice.policy) == mine:
                trials = choice.trials
        return ClockStory(
            clock_id=name,
            kind=kind,
            policy=policy_id,
            owes=issues.AGENT if clock.party is None else state.names[clock.party],
            issue_id=None if clock.issue is None else state.names[clock.issue],
            started_at=clock.started_at,
            # What was promised has its moment from the promise, and the policy has none.
            target_ms=None if policy is None else policy.target_ms or None,
            calendar=policy is not None and policy.worktime.calendar is not None,
            trials=trials,
            moments=tuple(
                Moment(named(clock, number), clock.started_at + moment)
                for number, moment in enumerate(clock.moments)
            ),
            happened=[Happened(clock.started_at, "started", by)],
        )

    def _worktime(self, state: State, clock: Clock) -> Worktime:
        policy = self.book.clock_policy_by_id(state.names[clock.policy])
        return ALWAYS if policy is None else policy.worktime

    def _look_at_issue(self, issue: Issue) -> None:
        holder = issues.PAUSED_LEG if issue.status == issues.IssueState.PAUSED else issue.leg
        resolved = issue.status in issues.OVER
        story = self._issues.setdefault(issue.issue_id, IssueStory(issue.issue_id, issue.status, [], {}))
        story.state, legs = issue.status, story.legs
        if not legs or issue.opened_at < legs[0].since:
            # Until it was first told of, an issue was its agent's.
            legs.insert(0, LegSpan(issues.AGENT, issue.opened_at, legs[0].since if legs else None))
        last = legs[-1]
        if last.until is None and (resolved or holder != last.leg):
            last.until = issue.leg_since
            if last.since == last.until and not resolved:
                legs.pop()  # nobody's time
        if not resolved and (not legs or legs[-1].until is not None):
            legs.append(LegSpan(holder, issue.leg_since, None))


_BY_ITSELF: Final = {clocks.IDLE: "silence", clocks.FORGET: "the conversation is forgotten"}


def _described(event: AnyEvent) -> str:
    """Return which event it was, without a word of what anybody wrote."""
    if isinstance(event, Message):
        sender = event.sender
        who = f"{sender.role} {sender.id}" if sender.id else sender.role.value
        how = f", {sender.mode}" if sender.role is Role.AGENT else ""
        return f"message {event.message_id} of {who}{how}"
    name = str(event.__struct_config__.tag)
    match event:
        case IssueHandedOff(to=str(party)):
            return f"{name} to {party}"
        case IssueAnswered(by=str(party)) | ConversationClosed(by=str(party)):
            return f"{name} by {party}"
        case _:
            return name
