"""How loud the rules are on recorded chats: what fires how often, with samples to judge them by."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stream.core.events import Message, Received
from stream.core.outputs import Finding, FindingStatus, Severity, Subject
from stream.evaluate.trial import ALARM
from stream.runtime.conversations import Knowledge
from stream.runtime.replay import Refused, replay

SEED: Final = 7
"""The same recording shows the same samples, so that two versions of a pack can be compared."""

# Whose messages a subject's alarms are set against; a department answers through an agent.
_ROLES: Final[Mapping[str, str]] = {
    Subject.CUSTOMER: "customer",
    Subject.AGENT: "agent",
    Subject.BOT: "bot",
    Subject.DEPARTMENT: "agent",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One firing: where, when (ms UTC), and its words, masked. About a silence there is no message."""

    conversation_id: str
    message_id: str | None
    at: int
    evidence: str


@dataclass(frozen=True, slots=True)
class RuleNoise:
    """How often one rule or clock fired, at one severity, about one subject."""

    rule_id: str
    kind: str
    severity: str
    subject: str
    count: int
    conversations: int
    per_100: float | None
    """For every hundred messages of the subject; ``None`` where it wrote none."""
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class KindNoise:
    """How many alarms (medium severity and above) of one kind there were about one subject."""

    kind: str
    subject: str
    alarms: int
    per_100: float | None


@dataclass(frozen=True, slots=True)
class Noise:
    """What a recording came to. Rules stand loudest first."""

    events: int
    refused: int
    conversations: int
    messages: Mapping[str, int]
    rules: tuple[RuleNoise, ...]
    kinds: tuple[KindNoise, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked at: kinds (empty: all), a least severity, how ids begin, samples of each rule."""

    kinds: frozenset[str] = frozenset()
    least: Severity = Severity.INFO
    prefix: str = ""
    samples: int = 3
    seed: int = SEED

    def holds(self, finding: Finding) -> bool:
        """Return whether a finding is looked at."""
        return (
            (not self.kinds or finding.kind in self.kinds)
            and finding.severity.rank >= self.least.rank
            and (not self.prefix or f"{finding.rule_id}.".startswith(f"{self.prefix.rstrip('.')}."))
        )


def measure(knowledge: Knowledge, events: Iterable[Received | Refused], wanted: Wanted) -> Noise:
    """Replay recorded events and return what fired; what a late event took back does not count."""
    messages: Counter[str] = Counter()
    done = replay(knowledge, _counted(events, messages))
    taken_back = {one.finding_id for one in done.findings if one.status is FindingStatus.CORRECTED}
    raised = {one.finding_id: one for one in done.findings if one.finding_id not in taken_back}
    findings = [one for one in raised.values() if wanted.holds(one)]
    return Noise(
        done.events,
        len(done.refused),
        len(done.summaries),
        dict(sorted(messages.items())),
        _rules(findings, messages, wanted),
        _kinds(findings, messages),
    )


def _counted(events: Iterable[Received | Refused], messages: Counter[str]) -> Iterator[Received | Refused]:
    for event in events:
        if isinstance(event, Received) and isinstance(event.event, Message):
            messages[str(event.event.sender.role)] += 1
        yield event


def _rules(findings: Iterable[Finding], messages: Mapping[str, int], wanted: Wanted) -> tuple[RuleNoise, ...]:
    grouped: dict[tuple[str, str, str, str], list[Finding]] = {}
    for one in findings:
        grouped.setdefault((one.rule_id, one.kind, one.severity, one.subject), []).append(one)
    found = [
        RuleNoise(
            *key,
            len(group),
            len({one.conversation_id for one in group}),
            _per_100(len(group), key[3], messages),
            _samples(group, wanted),
        )
        for key, group in grouped.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, one.rule_id, one.severity, one.subject)))


def _samples(group: list[Finding], wanted: Wanted) -> tuple[Sample, ...]:
    """Return some of a rule's firings at random, in the order of time."""
    ordered = sorted(group, key=lambda one: (one.at, one.finding_id))
    # Seeded by the rule as well: adding a rule does not change what is shown of the others.
    chance = random.Random(f"{wanted.seed} {ordered[0].rule_id}")  # noqa: S311 - no secret
    chosen = sorted(chance.sample(range(len(ordered)), min(wanted.samples, len(ordered))))
    return tuple(
        Sample(one.conversation_id, one.message_id, one.at, one.evidence)
        for one in (ordered[index] for index in chosen)
    )


def _kinds(findings: Iterable[Finding], messages: Mapping[str, int]) -> tuple[KindNoise, ...]:
    alarms = Counter((str(one.kind), str(one.subject)) for one in findings if one.severity.rank >= ALARM.rank)
    return tuple(
        KindNoise(kind, subject, count, _per_100(count, subject, messages))
        for (kind, subject), count in sorted(alarms.items())
    )


def _per_100(count: int, subject: str, messages: Mapping[str, int]) -> float | None:
    written = messages.get(_ROLES[subject], 0)
    return 100 * count / written if written else None
