"""Why a rule fired or not on one conversation, told message by message.

The conversation goes through the engine as in live service, with a book that holds this one rule;
beside it every operator of the rule is asked on a copy of what it remembers. So the verdict is the
engine's own, and the operators' answers say where it comes from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from stream.core import engine
from stream.core.annotation import EMPTY, Annotation, Hit
from stream.core.book import RuleBook
from stream.core.engine import Step
from stream.core.events import Content, ConversationEvent, Message, Received, Role, Sender
from stream.core.evidence import excerpt
from stream.core.limits import HOUR_MS
from stream.core.outputs import Finding
from stream.core.rules import Counts, Rule, RuleMemory, RuleTable, Status
from stream.core.rules.model import Condition, Gate, Logic, Look, OperatorState
from stream.core.rules.table import covers
from stream.core.state import State
from stream.packs.model import Line
from stream.runtime.conversations import Knowledge

# As in a replay: clocks run on, and what is still open is closed.
RUN_ON_MS: Final = 24 * HOUR_MS

CONVERSATION: Final = "dialogue"
"""The id of a conversation that is given as lines."""

START_MS: Final = 1_794_358_800_000
"""2026-11-11T09:00+08:00, when a dialogue begins that says nothing of time: inside office hours."""

_ROLES: Final = {Role.CUSTOMER: "customer", Role.AGENT: "agent", Role.BOT: "bot", Role.SYSTEM: "system"}


class Operator(msgspec.Struct, frozen=True):
    """What one operator of the rule made of a message. ``written`` is as in the pack."""

    written: str
    holds: bool
    terms: tuple[str, ...] = ()
    amount: int = 0
    score: float | None = None


class Moment(msgspec.Struct, frozen=True):
    """One event of the conversation, or a moment at which the rule was decided without one.

    ``number`` counts the messages from 1; ``at`` is epoch milliseconds. ``verdict`` is a sentence.
    """

    number: int | None
    at: int
    role: str | None
    text: str
    operators: tuple[Operator, ...]
    verdict: str
    fired: bool


class Explanation(msgspec.Struct, frozen=True):
    """All of it. ``findings`` are what the rule would have told; ``fired`` counts those that stand."""

    rule_id: str
    conversation_id: str
    fired: int
    moments: tuple[Moment, ...]
    findings: tuple[Finding, ...]


def dialogue(lines: Sequence[Line], start_ms: int = START_MS) -> list[Received]:
    """Return lines of a dialogue as the events of one conversation."""
    events = []
    t = start_ms
    for number, line in enumerate(lines, 1):
        t += line.pause_ms
        message = Message(
            conversation_id=CONVERSATION,
            message_id=str(number),
            at=t,
            sender=Sender(role=Role(line.role)),
            content=Content(text=line.text),
        )
        events.append(Received(message, t))
    return events


def explain(
    knowledge: Knowledge, rule: Rule, written: Sequence[str], events: Iterable[Received]
) -> Explanation:
    """Return why ``rule`` fired or not on the events of one conversation.

    ``written`` has the operators of ``when`` as the pack writes them, in order. After the last event
    clocks run on for a day, and the conversation is closed if nobody closed it.
    """
    return _Telling(knowledge, rule, written).tell(events)


class _Telling:
    """One conversation on its way through the engine."""

    def __init__(self, knowledge: Knowledge, rule: Rule, written: Sequence[str]) -> None:
        # A staged rule is counted and not told; here it speaks.
        self.rule = dataclasses.replace(rule, status=Status.ACTIVE)
        self.book: RuleBook = dataclasses.replace(knowledge.book, rules=RuleTable([self.rule]), clocks=())
        self.annotator = knowledge.annotator
        self.written = written
        self.state: State | None = None
        self.moments: list[Moment] = []
        self.findings: list[Finding] = []
        self.messages = 0

    def tell(self, events: Iterable[Received]) -> Explanation:
        conversation_id, last_t = "", 0
        for received in events:
            conversation_id = engine.conversation_of(received.event) or conversation_id
            self._advance(received.t)
            self._event(received)
            last_t = max(last_t, received.t)
        self._advance(last_t + RUN_ON_MS)
        if self.state is not None and self.state.closed_at is None:
            self._without_message(engine.close(self.book, self.state, last_t + RUN_ON_MS))
        fired = sum(1 if finding.status == "raised" else -1 for finding in self.findings)
        return Explanation(self.rule.id, conversation_id, fired, tuple(self.moments), tuple(self.findings))

    def _advance(self, t: int) -> None:
        """Let what comes due before ``t`` come, as an event at ``t`` would."""
        if self.state is not None:
            self._without_message(engine.advance(self.book, self.state, t))

    def _without_message(self, step: Step) -> None:
        self.state = step.state
        for finding in step.findings:
            self.findings.append(finding)
            how = "its wait was over" if finding.clock_id is not None else "the conversation closed"
            verdict = f"FIRES: {how}" if finding.status == "raised" else "taken back: it was answered in time"
            self.moments.append(
                Moment(None, finding.at, None, "", (), verdict, fired=finding.status == "raised")
            )

    def _event(self, received: Received) -> None:
        event = received.event
        if not isinstance(event, Message):
            step = engine.step(self.book, self.state, received)
            name = event.__struct_config__.tag if isinstance(event, ConversationEvent) else "event"
            before = len(self.moments)
            self._without_message(step)
            if len(self.moments) == before:
                self.moments.append(
                    Moment(None, received.t, None, f"[{name}]", (), "no message", fired=False)
                )
            return
        text = event.content.text
        scored = event.sender.role is Role.CUSTOMER
        annotation = self.annotator.annotate([text], [scored])[0] if text else EMPTY
        operators = self._operators(event, annotation)
        before_memory = self._memory()
        looked = covers(self.rule.role, event.sender.role)
        step = engine.step(self.book, self.state, received, annotation)
        self.state = step.state
        self.messages += 1
        self.findings += step.findings
        fired = any(finding.status == "raised" for finding in step.findings)
        verdict = self._verdict(step, operators, before_memory, looked=looked)
        self.moments.append(
            Moment(
                self.messages,
                received.t,
                _ROLES[event.sender.role],
                excerpt(annotation, (), 200) if text else f"[{event.content.kind}]",
                operators,
                verdict,
                fired,
            )
        )

    def _memory(self) -> RuleMemory:
        kept = None if self.state is None else self.state.rules.get(self.rule.id)
        return RuleMemory(self.rule.hash) if kept is None else msgspec.structs.replace(kept)

    def _operators(self, event: Message, annotation: Annotation) -> tuple[Operator, ...]:
        """Ask every operator of ``when`` what it makes of this message, leaving its memory as it is."""
        if not covers(self.rule.role, event.sender.role):
            return ()
        ordinal = self._counts().plus(event.sender.role).of(self.rule.role)
        look = Look(ordinal, annotation, _by_list(annotation))
        states: Sequence[OperatorState] = self._memory().states or [()] * len(self.rule.when.leaves)
        answers = []
        for leaf, state, written in zip(self.rule.when.leaves, states, self.written, strict=True):
            _, found = leaf.step(leaf.args, state, look)
            if found is None:
                answers.append(Operator(written, holds=False))
            else:
                answers.append(Operator(written, True, found.terms, found.amount, found.score))
        return tuple(answers)

    def _counts(self) -> Counts:
        counts = {} if self.state is None else self.state.counts
        return Counts(*(counts.get(name, 0) for name in Counts._fields))

    def _verdict(
        self,
        step: Step,
        operators: tuple[Operator, ...],
        before: RuleMemory,
        *,
        looked: bool,
    ) -> str:
        if "duplicate" in step.counted:
            return "ignored: this message_id was here before"
        if any(finding.status == "raised" for finding in step.findings):
            return "FIRES"
        if step.findings:
            return "taken back: it was answered in time"
        after = self._memory()
        if before.waiting is not None and after.waiting is None:
            return "no longer waits: `unless` holds"
        if not looked:
            return f"not looked at: the rule is about {self.rule.role}"
        if outside := self._outside_scope():
            return f"out of scope: {outside}"
        return self._undecided(operators, before, after)

    def _undecided(self, operators: tuple[Operator, ...], before: RuleMemory, after: RuleMemory) -> str:
        """Say why a rule that looked at a message has nothing to tell yet."""
        rule = self.rule
        if before.waiting is None and after.waiting is not None:
            return f"waits {rule.wait_ms / 1000:g} s for what `unless` names"
        if not _holds(rule.when, operators):
            return "kept for the close" if rule.on == "close" else "the condition does not hold"
        return self._restrained(before, after)

    def _restrained(self, before: RuleMemory, after: RuleMemory) -> str:
        """Say what keeps a rule from firing whose condition holds."""
        if self.rule.on == "close":
            return "holds so far; decided at close"
        if after.waiting is not None:
            return "waits already"
        if before.fired:
            policy = self.rule.fire
            what = f"every {policy.cooldown_ms / 1000:g} s at most" if policy.cooldown_ms else "once only"
            return f"holds, but it has fired before: {what}"
        return "holds, but this message adds nothing to it"

    def _outside_scope(self) -> str:
        attributes = {} if self.state is None else self.state.attributes
        wrong = [
            f"{key} is {attributes.get(key) or 'not known'}, not {' or '.join(sorted(values))}"
            for key, values in self.rule.scope
            if attributes.get(key) not in values
        ]
        return "; ".join(wrong)


def _holds(condition: Condition, operators: Sequence[Operator]) -> bool:
    def truth(part: Logic | int) -> bool:
        if isinstance(part, int):
            return operators[part].holds
        if part.gate is Gate.NOT:
            return not truth(part.parts[0])
        return (all if part.gate is Gate.AND else any)(truth(inner) for inner in part.parts)

    return truth(condition.logic)


def _by_list(annotation: Annotation) -> dict[str, list[Hit]]:
    grouped: dict[str, list[Hit]] = {}
    for hit in annotation.hits:
        grouped.setdefault(hit.terms, []).append(hit)
    return grouped
