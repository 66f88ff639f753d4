"""Whose words an alert shows, and what it calls things."""

from __future__ import annotations

from datetime import timedelta, timezone

import msgspec
import pytest

from alerts.testing import sample_alert
from alerts.text import compose

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
