"""What tests of delivery need, ours and those of whoever writes a ledger or a sender.

No test framework is imported: `LedgerContract` is a plain class whose methods begin with `test_`.
"""

from __future__ import annotations

import asyncio
import heapq
from abc import abstractmethod
from typing import Any

import msgspec

from alerts.ledger import LedgerStore
from alerts.model import (
    Alert,
    AlertFinding,
    AlertStatus,
    Notification,
    Outcome,
    Reason,
    Severity,
    alert_id,
    audience_key,
    notification_id,
)

NOW_MS = 1_794_398_403_120
"""2026-11-11 20:00:03.120 in China: the evening on which chats pile up."""


_DAY_MS = 86_400_000


class ManualClock:
    """A clock that stands still until told otherwise."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self._now_ms = now_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = 0

    def now_ms(self) -> int:
        """The moment it was set to."""
        return self._now_ms

    async def sleep_until(self, at_ms: int) -> None:
        """Return once the clock has been advanced to `at_ms`."""
        if at_ms <= self._now_ms:
            return
        future = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (at_ms, self._order, future))
        await future

    def next_at(self) -> int | None:
        """When the next sleeper wakes, or would have if it were not gone; None without any."""
        return self._sleepers[0][0] if self._sleepers else None

    def advance(self, ms: int) -> None:
        """Move on; sleepers that are due wake, in the order of their times, when the loop next runs."""
        self._now_ms += ms
        while self._sleepers and self._sleepers[0][0] <= self._now_ms:
            future = heapq.heappop(self._sleepers)[-1]
            if not future.done():
                future.set_result(None)


class DailyHours:
    """Open every day from `begins_at` for `lasts_ms`: the simplest `alerts.hours.OpenHours`."""

    def __init__(self, begins_at: int, lasts_ms: int) -> None:
        self.begins_at = begins_at
        self.lasts_ms = lasts_ms

    def next_open(self, t_ms: int) -> int:
        """`t_ms` where it is open, else when the next day's hours begin."""
        since = (t_ms - self.begins_at) % _DAY_MS
        return t_ms if since < self.lasts_ms else t_ms + _DAY_MS - since


def sample_alert(conversation_id: str = "c-8", **changes: Any) -> Alert:
    """A critical alert of one customer finding, with any fields changed."""
    finding = AlertFinding(
        finding_id=f"f-{conversation_id}",
        rule_id="sensitive.complaint.regulator",
        kind="sensitive",
        severity=Severity.CRITICAL,
        at=NOW_MS,
        message_id="m-7",
        subject="customer",
        evidence="再不处理我就打12315投诉",
        why="客户说要向监管部门投诉",
        advice="请主管十分钟内接手，先致歉，再给出明确的解决时间",
        pack_version="2026.11",
    )
    dedup_key = f"{conversation_id}/complaint"
    alert = Alert(
        alert_id=alert_id(dedup_key, finding.finding_id),
        status=AlertStatus.FIRING,
        severity=Severity.CRITICAL,
        audiences=["supervisor", "agent"],
        title="客户要向 12315 投诉",
        body="客户三次催发货没有得到答复，声称要向 12315 投诉。",
        findings=[finding],
        dedup_key=dedup_key,
        starts_at=NOW_MS,
        at=NOW_MS,
        conversation_id=conversation_id,
        labels={"kind": "sensitive", "rule_id": finding.rule_id, "shop_id": "s-1", "group": "售后一组"},
    )
    return msgspec.structs.replace(alert, **changes)


def sample_notification(alert: Alert | None = None, receiver: str = "hook", **changes: Any) -> Notification:
    """A pending notification of an alert to a receiver, with any fields changed."""
    alert = alert or sample_alert()
    audiences = sorted(alert.audiences)
    entry = Notification(
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
    )
    return msgspec.structs.replace(entry, **changes)


class LedgerContract:
    """What every `LedgerStore` must pass. Subclass it as `TestX` and say how one is opened.

    Needs a runner of async test methods (pytest-asyncio in auto mode).
    """

    @abstractmethod
    async def opened(self) -> LedgerStore:
        """An empty ledger, new for each test."""
        raise NotImplementedError

    @abstractmethod
    async def reopened(self, store: LedgerStore) -> LedgerStore:
        """The same ledger as the next process finds it, `store` having been abandoned as by kill -9."""
        raise NotImplementedError

    async def test_what_was_put_is_open_after_a_crash(self) -> None:
        """Every field of an open entry comes back."""
        store = await self.opened()
        entry = sample_notification(
            attempt=3,
            next_attempt_at=NOW_MS + 5,
            last_error=Reason.TIMEOUT,
            last_code=-1,
            hours=["office", "night"],
            held_until=NOW_MS + 5,
        )
        await store.put([entry])
        assert await (await self.reopened(store)).load_open() == [entry]

    async def test_a_later_put_replaces_the_entry(self) -> None:
        """One record an id, the last one written."""
        store = await self.opened()
        entry = sample_notification()
        await store.put([entry])
        again = msgspec.structs.replace(entry, attempt=1, next_attempt_at=NOW_MS + 1)
        await store.put([again])
        assert await store.load_open() == [again]
        assert await (await self.reopened(store)).load_open() == [again]

    async def test_final_entries_are_not_open_but_seen(self) -> None:
        """Each final outcome is remembered under its id, across a crash."""
        store = await self.opened()
        final = {
            outcome: sample_notification(sample_alert(f"c-{outcome}"), outcome=outcome, reason=reason)
            for outcome, reason in (
                (Outcome.DELIVERED, None),
                (Outcome.FAILED, Reason.HORIZON),
                (Outcome.DROPPED, Reason.NOT_TOLD),
            )
        }
        await store.put(list(final.values()))
        store = await self.reopened(store)
        assert await store.load_open() == []
        ids = [entry.notification_id for entry in final.values()]
        assert await store.seen([*ids, "unknown"]) == {
            entry.notification_id: outcome for outcome, entry in final.items()
        }

    async def test_pending_entries_are_seen_as_pending(self) -> None:
        """An id that is open is known."""
        store = await self.opened()
        entry = sample_notification()
        await store.put([entry])
        assert await store.seen([entry.notification_id]) == {entry.notification_id: Outcome.PENDING}
        assert await store.seen([]) == {}

    async def test_told_only_by_a_delivered_firing_to_that_receiver(self) -> None:
        """Pending, failed, another receiver's, and another status do not count as told."""
        store = await self.opened()
        alert = sample_alert()
        resolved = sample_alert(status=AlertStatus.RESOLVED, ends_at=NOW_MS)
        await store.put(
            [
                sample_notification(alert, "pending"),
                sample_notification(alert, "failed", outcome=Outcome.FAILED, reason=Reason.REJECTED),
                sample_notification(resolved, "resolved", outcome=Outcome.DELIVERED),
                sample_notification(alert, "told", outcome=Outcome.DELIVERED),
            ]
        )
        store = await self.reopened(store)
        told = {
            name: await store.told(alert.alert_id, name)
            for name in ("pending", "failed", "resolved", "told", "other")
        }
        assert told == {"pending": False, "failed": False, "resolved": False, "told": True, "other": False}
        assert not await store.told("another alert", "told")

    async def test_many_entries_and_all_characters_survive(self) -> None:
        """A batch is written whole, whatever people type."""
        store = await self.opened()
        batch = [
            sample_notification(sample_alert(f"c-{number}", title=f"第 {number} 个 👩‍👧 \\ \" ' \u0000 \n"))
            for number in range(300)
        ]
        await store.put(batch)
        found = await (await self.reopened(store)).load_open()
        assert {entry.notification_id: entry for entry in found} == {e.notification_id: e for e in batch}

    async def test_overlapping_puts_are_all_kept(self) -> None:
        """Receivers write side by side."""
        store = await self.opened()
        entries = [sample_notification(sample_alert(f"c-{number}")) for number in range(50)]
        await asyncio.gather(*(store.put([entry]) for entry in entries))
        found = await (await self.reopened(store)).load_open()
        assert {entry.notification_id for entry in found} == {entry.notification_id for entry in entries}
