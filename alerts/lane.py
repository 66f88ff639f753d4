"""The open notifications of one receiver, in the order in which to send them. Pure.

Critical ones first, then the oldest alert. Tellings of one alert stay in order and never overlap:
an alert's end is not sent while its beginning is still on its way. Each entry is in exactly one
place: behind an earlier telling of its alert, in `_later`, in `_ready`, or in flight.
"""

from __future__ import annotations

import heapq

from alerts.model import AlertStatus, Notification, Severity

_STATUS_ORDER = {AlertStatus.FIRING: 0, AlertStatus.ACKNOWLEDGED: 1, AlertStatus.RESOLVED: 2}


class Lane:
    """A receiver's queue. Not to be shared between threads; knows no time but what it is told."""

    def __init__(self) -> None:
        self.disabled = False
        self.failures = 0
        self.rest_until = 0
        self._entries: dict[str, Notification] = {}
        self._tellings: dict[str, list[Notification]] = {}
        self._ready: list[tuple[bool, int, str]] = []
        self._later: list[tuple[int, str]] = []
        self._in_flight: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, notification_id: str) -> bool:
        return notification_id in self._entries

    @property
    def in_flight(self) -> int:
        """How many entries were taken and neither put back nor removed."""
        return len(self._in_flight)

    def oldest_at(self) -> int | None:
        """When the longest open entry came, epoch milliseconds; None where there is none."""
        return min((entry.created_at for entry in self._entries.values()), default=None)

    def add(self, entry: Notification) -> None:
        """Queue an entry that is not in the lane yet."""
        self._entries[entry.notification_id] = entry
        tellings = self._tellings.setdefault(entry.alert_id, [])
        if not tellings:
            tellings.append(entry)
            self._schedule(entry)
        else:
            # The first keeps its place, whatever comes: it may be in flight.
            tellings[1:] = sorted([*tellings[1:], entry], key=_telling_order)

    def take(self, now_ms: int) -> Notification | None:
        """The next entry to send, from now on in flight; None while there is nothing to send."""
        if now_ms < self.rest_until:
            return None
        while self._later and self._later[0][0] <= now_ms:
            _, id_ = heapq.heappop(self._later)
            heapq.heappush(self._ready, _urgency(self._entries[id_]))
        if not self._ready:
            return None
        id_ = heapq.heappop(self._ready)[-1]
        self._in_flight.add(id_)
        return self._entries[id_]

    def next_at(self) -> int | None:
        """When `take` will have something; in the past if it has already. None: not by time alone."""
        if self._ready:
            return self.rest_until
        return max(self._later[0][0], self.rest_until) if self._later else None

    def put_back(self, entry: Notification) -> None:
        """Queue an entry in flight, in its new version, for its `next_attempt_at`."""
        self._in_flight.remove(entry.notification_id)
        self._entries[entry.notification_id] = entry
        self._tellings[entry.alert_id][0] = entry
        self._schedule(entry)

    def remove(self, notification_id: str) -> None:
        """Forget an entry in flight; the next telling of its alert may go."""
        self._in_flight.remove(notification_id)
        entry = self._entries.pop(notification_id)
        tellings = self._tellings[entry.alert_id]
        tellings.pop(0)
        if tellings:
            self._schedule(tellings[0])
        else:
            del self._tellings[entry.alert_id]

    def _schedule(self, entry: Notification) -> None:
        heapq.heappush(self._later, (entry.next_attempt_at, entry.notification_id))


def _urgency(entry: Notification) -> tuple[bool, int, str]:
    return entry.alert.severity is not Severity.CRITICAL, entry.alert.at, entry.notification_id


def _telling_order(entry: Notification) -> tuple[bool, int, int]:
    return entry.status is AlertStatus.RESOLVED, entry.step, _STATUS_ORDER[entry.status]
