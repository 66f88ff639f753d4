"""Whose words an alert shows, and what it calls things."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.model import AlertStatus, Owed
from alerts.testing import NOW_MS, sample_alert
from alerts.text import compose, duration
from alerts.wire import alert_document, alert_from_document, decode_alert, encode_alert
from stream.core.rules import spoken

ZONE = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("subject", "message_id", "speaker"),
    [
        ("customer", "m-1", "客户"),
        ("agent", "m-1", "客服"),
        ("agent", None, "客户"),
        ("department", None, "客户"),
    ],
)
def test_words_without_a_message_are_the_customers_last(
    subject: str, message_id: str | None, speaker: str
) -> None:
    alert = sample_alert()
    finding = msgspec.structs.replace(
        alert.findings[0], subject=subject, message_id=message_id, evidence="人呢，还在吗"
    )
    message = compose(msgspec.structs.replace(alert, findings=[finding]), ["supervisor"], ZONE)
    assert [line.name.split()[0] for line in message.lines if line.quote] == [speaker]


def test_the_category_is_told_by_its_title_where_it_has_one() -> None:
    alert = sample_alert(labels={"category": "logistics", "category_title": "物流"})
    where = next(line.text for line in compose(alert, [], ZONE).lines if line.name == "谁的会话")
    assert where == "问题类别 物流"


OWED = Owed(what="部门答复", party="仓库", since=NOW_MS, until=NOW_MS + 30 * 60_000, over_ms=65_000)


def owing(owed: Owed, **alert: Any) -> list[str]:
    lines = compose(sample_alert(owed=owed, **alert), [], ZONE).lines
    return [line.text for line in lines if line.name == "等谁"]


def test_a_clock_says_who_owes_what_since_when_and_how_long_over() -> None:
    assert owing(OWED) == ["仓库（部门答复），自 11-11 20:00:03 起，应在 20:30:03 前，已超 1 分 5 秒"]


def test_before_the_target_nothing_is_over_and_a_later_day_is_named() -> None:
    tomorrow = msgspec.structs.replace(OWED, until=NOW_MS + 24 * 3_600_000, over_ms=0)
    assert owing(tomorrow) == ["仓库（部门答复），自 11-11 20:00:03 起，应在 11-12 20:00:03 前"]


@pytest.mark.parametrize(("labels", "who"), [({}, "客服"), ({"agent": "小王"}, "客服 小王")])
def test_what_no_department_owes_the_agent_owes(labels: dict[str, str], who: str) -> None:
    owed = msgspec.structs.replace(OWED, what="首次响应", party="agent", over_ms=0)
    assert owing(owed, labels=labels) == [f"{who}（首次响应），自 11-11 20:00:03 起，应在 20:30:03 前"]


def test_nobody_owes_once_it_is_resolved() -> None:
    assert owing(OWED, status=AlertStatus.RESOLVED, ends_at=NOW_MS) == []


@given(st.integers(-1000, 400 * 86_400_000))
def test_delivery_says_durations_as_findings_do(ms: int) -> None:
    assert duration(ms) == spoken(ms)


def test_what_is_owed_comes_back_from_the_wire() -> None:
    alert = sample_alert(owed=OWED)
    document = alert_document(alert, ZONE)
    assert document["owed"]["since"] == "2026-11-11T20:00:03.120+08:00"
    assert document["owed"]["over_ms"] == 65_000
    assert decode_alert(encode_alert(alert, ZONE)) == alert
    assert alert_from_document(alert_document(sample_alert())) == sample_alert()
