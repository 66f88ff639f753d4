"""Records out and back: bytes that never vary, times people can read."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from alerts.model import Alert, AlertFinding, AlertStatus
from alerts.model import Severity as AlertSeverity
from stream import wire
from stream.core.events import Timer
from stream.core.outputs import (
    Basis,
    ClockOutcome,
    Contact,
    Finding,
    FindingKind,
    Outcome,
    Score,
    ScorecardEntry,
    Severity,
    Subject,
    Summary,
)
from stream.wire import InvalidMessage, Reason

AT = 1_794_398_403_120
DOCS = Path(__file__).parents[2] / "docs" / "schema"

FINDING = Finding(
    finding_id="f" * 32,
    kind=FindingKind.EMOTION,
    rule_id="emotion.anger",
    pack_version="3",
    severity=Severity.HIGH,
    conversation_id="c-8",
    message_id="m-1",
    subject=Subject.CUSTOMER,
    at=AT,
    spans=((0, 2), (5, 7)),
    evidence="等了三天",
    score=0.87654,
    why="客户说等了三天",
    audiences=("agent", "manager"),
)
SCORE = Score(conversation_id="c-8", message_id="m-1", dissatisfaction=2 / 3, anger=-0.0, abuse=1)
CONTACT = Contact(
    customer_id="u-9",
    conversation_id="c-8",
    revision=0,
    shop_id=None,
    category="refund",
    opened_at=AT,
    closed_at=None,
    outcome=Outcome.RESOLVED,
    rating=4,
)
SUMMARY = Summary(
    conversation_id="c-8",
    revision=1,
    shop_id="s-1",
    channel=None,
    group=None,
    agent="a-1",
    customer_id="u-9",
    tier="vip",
    opened_at=AT - 60_000,
    closed_at=AT,
    inferred=True,
    category=None,
    category_source=None,
    outcome=Outcome.UNKNOWN,
    rating=None,
    dissatisfaction=0.123456,
    dissatisfaction_basis=(Basis(name="score", value=1 / 3, weight=1),),
    metrics={"wait_s": 3.00004, "first_s": None, "turns": 4},
    emotion={"anger": 0.5},
    findings={"z": 1, "a": 2},
    scorecard_points=-2.5,
    scorecard=(ScorecardEntry(rule_id="r", points=-2.5, count=1, why="没有问候"),),
    clocks=(
        ClockOutcome(
            clock_id="k",
            kind="first_response",
            policy="ola.first_response",
            leg="agent",
            state="breached",
            started_at=AT - 60_000,
            due=AT - 30_000,
            stopped_at=None,
            seconds=None,
        ),
    ),
)
TIMER = Timer(conversation_id="c-8", clock_id="first_response:1", due=AT)
ALERT = Alert(
    alert_id="a" * 32,
    status=AlertStatus.FIRING,
    severity=AlertSeverity.HIGH,
    audiences=["agent", "manager"],
    title="客户生气",
    dedup_key="c-8/emotion",
    starts_at=AT,
    at=AT,
    conversation_id="c-8",
    findings=[
        AlertFinding(
            finding_id="f" * 32,
            rule_id="emotion.anger",
            kind="emotion",
            severity=AlertSeverity.HIGH,
            at=AT,
            subject="customer",
        )
    ],
    labels={"shop_id": "s-1", "kind": "emotion"},
)
RECORDS: dict[str, Any] = {
    "finding": FINDING,
    "score": SCORE,
    "contact": CONTACT,
    "conversation": SUMMARY,
    "timer": TIMER,
}


def is_time(value: str) -> bool:
    return len(value) == len("2026-11-11T20:00:03.120+08:00") and value[-6] in "+-"


@pytest.mark.parametrize("name", list(RECORDS))
def test_record_obeys_the_published_schema(name):
    schema = json.loads((DOCS / f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(wire.encode(RECORDS[name])))


@pytest.mark.parametrize("name", list(RECORDS))
def test_record_read_back_is_written_the_same(name):
    raw = wire.encode(RECORDS[name])
    again = wire.read(type(RECORDS[name]), raw)
    assert wire.encode(again) == raw
    assert type(again) is type(RECORDS[name])


def test_alert_obeys_the_published_schema_and_reads_back():
    raw = wire.encode_alert(ALERT)
    schema = json.loads((DOCS / "alert.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(raw))
    again = wire.read_alert(raw)
    assert again.at == ALERT.at
    assert wire.encode_alert(again) == raw


def test_order_of_labels_and_metrics_does_not_show():
    turned = Alert(
        **{field: getattr(ALERT, field) for field in ALERT.__struct_fields__}
        | {"labels": dict(reversed(ALERT.labels.items()))}
    )
    assert wire.encode_alert(turned) == wire.encode_alert(ALERT)
    document = json.loads(wire.encode(SUMMARY))
    assert list(document["findings"]) == ["a", "z"]
    assert list(document["metrics"]) == ["first_s", "turns", "wait_s"]


def test_fields_stand_in_the_order_of_their_type():
    assert list(json.loads(wire.encode(FINDING))) == list(Finding.__struct_fields__)


def test_times_are_in_the_zone_asked_for():
    assert json.loads(wire.encode(FINDING))["at"] == "2026-11-11T20:00:03.120+08:00"
    west = timezone(timedelta(hours=-3, minutes=-30))
    assert json.loads(wire.encode(FINDING, west))["at"] == "2026-11-11T08:30:03.120-03:30"
    assert wire.read(Finding, wire.encode(FINDING, west)).at == AT


def test_every_time_of_a_summary_is_written_as_one():
    document = json.loads(wire.encode(SUMMARY))
    clock = document["clocks"][0]
    assert all(is_time(document[field]) for field in ("opened_at", "closed_at"))
    assert all(is_time(clock[field]) for field in ("started_at", "due"))
    assert clock["stopped_at"] is None


def test_floats_have_four_decimals_and_no_negative_zero():
    assert wire.encode(SCORE) == (
        b'{"conversation_id":"c-8","message_id":"m-1","dissatisfaction":0.6667,"anger":0.0,"abuse":1.0}'
    )
    document = json.loads(wire.encode(SUMMARY))
    assert (document["dissatisfaction"], document["metrics"]["wait_s"]) == (0.1235, 3.0)


@pytest.mark.parametrize("at", [0, 1, 999, AT, AT + 1, AT + 999, 4_102_444_799_999])
def test_no_millisecond_is_lost(at):
    timer = Timer(conversation_id="c", clock_id="k", due=at)
    assert wire.read(Timer, wire.encode(timer)) == timer


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"[]", Reason.WRONG_TYPE),
        (b"{}", Reason.MISSING_FIELD),
        (b'{"type":"timer","conversation_id":"c","clock_id":"\xff","due":1}', Reason.NOT_UTF8),
        (b'{"type":"timer","conversation_id":"c","clock_id":"k","due":"soon"}', Reason.BAD_TIME),
        (
            b'{"type":"timer","conversation_id":"c","clock_id":"k","due":"2026-01-01T20:00:03"}',
            Reason.BAD_TIME,
        ),
    ],
)
def test_unreadable_timer_is_refused_with_a_reason(raw, reason):
    with pytest.raises(InvalidMessage) as caught:
        wire.read(Timer, raw)
    assert caught.value.reason == reason


def test_unreadable_alert_is_refused_with_a_reason():
    with pytest.raises(InvalidMessage, match="missing_field"):
        wire.read_alert(b'{"findings":[]}')
