"""Conversations as Hypothesis draws them: with answers at the edge, late events, repeats and silences."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from stream import wire
from stream.core.events import Received, Tick
from stream.core.outputs import Finding, FindingStatus
from tests.contract.day import MINUTE, SECOND, START, message

NAME = "c-1"
# What comes after what: the targets (20, 30, 60, 90, 120, 180 s), the idle close (30 min) and the end of
# memory (40 min), each at its very millisecond and one beside it.
STEPS = (
    0,
    1,
    SECOND,
    20_000,
    29_999,
    30_000,
    30_001,
    59_999,
    60_000,
    60_001,
    90_000,
    90_001,
    120_000,
    180_000,
)
SILENCES = (29 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, 39 * MINUTE, 41 * MINUTE, 3 * 60 * MINUTE)
LATENESS = (1, SECOND, 10_000, 31_000, 61_000, 95_000, 10 * MINUTE, 31 * MINUTE)
TEXTS = {
    "customer": ("你好", "我生气", "快点", "生气，快点", "谢谢"),
    "agent": ("好的", "抱歉", "再见"),
    "bot": ("请稍等", "抱歉"),
    "system": ("系统消息",),
}
OTHERS = (
    {"type": "conversation.opened"},
    {"type": "conversation.assigned", "agent": "a-2"},
    {"type": "conversation.transferred", "to_agent": "a-3", "to_group": "g-2"},
    {"type": "conversation.closed", "by": "agent"},
    {"type": "conversation.rated", "score": 5},
    {"type": "issue.opened", "issue_id": "i-1", "category": "refund"},
    {"type": "issue.resolved", "issue_id": "i-1"},
    {"type": "issue.handed_off", "issue_id": "i-1", "to": "operations"},
    {"type": "issue.handed_off", "issue_id": "i-1", "to": "warehouse"},
    {"type": "issue.answered", "issue_id": "i-1", "by": "operations"},
    {"type": "issue.answered", "issue_id": "i-1"},
    {"type": "issue.paused", "issue_id": "i-1", "reason": "customer"},
    {"type": "issue.resumed", "issue_id": "i-1"},
    {"type": "order.paid", "order_id": "o-1"},
)


def received(event: dict[str, Any]) -> Received:
    """Return an event as it comes off the wire on the `stream` driver."""
    return wire.decode(wire_bytes(event), received_at=None)


def wire_bytes(event: dict[str, Any]) -> bytes:
    """Return the record of an event."""
    import json  # noqa: PLC0415

    return json.dumps(event, ensure_ascii=False).encode()


def tick(at: int) -> Received:
    """Return the record that lets time reach `at` everywhere."""
    return Received(Tick(at=at), at)


@st.composite
def logs(draw: st.DrawFn, *, names: int = 1, most: int = 14, silences: bool = True) -> list[Received]:
    """Draw the events of one conversation or several, in the order in which they arrive."""
    steps = STEPS + SILENCES if silences else STEPS
    at = START
    events: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, most))):
        at += draw(st.sampled_from(steps))
        late = draw(st.sampled_from((0, 0, 0, *LATENESS))) if draw(st.booleans()) else 0
        name = f"c-{draw(st.integers(1, names))}"
        events.append(draw(_events(name, number, at - late, events)))
    return [received(event) for event in events]


@st.composite
def _events(draw: st.DrawFn, name: str, number: int, at: int, before: list[dict[str, Any]]) -> dict[str, Any]:
    kind = draw(st.integers(0, 9))
    if kind == 0 and (said := [one for one in before if one["type"] == "message"]):
        return dict(draw(st.sampled_from(said)))
    if kind in {1, 2}:
        return {**draw(st.sampled_from(OTHERS)), "conversation_id": name, "at": at}
    role = draw(st.sampled_from(("customer", "customer", "agent", "agent", "bot", "system")))
    extra = {"id": draw(st.sampled_from(("a-1", "a-2")))} if role == "agent" else {}
    if role == "agent" and draw(st.integers(0, 5)) == 0:
        extra["mode"] = "auto_reply"
    return message(name, f"m-{number}", at, role, draw(st.sampled_from(TEXTS[role])), **extra)


def last_status(findings: list[Finding]) -> dict[str, FindingStatus]:
    """Return how each finding ended: raised, or taken back."""
    return {finding.finding_id: finding.status for finding in findings}


def standing(findings: list[Finding]) -> set[tuple[str, str, int, str]]:
    """Return the findings that were not taken back."""
    ended = last_status(findings)
    return {
        (one.finding_id, one.rule_id, one.at, one.severity)
        for one in findings
        if ended[one.finding_id] is FindingStatus.RAISED
    }
