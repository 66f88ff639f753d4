"""The dispatcher on a clock that stands still: nothing here waits for real time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from alerts.config import AlertsConfig, ReceiverConfig, ReceiverType, Secret
from alerts.dispatcher import LEDGER_RETRY_MS, UNWRITTEN, UNWRITTEN_IN_ORDER, Dispatcher
from alerts.ledger import LedgerStore, MemoryLedger
from alerts.metrics import NoMetrics, Repeat
from alerts.model import AlertStatus, Notification, Outcome, Reason, Severity
from alerts.retry import ACCEPTED, Answer, RetryPolicy, Verdict
from alerts.testing import NOW_MS, LedgerContract, ManualClock, sample_alert, sample_notification

DOWN = Verdict(Answer.UNREACHABLE, Reason.CONNECT)
BUSY = Verdict(Answer.RETRY, Reason.UNAVAILABLE, 503)
REFUSED = Verdict(Answer.PERMANENT, Reason.REJECTED, 404)
GONE = Verdict(Answer.GONE, Reason.GONE, 410)


class TestMemoryLedger(LedgerContract):
    async def opened(self) -> MemoryLedger:
        return MemoryLedger()

    async def reopened(self, store: LedgerStore) -> MemoryLedger:
        assert isinstance(store, MemoryLedger)
        return MemoryLedger(store.entries.values())


class Script:
    """A sender that answers what it is told to, in turn; then accepts."""

    def __init__(self, *verdicts: Verdict | Exception, gate: asyncio.Event | None = None) -> None:
        self.verdicts = list(verdicts)
        self.gate = gate
        self.sent: list[Notification] = []
        self.moments: list[int] = []
        self.most_at_once = 0
        self._now = 0

    async def send(self, notification: Notification, now_ms: int) -> Verdict:
        self.sent.append(notification)
        self.moments.append(now_ms)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self._now -= 1
        verdict = self.verdicts.pop(0) if self.verdicts else ACCEPTED
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    async def close(self) -> None:
        pass

    @property
    def ids(self) -> list[str]:
        return [entry.notification_id for entry in self.sent]

    @property
    def conversations(self) -> list[str]:
        return [entry.alert.conversation_id for entry in self.sent]


class Counts(NoMetrics):
    def __init__(self) -> None:
        self.repeats: list[tuple[str, Repeat]] = []
        self.ends: list[tuple[str, Outcome, Reason | None]] = []
        self.latencies: list[float] = []
        self.depths: list[int] = []
        self.up: list[bool] = []
        self.taken = 0
        self.failures = 0

    def accepted(self, receiver: str) -> None:
        self.taken += 1

    def repeated(self, receiver: str, repeat: Repeat) -> None:
        self.repeats.append((receiver, repeat))

    def finished(self, receiver: str, outcome: Outcome, reason: Reason | None) -> None:
        self.ends.append((receiver, outcome, reason))

    def delivered_after(self, receiver: str, seconds: float) -> None:
        self.latencies.append(seconds)

    def queue_depth(self, receiver: str, entries: int) -> None:
        self.depths.append(entries)

    def receiver_up(self, receiver: str, up: bool) -> None:
        self.up.append(up)

    def ledger_failed(self) -> None:
        self.failures += 1


class Widest(Random):
    """Jitter at its widest, so that a test can say when the next attempt is due."""

    def randint(self, a: int, b: int) -> int:
        return b


class Bench:
    """A dispatcher with everything round it in view."""

    def __init__(self, store: LedgerStore | None = None, **senders: Script) -> None:
        self.store = MemoryLedger() if store is None else store
        self.senders = senders or {"hook": Script()}
        self.clock = ManualClock()
        self.metrics = Counts()
        self.dead: list[Notification] = []
        self.retry = RetryPolicy()
        self.slots = 1

    def dispatcher(self, dead_letter: Any = None, missing: str = "") -> Dispatcher:
        receivers = {
            name: ReceiverConfig(
                name, ReceiverType.WEBHOOK, Secret("https://x"), max_in_flight=self.slots, retry=self.retry
            )
            for name in self.senders
            if name != missing
        }

        async def keep(entry: Notification) -> None:
            self.dead.append(entry)

        return Dispatcher(
            AlertsConfig(receivers),
            self.store,
            {name: sender for name, sender in self.senders.items() if name != missing},
            clock=self.clock,
            metrics=self.metrics,
            rng=Widest(),
            dead_letter=dead_letter or keep,
        )

    def outcome(self, entry: Notification) -> tuple[Outcome, Reason | None]:
        assert isinstance(self.store, MemoryLedger)
        kept = self.store.entries[entry.notification_id]
        return kept.outcome, kept.reason


def note(conversation: str = "c-1", receiver: str = "hook", at: int = NOW_MS, **alert: Any) -> Notification:
    return sample_notification(sample_alert(conversation, at=at, **alert), receiver)


async def settle(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition holds; no time passes."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("did not come about")


async def test_accepted_entries_are_in_the_ledger_before_anything_is_sent() -> None:
    bench = Bench(hook=Script(gate=asyncio.Event()))
    dispatcher = bench.dispatcher()
    entry = note()
    await dispatcher.accept([entry])
    assert bench.senders["hook"].sent == []
    assert [kept.notification_id for kept in await bench.store.load_open()] == [entry.notification_id]
    await dispatcher.stop(0)


async def test_delivered_once_and_recorded() -> None:
    bench = Bench()
    dispatcher = bench.dispatcher()
    entry = note(at=NOW_MS - 1500)
    await dispatcher.accept([entry])
    await dispatcher.idle()
    assert bench.senders["hook"].ids == [entry.notification_id]
    assert bench.outcome(entry) == (Outcome.DELIVERED, None)
    assert bench.metrics.latencies == [1.5]
    assert bench.metrics.depths[-1] == 0
    await dispatcher.stop(0)


async def test_a_known_id_is_counted_and_not_sent_again() -> None:
    bench = Bench()
    dispatcher = bench.dispatcher()
    entry = note()
    await dispatcher.accept([entry, entry])
    await dispatcher.idle()
    await dispatcher.accept([entry])
    await dispatcher.idle()
    assert len(bench.senders["hook"].sent) == 1
    assert bench.metrics.repeats == [("hook", Repeat.ACCEPTED_AGAIN)] * 2
    await dispatcher.stop(0)


async def test_critical_goes_first_then_the_oldest() -> None:
    bench = Bench(hook=Script())
    dispatcher = bench.dispatcher()
    low = Severity.LOW
    await dispatcher.accept(
        [
            note("late", at=NOW_MS - 1, severity=low),
            note("early", at=NOW_MS - 9, severity=low),
            note("high", at=NOW_MS - 5, severity=Severity.HIGH),
            note("critical", at=NOW_MS),
        ]
    )
    await dispatcher.idle()
    assert bench.senders["hook"].conversations == ["critical", "early", "high", "late"]
    await dispatcher.stop(0)


async def test_a_retry_waits_for_its_time_and_then_succeeds() -> None:
    bench = Bench(hook=Script(BUSY, BUSY))
    dispatcher = bench.dispatcher()
    entry = note()
    await dispatcher.accept([entry])
    for pause in (999, 1, 1999, 1):
        await dispatcher.idle()
        bench.clock.advance(pause)
    await dispatcher.idle()
    assert [moment - NOW_MS for moment in bench.senders["hook"].moments] == [0, 1000, 3000]
    assert set(bench.senders["hook"].ids) == {entry.notification_id}
    assert bench.outcome(entry) == (Outcome.DELIVERED, None)
    await dispatcher.stop(0)


async def test_what_the_last_error_was_is_in_the_ledger() -> None:
    bench = Bench(hook=Script(BUSY))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note()])
    await dispatcher.idle()
    [kept] = await bench.store.load_open()
    assert (kept.attempt, kept.last_error, kept.last_code) == (1, Reason.UNAVAILABLE, 503)
    assert kept.next_attempt_at == NOW_MS + 1000
    await dispatcher.stop(0)


async def test_a_dead_receiver_delays_only_itself() -> None:
    bench = Bench(dead=Script(gate=asyncio.Event()), live=Script())
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note(f"c-{n}", name) for n in range(20) for name in ("dead", "live")])
    await settle(lambda: len(bench.senders["live"].sent) == 20)
    assert len(bench.senders["dead"].sent) == 1
    await dispatcher.stop(0)


async def test_an_unreachable_receiver_rests_as_a_whole() -> None:
    bench = Bench(hook=Script(DOWN))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note("c-1", at=NOW_MS - 1), note("c-2")])
    await dispatcher.idle()
    assert bench.senders["hook"].conversations == ["c-1"]
    assert bench.metrics.up == [False]
    bench.clock.advance(1000)
    await dispatcher.idle()
    assert bench.senders["hook"].conversations == ["c-1", "c-1", "c-2"]
    assert bench.metrics.up == [False, True, True]
    await dispatcher.stop(0)


async def test_a_busy_answer_delays_only_its_notification() -> None:
    bench = Bench(hook=Script(BUSY))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note("c-1", at=NOW_MS - 1), note("c-2")])
    await dispatcher.idle()
    assert bench.senders["hook"].conversations == ["c-1", "c-2"]
    await dispatcher.stop(0)


async def test_retry_after_holds_back_the_receiver_that_long() -> None:
    bench = Bench(hook=Script(Verdict(Answer.THROTTLED, Reason.THROTTLED, 429, retry_after_ms=60_000)))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note("c-1"), note("c-2")])
    await dispatcher.idle()
    bench.clock.advance(59_999)
    await dispatcher.idle()
    assert len(bench.senders["hook"].sent) == 1
    bench.clock.advance(1_001)
    await dispatcher.idle()
    assert len(bench.senders["hook"].sent) == 3
    await dispatcher.stop(0)


async def test_a_refusal_for_good_is_dead_lettered_before_the_ledger_says_failed() -> None:
    bench = Bench(hook=Script(REFUSED))
    open_at_dead_letter: list[bool] = []

    async def dead_letter(entry: Notification) -> None:
        open_at_dead_letter.append(bool(await bench.store.load_open()))
        bench.dead.append(entry)

    dispatcher = bench.dispatcher(dead_letter)
    entry = note()
    await dispatcher.accept([entry])
    await dispatcher.idle()
    assert open_at_dead_letter == [True]
    assert [(dead.outcome, dead.reason, dead.last_code) for dead in bench.dead] == [
        (Outcome.FAILED, Reason.REJECTED, 404)
    ]
    assert bench.outcome(entry) == (Outcome.FAILED, Reason.REJECTED)
    await dispatcher.stop(0)


async def test_what_outlives_the_horizon_is_dead_lettered() -> None:
    bench = Bench(hook=Script(*[BUSY] * 100))
    bench.retry = RetryPolicy(horizon_ms=10_000)
    dispatcher = bench.dispatcher()
    entry = note()
    await dispatcher.accept([entry])
    for _ in range(20):
        await dispatcher.idle()
        bench.clock.advance(1000)
    await dispatcher.idle()
    assert bench.outcome(entry) == (Outcome.FAILED, Reason.HORIZON)
    assert len(bench.dead) == 1
    assert bench.clock.now_ms() - NOW_MS == 20_000
    assert bench.senders["hook"].moments[-1] <= NOW_MS + 10_000
    await dispatcher.stop(0)


async def test_gone_disables_the_receiver_and_fails_what_waits() -> None:
    bench = Bench(hook=Script(GONE))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note("c-1", at=NOW_MS - 1), note("c-2")])
    await dispatcher.idle()
    await dispatcher.accept([note("c-3")])
    await dispatcher.idle()
    assert len(bench.senders["hook"].sent) == 1
    assert [dead.reason for dead in bench.dead] == [
        Reason.GONE,
        Reason.RECEIVER_DISABLED,
        Reason.RECEIVER_DISABLED,
    ]
    await dispatcher.stop(0)


async def test_a_message_that_cannot_be_written_does_not_stop_the_others(caplog: Any) -> None:
    bench = Bench(hook=Script(RuntimeError("客户电话 13800000000")))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note("c-1", at=NOW_MS - 1), note("c-2")])
    await dispatcher.idle()
    assert [end[1:] for end in bench.metrics.ends] == [
        (Outcome.FAILED, Reason.INTERNAL),
        (Outcome.DELIVERED, None),
    ]
    assert "13800000000" not in caplog.text
    await dispatcher.stop(0)


def resolved(entry: Notification) -> Notification:
    alert = msgspec.structs.replace(entry.alert, status=AlertStatus.RESOLVED, ends_at=NOW_MS)
    return sample_notification(alert, entry.receiver)


async def test_an_end_is_told_after_its_beginning() -> None:
    bench = Bench(hook=Script(BUSY))
    dispatcher = bench.dispatcher()
    entry = note()
    await dispatcher.accept([entry])
    await dispatcher.idle()
    await dispatcher.accept([resolved(entry)])
    await dispatcher.idle()
    assert [sent.status for sent in bench.senders["hook"].sent] == [AlertStatus.FIRING]
    bench.clock.advance(1000)
    await dispatcher.idle()
    assert [sent.status for sent in bench.senders["hook"].sent] == [
        AlertStatus.FIRING,
        AlertStatus.FIRING,
        AlertStatus.RESOLVED,
    ]
    await dispatcher.stop(0)


@pytest.mark.parametrize("told_before", [False, True])
async def test_an_end_is_not_told_to_who_never_heard_the_beginning(told_before: bool) -> None:
    bench = Bench(hook=Script() if told_before else Script(REFUSED))
    dispatcher = bench.dispatcher()
    entry = note()
    await dispatcher.accept([entry, resolved(entry)])
    await dispatcher.idle()
    expected = (Outcome.DELIVERED, None) if told_before else (Outcome.DROPPED, Reason.NOT_TOLD)
    assert bench.outcome(resolved(entry)) == expected
    await dispatcher.stop(0)


async def test_several_are_in_flight_only_where_slots_allow_and_never_two_of_one_alert() -> None:
    gate = asyncio.Event()
    bench = Bench(hook=Script(gate=gate))
    bench.slots = 3
    dispatcher = bench.dispatcher()
    first = note("same")
    await dispatcher.accept([first, resolved(first), *(note(f"c-{n}") for n in range(5))])
    await settle(lambda: len(bench.senders["hook"].sent) == 3)
    assert len({sent.alert_id for sent in bench.senders["hook"].sent}) == 3
    gate.set()
    await dispatcher.idle()
    assert bench.senders["hook"].most_at_once == 3
    assert len(bench.senders["hook"].sent) == 7
    await dispatcher.stop(0)


class SlowToNote(MemoryLedger):
    """Accepts at once; an outcome is written when the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def put(self, entries: Sequence[Notification]) -> None:
        if not all(entry.open for entry in entries):
            await self.gate.wait()
        await super().put(entries)


@pytest.mark.parametrize(("slots", "most"), [(1, UNWRITTEN_IN_ORDER), (2, 2 * UNWRITTEN)])
async def test_what_was_answered_needs_no_slot_but_few_may_be_answered_and_not_written_down(
    slots: int, most: int
) -> None:
    store = SlowToNote()
    bench = Bench(store)
    bench.slots = slots
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note(f"c-{n}") for n in range(most + 3)])
    await settle(lambda: len(bench.senders["hook"].sent) == most)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(bench.senders["hook"].sent) == most
    store.gate.set()
    await dispatcher.idle()
    assert len(bench.senders["hook"].sent) == most + 3
    assert bench.senders["hook"].most_at_once <= bench.slots
    await dispatcher.stop(0)


async def test_after_a_crash_what_was_in_flight_is_sent_again_with_the_same_id_and_counted() -> None:
    bench = Bench(hook=Script(gate=asyncio.Event()))
    before = bench.dispatcher()
    entries = [note(f"c-{n}", at=NOW_MS + n) for n in range(3)]
    await before.accept(entries)
    await settle(lambda: len(bench.senders["hook"].sent) == 1)
    await before.stop(0)  # the answer never comes

    bench.senders["hook"] = after_crash = Script()
    after = bench.dispatcher()
    assert await after.restore() == 3
    await after.idle()
    assert after_crash.ids == [entry.notification_id for entry in entries]
    assert bench.metrics.repeats == [("hook", Repeat.AFTER_RESTART)] * UNWRITTEN_IN_ORDER
    assert await bench.store.load_open() == []
    await after.stop(0)


async def test_an_upstream_replay_after_a_crash_sends_nothing_twice() -> None:
    bench = Bench()
    before = bench.dispatcher()
    entry = note()
    await before.accept([entry])
    await before.idle()
    await before.stop(0)
    after = bench.dispatcher()
    await after.restore()
    await after.accept([entry])
    await after.idle()
    assert len(bench.senders["hook"].sent) == 1
    await after.stop(0)


async def test_a_receiver_no_longer_configured_goes_to_the_dead_letters() -> None:
    bench = Bench(hook=Script())
    await bench.store.put([note()])
    dispatcher = bench.dispatcher(missing="hook")
    await dispatcher.restore()
    await dispatcher.idle()
    assert [dead.reason for dead in bench.dead] == [Reason.UNKNOWN_RECEIVER]
    await dispatcher.stop(0)


async def test_stop_gives_what_is_in_flight_its_grace() -> None:
    gate = asyncio.Event()
    bench = Bench(hook=Script(gate=gate))
    dispatcher = bench.dispatcher()
    entry, waiting = note("c-1", at=NOW_MS - 1), note("c-2")
    await dispatcher.accept([entry, waiting])
    await settle(lambda: len(bench.senders["hook"].sent) == 1)
    stopping = asyncio.create_task(dispatcher.stop(30))
    await asyncio.sleep(0)
    gate.set()
    await stopping
    assert bench.outcome(entry) == (Outcome.DELIVERED, None)
    assert [kept.notification_id for kept in await bench.store.load_open()] == [waiting.notification_id]


class BrokenLedger(MemoryLedger):
    """Fails to write as long as told to."""

    broken = False

    async def put(self, entries: Any) -> None:
        if self.broken:
            raise OSError("no space left")
        await super().put(entries)


async def test_a_ledger_that_fails_accepts_nothing() -> None:
    store = BrokenLedger()
    store.broken = True
    bench = Bench(store)
    dispatcher = bench.dispatcher()
    with pytest.raises(OSError, match="no space"):
        await dispatcher.accept([note()])
    await dispatcher.idle()
    assert bench.senders["hook"].sent == []
    await dispatcher.stop(0)


async def test_a_ledger_that_fails_after_delivery_is_written_later_and_nothing_sent_twice() -> None:
    store, gate = BrokenLedger(), asyncio.Event()
    bench = Bench(store, hook=Script(gate=gate))
    dispatcher = bench.dispatcher()
    entry = note()
    await dispatcher.accept([entry])
    await settle(lambda: len(bench.senders["hook"].sent) == 1)
    store.broken = True
    gate.set()
    await settle(lambda: bench.metrics.failures == 1)
    store.broken = False
    bench.clock.advance(LEDGER_RETRY_MS)
    await dispatcher.idle()
    assert bench.outcome(entry) == (Outcome.DELIVERED, None)
    assert len(bench.senders["hook"].sent) == 1
    await dispatcher.stop(0)


async def test_entries_count_as_accepted_once_whoever_wrote_them() -> None:
    bench = Bench(hook=Script(gate=asyncio.Event()))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note("c-1"), note("c-1")])
    await bench.store.put([note("c-2")])
    dispatcher.adopt([note("c-2"), note("c-2")])
    assert bench.metrics.taken == 2
    await dispatcher.stop(0)
    again = bench.dispatcher()
    assert await again.restore() == 2
    assert bench.metrics.taken == 2
    await again.stop(0)


async def test_failed_entries_written_anew_and_adopted_are_sent_again() -> None:
    bench = Bench(hook=Script(REFUSED))
    dispatcher = bench.dispatcher()
    await dispatcher.accept([note()])
    await dispatcher.idle()
    again = msgspec.structs.replace(bench.dead[0], outcome=Outcome.PENDING, reason=None, attempt=0)
    await bench.store.put([again])
    dispatcher.adopt([again])
    await dispatcher.idle()
    assert bench.outcome(again) == (Outcome.DELIVERED, None)
    await dispatcher.stop(0)


async def test_how_long_people_wait_is_told_by_receiver_until_they_are_told() -> None:
    bench = Bench(hook=Script(BUSY))
    dispatcher = bench.dispatcher()
    assert dispatcher.pending_s() == {}
    await dispatcher.accept([note()])
    await dispatcher.idle()
    bench.clock.advance(400)
    assert dispatcher.pending_s() == {"hook": 0.4}
    bench.clock.advance(600)
    await dispatcher.idle()
    assert dispatcher.pending_s() == {"hook": 0.0}
    await dispatcher.stop(0)
