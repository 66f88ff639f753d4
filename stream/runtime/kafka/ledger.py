"""The dispatcher's ledger on Kafka: in memory, and every change confirmed by `qa.ledger` first.

One record a notification, under its id, the whole of it: the topic is compacted, and recovery takes the
last record of each key. Only the worker that owns a receiver's topic writes its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from alerts.model import AlertStatus, Notification, Outcome
from stream.runtime.kafka import tail
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.outputs import notification_row
from stream.runtime.kafka.publisher import Publisher, Row, confirm
from stream.runtime.kafka.versions import readable, refuse_newer
from stream.settings import Kafka

FINAL_KEPT_MS = 3 * 24 * 3600 * 1000
"""How long a decided notification is remembered: three times the longest retry horizon, and as long as an
alert may wait for its end over a weekend."""


@dataclass(frozen=True, slots=True)
class _Final:
    """What is kept in memory of a decided notification."""

    outcome: Outcome
    told: tuple[str, str] | None
    at: int


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
        self._final: dict[str, _Final] = {}
        self._told: set[tuple[str, str]] = set()

    async def recover(self, kafka: Kafka) -> int:
        """Read the ledger back; how many records that took."""
        count = 0

        def take(records: Sequence[Record]) -> None:
            nonlocal count
            count += len(records)
            for record in records:
                self._take_back(record)

        await tail.read_all(kafka, self._topic, 0, take)
        return count

    def _take_back(self, record: Record) -> None:
        if record.value is None:
            self._forget((record.key or b"").decode())
            return
        refuse_newer(record, self._topic)
        with readable(f"{self._topic} offset {record.offset}"):
            entry = msgspec.json.decode(record.value, type=Notification)
        if self._mine(entry.receiver):
            self._keep(entry, record.timestamp)

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
        found = {name: self._final[name].outcome for name in notification_ids if name in self._final}
        return found | {name: Outcome.PENDING for name in notification_ids if name in self._open}

    async def told(self, alert_id: str, receiver: str) -> bool:
        """Return whether this receiver was told that this alert fires."""
        return (alert_id, receiver) in self._told

    async def prune(self) -> int:
        """Forget what was decided long ago, here and on the broker; how many those were."""
        limit = self._now() - FINAL_KEPT_MS
        old = [name for name, entry in self._final.items() if entry.at < limit]
        await confirm(await self._publisher.send(self._topic, 0, _tombstones(old)))
        for name in old:
            self._forget(name)
        return len(old)

    def oldest(self) -> dict[str, int]:
        """Return by receiver since when its oldest open entry could be told (epoch milliseconds)."""
        oldest: dict[str, int] = {}
        for entry in self._open.values():
            oldest[entry.receiver] = min(oldest.get(entry.receiver, entry.owed_since), entry.owed_since)
        return oldest

    def _keep(self, entry: Notification, at: int) -> None:
        name = entry.notification_id
        self._forget(name)
        if entry.open:
            self._open[name] = entry
            return
        told = None
        if entry.status is AlertStatus.FIRING and entry.outcome is Outcome.DELIVERED:
            told = (entry.alert_id, entry.receiver)
            self._told.add(told)
        self._final[name] = _Final(entry.outcome, told, at)

    def _forget(self, name: str) -> None:
        self._open.pop(name, None)
        final = self._final.pop(name, None)
        if final is not None and final.told is not None:
            self._told.discard(final.told)


def _tombstones(names: Iterable[str]) -> list[Row]:
    return [Row(name.encode(), None) for name in names]
