"""The open notifications of one receiver, in the order in which to send them. Pure.

Critical ones first, then the oldest alert. Tellings of one alert stay in order and never overlap:
an alert's end is not sent while its beginning is still on its way. Each entry is in exactly one
place: behind an earlier telling of its alert, in `_later`, in `_ready`, or in flight.

An entry that is held for its route's hours is handed out to be looked at when it comes, and again
whenever there is a later telling of its alert; whoever takes it puts it back or removes it.
"""

from __future__ import annotations

import heapq

from alerts.model import AlertStatus, Notification, Severity

_AT_ONCE = 0
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
        self._due: dict[str, int] = {}  # of what is in `_later`; any other moment found there is outdated
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
        """Since when the longest open entry could have been told, epoch ms; None where there is none.

        In the future where all of them wait for an opening.
        """
        return min((entry.owed_since for entry in self._entries.values()), default=None)

    def held(self, now_ms: int) -> int:
        """How many entries wait for an opening."""
        return sum(entry.held and entry.next_attempt_at > now_ms for entry in self._entries.values())

    def latest(self, alert_id: str) -> Notification:
        """The last telling of an alert that has any."""
        return self._tellings[alert_id][-1]

    def add(self, entry: Notification) -> None:
        """Queue an entry that is not in the lane yet."""
        self._entries[entry.notification_id] = entry
        tellings = self._tellings.setdefault(entry.alert_id, [])
        if not tellings:
            tellings.append(entry)
            self._schedule(entry)
        else:
            # The first keeps its place, whatever comes: it may be in flight.
            tellings[1:] = sorted([*tellings[1:], entry], key=telling_order)
            if tellings[0].held and tellings[0].notification_id in self._due:
                self._schedule(tellings[0])

    def take(self, now_ms: int) -> Notification | None:
        """The next entry to send, from now on in flight; None while there is nothing to send."""
        if now_ms < self.rest_until:
            return None
        while (at := self._next_later()) is not None and at <= now_ms:
            _, id_ = heapq.heappop(self._later)
            del self._due[id_]
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
        at = self._next_later()
        return None if at is None else max(at, self.rest_until)

    def put_back(self, entry: Notification, look_at: int | None = None) -> None:
        """Queue an entry in flight, in its new version, for its `next_attempt_at`; `look_at` comes before.

        One that is held and has a later telling behind it is handed out again at once.
        """
        self._in_flight.remove(entry.notification_id)
        self._entries[entry.notification_id] = entry
        tellings = self._tellings[entry.alert_id]
        tellings[0] = entry
        self._schedule(entry, look_at if len(tellings) == 1 else None)

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

    def _schedule(self, entry: Notification, at: int | None = None) -> None:
        if at is None:
            at = _AT_ONCE if entry.held else entry.next_attempt_at
        self._due[entry.notification_id] = at
        heapq.heappush(self._later, (at, entry.notification_id))

    def _next_later(self) -> int | None:
        """When the first entry of `_later` is due; what was scheduled anew leaves its old moment behind."""
        while self._later and self._due.get(self._later[0][1]) != self._later[0][0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None


def _urgency(entry: Notification) -> tuple[bool, int, str]:
    return entry.alert.severity is not Severity.CRITICAL, entry.alert.at, entry.notification_id


def telling_order(entry: Notification) -> tuple[bool, int, int]:
    """In which order the tellings of one alert go: by step, its end last."""
    return entry.status is AlertStatus.RESOLVED, entry.step, _STATUS_ORDER[entry.status]
