"""A route's hours: what is held, what goes through, what is told in the morning and what never.

The worked times: the office is open from 9:00 to 18:00 in China. It is 20:00:03.120 there, so the next
opening is 3 h 59 min 56.880 s + 9 h away: 46,796,880 ms.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from alerts.config import AlertsConfig, ReceiverConfig, ReceiverType, Route, Secret
from alerts.dispatcher import HELD_LOOK_MS, Dispatcher
from alerts.hours import Hours, entered
from alerts.lane import Lane
from alerts.ledger import MemoryLedger
from alerts.metrics import NoMetrics, Repeat
from alerts.model import Alert, AlertStatus, Notification, Outcome, Reason, Severity
from alerts.policy import plan
from alerts.retry import ACCEPTED, Answer, RetryPolicy, Verdict
from alerts.testing import NOW_MS, DailyHours, ManualClock, sample_alert, sample_notification

HOUR_MS = 3_600_000
TO_OPENING = 46_796_880
OPENING = NOW_MS + TO_OPENING
CLOSING = OPENING + 9 * HOUR_MS
BUSY = Verdict(Answer.RETRY, Reason.UNAVAILABLE, 503)
OFFICE = Hours("office")


def office() -> DailyHours:
    return DailyHours(OPENING, 9 * HOUR_MS)


def routed(*routes: Route, **more: Any) -> AlertsConfig:
    return AlertsConfig(routes=routes, calendars={"office": office()}, **more)


def planned(config: AlertsConfig, **alert: Any) -> dict[str, list[str]]:
    return {entry.receiver: entry.hours for entry in plan(config, sample_alert(**alert)).notifications}


class Sender:
    """Answers what it is told to, in turn; then accepts."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts = list(verdicts)
        self.sent: list[tuple[int, str, AlertStatus, int]] = []

    async def send(self, notification: Notification, now_ms: int) -> Verdict:
        alert = notification.alert
        self.sent.append((now_ms, alert.conversation_id, alert.status, alert.step))
        return self.verdicts.pop(0) if self.verdicts else ACCEPTED

    async def close(self) -> None:
        pass


class Counts(NoMetrics):
    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.ends: list[tuple[Outcome, Reason | None]] = []
        self.repeats: list[Repeat] = []

    def delivered_after(self, receiver: str, seconds: float) -> None:
        self.latencies.append(seconds)

    def finished(self, receiver: str, outcome: Outcome, reason: Reason | None) -> None:
        self.ends.append((outcome, reason))

    def repeated(self, receiver: str, repeat: Repeat) -> None:
        self.repeats.append(repeat)


class Desk:
    """A route with office hours to one receiver, everything round it in view."""

    def __init__(self, *verdicts: Verdict, now_ms: int = NOW_MS, passes: Severity | None = None) -> None:
        self.clock = ManualClock(now_ms)
        self.store = MemoryLedger()
        self.sender = Sender(*verdicts)
        self.metrics = Counts()
        self.calendar = office()
        self.horizon_ms = RetryPolicy().horizon_ms
        self.passes = passes
        self.known = True

    def config(self) -> AlertsConfig:
        receiver = ReceiverConfig(
            "hook", ReceiverType.WEBHOOK, Secret("https://x"), retry=RetryPolicy(horizon_ms=self.horizon_ms)
        )
        return AlertsConfig(
            receivers={"hook": receiver},
            routes=(Route({}, ("hook",), hours=Hours("office", self.passes)),),
            calendars={"office": self.calendar} if self.known else {},
        )

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self.config(),
            self.store,
            {"hook": self.sender},
            clock=self.clock,
            metrics=self.metrics,
            rng=Random(1),
        )

    async def tell(self, dispatcher: Dispatcher, *alerts: Alert) -> None:
        for alert in alerts:
            await dispatcher.accept(plan(self.config(), alert).notifications)
            await settled(dispatcher)

    async def until(self, dispatcher: Dispatcher, at_ms: int) -> None:
        """Let time pass to `at_ms`, stopping wherever somebody waits for it."""
        while self.clock.now_ms() < at_ms:
            next_at = self.clock.next_at()
            step = at_ms if next_at is None else min(max(next_at, self.clock.now_ms()), at_ms)
            self.clock.advance(step - self.clock.now_ms())
            await settled(dispatcher)

    def outcomes(self) -> list[tuple[AlertStatus, int, Outcome, Reason | None]]:
        return [(one.status, one.step, one.outcome, one.reason) for one in self.store.entries.values()]


async def settled(dispatcher: Dispatcher) -> None:
    await dispatcher.idle()
    for _ in range(20):  # the receiver's task goes to sleep again
        await asyncio.sleep(0)
    await dispatcher.idle()


def firing(step: int = 0, conversation: str = "c-8", **more: Any) -> Alert:
    return sample_alert(conversation, step=step, **{"severity": Severity.HIGH} | more)


def resolved(step: int = 0, conversation: str = "c-8", **more: Any) -> Alert:
    return firing(step, conversation, status=AlertStatus.RESOLVED, ends_at=NOW_MS, **more)


# Which hours a notification has ----------------------------------------------------------------------


def test_a_route_without_hours_tells_at_any_hour() -> None:
    assert planned(routed(Route({}, ("console",)))) == {"console": []}
    assert planned(routed()) == {"console": []}


def test_critical_goes_through_unless_the_route_says_otherwise() -> None:
    desk = routed(Route({}, ("console",), hours=OFFICE))
    assert planned(desk, severity=Severity.HIGH) == {"console": ["office"]}
    assert planned(desk, severity=Severity.CRITICAL) == {"console": []}
    from_high = routed(Route({}, ("console",), hours=Hours("office", Severity.HIGH)))
    assert planned(from_high, severity=Severity.HIGH) == {"console": []}
    assert planned(from_high, severity=Severity.MEDIUM) == {"console": ["office"]}
    nothing = routed(Route({}, ("console",), hours=Hours("office", None)))
    assert planned(nothing, severity=Severity.CRITICAL) == {"console": ["office"]}


def test_an_end_waits_as_what_it_ends_did() -> None:
    desk = routed(Route({}, ("console",), hours=OFFICE))
    ended = {"status": AlertStatus.RESOLVED, "ends_at": NOW_MS}
    assert planned(desk, severity=Severity.HIGH, **ended) == {"console": ["office"]}
    assert planned(desk, severity=Severity.CRITICAL, **ended) == {"console": []}


def test_of_several_routes_to_a_receiver_the_first_to_open_counts() -> None:
    agent, supervisor = {"audience": ("agent",)}, {"audience": ("supervisor",)}
    both = routed(
        Route(agent, ("console",), hours=Hours("office")),
        Route(supervisor, ("console",), hours=Hours("late")),
    )
    assert planned(both, severity=Severity.HIGH) == {"console": ["late", "office"]}
    one = routed(Route(agent, ("console",), hours=OFFICE), Route(supervisor, ("console",)))
    assert planned(one, severity=Severity.HIGH) == {"console": []}
    calendars = {"office": office(), "late": DailyHours(NOW_MS + HOUR_MS, HOUR_MS)}
    entry = sample_notification(hours=["late", "office"])
    assert entered(calendars, entry, NOW_MS).held_until == NOW_MS + HOUR_MS


# What is held --------------------------------------------------------------------------------------


async def test_outside_its_hours_a_notification_waits_in_the_ledger_for_the_opening() -> None:
    desk = Desk()
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing())
    [entry] = await desk.store.load_open()
    assert (entry.created_at, entry.next_attempt_at, entry.held_until) == (NOW_MS, OPENING, OPENING)
    await desk.until(dispatcher, OPENING - 1)
    assert desk.sender.sent == []
    assert dispatcher.held() == {"hook": 1}
    await desk.until(dispatcher, OPENING)
    assert desk.sender.sent == [(OPENING, "c-8", AlertStatus.FIRING, 0)]
    assert dispatcher.held() == {"hook": 0}
    assert desk.metrics.ends == [(Outcome.DELIVERED, None)]
    await dispatcher.stop(1)


async def test_what_is_held_makes_nobody_late() -> None:
    desk = Desk(BUSY)
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing(at=NOW_MS))
    await desk.until(dispatcher, OPENING - 1)
    assert dispatcher.pending_s() == {"hook": 0.0}
    await desk.until(dispatcher, OPENING)  # busy: from here on it is owed
    desk.clock.advance(400)
    assert dispatcher.pending_s() == {"hook": 0.4}
    await desk.until(dispatcher, OPENING + 2_000)
    assert [0 <= seconds <= 2 for seconds in desk.metrics.latencies] == [True]
    await dispatcher.stop(1)


async def test_in_its_hours_a_notification_goes_at_once() -> None:
    desk = Desk(now_ms=OPENING)
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing())
    assert desk.sender.sent == [(OPENING, "c-8", AlertStatus.FIRING, 0)]
    assert desk.store.entries.popitem()[1].held_until is None
    await dispatcher.stop(1)


async def test_what_is_held_takes_no_slot_from_what_is_grave() -> None:
    desk = Desk(passes=Severity.CRITICAL)
    dispatcher = desk.dispatcher()
    night = [firing(conversation=f"c-{number}") for number in range(5)]
    await desk.tell(dispatcher, *night, firing(conversation="c-grave", severity=Severity.CRITICAL))
    assert desk.sender.sent == [(NOW_MS, "c-grave", AlertStatus.FIRING, 0)]
    assert dispatcher.held() == {"hook": 5}
    await dispatcher.stop(1)


async def test_what_was_over_before_the_opening_is_never_told() -> None:
    desk = Desk()
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing(), resolved())
    assert desk.outcomes() == [
        (AlertStatus.FIRING, 0, Outcome.DROPPED, Reason.RESOLVED_IN_QUIET_HOURS),
        (AlertStatus.RESOLVED, 0, Outcome.DROPPED, Reason.NOT_TOLD),
    ]
    await desk.until(dispatcher, CLOSING)
    assert desk.sender.sent == []
    await dispatcher.stop(1)


async def test_an_alert_that_climbed_is_told_once_as_it_then_stands() -> None:
    desk = Desk()
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing(0), firing(1), firing(2))
    assert dispatcher.held() == {"hook": 1}
    await desk.until(dispatcher, CLOSING)
    assert desk.sender.sent == [(OPENING, "c-8", AlertStatus.FIRING, 2)]
    superseded = (Outcome.DROPPED, Reason.SUPERSEDED_IN_QUIET_HOURS)
    assert [end[2:] for end in desk.outcomes()] == [superseded, superseded, (Outcome.DELIVERED, None)]
    await dispatcher.stop(1)


async def test_a_step_that_goes_through_takes_the_held_one_along() -> None:
    desk = Desk(passes=Severity.CRITICAL)
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing(0), firing(1, severity=Severity.CRITICAL))
    assert desk.sender.sent == [(NOW_MS, "c-8", AlertStatus.FIRING, 1)]
    await desk.tell(dispatcher, resolved(1, severity=Severity.CRITICAL))
    assert desk.sender.sent[1:] == [(NOW_MS, "c-8", AlertStatus.RESOLVED, 1)]
    await desk.until(dispatcher, CLOSING)
    assert len(desk.sender.sent) == 2
    await dispatcher.stop(1)


async def test_who_was_told_by_day_hears_of_the_end_at_the_opening() -> None:
    desk = Desk(now_ms=CLOSING - 1)
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing(0))
    desk.clock.advance(1)
    await desk.tell(dispatcher, firing(1), resolved(1))
    opening = OPENING + 24 * HOUR_MS
    await desk.until(dispatcher, opening)
    assert desk.sender.sent == [
        (CLOSING - 1, "c-8", AlertStatus.FIRING, 0),
        (opening, "c-8", AlertStatus.RESOLVED, 1),
    ]
    await dispatcher.stop(1)


async def test_what_somebody_took_up_in_the_night_is_not_told_to_who_slept() -> None:
    desk = Desk()
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing(0), firing(0, status=AlertStatus.ACKNOWLEDGED))
    await desk.until(dispatcher, CLOSING)
    assert desk.sender.sent == []
    assert [end[3] for end in desk.outcomes()] == [Reason.SUPERSEDED_IN_QUIET_HOURS, Reason.NOT_TOLD]
    await dispatcher.stop(1)


# Retries, restarts, changes --------------------------------------------------------------------------


async def test_a_retry_does_not_leave_in_closed_hours_and_the_horizon_runs_from_the_opening() -> None:
    desk = Desk(BUSY, BUSY, now_ms=CLOSING - 1)
    desk.horizon_ms = HOUR_MS
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing())  # the retry is due within a second, when it is closed
    opening = OPENING + 24 * HOUR_MS
    await desk.until(dispatcher, opening - 1)
    assert len(desk.sender.sent) == 1
    await desk.until(dispatcher, opening + HOUR_MS)
    assert [moment for moment, *_ in desk.sender.sent[:2]] == [CLOSING - 1, opening]
    assert len(desk.sender.sent) == 3
    assert desk.metrics.ends == [(Outcome.DELIVERED, None)]
    await dispatcher.stop(1)


async def test_what_is_held_outlives_the_process_and_goes_once_at_the_opening() -> None:
    desk = Desk()
    first = desk.dispatcher()
    await desk.tell(first, firing())
    await first.stop(0)
    second = desk.dispatcher()
    assert await second.restore() == 1
    await settled(second)
    assert desk.sender.sent == []
    await desk.until(second, CLOSING)
    assert desk.sender.sent == [(OPENING, "c-8", AlertStatus.FIRING, 0)]
    assert desk.metrics.repeats == []  # it cannot have been on its way
    await second.stop(1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_order_in_which_a_ledger_gives_entries_back_changes_nothing(order: Sequence[int]) -> None:
    desk = Desk()
    entries = [plan(desk.config(), alert).notifications[0] for alert in (firing(0), firing(1), resolved(1))]
    desk.store = MemoryLedger([entered(desk.config().calendars, entries[place], NOW_MS) for place in order])
    dispatcher = desk.dispatcher()
    await dispatcher.restore()
    await desk.until(dispatcher, CLOSING)
    assert desk.sender.sent == []
    assert {end[3] for end in desk.outcomes()} == {Reason.RESOLVED_IN_QUIET_HOURS, Reason.NOT_TOLD}
    await dispatcher.stop(1)


async def test_an_end_restored_before_its_beginning_still_follows_it() -> None:
    desk = Desk(now_ms=OPENING)
    entries = [plan(desk.config(), alert).notifications[0] for alert in (resolved(), firing())]
    desk.store = MemoryLedger(entries)
    dispatcher = desk.dispatcher()
    await dispatcher.restore()
    await settled(dispatcher)
    assert [status for _, _, status, _ in desk.sender.sent] == [AlertStatus.FIRING, AlertStatus.RESOLVED]
    await dispatcher.stop(1)


@pytest.mark.parametrize("shift_ms", [-2 * HOUR_MS, 2 * HOUR_MS])
async def test_a_calendar_that_changes_counts_for_what_is_held(shift_ms: int) -> None:
    desk = Desk()
    dispatcher = desk.dispatcher()
    await desk.tell(dispatcher, firing())
    desk.calendar.begins_at += shift_ms
    await desk.until(dispatcher, CLOSING)
    [(moment, *_)] = desk.sender.sent
    assert OPENING + shift_ms <= moment < OPENING + shift_ms + HELD_LOOK_MS
    await dispatcher.stop(1)


async def test_a_calendar_that_is_gone_holds_nothing_back() -> None:
    desk = Desk()
    first = desk.dispatcher()
    await desk.tell(first, firing())
    await first.stop(0)
    desk.known = False
    second = desk.dispatcher()
    await second.restore()
    await settled(second)
    assert desk.sender.sent == [(NOW_MS, "c-8", AlertStatus.FIRING, 0)]
    await second.stop(1)


def test_an_entry_of_an_earlier_release_reads_as_one_for_any_hour() -> None:
    entry = sample_notification()
    written = msgspec.to_builtins(entry)
    del written["hours"], written["held_until"]
    for module in (msgspec.json, msgspec.msgpack):
        assert module.decode(module.encode(written), type=Notification) == entry


# In the lane ------------------------------------------------------------------------------------------------


def held(step: int = 0) -> Notification:
    alert = firing(step)
    return sample_notification(alert, hours=["office"], held_until=OPENING, next_attempt_at=OPENING)


def test_a_telling_that_comes_while_a_held_one_is_looked_at_makes_it_looked_at_again() -> None:
    lane, first = Lane(), held()
    lane.add(first)
    assert lane.take(NOW_MS) == first
    lane.add(held(1))
    lane.put_back(first, OPENING)
    assert lane.take(NOW_MS) == first


def test_a_moment_to_look_that_was_brought_forward_does_not_come_again() -> None:
    lane, first = Lane(), held()
    lane.add(first)
    assert lane.take(NOW_MS) == first
    lane.put_back(first, NOW_MS + 10)
    lane.add(held(1))  # brings the first one forward
    assert lane.take(NOW_MS) == first
    lane.remove(first.notification_id)
    second = lane.take(NOW_MS)
    assert second == held(1)
    lane.put_back(second, NOW_MS + 20)
    assert lane.next_at() == NOW_MS + 20
    assert lane.take(NOW_MS + 19) is None
    assert lane.take(NOW_MS + 20) == second


def test_a_notification_for_two_calendars_of_which_one_is_gone_goes_at_once() -> None:
    entry = sample_notification(hours=["gone", "office"])
    assert entered({"office": office()}, entry, NOW_MS).held_until is None
