"""The ledger on Kafka keeps what every ledger must."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import msgspec
import pytest
from kafka.admin import KafkaAdminClient
from msgspec.structs import replace

from alerts.ledger import LedgerStore
from alerts.model import Outcome
from alerts.testing import LedgerContract, sample_notification
from stream.runtime.clock import WallClock
from stream.runtime.kafka import client, tail
from stream.runtime.kafka import ledger as ledger_module
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.ledger import FINAL_KEPT_MS, KafkaLedger
from stream.runtime.kafka.publisher import Publisher
from stream.runtime.kafka.remembered import Remembered
from stream.settings import Kafka

pytestmark = pytest.mark.kafka


class TestKafkaLedger(LedgerContract):
    """`alerts.testing.LedgerContract`, and what is Kafka's own."""

    @pytest.fixture(autouse=True)
    async def _installed(
        self, kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str
    ) -> AsyncIterator[None]:
        self.kafka = Kafka(bootstrap=(kafka,))
        self.topic = f"{topic_prefix}qa.ledger"
        self.now = WallClock().now_ms()  # as the records' own times are
        options = {"num_partitions": 1, "configs": {"cleanup.policy": "compact"}}
        kafka_admin.create_topics({self.topic: options}, wait_for_metadata=True)
        self.producer = client.producer(self.kafka)
        await self.producer.start()
        yield
        await self.producer.stop()

    def ledger(self, *mine: str) -> KafkaLedger:
        return KafkaLedger(
            Publisher(self.producer, "unused"),
            self.topic,
            mine=lambda receiver: not mine or receiver in mine,
            now_ms=lambda: self.now,
        )

    async def opened(self) -> LedgerStore:
        """An empty ledger."""
        return self.ledger()

    async def reopened(self, store: LedgerStore) -> LedgerStore:
        """What the next owner reads back."""
        again = self.ledger()
        await again.recover(self.kafka)
        return again

    async def test_only_the_entries_of_owned_receivers_are_taken_up(self) -> None:
        """Another worker sends the others."""
        ours, theirs = sample_notification(receiver="ours"), sample_notification(receiver="theirs")
        await self.ledger().put([ours, theirs])
        ledger = self.ledger("ours")
        await ledger.recover(self.kafka)
        assert await ledger.load_open() == [ours]

    async def test_decided_entries_are_forgotten_in_the_end_and_open_ones_never(self) -> None:
        """Pruned here and on the broker."""
        pending = sample_notification(receiver="a")
        final = sample_notification(receiver="b", outcome=Outcome.DELIVERED)
        ledger = self.ledger()
        await ledger.put([pending, final])
        assert await ledger.prune() == 0
        self.now += FINAL_KEPT_MS + 60_000
        assert await ledger.prune() == 1
        again = await self.reopened(ledger)
        for store in (ledger, again):
            assert await store.load_open() == [pending]
            assert await store.seen([final.notification_id]) == {}
            assert not await store.told(final.alert_id, "b")

    async def test_records_can_be_read_by_a_person(self) -> None:
        """JSON under the notification's id."""
        entry = sample_notification()
        await self.ledger().put([entry])
        found: list[Record] = []
        await tail.read_all(self.kafka, self.topic, 0, found.extend)
        (record,) = found
        assert record.key == entry.notification_id.encode()
        assert msgspec.json.decode(record.value or b"")["receiver"] == entry.receiver


class TestKafkaLedgerOfManyDecided(TestKafkaLedger):
    """The same where what was decided is packed at once, as it is behind the first tens of thousands."""

    @pytest.fixture(autouse=True)
    def _packed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger_module, "Remembered", partial(Remembered, run=1))

    async def test_what_is_owed_again_outlives_its_first_decision(self) -> None:
        """A failed notification that was sent back is open, whatever is forgotten of it."""
        entry = sample_notification(receiver="a")
        ledger = self.ledger()
        await ledger.put([replace(entry, outcome=Outcome.FAILED)])
        self.now += FINAL_KEPT_MS
        await ledger.put([entry])
        self.now += 1
        assert await ledger.prune() == 0
        assert await (await self.reopened(ledger)).load_open() == [entry]
