"""Findings become alerts: here and nowhere else, for every runtime; pure.

A finding with an audience opens an alert under its dedup key, or joins the one that is open and
tells again only at a higher severity. An alert of a clock resolves when the clock stops, any
other when the conversation closes; what a close itself concludes is told once and stays. What an
inferred close resolves is kept until the conversation is forgotten: should an event prove that
there was no such silence, the alert is open as before, under its own id. Open keys are the section
``State.alerts`` of the conversation's record, which only this module reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from alerts.model import Alert, AlertFinding, AlertStatus, Link, Severity, alert_id
from stream.core import clocks
from stream.core.book import ClockKind, RuleBook
from stream.core.outputs import Finding, FindingKind, FindingStatus
from stream.core.state import State

# Findings an open alert keeps for its next telling. More would not be read on a phone.
FINDINGS_KEPT = 4

_LABELS = ("shop_id", "channel", "group", "agent", "category", "tier")

KIND_TITLES = {
    FindingKind.EMOTION: "客户情绪",
    FindingKind.SENSITIVE: "敏感内容",
    FindingKind.OLA: "响应时效",
    FindingKind.SCRIPT: "服务规范",
    FindingKind.PROTOCOL: "处置流程",
    FindingKind.PRIVACY: "隐私安全",
    FindingKind.SERVICE: "服务机会",
}

CLOCK_TITLES = {ClockKind.FIRST_RESPONSE: "首次响应", ClockKind.NEXT_RESPONSE: "后续响应"}


class Open(Struct, array_like=True):
    """An alert that has been told and not resolved; with ``ended_at``, resolved by an inferred close."""

    alert_id: str
    severity: Severity
    starts_at: int
    step: int
    audiences: list[str]
    title: str
    clock_id: str | None = None
    findings: list[AlertFinding] = field(default_factory=list)
    ended_at: int | None = None


# Where these stand in the record of an open alert.
_SEVERITY = Open.__struct_fields__.index("severity")
_ENDED_AT = Open.__struct_fields__.index("ended_at")


def apply(
    book: RuleBook,
    state: State,
    findings: Sequence[Finding],
    *,
    source_partition: int | None = None,
    conversation_url: str | None = None,
) -> list[Alert]:
    """Return the alerts that one step's findings, and its end of clocks or conversation, give rise to.

    ``state`` is the conversation after the step; its alert section is changed in place.
    ``conversation_url`` may hold ``{conversation_id}``.
    """
    if not findings and not state.alerts:
        return []
    teller = _Teller(book, state, source_partition, conversation_url)
    teller.take_up()
    for finding in findings:
        if not finding.audiences:
            continue
        if finding.status is FindingStatus.CORRECTED:
            teller.take_back(finding)
        else:
            teller.tell(finding)
    teller.resolve_ended()
    return teller.alerts


def dedup_key(book: RuleBook, finding: Finding) -> str:
    """Return what findings share that are one alert: the conversation, and the clock or the rule's topic."""
    if finding.clock_id is not None:
        return f"{finding.conversation_id}:{finding.rule_id}:{finding.clock_id}"
    rule = book.rules.get(finding.rule_id)
    return f"{finding.conversation_id}:{rule.topic if rule is not None else finding.rule_id}"


def open_severities(state: State) -> tuple[str, ...]:
    """Return the severity of every alert that is open."""
    entries = (
        (entry.severity.value, entry.ended_at)
        if isinstance(entry, Open)
        else (entry[_SEVERITY], entry[_ENDED_AT])
        for entry in state.alerts.values()
    )
    return tuple(severity for severity, ended_at in entries if ended_at is None)


class _Teller:
    def __init__(
        self, book: RuleBook, state: State, source_partition: int | None, conversation_url: str | None
    ) -> None:
        self.book = book
        self.state = state
        self.source_partition = source_partition
        self.alerts: list[Alert] = []
        self.links = (
            [
                Link(
                    rel="conversation",
                    href=conversation_url.replace("{conversation_id}", quote(state.conversation_id, safe="")),
                )
            ]
            if conversation_url
            else []
        )

    def take_up(self) -> None:
        """Open again what an inferred close resolved that has been undone; drop it where one reopened."""
        if self.state.closed_at is not None:
            return
        for key in list(self.state.alerts):
            entry = self._entry(key)
            if entry is None or entry.ended_at is None:
                continue
            if self.state.last_at <= entry.ended_at:
                entry.ended_at = None
                self.state.alerts[key] = entry
            else:
                del self.state.alerts[key]

    def tell(self, finding: Finding) -> None:
        key = dedup_key(self.book, finding)
        told = as_alert_finding(finding)
        entry = self._entry(key)
        if entry is None or entry.ended_at is not None:
            entry = Open(
                alert_id=alert_id(key, finding.finding_id),
                severity=told.severity,
                starts_at=finding.at,
                step=0,
                audiences=list(finding.audiences),
                title=self._title(finding),
                clock_id=finding.clock_id,
                findings=[told],
            )
        else:
            if any(known.finding_id == finding.finding_id for known in entry.findings):
                return
            entry.findings = [*entry.findings, told][-FINDINGS_KEPT:]
            if told.severity.rank <= entry.severity.rank:
                self.state.alerts[key] = entry
                return
            entry.severity = told.severity
            entry.step += 1
            entry.title = self._title(finding)
            entry.audiences = list(dict.fromkeys([*entry.audiences, *finding.audiences]))
        self.alerts.append(self._alert(key, entry, AlertStatus.FIRING, finding.at))
        # What a close concludes has no end to wait for.
        if self.state.closed_at is None or finding.clock_id is not None:
            self.state.alerts[key] = entry

    def take_back(self, finding: Finding) -> None:
        """Resolve the alert of a finding that proved wrong, told by this worker or by one that died."""
        key = dedup_key(self.book, finding)
        entry = self._entry(key)
        told = as_alert_finding(finding)
        if entry is None:
            entry = Open(
                alert_id=alert_id(key, finding.finding_id),
                severity=told.severity,
                starts_at=finding.at,
                step=0,
                audiences=list(finding.audiences),
                title=self._title(finding),
                clock_id=finding.clock_id,
                findings=[told],
            )
        elif others := [one for one in entry.findings if one.finding_id != finding.finding_id]:
            # The alert stands on these; where its clock has stopped, it resolves as any other.
            entry.findings = others
            self.state.alerts[key] = entry
            return
        self._resolve(key, entry, finding.at)

    def resolve_ended(self) -> None:
        closed_at = self.state.closed_at
        for key in list(self.state.alerts):
            entry = self._entry(key)
            if entry is None or entry.ended_at is not None:
                continue
            ended = closed_at
            if entry.clock_id is not None:
                clock = clocks.find(self.state, entry.clock_id)
                if clock is not None:
                    ended = clock.stopped_at
            if ended is None:
                continue
            self._resolve(key, entry, max(ended, entry.starts_at))
            if self.state.close_inferred and ended == closed_at:
                entry.ended_at = ended
                self.state.alerts[key] = entry

    def _resolve(self, key: str, entry: Open, at: int) -> None:
        self.state.alerts.pop(key, None)
        self.alerts.append(self._alert(key, entry, AlertStatus.RESOLVED, at))

    def _entry(self, key: str) -> Open | None:
        kept = self.state.alerts.get(key)
        if kept is None or isinstance(kept, Open):
            return kept
        return msgspec.convert(kept, Open)

    def _title(self, finding: Finding) -> str:
        rule = self.book.rules.get(finding.rule_id)
        if rule is not None:
            return f"{KIND_TITLES[finding.kind]}：{rule.title}"
        policy = self.book.clock_policy_by_id(finding.rule_id)
        if policy is None or finding.clock_id is None:
            return KIND_TITLES[finding.kind]
        passed = finding.severity == policy.severity["breach"]
        return f"{CLOCK_TITLES[policy.clock]}{'超时' if passed else '即将超时'}"

    def _alert(self, key: str, entry: Open, status: AlertStatus, at: int) -> Alert:
        attributes = self.state.attributes
        latest = entry.findings[-1]
        labels = {name: attributes[name] for name in _LABELS if name in attributes}
        category = self.book.categories.get(attributes.get("category", ""))
        if category is not None:
            labels["category_title"] = category.title
        return Alert(
            alert_id=entry.alert_id,
            status=status,
            severity=entry.severity,
            audiences=entry.audiences,
            title=entry.title,
            body=self._body(latest, status),
            findings=list(entry.findings),
            dedup_key=key,
            starts_at=entry.starts_at,
            ends_at=at if status is AlertStatus.RESOLVED else None,
            at=at,
            conversation_id=self.state.conversation_id,
            labels=labels | {"kind": latest.kind, "rule_id": latest.rule_id},
            links=self.links,
            source_partition=self.source_partition,
            step=entry.step,
        )

    def _body(self, latest: AlertFinding, status: AlertStatus) -> str:
        attributes = self.state.attributes
        lines = [latest.why]
        if latest.evidence and latest.evidence not in latest.why:
            lines.append(f"原话：「{latest.evidence}」")
        where = [
            f"{word} {attributes[name]}"
            for name, word in (("shop_id", "店铺"), ("channel", "渠道"), ("group", "分组"), ("agent", "客服"))
            if name in attributes
        ]
        lines.append(f"会话：{self.state.conversation_id}" + (f"（{'，'.join(where)}）" if where else ""))
        if status is AlertStatus.RESOLVED:
            lines.append("已解除。")
        elif latest.advice:
            lines.append(f"建议：{latest.advice}")
        return "\n".join(lines)


def as_alert_finding(finding: Finding) -> AlertFinding:
    """Return a finding in the words of ``alerts``, which knows nothing of detection."""
    return AlertFinding(
        finding_id=finding.finding_id,
        rule_id=finding.rule_id,
        kind=finding.kind.value,
        severity=Severity(finding.severity.value),
        at=finding.at,
        subject=finding.subject.value,
        message_id=finding.message_id,
        evidence=finding.evidence,
        why=finding.why,
        advice=finding.advice,
        pack_version=finding.pack_version,
    )
