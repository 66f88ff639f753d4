"""Findings become alerts: here and nowhere else, for every runtime; pure.

A finding with an audience opens an alert under its dedup key, or joins the one that is open and
tells again only at a higher severity, or where a clock escalates to further people. An alert of a
clock resolves when the clock stops, any other when the conversation closes; what a close itself
concludes is told once and stays. What an inferred close resolves is kept until the conversation is
forgotten: should an event prove that there was no such silence, the alert is open as before, under
its own id. What is open is kept in the conversation's record (``stream.openalerts``).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from alerts.model import AGENT, Alert, AlertFinding, AlertStatus, Link, Owed, Severity, alert_id
from stream import openalerts
from stream.core import clocks
from stream.core import outputs as core
from stream.core.book import RuleBook
from stream.core.kinds import KINDS
from stream.core.outputs import Finding, FindingKind, FindingStatus
from stream.core.state import QUOTED, Clock, State
from stream.openalerts import Kept, Open

# Findings an open alert keeps for its next telling. More would not be read on a phone.
FINDINGS_KEPT = 4

# The same severity as the core and as delivery call it.
_SEVERITIES = {severity: Severity(severity.value) for severity in core.Severity}

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


# By the plain word that an open alert keeps of it.
_TITLES = {kind.value: title for kind, title in KIND_TITLES.items()}


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
    if not findings and not openalerts.may_end(state):
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
        for key, ended_at, _ in openalerts.keys(self.state):
            if ended_at is None:
                continue
            if self.state.last_at <= ended_at:
                entry = openalerts.get(self.state, key)
                assert entry is not None
                entry.ended_at = None
                openalerts.put(self.state, key, entry)
            else:
                openalerts.drop(self.state, key)

    def tell(self, finding: Finding) -> None:
        key = dedup_key(self.book, finding)
        told = _keep(finding)
        entry = openalerts.get(self.state, key)
        if entry is None or entry.ended_at is not None:
            entry = _opened(key, finding, told)
        else:
            if any(known.finding_id == told.finding_id for known in entry.findings):
                return
            entry.findings = [*entry.findings, told][-FINDINGS_KEPT:]
            graver = told.severity.rank > entry.severity.rank
            # A clock that escalates tells people who did not know, however grave it was before.
            wider = finding.clock_id is not None and not set(finding.audiences) <= set(entry.audiences)
            if not graver and not wider:
                openalerts.put(self.state, key, entry)
                return
            entry.severity = told.severity if graver else entry.severity
            entry.step += 1
            entry.audiences = list(dict.fromkeys([*entry.audiences, *finding.audiences]))
        self.alerts.append(self._alert(key, entry, AlertStatus.FIRING, finding.at))
        # What a close concludes has no end to wait for.
        if self.state.closed_at is None or finding.clock_id is not None:
            openalerts.put(self.state, key, entry)

    def take_back(self, finding: Finding) -> None:
        """Resolve the alert of a finding that proved wrong, told by this worker or by one that died."""
        key = dedup_key(self.book, finding)
        entry = openalerts.get(self.state, key)
        told = _keep(finding)
        if entry is None:
            entry = _opened(key, finding, told)
        elif others := [one for one in entry.findings if one.finding_id != told.finding_id]:
            # The alert stands on these; where its clock has stopped, it resolves as any other.
            entry.findings = others
            openalerts.put(self.state, key, entry)
            return
        self._resolve(key, entry, finding.at)

    def resolve_ended(self) -> None:
        closed_at = self.state.closed_at
        for key, ended_at, clock_id in openalerts.keys(self.state):
            if ended_at is not None:
                continue
            ended = closed_at
            if clock_id is not None:
                clock = clocks.find(self.state, clock_id)
                if clock is not None:
                    ended = clock.stopped_at
            if ended is None:
                continue
            entry = openalerts.get(self.state, key)
            assert entry is not None
            self._resolve(key, entry, max(ended, entry.starts_at))
            if self.state.close_inferred and ended == closed_at:
                entry.ended_at = ended
                openalerts.put(self.state, key, entry)

    def _resolve(self, key: str, entry: Open, at: int) -> None:
        openalerts.drop(self.state, key)
        self.alerts.append(self._alert(key, entry, AlertStatus.RESOLVED, at))

    def _title(self, findings: Sequence[Kept]) -> str:
        """Return the title of the worst of the findings, the latest among equals."""
        worst = findings[-1]
        if len(findings) > 1:
            worst = max(reversed(findings), key=lambda kept: kept.severity.rank)
        kind = _TITLES[worst.kind]
        rule = self.book.rules.get(worst.rule_id)
        if rule is not None:
            return f"{kind}：{rule.title}"
        policy = self.book.clock_policy_by_id(worst.rule_id)
        if policy is None:
            return kind
        late = {policy.severity["breach"], *(told.severity for _, told in policy.escalate)}
        passed = worst.severity.value in {severity.value for severity in late}
        return f"{KINDS[policy.clock].title}{'超时' if passed else '即将超时'}"

    def _advice(self, rule_id: str) -> str:
        known = self.book.rules.get(rule_id) or self.book.clock_policy_by_id(rule_id)
        return "" if known is None else known.advice

    def _alert(self, key: str, entry: Open, status: AlertStatus, at: int) -> Alert:
        attributes = self.state.attributes
        told = [_told(kept, self._advice(kept.rule_id)) for kept in entry.findings]
        latest = told[-1]
        labels = {name: attributes[name] for name in _LABELS if name in attributes}
        category = self.book.categories.get(attributes.get("category", ""))
        if category is not None:
            labels["category_title"] = category.title
        return Alert(
            alert_id=entry.alert_id,
            status=status,
            severity=entry.severity,
            audiences=entry.audiences,
            title=self._title(entry.findings),
            body=self._body(latest, status),
            findings=told,
            dedup_key=key,
            starts_at=entry.starts_at,
            ends_at=at if status is AlertStatus.RESOLVED else None,
            at=at,
            conversation_id=self.state.conversation_id,
            labels=labels | {"kind": latest.kind, "rule_id": latest.rule_id},
            links=self.links,
            source_partition=self.source_partition,
            step=entry.step,
            owed=self._owed(entry, at),
        )

    def _owed(self, entry: Open, at: int) -> Owed | None:
        """Return what the clock of an alert says is owed; None without clock or policy."""
        clock = None if entry.clock_id is None else clocks.find(self.state, entry.clock_id)
        policy = None if clock is None else self.book.clock_policy_by_id(self.state.names[clock.policy])
        if clock is None or policy is None:
            return None
        return Owed(
            what=KINDS[policy.clock].title,
            party=self._party(clock),
            since=clock.started_at,
            until=clock.target_at,
            over_ms=max(0, policy.worktime.measure(clock.target_at, at)),
        )

    def _party(self, clock: Clock) -> str:
        """Return who owes: the department of the clock, whoever has its issue, or the agent."""
        if clock.party is not None:
            return self.state.names[clock.party]
        if clock.issue is None:
            return AGENT
        issue_id = self.state.names[clock.issue]
        return next((one.leg for one in self.state.issues if one.issue_id == issue_id), AGENT)

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


def _opened(key: str, finding: Finding, told: Kept) -> Open:
    return Open(
        alert_id=alert_id(key, finding.finding_id),
        severity=told.severity,
        starts_at=finding.at,
        step=0,
        audiences=list(finding.audiences),
        clock_id=finding.clock_id,
        findings=[told],
    )


def _keep(finding: Finding) -> Kept:
    evidence = finding.evidence
    return Kept(
        finding_id=finding.finding_id,
        rule_id=finding.rule_id,
        kind=finding.kind.value,
        severity=_SEVERITIES[finding.severity],
        at=finding.at,
        subject=finding.subject.value,
        message_id=finding.message_id,
        evidence=evidence,
        why=finding.why.replace(evidence, QUOTED) if evidence else finding.why,
        pack_version=finding.pack_version,
    )


def _told(kept: Kept, advice: str) -> AlertFinding:
    """Return a kept finding in the words of ``alerts``, which knows nothing of detection."""
    return AlertFinding(
        finding_id=kept.finding_id,
        rule_id=kept.rule_id,
        kind=kept.kind,
        severity=kept.severity,
        at=kept.at,
        subject=kept.subject,
        message_id=kept.message_id,
        evidence=kept.evidence,
        why=kept.why.replace(QUOTED, kept.evidence),
        advice=advice,
        pack_version=kept.pack_version,
    )
