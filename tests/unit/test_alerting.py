"""Findings become alerts: what opens one, joins one, tells it again, and ends it."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.model import AlertStatus, alert_id
from stream import alerting, openalerts
from stream.core import state as states
from stream.core.book import EMPTY_BOOK
from stream.core.outputs import Finding, FindingKind, FindingStatus, Severity, Subject
from stream.core.state import State


def finding(id_: str, *, severity: str = "medium", at: int = 100, **fields: Any) -> Finding:
    return Finding(
        finding_id=id_,
        kind=FindingKind.EMOTION,
        rule_id=fields.pop("rule_id", "emotion.x.r"),
        pack_version="emotion.x@1",
        severity=Severity(severity),
        conversation_id="c-1",
        subject=Subject.CUSTOMER,
        at=at,
        why=f"why {id_}",
        audiences=fields.pop("audiences", ("agent",)),
        **fields,
    )


@pytest.fixture
def state() -> State:
    return State("c-1", 0, 100)


def told(state: State, *findings: Finding) -> list[tuple[str, str, str, int]]:
    """Apply findings, with the state written and read between, as between two batches."""
    alerts = alerting.apply(EMPTY_BOOK, state, findings)
    again = states.decode(states.encode(state))
    state.alerts = again.alerts
    return [(one.status.value, one.severity.value, one.body.splitlines()[0], one.step) for one in alerts]


def test_the_first_finding_opens_and_names_the_alert(state: State) -> None:
    (alert,) = alerting.apply(EMPTY_BOOK, state, [finding("f-1")])
    assert alert.dedup_key == "c-1:emotion.x.r"
    assert alert.alert_id == alert_id("c-1:emotion.x.r", "f-1")
    assert (alert.status, alert.starts_at, alert.ends_at) == (AlertStatus.FIRING, 100, None)


def test_a_finding_for_nobody_is_no_alert(state: State) -> None:
    assert told(state, finding("f-1", audiences=())) == []


@pytest.mark.parametrize(
    ("severity", "again"),
    [("low", []), ("medium", []), ("high", [("firing", "high", "why f-2", 1)])],
)
def test_an_open_alert_is_told_again_only_at_a_higher_severity(
    state: State, severity: str, again: list[Any]
) -> None:
    told(state, finding("f-1"))
    assert told(state, finding("f-2", severity=severity)) == again


def test_telling_again_reaches_everybody_once(state: State) -> None:
    told(state, finding("f-1"))
    more = finding("f-2", severity="high", audiences=("supervisor", "agent"))
    (alert,) = alerting.apply(EMPTY_BOOK, state, [more])
    assert alert.audiences == ["agent", "supervisor"]
    assert [one.finding_id for one in alert.findings] == ["f-1", "f-2"]


def test_the_same_finding_twice_is_one(state: State) -> None:
    told(state, finding("f-1"))
    assert told(state, finding("f-1", severity="critical")) == []


def test_a_close_resolves_and_a_new_finding_then_stands_alone(state: State) -> None:
    told(state, finding("f-1"))
    state.closed_at = 200
    assert told(state) == [("resolved", "medium", "why f-1", 0)]
    assert state.alerts == {}
    assert told(state, finding("f-2", at=200)) == [("firing", "medium", "why f-2", 0)]
    assert state.alerts == {}  # what a close concludes has no end to wait for


def test_an_inferred_close_that_is_undone_leaves_the_alert_open_under_its_id(state: State) -> None:
    told(state, finding("f-1"))
    state.closed_at, state.close_inferred = 200, True
    assert told(state) == [("resolved", "medium", "why f-1", 0)]
    assert told(state) == []
    assert openalerts.severities(state) == ()
    state.closed_at, state.close_inferred, state.last_at = None, False, 150
    assert told(state, finding("f-2", at=150)) == []
    assert openalerts.severities(state) == ("medium",)
    state.closed_at = 160
    (alert,) = alerting.apply(EMPTY_BOOK, state, [])
    assert alert.alert_id == alert_id("c-1:emotion.x.r", "f-1")
    assert (alert.status, alert.ends_at) == (AlertStatus.RESOLVED, 160)


def test_after_a_true_reopening_a_new_finding_opens_a_new_alert(state: State) -> None:
    told(state, finding("f-1"))
    state.closed_at, state.close_inferred = 200, True
    told(state)
    state.closed_at, state.close_inferred, state.last_at = None, False, 300
    (alert,) = alerting.apply(EMPTY_BOOK, state, [finding("f-2", at=300)])
    assert alert.alert_id == alert_id("c-1:emotion.x.r", "f-2")


def test_taking_back_the_only_finding_resolves_and_one_of_several_does_not(state: State) -> None:
    told(state, finding("f-1"), finding("f-2"))
    back: dict[str, Any] = {"status": FindingStatus.CORRECTED}
    assert told(state, finding("f-1", **back)) == []
    assert told(state, finding("f-2", **back)) == [("resolved", "medium", "why f-2", 0)]
    assert state.alerts == {}


def test_a_correction_of_what_another_worker_told_resolves_that_alert(state: State) -> None:
    (alert,) = alerting.apply(EMPTY_BOOK, state, [finding("f-1", status=FindingStatus.CORRECTED)])
    assert alert.alert_id == alert_id("c-1:emotion.x.r", "f-1")
    assert alert.status is AlertStatus.RESOLVED


def test_no_more_findings_are_kept_than_are_read(state: State) -> None:
    for number in range(9):
        told(state, finding(f"f-{number}"))
    (alert,) = alerting.apply(EMPTY_BOOK, state, [finding("f-9", severity="high")])
    assert [one.finding_id for one in alert.findings] == ["f-6", "f-7", "f-8", "f-9"]


def test_an_alert_links_to_its_conversation_in_the_desk(state: State) -> None:
    state.conversation_id = "c/1 2"
    (alert,) = alerting.apply(
        EMPTY_BOOK, state, [finding("f-1")], conversation_url="https://desk.example/chats/{conversation_id}"
    )
    assert [(link.rel, link.href) for link in alert.links] == [
        ("conversation", "https://desk.example/chats/c%2F1%202")
    ]
