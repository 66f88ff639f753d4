"""Reading a compacted topic from its start to its end: changelog, ledger, configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import TopicPartition

from stream.runtime.kafka import client
from stream.runtime.kafka.feed import Record
from stream.settings import Kafka

FETCH_BYTES = 8 * 1024 * 1024
"""A changelog is read as fast as the disk gives it; eight times the consumer's default saves round trips."""

BATCH_RECORDS = 4_000
"""So much is handled before the loop may turn to other work: about 10 ms."""


async def read_all(kafka: Kafka, topic: str, partition: int, take: Callable[[Sequence[Record]], None]) -> int:
    """Give `take` every record that the partition holds now, in order; returns the end offset.

    Raises:
        aiokafka.errors.KafkaError: The partition cannot be read.
    """
    consumer = client.reader(kafka, max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=100)
    try:
        await consumer.start()
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        await consumer.seek_to_beginning(where)
        return await read_until_end(consumer, where, take)
    finally:
        await consumer.stop()


async def read_until_end(
    consumer: Any, where: TopicPartition, take: Callable[[Sequence[Record]], None]
) -> int:
    """Give `take` the records between the consumer's position and the present end; returns that end."""
    end: int = (await consumer.end_offsets([where]))[where]
    while await consumer.position(where) < end:
        fetched = await consumer.getmany(where, timeout_ms=1000, max_records=BATCH_RECORDS)
        for records in fetched.values():
            take(records)
    return end
