"""What the embedded store remembers of alerts, read beside a running process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from alerts.model import Alert, AlertStatus, Notification, Severity
from stream import wire
from stream.runtime.store import Store


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts are asked for; None asks for any. ``severity`` is the least."""

    status: AlertStatus | None = None
    severity: Severity | None = None
    conversation_id: str | None = None

    def admits(self, alert: Alert) -> bool:
        """Return whether an alert is asked for."""
        return (
            (self.status is None or alert.status is self.status)
            and (self.severity is None or alert.severity.rank >= self.severity.rank)
            and (self.conversation_id is None or alert.conversation_id == self.conversation_id)
        )


@dataclass(frozen=True, slots=True)
class AlertHistory:
    """One alert: every time it was told, in order, and the ledger's entries of it."""

    tellings: tuple[Alert, ...]
    notifications: tuple[Notification, ...]

    @property
    def latest(self) -> Alert:
        """The alert as it stands."""
        return self.tellings[-1]


# The latest record of each alert, newest first; read through the index records_by_id.
_LATEST = """
SELECT body FROM records WHERE seq IN (SELECT max(seq) FROM records WHERE kind = 'alert' GROUP BY id)
ORDER BY seq DESC
"""


def latest_alerts(connection: sqlite3.Connection, wanted: Filter, limit: int) -> list[Alert]:
    """Return at most ``limit`` alerts as they stand now, those told last first."""
    found: list[Alert] = []
    for alert in _standing(connection):
        if wanted.admits(alert):
            found.append(alert)
            if len(found) >= limit:
                break
    return found


def _standing(connection: sqlite3.Connection) -> Iterator[Alert]:
    for (body,) in connection.execute(_LATEST):
        yield wire.read_alert(body)


def alert_history(connection: sqlite3.Connection, id_prefix: str) -> list[AlertHistory]:
    """Return the alerts whose id begins so, each with all that was told of it."""
    store = Store(connection)
    tellings: dict[str, list[Alert]] = {}
    for body in store.records_of("alert", id_prefix):
        alert = wire.read_alert(body)
        tellings.setdefault(alert.alert_id, []).append(alert)
    return [
        AlertHistory(tuple(told), tuple(sorted(store.notifications(alert_id), key=_order)))
        for alert_id, told in tellings.items()
    ]


def _order(entry: Notification) -> tuple[int, int, str]:
    return entry.created_at, entry.step, entry.receiver
