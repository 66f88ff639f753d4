"""Who is told of what, and why somebody is not."""

from __future__ import annotations

from typing import Any

from alerts.config import AlertsConfig, Route
from alerts.model import (
    AlertStatus,
    Outcome,
    Reason,
    Severity,
    alert_id,
    audience_key,
    is_audience,
    notification_id,
)
from alerts.policy import Plan, Skip, plan
from alerts.testing import sample_alert, sample_notification


def routed(*routes: Route, default: tuple[str, ...] = ("default",), **more: Any) -> AlertsConfig:
    return AlertsConfig(receivers={}, routes=routes, default_receivers=default, **more)


def receivers(config: AlertsConfig, **alert: Any) -> dict[str, list[str]]:
    made = plan(config, sample_alert(**alert)).notifications
    return {entry.receiver: entry.audiences for entry in made}


def to(*names: str, go_on: bool = False, **match: tuple[str, ...]) -> Route:
    return Route(match, names, go_on)


def test_without_routes_the_default_receivers_are_told() -> None:
    assert receivers(routed()) == {"default": ["agent", "supervisor"]}


def test_audiences_that_meet_at_a_receiver_share_one_notification() -> None:
    alert = sample_alert(audiences=["supervisor", "agent", "supervisor"])
    [entry] = plan(routed(), alert).notifications
    assert entry == sample_notification(
        alert,
        "default",
        notification_id=notification_id(alert.alert_id, "default", "agent,supervisor", AlertStatus.FIRING, 0),
        audiences=["agent", "supervisor"],
    )
    assert entry.outcome is Outcome.PENDING


def test_the_first_route_that_matches_decides() -> None:
    config = routed(to("first", severity=("critical",)), to("second"))
    assert set(receivers(config)) == {"first"}
    assert set(receivers(config, severity=Severity.HIGH)) == {"second"}


def test_a_route_that_continues_adds_the_next() -> None:
    config = routed(to("audit", go_on=True), to("other", shop_id=("s-2",)), to("last", shop_id=("s-1",)))
    assert set(receivers(config)) == {"audit", "last"}


def test_a_continuing_route_without_successor_does_not_fall_to_the_default() -> None:
    assert set(receivers(routed(to("audit", go_on=True)))) == {"audit"}


def test_each_audience_is_routed_for_itself() -> None:
    config = routed(to("desk", audience=("agent",)), to("boss", audience=("supervisor", "manager")))
    assert receivers(config) == {"desk": ["agent"], "boss": ["supervisor"]}


def test_all_keys_must_hold_each_with_any_of_its_values() -> None:
    config = routed(to("hit", shop_id=("s-0", "s-1"), kind=("sensitive",)))
    assert set(receivers(config)) == {"hit"}
    assert set(receivers(config, labels={"shop_id": "s-1", "kind": "emotion"})) == {"default"}
    assert set(receivers(config, labels={"shop_id": "s-1"})) == {"default"}


def test_a_star_at_the_end_means_begins_with() -> None:
    assert set(receivers(routed(to("hit", rule_id=("sensitive.complaint.*",))))) == {"hit"}
    assert set(receivers(routed(to("hit", rule_id=("emotion.*",))))) == {"default"}
    assert set(receivers(routed(to("hit", rule_id=("sensitive.*.regulator",))))) == {"default"}


def test_a_label_cannot_pose_as_the_alerts_severity() -> None:
    config = routed(to("hit", severity=("low",)))
    assert set(receivers(config, labels={"severity": "low"})) == {"default"}


def test_below_the_minimum_nobody_is_told_and_the_reason_is_given() -> None:
    assert plan(routed(), sample_alert(severity=Severity.LOW)) == Plan(
        (),
        (
            Skip("agent", Reason.BELOW_MINIMUM_SEVERITY),
            Skip("supervisor", Reason.BELOW_MINIMUM_SEVERITY),
        ),
    )
    assert plan(routed(minimum_severity=Severity.INFO), sample_alert(severity=Severity.INFO)).notifications


def test_a_route_to_nobody_is_silence_with_a_reason() -> None:
    made = plan(routed(to(audience=("agent",))), sample_alert())
    assert [entry.audiences for entry in made.notifications] == [["supervisor"]]
    assert made.skipped == (Skip("agent", Reason.NO_RECEIVER),)


def test_an_alert_without_audience_still_finds_its_receivers() -> None:
    assert receivers(routed(), audiences=[]) == {"default": [""]}


def test_an_end_goes_wherever_any_step_may_have_been_told() -> None:
    config = routed(to("desk", severity=("medium",)), to("lead", severity=("high",)), to("boss"))
    ended = {"status": AlertStatus.RESOLVED, "ends_at": 1}
    assert set(receivers(config)) == {"boss"}
    assert set(receivers(config, **ended)) == {"desk", "lead", "boss"}
    assert set(receivers(config, severity=Severity.HIGH, **ended)) == {"desk", "lead"}
    assert set(receivers(config, status=AlertStatus.ACKNOWLEDGED)) == {"desk", "lead", "boss"}


def test_the_same_alert_gives_the_same_plan() -> None:
    config = routed(to("a", "b", go_on=True), to("c"))
    assert plan(config, sample_alert()) == plan(config, sample_alert())


def test_ids_differ_by_each_of_their_parts() -> None:
    parts: tuple[Any, ...] = ("a", "r", "x", AlertStatus.FIRING, 0)
    others: list[tuple[Any, ...]] = [
        ("b", *parts[1:]),
        ("a", "s", *parts[2:]),
        ("a", "r", "y", *parts[3:]),
        (*parts[:3], AlertStatus.RESOLVED, 0),
        (*parts[:4], 1),
        ("ar", "", *parts[2:]),
        ("a\0r", "x", "", *parts[3:]),
    ]
    assert len({notification_id(*each) for each in (parts, *others)}) == len(others) + 1
    assert alert_id("ab", "c") != alert_id("a", "bc")
    assert audience_key(["b", "a", "b"]) == "a,b"


def test_ids_are_pinned() -> None:
    # They are webhook-ids in ledgers and at receivers: a change would tell everything twice.
    assert alert_id("c-8/complaint", "f-c-8") == "477e4bac036921c3ee12341a1eae0964"
    assert notification_id("a", "hook", "agent", AlertStatus.FIRING, 0) == "5186ae9402ca88b72ba035c7e7993364"


def test_audiences_are_a_closed_list_and_departments() -> None:
    assert is_audience("manager")
    assert is_audience("department:仓库")
    assert not is_audience("department:")
    assert not is_audience("boss")
