"""Who is told of an alert, and why somebody is not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from alerts import hours
from alerts.config import AlertsConfig, Route
from alerts.model import Alert, AlertStatus, Notification, Reason, Severity, audience_key, notification_id


@dataclass(frozen=True, slots=True)
class Skip:
    """An audience that nothing is sent to, and why. `audience` is empty if the alert names none."""

    audience: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """What an alert leads to: one notification a receiver, ordered by receiver; and what it does not."""

    notifications: tuple[Notification, ...]
    skipped: tuple[Skip, ...] = ()


def plan(config: AlertsConfig, alert: Alert) -> Plan:
    """The notifications of an alert, the same for the same alert and configuration.

    Each audience is routed for itself; audiences that meet at a receiver share one notification. An
    alert that ended or was acknowledged goes wherever it could have been told on its way up to its
    severity; the dispatcher drops it where nothing was told. A notification that only routes with
    hours led to waits for these, unless the alert is grave enough to pass; of several the first to open
    counts.
    """
    severities = _severities(config, alert)
    audiences = sorted(set(alert.audiences)) or [""]
    if not severities:
        return Plan((), tuple(Skip(audience, Reason.BELOW_MINIMUM_SEVERITY) for audience in audiences))
    told: dict[str, list[str]] = {}
    waits: dict[str, set[str]] = {}
    skipped = []
    for audience in audiences:
        receivers = set()
        for severity in severities:
            for receiver, route in _receivers(config, _facts(alert, severity, audience)):
                receivers.add(receiver)
                waits.setdefault(receiver, set()).add(_calendar(route, alert.severity))
        if not receivers:
            skipped.append(Skip(audience, Reason.NO_RECEIVER))
        for receiver in receivers:
            told.setdefault(receiver, []).append(audience)
    notifications = tuple(
        _notification(alert, receiver, told[receiver], hours.of_routes(waits[receiver]))
        for receiver in sorted(told)
    )
    return Plan(notifications, tuple(skipped))


def _severities(config: AlertsConfig, alert: Alert) -> tuple[Severity, ...]:
    passed = tuple(s for s in alert.severity.at_most() if s.rank >= config.minimum_severity.rank)
    return passed[-1:] if alert.status is AlertStatus.FIRING else passed


def _facts(alert: Alert, severity: Severity, audience: str) -> dict[str, str]:
    """What routes match on. The alert's own fields win over labels of the same name."""
    return alert.labels | {"severity": severity.value, "audience": audience}


def _calendar(route: Route | None, severity: Severity) -> str:
    """The calendar that an alert so grave waits for on this route."""
    if route is None or route.hours is None or not route.hours.waits(severity):
        return hours.ANY_HOUR
    return route.hours.calendar


def _receivers(config: AlertsConfig, facts: Mapping[str, str]) -> Iterator[tuple[str, Route | None]]:
    """The receivers of the first route that matches and of those after it while they go on, each with it."""
    matched = False
    for route in config.routes:
        if _matches(route, facts):
            matched = True
            yield from ((receiver, route) for receiver in route.receivers)
            if not route.go_on:
                return
    if not matched:
        yield from ((receiver, None) for receiver in config.default_receivers)


def _matches(route: Route, facts: Mapping[str, str]) -> bool:
    return all(
        any(_value_matches(pattern, facts.get(key, "")) for pattern in patterns)
        for key, patterns in route.match.items()
    )


def _value_matches(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def _notification(alert: Alert, receiver: str, audiences: list[str], calendars: list[str]) -> Notification:
    # The alert's business time stands in until `hours.entered` says when the entry became durable.
    return Notification(
        notification_id=notification_id(
            alert.alert_id, receiver, audience_key(audiences), alert.status, alert.step
        ),
        alert_id=alert.alert_id,
        receiver=receiver,
        audiences=audiences,
        status=alert.status,
        step=alert.step,
        alert=alert,
        created_at=alert.at,
        next_attempt_at=alert.at,
        hours=calendars,
    )
