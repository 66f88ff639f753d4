"""Delivers notifications: durable before accepted, each receiver at its own pace, none lost.

What is promised: once `accept` returns, every notification ends as delivered, failed (and in the dead
letters) or dropped, across crashes. What was in flight at a crash is sent again under the same id.
The decisions are elsewhere (`lane` for order, `retry` for what follows an attempt); here are the
tasks, and the order of effects: dead letter, then ledger, then memory.

Outside its route's hours a notification is held. Hours are looked at when it comes and right before
each attempt, so nothing leaves in closed hours, retries included. A later telling of the alert takes
the place of one that is held: at the opening each alert is told once, as it then stands, and one that
is over is not told at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from random import Random
from typing import TypeVar

import msgspec

from alerts import hours
from alerts.clock import Clock
from alerts.config import AlertsConfig, ReceiverConfig
from alerts.lane import Lane, telling_order
from alerts.ledger import LedgerStore
from alerts.metrics import DeliveryMetrics, Repeat
from alerts.model import AlertStatus, Notification, Outcome, Reason
from alerts.retry import Answer, Next, RetryPolicy, Verdict, decide
from alerts.senders import Sender

logger = logging.getLogger(__name__)

LEDGER_RETRY_MS = 1_000
"""Between attempts to write an outcome: a full disk or a lost broker does not pass in milliseconds."""

HELD_LOOK_MS = 300_000
"""How often what is held is looked at before its moment: a calendar may have been changed, or the
system's clock. People do not mind five minutes of an opening, and a look costs some 20 µs an entry."""

UNWRITTEN = 8
"""How many times its slots a receiver may have entries on their way or answered and not yet written down.

What a crash cuts off is sent again, so it should be few; writing an outcome takes a busy worker a tenth of a
second, so with 8 slots and twice as many entries a receiver got a hundred and sixty a second at most."""

UNWRITTEN_IN_ORDER = 2
"""The same of a receiver that takes one at a time: a group chat, which cannot drop what comes again."""

DeadLetter = Callable[[Notification], Awaitable[None]]
T = TypeVar("T")


class _Post:
    """One receiver at work: its lane, its sender if it is still configured, its tasks."""

    def __init__(self, name: str, config: ReceiverConfig | None, sender: Sender | None) -> None:
        self.name = name
        self.lane = Lane()
        self.sender = sender
        self.retry = config.retry if config else RetryPolicy()
        self.slots = config.max_in_flight if config else 1
        self.wakeup = asyncio.Event()
        self.loop: asyncio.Task[None] | None = None
        self.sending: set[asyncio.Task[None]] = set()
        # Delivered, and the ledger does not say so yet: they need no slot any more.
        self.answered = 0
        # Of the restored entries no more than these can have been sent, and those were the
        # first in order: so the first sends after a restart are the possible repeats, and only they.
        self.restored: set[str] = set()
        self.possible_repeats = 0

    @property
    def sends(self) -> int:
        """How many attempts are under way."""
        return self.lane.in_flight - self.answered

    @property
    def free(self) -> bool:
        """Whether another attempt may begin."""
        return self.sends < self.slots and self.lane.in_flight < self.most

    @property
    def most(self) -> int:
        """How many entries may be on their way, or answered and not yet written down."""
        return self.slots * (UNWRITTEN if self.slots > 1 else UNWRITTEN_IN_ORDER)


class Dispatcher:
    """Takes notifications and sees to each of them.

    To be made inside a running event loop. `senders` stay the caller's, who closes them after
    `stop`. `dead_letter` is awaited with every notification that failed for good, before the ledger
    says so; after a crash in between it is called again. All methods belong to one event loop.
    """

    def __init__(
        self,
        config: AlertsConfig,
        store: LedgerStore,
        senders: Mapping[str, Sender],
        *,
        clock: Clock,
        metrics: DeliveryMetrics,
        rng: Random,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._senders = senders
        self._clock = clock
        self._metrics = metrics
        self._rng = rng
        self._dead_letter = dead_letter
        self._posts: dict[str, _Post] = {}
        self._accepting = asyncio.Lock()
        self._changed = asyncio.Event()
        self._stopped = False

    async def restore(self) -> int:
        """Take up what the ledger holds open; how many that is. Call once, before `accept`."""
        # A ledger gives them in any order; the first telling of an alert to be queued is the first to go.
        entries = sorted(await self._store.load_open(), key=telling_order)
        now_ms = self._clock.now_ms()
        for entry in entries:
            post = self._post(entry.receiver)
            if not (entry.held and entry.next_attempt_at > now_ms):  # else it cannot have been in flight
                post.restored.add(entry.notification_id)
                post.possible_repeats = post.most
            self._queue(post, entry)
        return len(entries)

    async def accept(self, notifications: Iterable[Notification]) -> None:
        """Make them durable and see to their delivery; those known by id are counted and left alone.

        Raises what the ledger raises; then none of them was accepted.
        """
        async with self._accepting:
            given = list(notifications)
            known = set(await self._store.seen([entry.notification_id for entry in given]))
            now_ms = self._clock.now_ms()
            fresh: dict[str, Notification] = {}
            for entry in given:
                if entry.notification_id in known or entry.notification_id in fresh:
                    self._metrics.repeated(entry.receiver, Repeat.ACCEPTED_AGAIN)
                else:
                    fresh[entry.notification_id] = hours.entered(self._config.calendars, entry, now_ms)
            if fresh:
                await self._store.put(list(fresh.values()))
        self.adopt(fresh.values())

    def adopt(self, entries: Iterable[Notification]) -> None:
        """See to open entries that are in the ledger already, written by the caller.

        For runtimes that commit notifications together with their own state, and for sending again
        what had failed: written anew as pending, then adopted.
        """
        for entry in entries:
            if self._queue(self._post(entry.receiver), entry):
                self._metrics.accepted(entry.receiver)

    def pending_s(self) -> dict[str, float]:
        """For each receiver that was ever told anything: the age of its oldest open entry, 0 without.

        An entry that was held ages from the opening on.
        """
        now_ms = self._clock.now_ms()
        oldest = {name: post.lane.oldest_at() for name, post in self._posts.items()}
        return {name: 0.0 if at is None else max(0, now_ms - at) / 1000 for name, at in oldest.items()}

    def open(self, receiver: str) -> int:
        """How many entries of a receiver are open, all of them in memory."""
        post = self._posts.get(receiver)
        return 0 if post is None else len(post.lane)

    def held(self) -> dict[str, int]:
        """For each receiver that was ever told anything: how many entries wait for their hours."""
        now_ms = self._clock.now_ms()
        return {name: post.lane.held(now_ms) for name, post in self._posts.items()}

    def busy(self) -> dict[str, float]:
        """For each receiver that was ever told anything: which share of its sends at once is under way."""
        return {name: post.sends / post.slots for name, post in self._posts.items()}

    async def idle(self) -> None:
        """Return when nothing is in flight and nothing is due before time moves on."""
        while any(_busy(post.lane, self._clock.now_ms()) for post in self._posts.values()):
            self._changed.clear()
            await self._changed.wait()

    async def stop(self, grace_s: float) -> None:
        """Begin nothing new; give what is in flight `grace_s` seconds, then leave it to the ledger."""
        self._stopped = True
        loops = [post.loop for post in self._posts.values() if post.loop]
        await _cancelled(loops)
        sending = [task for post in self._posts.values() for task in post.sending]
        if sending:
            await asyncio.wait(sending, timeout=grace_s)
        await _cancelled(sending)

    def _post(self, receiver: str) -> _Post:
        if receiver not in self._posts:
            config, sender = self._config.receivers.get(receiver), self._senders.get(receiver)
            self._posts[receiver] = _Post(receiver, config, sender)
        return self._posts[receiver]

    def _queue(self, post: _Post, entry: Notification) -> bool:
        if not entry.open or entry.notification_id in post.lane:
            return False
        post.lane.add(entry)
        self._wake(post)
        return True

    def _wake(self, post: _Post) -> None:
        self._metrics.queue_depth(post.name, len(post.lane))
        post.wakeup.set()
        self._changed.set()
        if post.loop is None and not self._stopped:
            post.loop = asyncio.create_task(self._work(post), name=f"alerts to {post.name}")
            post.loop.add_done_callback(partial(self._ended, post))

    async def _work(self, post: _Post) -> None:
        """Start what is due while slots are free; sleep until a slot, an entry or the time comes."""
        while True:
            post.wakeup.clear()
            while post.free and (entry := post.lane.take(self._clock.now_ms())):
                if self._still_held(post, entry):
                    await asyncio.sleep(0)  # thousands of them must not hold up other receivers
                    continue
                task = asyncio.create_task(self._deliver(post, entry))
                post.sending.add(task)
                task.add_done_callback(partial(self._sent, post, entry))
            await self._wait(post.wakeup, post.lane.next_at() if post.free else None)

    def _still_held(self, post: _Post, entry: Notification) -> bool:
        """Put back at once what waits as the ledger says: most looks at thousands of held entries."""
        if entry.status is not AlertStatus.FIRING or not entry.held or post.sender is None:
            return False
        now_ms = self._clock.now_ms()
        opens_at = hours.opening(self._config.calendars, entry, now_ms)
        if opens_at != entry.held_until or opens_at <= now_ms:
            return False
        if post.lane.latest(entry.alert_id) is not entry:
            return False
        post.lane.put_back(entry, min(opens_at, now_ms + HELD_LOOK_MS))
        self._changed.set()
        return True

    def _ended(self, post: _Post, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # Only a fault in this file or in `lane` gets here; the next entry starts the work anew.
            logger.error("the work for %s broke: %s", post.name, type(error).__name__)
            post.loop = None

    async def _wait(self, event: asyncio.Event, until_ms: int | None) -> None:
        if until_ms is None or event.is_set():
            await event.wait()
            return

        def due(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                event.set()

        sleeping = asyncio.create_task(self._clock.sleep_until(until_ms))
        sleeping.add_done_callback(due)
        try:
            await event.wait()
        finally:
            sleeping.cancel()

    def _sent(self, post: _Post, entry: Notification, task: asyncio.Task[None]) -> None:
        post.sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Only a fault in this file gets here; it must not take the receiver's slot with it.
            logger.error("delivery to %s broke: %s", post.name, type(error).__name__)
            if entry.notification_id in post.lane:
                at = self._clock.now_ms() + post.retry.cap_ms
                post.lane.put_back(msgspec.structs.replace(entry, next_attempt_at=at))
        self._wake(post)

    async def _deliver(self, post: _Post, entry: Notification) -> None:
        """One attempt and all that follows from it."""
        if post.sender is None:
            return await self._finish(post, entry, Outcome.FAILED, Reason.UNKNOWN_RECEIVER)
        if post.lane.disabled:
            return await self._finish(post, entry, Outcome.FAILED, Reason.RECEIVER_DISABLED)
        if entry.status is not AlertStatus.FIRING and not await self._insist(
            lambda: self._store.told(entry.alert_id, post.name)
        ):
            return await self._finish(post, entry, Outcome.DROPPED, Reason.NOT_TOLD)
        if entry.held and (latest := post.lane.latest(entry.alert_id)) is not entry:
            return await self._finish(post, entry, Outcome.DROPPED, _settled_by(latest))
        now_ms = self._clock.now_ms()
        opens_at = hours.opening(self._config.calendars, entry, now_ms)
        if opens_at > now_ms:
            return await self._hold(post, entry, opens_at)
        self._count_repeat(post, entry)
        verdict = await self._attempt(post.sender, entry)
        self._metrics.attempted(post.name, verdict.reason)
        return await self._follow(post, msgspec.structs.replace(entry, attempt=entry.attempt + 1), verdict)

    async def _hold(self, post: _Post, entry: Notification, opens_at: int) -> None:
        """Put it back until its hours open; the ledger knows the moment."""
        if (entry.held_until, entry.next_attempt_at) != (opens_at, opens_at):
            entry = msgspec.structs.replace(entry, held_until=opens_at, next_attempt_at=opens_at)
            await self._insist(partial(self._store.put, [entry]))
        post.lane.put_back(entry, min(opens_at, self._clock.now_ms() + HELD_LOOK_MS))

    async def _attempt(self, sender: Sender, entry: Notification) -> Verdict:
        try:
            return await sender.send(entry, self._clock.now_ms())
        except Exception as error:  # noqa: BLE001 - one message nobody can write must not stop the others
            # The type only, no traceback: texts of exceptions may quote the message.
            name = type(error).__name__
            logger.error("notification %s cannot be sent: %s", entry.notification_id, name)  # noqa: TRY400
            return Verdict(Answer.PERMANENT, Reason.INTERNAL)

    async def _follow(self, post: _Post, entry: Notification, verdict: Verdict) -> None:
        lane, now_ms = post.lane, self._clock.now_ms()
        resting = verdict.answer in (Answer.UNREACHABLE, Answer.THROTTLED)
        lane.failures = lane.failures + 1 if resting else 0
        decision = decide(
            post.retry, entry, verdict, failures_in_a_row=lane.failures, now_ms=now_ms, rng=self._rng
        )
        lane.rest_until = max(lane.rest_until, decision.rest_until or 0)
        lane.disabled = lane.disabled or decision.disable
        if resting or decision.next is Next.DELIVERED:
            self._metrics.receiver_up(post.name, up=not resting)
        if decision.next is Next.DELIVERED:
            could_be_told_at = max(entry.alert.at, entry.held_until or 0)
            self._metrics.delivered_after(post.name, (now_ms - could_be_told_at) / 1000)
            post.answered += 1
            post.wakeup.set()
            try:
                await self._finish(post, entry, Outcome.DELIVERED, None)
            finally:
                post.answered -= 1
            return
        entry = msgspec.structs.replace(entry, last_error=verdict.reason, last_code=verdict.code)
        logger.warning(
            "notification %s to %s: %s (code %s) at attempt %d, %s",
            entry.notification_id,
            post.name,
            verdict.reason,
            verdict.code,
            entry.attempt,
            decision.next,
        )
        if decision.at is None:
            await self._finish(post, entry, Outcome.FAILED, decision.reason)
            return
        entry = msgspec.structs.replace(entry, next_attempt_at=decision.at)
        await self._insist(lambda: self._store.put([entry]))
        lane.put_back(entry)

    async def _finish(
        self, post: _Post, entry: Notification, outcome: Outcome, reason: Reason | None
    ) -> None:
        final = msgspec.structs.replace(entry, outcome=outcome, reason=reason)
        dead_letter = self._dead_letter
        if outcome is Outcome.FAILED and dead_letter is not None:
            await self._insist(lambda: dead_letter(final))
        await self._insist(lambda: self._store.put([final]))
        post.lane.remove(final.notification_id)
        self._metrics.finished(post.name, outcome, reason)

    async def _insist(self, action: Callable[[], Awaitable[T]]) -> T:
        """Repeat until it succeeds: what was sent must not be sent again because a disk was full."""
        while True:
            try:
                return await action()
            except Exception as error:  # noqa: BLE001 - any medium, any fault; the ledger's own to explain
                self._metrics.ledger_failed()
                name = type(error).__name__
                logger.error("the ledger or the dead letters failed: %s", name)  # noqa: TRY400 - as above
                await self._clock.sleep_until(self._clock.now_ms() + LEDGER_RETRY_MS)

    def _count_repeat(self, post: _Post, entry: Notification) -> None:
        if post.possible_repeats:
            post.possible_repeats -= 1
            if entry.notification_id in post.restored:
                self._metrics.repeated(post.name, Repeat.AFTER_RESTART)
        else:
            post.restored.clear()


def _settled_by(later: Notification) -> Reason:
    """Why a held telling is not sent although nobody was told: what came after it."""
    over = later.status is AlertStatus.RESOLVED
    return Reason.RESOLVED_IN_QUIET_HOURS if over else Reason.SUPERSEDED_IN_QUIET_HOURS


def _busy(lane: Lane, now_ms: int) -> bool:
    at = lane.next_at()
    return lane.in_flight > 0 or (at is not None and at <= now_ms)


async def _cancelled(tasks: Iterable[asyncio.Task[T]]) -> None:
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
