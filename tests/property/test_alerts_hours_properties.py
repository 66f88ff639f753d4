"""Whatever comes at whatever hour, with restarts between: nothing leaves in closed hours, nothing twice,
nothing that is outdated, and all of it at the first open instant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from alerts.config import AlertsConfig, ReceiverConfig, ReceiverType, Route, Secret
from alerts.dispatcher import Dispatcher
from alerts.hours import Hours
from alerts.lane import telling_order
from alerts.ledger import MemoryLedger
from alerts.metrics import NoMetrics
from alerts.model import Alert, AlertStatus, Notification, Outcome, Reason, Severity
from alerts.policy import plan
from alerts.retry import ACCEPTED, Answer, Verdict
from alerts.testing import NOW_MS, DailyHours, ManualClock, sample_alert

MINUTE_MS = 60_000
BUSY = Verdict(Answer.RETRY, Reason.UNAVAILABLE, 503)


@dataclass
class Story:
    """A dispatcher on a clock of its own, and what was seen of it."""

    calendar: DailyHours
    busy: list[bool]
    clock: ManualClock = field(default_factory=ManualClock)
    store: MemoryLedger = field(default_factory=MemoryLedger)
    told: list[Notification] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    dispatcher: Dispatcher | None = None

    def config(self) -> AlertsConfig:
        receiver = ReceiverConfig("hook", ReceiverType.WEBHOOK, Secret("https://x"), max_in_flight=2)
        return AlertsConfig(
            receivers={"hook": receiver},
            routes=(Route({}, ("hook",), hours=Hours("office")),),
            calendars={"office": self.calendar},
        )

    async def send(self, notification: Notification, now_ms: int) -> Verdict:
        grave = notification.alert.severity is Severity.CRITICAL
        assert grave or self.calendar.next_open(now_ms) == now_ms, "left in closed hours"
        if notification.held:
            assert now_ms == notification.held_until, "not at the first open instant"
            later = [one for one in self.told if one.alert_id == notification.alert_id]
            newest = max(later, key=telling_order)
            assert newest.notification_id == notification.notification_id, "outdated"
        if self.busy and self.busy.pop():
            return BUSY
        self.delivered.append(notification.notification_id)
        return ACCEPTED

    async def close(self) -> None:
        """Nothing to release."""

    async def start(self) -> None:
        self.dispatcher = Dispatcher(
            self.config(),
            self.store,
            {"hook": self},
            clock=self.clock,
            metrics=NoMetrics(),
            rng=Random(7),
        )
        await self.dispatcher.restore()
        await self.settle()

    async def settle(self) -> None:
        assert self.dispatcher is not None
        for _ in range(2):
            await self.dispatcher.idle()
            for _ in range(12):
                await asyncio.sleep(0)

    async def restart(self) -> None:
        assert self.dispatcher is not None
        await self.dispatcher.stop(0)
        await self.start()

    async def tell(self, alert: Alert) -> None:
        assert self.dispatcher is not None
        notifications = plan(self.config(), alert).notifications
        self.told += notifications
        await self.dispatcher.accept(notifications)
        await self.settle()

    async def wait(self, ms: int) -> None:
        end = self.clock.now_ms() + ms
        while (now := self.clock.now_ms()) < end:
            next_at = self.clock.next_at()
            self.clock.advance((end if next_at is None else min(max(next_at, now), end)) - now)
            await self.settle()


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.integers(0, 2), st.sampled_from([Severity.HIGH, Severity.CRITICAL])),
        st.tuples(st.just("end"), st.integers(0, 2), st.just(Severity.HIGH)),
        st.tuples(st.just("wait"), st.integers(1, 900), st.just(Severity.HIGH)),
        st.tuples(st.just("restart"), st.just(0), st.just(Severity.HIGH)),
    ),
    max_size=25,
)
calendars = st.builds(
    lambda begins, lasts: DailyHours(NOW_MS + begins * MINUTE_MS, lasts * MINUTE_MS),
    st.integers(-700, 700),
    st.integers(1, 1439),
)


@given(calendars, happenings, st.lists(st.booleans(), max_size=12))
def test_what_is_held_goes_at_the_first_open_instant_or_never(
    calendar: DailyHours, happening: list[tuple[str, int, Severity]], busy: list[bool]
) -> None:
    asyncio.run(_told(Story(calendar, busy), happening))


async def _told(story: Story, happening: list[tuple[str, int, Severity]]) -> None:
    await story.start()
    open_alerts: dict[int, Alert] = {}
    for number, (what, which, severity) in enumerate(happening):
        if what == "wait":
            await story.wait(which * MINUTE_MS)
        elif what == "restart":
            await story.restart()
        elif what == "tell":
            await story.tell(_risen(open_alerts, which, severity, number))
        elif which in open_alerts:
            await story.tell(_ended(open_alerts.pop(which), story.clock.now_ms))
    await story.wait(2 * 1440 * MINUTE_MS)
    assert story.dispatcher is not None
    await story.dispatcher.stop(1)
    assert all(not entry.open for entry in story.store.entries.values())
    assert len(story.delivered) == len(set(story.delivered)), "told twice"
    _nothing_is_missing(story)


def _risen(open_alerts: dict[int, Alert], which: int, severity: Severity, number: int) -> Alert:
    before = open_alerts.get(which)
    if before is None:
        alert = sample_alert(f"c-{which}-{number}", severity=severity)
    else:
        graver = max(severity, before.severity, key=lambda one: one.rank)
        alert = sample_alert(before.conversation_id, step=before.step + 1, severity=graver)
    open_alerts[which] = alert
    return alert


def _ended(alert: Alert, now: Callable[[], int]) -> Alert:
    return sample_alert(
        alert.conversation_id,
        step=alert.step,
        severity=alert.severity,
        status=AlertStatus.RESOLVED,
        ends_at=now(),
    )


def _nothing_is_missing(story: Story) -> None:
    """The last telling of each alert arrived, unless it is an end that ends nothing anybody was told."""
    for alert_id in {entry.alert_id for entry in story.told}:
        tellings = [entry for entry in story.told if entry.alert_id == alert_id]
        last = max(tellings, key=telling_order)
        if story.store.entries[last.notification_id].outcome is not Outcome.DELIVERED:
            assert last.status is AlertStatus.RESOLVED
            assert not any(entry.notification_id in story.delivered for entry in tellings)
