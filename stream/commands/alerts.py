"""``yanshao alerts``: what people were told, from the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream.commands.common import (
    as_json,
    console,
    fail,
    plain,
    print_fields,
    print_json,
    print_table,
    settings_of,
    severity,
)

if TYPE_CHECKING:
    from alerts.model import Alert, Notification
    from stream.runtime.history import AlertHistory

_EPILOG = """\b
Examples:
  yanshao alerts list --status firing --severity high
  yanshao alerts list --conversation c-8 --json
  yanshao alerts show 3f9c                 an id, or how it begins
"""

_SEVERITIES = ("info", "low", "medium", "high", "critical")
_STATUSES = ("firing", "acknowledged", "resolved")


@click.group("alerts", epilog=_EPILOG)
def command() -> None:
    """List and show alerts of the embedded runtime (`yanshao up`), running or not."""


@command.command("list", epilog=_EPILOG)
@click.option("--status", type=click.Choice(_STATUSES), help="Only alerts that stand so.")
@click.option("--severity", "least", type=click.Choice(_SEVERITIES), help="Only alerts at least so severe.")
@click.option("--conversation", help="Only alerts of this conversation.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Most alerts to show.")
@as_json
@click.pass_context
def list_(
    ctx: click.Context,
    *,
    status: str | None,
    least: str | None,
    conversation: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List alerts as they stand, those told last first."""
    from alerts.model import AlertStatus, Severity  # noqa: PLC0415
    from alerts.wire import alert_document  # noqa: PLC0415
    from stream.runtime.history import Filter, latest_alerts  # noqa: PLC0415

    settings = settings_of(ctx)
    wanted = Filter(AlertStatus(status) if status else None, Severity(least) if least else None, conversation)
    with opened(settings.data_dir.expanduser()) as connection:
        found = latest_alerts(connection, wanted, limit)
    if as_json:
        print_json([alert_document(alert, settings.tzinfo) for alert in found])
        return
    if not found:
        click.echo("no alerts", err=True)
        return
    print_table(
        ("id", "since", "status", "severity", "what", "conversation", "who is told"),
        (
            (
                alert.alert_id[:8],
                _time(alert.starts_at, settings.tzinfo),
                alert.status,
                severity(alert.severity),
                alert.title,
                alert.conversation_id,
                ", ".join(alert.audiences),
            )
            for alert in found
        ),
    )


@command.command(epilog=_EPILOG)
@click.argument("alert_id", metavar="ALERT")
@as_json
@click.pass_context
def show(ctx: click.Context, alert_id: str, as_json: bool) -> None:
    """Show one alert: what was found, every time it was told, and what became of each notification."""
    from stream.runtime.history import alert_history  # noqa: PLC0415

    settings = settings_of(ctx)
    with opened(settings.data_dir.expanduser()) as connection:
        found = alert_history(connection, alert_id)
    if not found:
        fail(f"no alert whose id begins with '{alert_id}'")
    if len(found) > 1:
        ids = "\n".join(one.latest.alert_id for one in found)
        fail(f"several alerts begin with '{alert_id}':\n{ids}")
    if as_json:
        print_json(_document(found[0], settings.tzinfo))
    else:
        _print(found[0], settings.tzinfo)


@contextmanager
def opened(data_dir: Path) -> Iterator[sqlite3.Connection]:
    """Yield the store for reading; where there is none, or it cannot be read, the command ends."""
    from stream.runtime.store import StoreVersionError, open_read_only  # noqa: PLC0415

    try:
        with open_read_only(data_dir) as connection:
            yield connection
    except (FileNotFoundError, StoreVersionError) as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"the store in {data_dir} cannot be read: {error}")


def _document(history: AlertHistory, zone: tzinfo) -> dict[str, Any]:
    from alerts.wire import alert_document  # noqa: PLC0415

    return {
        "alert": alert_document(history.latest, zone),
        "tellings": [
            {
                "at": _time(alert.at, zone),
                "status": alert.status,
                "severity": alert.severity,
                "step": alert.step,
            }
            for alert in history.tellings
        ],
        "notifications": [_notification(entry, zone) for entry in history.notifications],
    }


def _notification(entry: Notification, zone: tzinfo) -> dict[str, Any]:
    return {
        "notification_id": entry.notification_id,
        "receiver": entry.receiver,
        "audiences": entry.audiences,
        "status": entry.status,
        "step": entry.step,
        "created_at": _time(entry.created_at, zone),
        "attempt": entry.attempt,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "last_error": entry.last_error,
        "last_code": entry.last_code,
        "next_attempt_at": _time(entry.next_attempt_at, zone) if entry.open else None,
        "held_until": _time(entry.next_attempt_at, zone) if entry.held else None,
    }


def _print(history: AlertHistory, zone: tzinfo) -> None:
    alert = history.latest
    print_fields(
        [
            ("alert", alert.alert_id),
            ("what", alert.title),
            ("status", alert.status),
            ("severity", severity(alert.severity)),
            ("since", _time(alert.starts_at, zone)),
            ("until", "" if alert.ends_at is None else _time(alert.ends_at, zone)),
            ("conversation", alert.conversation_id),
            ("audiences", ", ".join(alert.audiences)),
            ("labels", ", ".join(f"{key}={value}" for key, value in sorted(alert.labels.items()))),
            ("said", " / ".join(alert.body.splitlines())),
            *((link.rel, link.href) for link in alert.links),
        ]
    )
    _print_findings(alert, zone)
    print_table(
        ("told", "status", "severity", "step"),
        (
            (_time(one.at, zone), one.status, severity(one.severity), str(one.step))
            for one in history.tellings
        ),
    )
    if not history.notifications:
        click.echo("no receiver was to be told (see alerts.routes and minimum severity)")
        return
    print_table(
        ("receiver", "audiences", "status", "outcome", "attempts", "why"),
        (
            (
                entry.receiver,
                ", ".join(entry.audiences),
                entry.status,
                entry.outcome,
                str(entry.attempt),
                _why(entry, zone),
            )
            for entry in history.notifications
        ),
    )


def _why(entry: Notification, zone: tzinfo) -> str:
    """Return why a notification is where it is: what decided it, what it met, until when it is held."""
    met = " ".join(str(part) for part in (entry.reason or entry.last_error, entry.last_code) if part)
    if not entry.held:
        return met
    return " ".join(filter(None, (met, f"held for its hours until {_time(entry.next_attempt_at, zone)}")))


def _print_findings(alert: Alert, zone: tzinfo) -> None:
    from rich.text import Text  # noqa: PLC0415

    out = console()
    for finding in alert.findings:
        out.print()
        out.print(
            Text(f"{_time(finding.at, zone)}  {finding.rule_id}  ").append_text(severity(finding.severity))
        )
        for line in (finding.why, f"“{finding.evidence}”" if finding.evidence else "", finding.advice):
            if line:
                out.print(Text(plain(f"  {line}")))


def _time(at_ms: int, zone: tzinfo) -> str:
    from alerts.wire import rfc3339  # noqa: PLC0415

    return rfc3339(at_ms, zone)
