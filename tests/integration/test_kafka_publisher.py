"""What is written to one partition, by whomever and however: each in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiokafka
import pytest
from kafka.admin import KafkaAdminClient

from stream.runtime.kafka import client, tail
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.publisher import Confirmation, Publisher, Row, confirm
from stream.settings import Kafka

pytestmark = pytest.mark.kafka


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[aiokafka.AIOKafkaProducer]:
    producer = client.producer(Kafka(bootstrap=(kafka,)))
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def topic(kafka_admin: KafkaAdminClient, topic_prefix: str) -> str:
    name = f"{topic_prefix}qa.ledger"
    kafka_admin.create_topics({name: {"num_partitions": 1}}, wait_for_metadata=True)
    return name


async def test_batch_has_its_turn_among_single_records_without_end(
    kafka: str, producer: aiokafka.AIOKafkaProducer, topic: str
) -> None:
    """aiokafka lets a batch wait until nothing is left to leave, and adds up its waits more than once."""
    publisher = Publisher(producer, "unused")
    single: list[Confirmation] = []

    async def singles() -> None:
        while True:
            single.extend(await publisher.send_singly(topic, [Row(b"one", b"x")], 0))
            await asyncio.sleep(0)

    feeding = asyncio.create_task(singles())
    try:
        for number in range(20):
            await confirm(await publisher.send(topic, 0, [Row(b"batch", b"%d" % number)] * 3))
    finally:
        feeding.cancel()
    await confirm(single)
    found: list[Record] = []
    await tail.read_all(Kafka(bootstrap=(kafka,)), topic, 0, found.extend)
    batches = [record.value for record in found if record.key == b"batch"]
    assert batches == [b"%d" % number for number in range(20) for _ in range(3)]
    assert len(found) == len(batches) + len(single)
