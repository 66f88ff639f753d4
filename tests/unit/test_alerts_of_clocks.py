"""What the shipped clocks' alerts say: what is owed, by whom, since when, how long over, and the last words.

The times are worked by hand beside each case, from the policies of `lexicons/ola`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any

import pytest

from alerts.model import Alert, AlertStatus
from alerts.text import compose
from stream import wire
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.knowledge import open_knowledge

TEN = 1_794_362_400_000  # 2026-11-11T10:00:00+08:00
MINUTE = 60_000
PHONE = "13812345678"


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return open_knowledge()


def events(*written: tuple[float, dict[str, Any]]) -> list[Input]:
    """Events so many minutes after ten, all of one conversation."""
    return [
        Input(wire.decode(json.dumps(one | {"conversation_id": "c-1"}).encode(), received_at=None))
        for one in (
            one | {"sent_at" if one["type"] == "message" else "at": TEN + round(minute * MINUTE)}
            for minute, one in written
        )
    ]


def says(role: str, number: int, text: str) -> dict[str, Any]:
    sender = {"role": role, "id": "小王" if role == "agent" else "k-1"}
    return {"type": "message", "message_id": f"m-{number}", "sender": sender, "content": {"text": text}}


def issue(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"issue.{kind}", "issue_id": "i-1", **more}


def told(knowledge: Knowledge, *written: tuple[float, dict[str, Any]]) -> Iterator[tuple[Alert, list[str]]]:
    """The alerts of clocks, each with the lines about what is owed, what happened and the words."""
    records = Conversations().apply(knowledge, events(*written)).records
    for alert in records:
        if isinstance(alert, Alert) and alert.labels["kind"] == "ola":
            lines = compose(alert, [], timezone(timedelta(hours=8))).lines
            yield (
                alert,
                [line.text for line in lines if line.name in ("等谁", "发生了什么") or line.quote],
            )


def test_a_department_owes_its_answer_and_how_long_over_climbs(knowledge: Knowledge) -> None:
    """Handed to 仓库 at 10:05 with 30 minutes: warning after 20, breach at 10:35, up at 11:05."""
    found = list(
        told(
            knowledge,
            (0, issue("opened", title="少件")),
            (1, says("customer", 1, f"少发了一件，电话{PHONE}，怎么办")),
            (1.5, says("agent", 2, "您好，马上帮您转仓库核实")),
            (5, issue("handed_off", to="仓库")),
            (90, issue("answered", by="仓库")),
        )
    )
    mine = [(alert, lines) for alert, lines in found if alert.labels["rule_id"] == "ola.leg"]
    assert [alert.status for alert, _ in mine] == [AlertStatus.FIRING] * 3 + [AlertStatus.RESOLVED]
    warned, breached, climbed, _ = (lines for _, lines in mine)
    assert warned[:2] == [
        "问题转交仓库后已等了 20 分，还没有答复；30 分内必须答复。",
        "仓库（部门答复），自 11-11 10:05:00 起，应在 10:35:00 前",
    ]
    assert breached[:2] == [
        "问题转交仓库已 30 分没有答复，已过约定的 30 分；欠答复的是仓库，不是客服。",
        "仓库（部门答复），自 11-11 10:05:00 起，应在 10:35:00 前",
    ]
    assert climbed[:2] == [
        "问题转交仓库已 1 小时仍没有答复，已超时 30 分，逐级上报。",
        "仓库（部门答复），自 11-11 10:05:00 起，应在 10:35:00 前，已超 30 分",
    ]
    for lines in (warned, breached, climbed):
        assert lines[-1].startswith("少发了一件，电话")
        assert PHONE not in lines[-1]
    # Answered at 11:30, 55 minutes late.
    owed = mine[-1][0].owed
    assert owed is not None
    assert (owed.party, owed.since, owed.until) == ("仓库", TEN + 5 * MINUTE, TEN + 35 * MINUTE)
    assert owed.over_ms == 55 * MINUTE


def test_an_agent_owes_the_next_response_and_is_named(knowledge: Knowledge) -> None:
    """Asked at 10:02, answered by nobody: warning after 2 minutes, breach after 3."""
    found = list(
        told(
            knowledge,
            (0, says("customer", 1, "在吗")),
            (0.2, says("agent", 2, "在的，您说")),
            (2, says("customer", 3, "这件还有蓝色吗")),
            (5.5, says("agent", 4, "有的，蓝色还有三件")),
        )
    )
    mine = [lines for alert, lines in found if alert.labels["rule_id"] == "ola.next_response"]
    owed = "客服 小王（后续响应），自 11-11 10:02:00 起，应在 10:05:00 前"
    assert mine[0] == ["客户追问后已等了 2 分，小王 还没有回复，3 分内必须回复。", owed, "这件还有蓝色吗"]
    assert mine[1] == ["客户追问后 3 分没有等到 小王 回复，已过响应时限。", owed, "这件还有蓝色吗"]


def test_every_sentence_of_a_shipped_clock_says_durations_for_people(knowledge: Knowledge) -> None:
    for policy in knowledge.book.clocks:
        for why in (*policy.why.values(), *(telling.why for _, telling in policy.escalate)):
            assert "{seconds}" not in why, policy.id
            assert "{target}" not in why, policy.id
            # What was promised has a moment instead of a length.
            assert any(place in why for place in ("{waited}", "{limit}", "{deadline}")), policy.id
