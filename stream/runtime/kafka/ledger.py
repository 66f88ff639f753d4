"""The dispatcher's ledger on Kafka: in memory, and every change confirmed by `qa.ledger` first.

One record a notification, under its id, the whole of it: the topic is compacted, and recovery takes the
last record of each key. Only the worker that owns a receiver's topic writes its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from alerts.model import AlertStatus, Notification, Outcome
from stream.core.ids import stable_id
from stream.runtime.kafka import tail
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.outputs import notification_row
from stream.runtime.kafka.publisher import Publisher, Row, confirm
from stream.runtime.kafka.remembered import Remembered
from stream.runtime.kafka.versions import readable, refuse_newer
from stream.settings import Kafka

FINAL_KEPT_MS = 3 * 24 * 3600 * 1000
"""How long a decided notification is remembered: three times the longest retry horizon, and as long as an
alert may wait for its end over a weekend."""


class _Head(msgspec.Struct, gc=False):
    """What says what became of a notification: the rest of most entries is never wanted again."""

    notification_id: str
    alert_id: str
    receiver: str
    status: AlertStatus
    outcome: Outcome


_head = msgspec.json.Decoder(_Head)

_OUTCOMES = tuple(Outcome)
_NUMBERS = {outcome: number for number, outcome in enumerate(_OUTCOMES)}
_TOLD = 1


class KafkaLedger:
    """`alerts.ledger.LedgerStore` for the receivers that `mine` says yes to."""

    def __init__(
        self, publisher: Publisher, topic: str, *, mine: Callable[[str], bool], now_ms: Callable[[], int]
    ) -> None:
        self._publisher = publisher
        self._topic = topic
        self._mine = mine
        self._now = now_ms
        self._open: dict[str, Notification] = {}
        self._final = Remembered()
        self._told = Remembered()

    async def recover(self, kafka: Kafka) -> int:
        """Read the ledger back; how many records that took."""
        count = 0
        waiting: dict[str, Record] = {}

        def take(records: Sequence[Record]) -> None:
            nonlocal count
            count += len(records)
            with readable(f"{self._topic} offsets {records[0].offset} to {records[-1].offset}"):
                for record in records:
                    self._take_back(record, waiting)

        await tail.read_all(kafka, self._topic, 0, take)
        for name, record in waiting.items():
            with readable(f"{self._topic} offset {record.offset}"):
                self._open[name] = msgspec.json.decode(record.value or b"", type=Notification)
        return count

    def _take_back(self, record: Record, waiting: dict[str, Record]) -> None:
        """Take what a record says of a notification; `waiting` has those that none has decided so far."""
        if record.value is None:
            name = (record.key or b"").decode()
            waiting.pop(name, None)
            self._final.discard(name, record.timestamp)
            return
        refuse_newer(record, self._topic)
        head = _head.decode(record.value)
        if not self._mine(head.receiver):
            return
        if head.outcome is Outcome.PENDING:
            waiting[head.notification_id] = record
            return
        waiting.pop(head.notification_id, None)
        self._remember(head, record.timestamp)

    async def put(self, entries: Sequence[Notification]) -> None:
        """Write the entries; durable when it returns.

        Raises:
            stream.runtime.kafka.exits.WorkerExit: The broker did not confirm them.
        """
        rows = map(notification_row, entries)
        # Every notification under way writes for itself: whole batches would wait for one another.
        await confirm(await self._publisher.send_singly(self._topic, rows, 0))
        now = self._now()
        for entry in entries:
            self._keep(entry, now)

    async def load_open(self) -> list[Notification]:
        """Return every pending entry."""
        return list(self._open.values())

    async def seen(self, notification_ids: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcome of each known id."""
        found = {name: _OUTCOMES[number] for name, number in self._final.get(notification_ids).items()}
        return found | {name: Outcome.PENDING for name in notification_ids if name in self._open}

    async def told(self, alert_id: str, receiver: str) -> bool:
        """Return whether this receiver was told that this alert fires."""
        return bool(self._told.get([stable_id(alert_id, receiver)]))

    async def prune(self) -> int:
        """Forget what was decided long ago, here and on the broker; how many those were."""
        limit = self._now() - FINAL_KEPT_MS
        old = [name for name in self._final.forget(limit) if name not in self._open]
        self._told.forget(limit)
        await confirm(await self._publisher.send(self._topic, 0, _tombstones(old)))
        return len(old)

    def oldest(self) -> dict[str, int]:
        """Return by receiver since when its oldest open entry could be told (epoch milliseconds)."""
        oldest: dict[str, int] = {}
        for entry in self._open.values():
            oldest[entry.receiver] = min(oldest.get(entry.receiver, entry.owed_since), entry.owed_since)
        return oldest

    def _keep(self, entry: Notification, at: int) -> None:
        name = entry.notification_id
        if entry.open:
            self._open[name] = entry
            return
        self._open.pop(name, None)
        self._remember(entry, at)

    def _remember(self, entry: Notification | _Head, at: int) -> None:
        self._final.put(entry.notification_id, _NUMBERS[entry.outcome], at)
        fires = entry.status is AlertStatus.FIRING and entry.outcome is Outcome.DELIVERED
        # What was read back may have been forgotten already, and its record be still there.
        if fires and at >= self._now() - FINAL_KEPT_MS:
            self._told.put(stable_id(entry.alert_id, entry.receiver), _TOLD, at)


def _tombstones(names: Iterable[str]) -> list[Row]:
    return [Row(name.encode(), None) for name in names]
