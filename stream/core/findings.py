"""Findings from what rules and clocks say: ids, evidence, the sentence a manager reads."""

from __future__ import annotations

from stream.core import issues
from stream.core.annotation import EMPTY, Annotation
from stream.core.book import ClockPolicy, RuleBook
from stream.core.clocks import Fired
from stream.core.evidence import excerpt
from stream.core.ids import stable_id
from stream.core.outputs import Finding, FindingKind, FindingStatus, Subject
from stream.core.rules import RuleHit, render_why, spoken
from stream.core.said import TITLES
from stream.core.state import Clock, State

# The audience of a clock that stands for whichever department owes.
OWING = "department"


def weight(finding: Finding) -> int:
    """Return what a finding adds to a count: 1, or -1 where it takes an earlier one back."""
    return -1 if finding.status is FindingStatus.CORRECTED else 1


def message_finding_id(conversation_id: str, rule_id: str, message_id: str) -> str:
    """Return the id of what a rule found on a message."""
    return stable_id("rule", conversation_id, rule_id, message_id, 0)


def of_rule(
    state: State,
    hit: RuleHit,
    annotation: Annotation,
    *,
    message_id: str | None,
    clock_id: str | None,
    corrected: bool = False,
) -> Finding:
    """Return the finding of a rule that fired on a message, at its clock, or at close."""
    rule = hit.rule
    conversation_id = state.conversation_id
    if message_id is not None:
        finding_id = message_finding_id(conversation_id, rule.id, message_id)
        evidence = excerpt(annotation, hit.spans)
    else:
        # No message: a waiting rule is named by when it was due, a close rule by when the close was.
        finding_id = stable_id("rule", conversation_id, rule.id, "due" if clock_id else "close", hit.at)
        evidence = state.last_words
    return Finding(
        finding_id=finding_id,
        status=FindingStatus.CORRECTED if corrected else FindingStatus.RAISED,
        kind=rule.kind,
        rule_id=rule.id,
        pack_version=rule.pack_version,
        severity=rule.severity,
        conversation_id=conversation_id,
        issue_id=issues.current(state),
        message_id=message_id,
        subject=rule.subject,
        at=hit.at,
        spans=hit.spans if message_id is not None else (),
        evidence=evidence,
        score=hit.score,
        why=render_why(rule.why, _values(state, evidence, hit=hit)),
        advice=rule.advice,
        audiences=rule.audiences,
        clock_id=clock_id,
    )


def of_clock(book: RuleBook, state: State, fired: Fired, *, corrected: bool = False) -> Finding | None:
    """Return the finding of a clock's moment, or the correction of it; None without its policy.

    The policy may have left the packs while the clock ran; the finding has then no words to say.
    A clock of a waiting rule is told by its rule, and not at all by a staged one.
    """
    clock = fired.clock
    policy_id = state.names[clock.policy]
    status = FindingStatus.CORRECTED if corrected else FindingStatus.RAISED
    rule = book.rules.get(policy_id)
    clock_id = state.clock_id(clock)
    if rule is not None:
        if rule.staged:
            return None
        hit = RuleHit(rule, fired.due, 1)
        return of_rule(state, hit, EMPTY, message_id=None, clock_id=clock_id, corrected=corrected)
    policy = book.clock_policy_by_id(policy_id)
    if policy is None:
        return None
    telling = policy.telling(fired.step)
    party = None if clock.party is None else state.names[clock.party]
    measure = policy.worktime.measure
    waited = measure(clock.started_at, fired.due) - clock.stood_ms
    limit = measure(clock.started_at, clock.target_at) - clock.stood_ms
    values = _values(state, state.last_words) | {
        "seconds": str(waited // 1000),
        "target": str(limit // 1000),
        "waited": spoken(waited),
        "limit": spoken(limit),
        "over": spoken(waited - limit),
        "department": party or "",
        **_promised(policy, state, clock),
    }
    return Finding(
        finding_id=stable_id("clock", state.conversation_id, clock_id, fired.due, fired.moment),
        status=status,
        kind=FindingKind.OLA,
        rule_id=policy_id,
        pack_version=policy.pack_version,
        severity=telling.severity,
        conversation_id=state.conversation_id,
        issue_id=issues.current(state) if clock.issue is None else state.names[clock.issue],
        subject=Subject.AGENT if party is None else Subject.DEPARTMENT,
        at=fired.due,
        evidence=state.last_words,
        why=render_why(telling.why, values),
        advice=policy.advice,
        audiences=tuple(f"department:{party}" if name == OWING else name for name in telling.audience),
        clock_id=clock_id,
    )


def _promised(policy: ClockPolicy, state: State, clock: Clock) -> dict[str, str]:
    """Return what was promised and until when, as its calendar's zone writes it."""
    if policy.days is None:
        return {}
    name = state.names[clock.kind]
    until = policy.days.local(clock.target_at - policy.grace_ms)
    return {
        "promise": TITLES.get(name.partition(":")[2] or name, ""),
        "deadline": f"{until.month}月{until.day}日 {until:%H:%M}",
    }


def _values(state: State, evidence: str, hit: RuleHit | None = None) -> dict[str, str]:
    """Return what a ``why`` may speak of; names of people come from the chat system."""
    attributes = state.attributes
    values = {
        "evidence": evidence,
        "agent": attributes.get("agent", "客服"),
        "customer": attributes.get("customer_id", "客户"),
        "seconds": "",
        "waited": "",
        "target": "",
        "terms": "",
        "count": "",
        "score": "",
    }
    if hit is not None:
        values["terms"] = "、".join(hit.terms)
        values["count"] = str(hit.count)
        values["score"] = "" if hit.score is None else f"{hit.score:.2f}"
        values["seconds"] = str(hit.rule.wait_ms // 1000)
        values["waited"] = spoken(hit.rule.wait_ms)
    return values
