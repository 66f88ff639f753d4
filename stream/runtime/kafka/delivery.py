"""The delivery processor: `qa.notify.<receiver>` into the ledger, and from the ledger to the receivers.

A record is acknowledged once it is in the ledger; sending, retries and rests run from there in the
dispatcher, so no receiver ever holds back the reading. Each topic has one partition, so one worker owns
a receiver and its budget; when that changes hands the dispatcher is stopped here, and the new owner
takes the open entries from the ledger. What was on its way at that moment may be sent twice, under one
id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from alerts import hours
from alerts.clock import Clock
from alerts.config import AlertsConfig
from alerts.dispatcher import Dispatcher
from alerts.metrics import DeliveryMetrics
from alerts.model import Notification, Outcome
from alerts.senders import close_senders, open_senders
from stream.runtime.kafka.ending import end
from stream.runtime.kafka.exits import Exit, WorkerExit
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.inbox import Fed, Inbox
from stream.runtime.kafka.ledger import KafkaLedger
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.outputs import notification_row
from stream.runtime.kafka.publisher import Confirmation, Publisher, confirm
from stream.runtime.kafka.versions import refuse_newer
from stream.settings import Kafka
from stream.wire import Reason

logger = logging.getLogger(__name__)

BATCH_RECORDS = 500
"""Notifications accepted together: one ledger batch for all of them."""

MOST_OPEN = 20_000
"""Open notifications of a receiver, at some 4 KB each, beyond which its topic is read no further: what a shop
with an alert a second collects while a receiver is down for five hours. The rest waits on the broker."""

FEW_OPEN = MOST_OPEN // 2
"""Open ones at which reading goes on: a receiver that is well again has work for a minute until then."""

LOOK_S = 1.0
"""How often it is looked at whether a receiver's topic can be read on: a small part of that minute."""

GRACE_S = 5.0
"""How long sends under way may go on when a receiver changes hands; then the new owner repeats them."""

PRUNE_S = 3600.0
"""How often old decided entries are dropped; they are kept for days, so an hour is exact enough."""

REPLAYED = "replayed"
"""Header of a notification that an operator sends again (`yanshao dlq replay`) although it had failed."""


class Delivery:
    """Owns the receivers whose topics this worker was assigned."""

    name = "notifications to accept"

    def __init__(
        self,
        kafka: Kafka,
        names: Names,
        publisher: Publisher,
        config: AlertsConfig,
        inbox: Inbox,
        *,
        clock: Clock,
        metrics: DeliveryMetrics,
        dead: Callable[[Reason], None],
    ) -> None:
        self.inbox = inbox
        self.owned: frozenset[str] = frozenset()
        self.ledger: KafkaLedger | None = None
        self._kafka = kafka
        self._names = names
        self._publisher = publisher
        self._config = config
        self._clock = clock
        self._metrics = metrics
        self._dead = dead
        self._poison = 0
        self._dispatcher: Dispatcher | None = None
        self._senders: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether everything owned is being delivered."""
        return not self.owned or self._dispatcher is not None

    def pending_s(self) -> dict[str, float]:
        """Return the age of the oldest open notification of each receiver owned."""
        return {} if self._dispatcher is None else self._dispatcher.pending_s()

    def held(self) -> dict[str, int]:
        """Return how many notifications of each receiver owned wait for their hours."""
        return {} if self._dispatcher is None else self._dispatcher.held()

    def busy(self) -> dict[str, float]:
        """Return for each receiver owned which share of its sends at once is under way."""
        return {} if self._dispatcher is None else self._dispatcher.busy()

    def start(self, owned: frozenset[str], failed: Callable[[BaseException], None]) -> None:
        """Take these receivers over; `failed` hears what ended it."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                failed(error)

        self.owned = owned
        if owned:
            self._task = asyncio.create_task(self._run(), name="delivery")
            self._task.add_done_callback(ended)

    async def stop(self) -> None:
        """Let go of everything; sends under way have a moment to end."""
        self.inbox.moving = False
        if self._task is not None:
            await end([self._task])
            self._task = None
        self.inbox.clear()
        for receiver in self.owned:
            self.inbox.let_in(self._names.notify(receiver))
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            await dispatcher.stop(GRACE_S)
        await close_senders(self._senders.values())
        self._senders = {}
        self.owned = frozenset()
        self.ledger = None

    def _is_mine(self, receiver: str) -> bool:
        if receiver in self._config.receivers:
            return receiver in self.owned
        # Taken out of the configuration: whoever owns the first one left tells that it cannot be sent.
        return bool(self.owned) and min(self._config.receivers) in self.owned

    async def _run(self) -> None:
        ledger = KafkaLedger(
            self._publisher, self._names.ledger, mine=self._is_mine, now_ms=self._clock.now_ms
        )
        records = await ledger.recover(self._kafka)
        self._senders = open_senders(self._config)
        dispatcher = Dispatcher(
            self._config,
            ledger,
            self._senders,
            clock=self._clock,
            metrics=self._metrics,
            rng=Random(),  # noqa: S311 - jitter, not a secret
            dead_letter=self._bury_failed,
        )
        still_open = await dispatcher.restore()
        logger.info("ledger recovered: %d records, %d notifications still to send", records, still_open)
        self.ledger, self._dispatcher = ledger, dispatcher
        self.inbox.moving = True
        prune_at = asyncio.get_running_loop().time() + PRUNE_S
        full: set[str] = set()
        while True:
            self._hold_back(dispatcher, full)
            if await self.inbox.arrival(LOOK_S if full else PRUNE_S):
                await self._accept(dispatcher, ledger, self.inbox.take(BATCH_RECORDS))
            if asyncio.get_running_loop().time() >= prune_at:
                prune_at += PRUNE_S
                await ledger.prune()

    def _hold_back(self, dispatcher: Dispatcher, full: set[str]) -> None:
        """Read no more of receivers that take nothing, until there is room for it; they are in `full`."""
        for receiver in self.owned:
            topic, count = self._names.notify(receiver), dispatcher.open(receiver)
            if count >= MOST_OPEN and receiver not in full:
                logger.warning(
                    "%s has %d notifications open; the next ones wait in %s", receiver, count, topic
                )
                full.add(receiver)
                self.inbox.keep_back(topic)
            elif count <= FEW_OPEN and receiver in full:
                full.remove(receiver)
                self.inbox.let_in(topic)

    async def _accept(self, dispatcher: Dispatcher, ledger: KafkaLedger, fed: Sequence[Fed]) -> None:
        entries: list[Notification] = []
        again: list[Notification] = []
        buried: list[Confirmation] = []
        for one in fed:
            for record in one.batch.records:
                refuse_newer(record, one.batch.topic)
                try:
                    entry = msgspec.json.decode(record.value or b"", type=Notification)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    buried.append(await self._bury(one, record))
                    continue
                self._poison = 0
                if any(name == REPLAYED for name, _ in record.headers):
                    again.append(entry)
                else:
                    entries.append(entry)
        await dispatcher.accept(entries)
        await self._send_again(dispatcher, ledger, again)
        await confirm(buried)
        for one in fed:
            one.acknowledge()

    async def _send_again(
        self, dispatcher: Dispatcher, ledger: KafkaLedger, entries: Sequence[Notification]
    ) -> None:
        """Take up notifications that had failed for good, unless they were delivered meanwhile."""
        known = await ledger.seen([entry.notification_id for entry in entries])
        now = self._clock.now_ms()
        fresh = [
            hours.entered(
                self._config.calendars,
                msgspec.structs.replace(entry, attempt=0, outcome=Outcome.PENDING, reason=None),
                now,
            )
            for entry in entries
            if known.get(entry.notification_id) not in (Outcome.DELIVERED, Outcome.PENDING)
        ]
        if fresh:
            await ledger.put(fresh)
            dispatcher.adopt(fresh)

    async def _bury(self, fed: Fed, record: Record) -> Confirmation:
        self._poison += 1
        if self._poison > self._kafka.poison_limit:
            raise WorkerExit(
                Exit.POISON, f"{self._poison} records in a row of {fed.batch.topic} are unusable"
            )
        self._dead(Reason.NOT_JSON)
        return await self._publisher.dead_letter(
            record, fed.batch.topic, fed.batch.partition, Reason.NOT_JSON
        )

    async def _bury_failed(self, entry: Notification) -> None:
        """Keep a notification that could not be delivered where operators look, to be sent again."""
        topic = self._names.notify(entry.receiver)
        headers = [
            ("reason", f"delivery_{entry.reason}".encode()),
            ("topic", topic.encode()),
            ("partition", b"0"),
            ("offset", b"-1"),
        ]
        row = notification_row(entry)._replace(headers=headers)
        await confirm(await self._publisher.send_singly(self._names.dlq, [row]))
