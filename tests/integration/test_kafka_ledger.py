"""The ledger on Kafka keeps what every ledger must."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from kafka.admin import KafkaAdminClient

from alerts.ledger import LedgerStore
from alerts.model import Outcome
from alerts.testing import NOW_MS, LedgerContract, sample_notification
from stream.runtime.kafka import client, tail
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.ledger import FINAL_KEPT_MS, KafkaLedger
from stream.runtime.kafka.publisher import Publisher
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
        self.now = NOW_MS
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
        self.now += FINAL_KEPT_MS + 1
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
