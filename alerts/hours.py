"""When people may be told: a route's hours, and the notifications that wait for them. Pure.

Outside a route's hours its notifications are *held*: durable in the ledger like any other, with the
next opening as their moment. What is held costs the receiver nothing, and what the night settled is
not told in the morning (`dispatcher`). Nothing here knows a calendar; it asks by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from alerts.model import Notification, Severity


class OpenHours(Protocol):
    """The hours of one calendar. May change while the process runs; must not raise."""

    def next_open(self, t_ms: int) -> int:
        """The first open instant at or after `t_ms` (epoch milliseconds): `t_ms` itself where it is open."""
        ...


Calendars = Mapping[str, OpenHours]
"""By the names that routes use."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When a route tells: in the open hours of `calendar`, and at any hour what is as grave as `passes`.

    `passes` is None where nothing is told outside them.
    """

    calendar: str
    passes: Severity | None = Severity.CRITICAL

    def waits(self, severity: Severity) -> bool:
        """Whether an alert so grave waits for the calendar."""
        return self.passes is None or severity.rank < self.passes.rank


ANY_HOUR = ""
"""Stands for a calendar where none is to be waited for."""


def of_routes(names: Iterable[str]) -> list[str]:
    """The calendars of a notification that several routes led to: none if one of them tells at any hour."""
    found = set(names)
    return [] if ANY_HOUR in found else sorted(found)


def opening(calendars: Calendars, entry: Notification, now_ms: int) -> int:
    """When the notification may go: `now_ms`, or the first opening of any of its calendars after it.

    A calendar that is not configured any more holds nothing back: told at a bad hour is better than
    told never.
    """
    known = [calendars[name] for name in entry.hours if name in calendars]
    if not known or len(known) < len(entry.hours):
        return now_ms
    return max(now_ms, min(hours.next_open(now_ms) for hours in known))


def entered(calendars: Calendars, entry: Notification, now_ms: int) -> Notification:
    """The notification as it enters the ledger at `now_ms`: due at once, or held until its hours open."""
    at = opening(calendars, entry, now_ms)
    return msgspec.structs.replace(
        entry, created_at=now_ms, next_attempt_at=at, held_until=at if at > now_ms else None
    )
