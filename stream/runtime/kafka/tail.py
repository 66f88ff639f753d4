"""Reading a compacted topic to its end: changelog, ledger, configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from stream.runtime.kafka import client
from stream.runtime.kafka.feed import Record
from stream.settings import Kafka

FETCH_BYTES = 8 * 1024 * 1024
"""A changelog is read as fast as the disk gives it; eight times the consumer's default saves round trips."""

BATCH_RECORDS = 4_000
"""So much is handled before the loop may turn to other work: about 10 ms."""

Take = Callable[[Sequence[Record]], None]


class Log:
    """One partition that is open for reading: `first` and `end` are its offsets as they were then."""

    def __init__(self, consumer: Any, where: TopicPartition, first: int, end: int) -> None:
        self.first = first
        self.end = end
        self._consumer = consumer
        self._where = where

    async def read(
        self, begin: int, take: Take, *, end: int | None = None, told: Callable[[int], None] = lambda _: None
    ) -> int:
        """Give `take` the records from `begin` to `end`, or to the log's, in order; returns what was reached.

        A few behind the end may come along. `told` hears of each offset reached on the way.

        Raises:
            aiokafka.errors.KafkaError: The partition cannot be read.
        """
        self._consumer.seek(self._where, begin)
        await read_until(self._consumer, self._where, take, self.end if end is None else end, told)
        reached: int = await self._consumer.position(self._where)
        return reached


@asynccontextmanager
async def opened(kafka: Kafka, topic: str, partition: int) -> AsyncIterator[Log]:
    """Yield a partition as it is now.

    Raises:
        aiokafka.errors.KafkaError: The brokers cannot be asked.
    """
    consumer = client.reader(kafka, max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=100)
    try:
        await consumer.start()
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        first = (await consumer.beginning_offsets([where]))[where]
        end = (await consumer.end_offsets([where]))[where]
        yield Log(consumer, where, first, end)
    finally:
        await consumer.stop()


async def read_all(kafka: Kafka, topic: str, partition: int, take: Take) -> int:
    """Give `take` every record that the partition holds now, in order; returns the end offset.

    Raises:
        aiokafka.errors.KafkaError: The partition cannot be read.
    """
    async with opened(kafka, topic, partition) as log:
        await log.read(log.first, take)
        return log.end


async def read_until_end(consumer: Any, where: TopicPartition, take: Take) -> int:
    """Give `take` the records between the consumer's position and the present end; returns that end."""
    end: int = (await consumer.end_offsets([where]))[where]
    await read_until(consumer, where, take, end)
    return end


async def read_until(
    consumer: Any, where: TopicPartition, take: Take, end: int, told: Callable[[int], None] = lambda _: None
) -> None:
    """Give `take` the records between the consumer's position and `end`; a few behind it may come along."""
    while (position := await consumer.position(where)) < end:
        told(position)
        fetched = await consumer.getmany(where, timeout_ms=1000, max_records=BATCH_RECORDS)
        for records in fetched.values():
            take(records)
