"""Sends events to ``chat.messages``, keyed by conversation, every one confirmed by all replicas."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self

from aiokafka.errors import KafkaError

from stream.runtime import cluster, topics
from stream.runtime.kafka import client
from stream.runtime.kafka.names import Names
from stream.runtime.send import Planned, Report, SendError
from stream.settings import Kafka

UNCONFIRMED: Final = 5_000
"""Events under way before reading stops: at a million a minute a third of a second's worth."""


class KafkaTarget:
    """One producer; used in ``async with``."""

    def __init__(self, kafka: Kafka, report: Report) -> None:
        self._kafka = kafka
        self._topic = Names(kafka.topic_prefix).messages
        self._report = report
        self._room = asyncio.Semaphore(UNCONFIRMED)
        self._under_way: set[Any] = set()
        self._error: Exception | None = None
        self._partitions: list[int] = []
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        # Looked up first: a producer waits for a missing topic as if it might yet appear.
        self._partitions = list(range(await asyncio.to_thread(self._count_partitions)))
        self._producer = client.producer(self._kafka)
        try:
            await self._producer.start()
        except (KafkaError, OSError) as error:
            await self._producer.stop()
            raise self._told(error) from error
        return self

    def _count_partitions(self) -> int:
        try:
            with cluster.admin(self._kafka) as admin:
                count = topics.source_partitions(admin, self._kafka.topic_prefix)
        except cluster.UnreachableError as error:
            raise SendError(str(error)) from error
        if count is None:
            raise SendError(f"there is no topic {self._topic}: yanshao topics apply")
        return count

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def put(self, event: Planned) -> None:
        """Hand an event to the producer; what concerns no conversation goes to every partition."""
        if event.broadcast:
            for partition in self._partitions:
                await self._send(event, partition, counts=partition == self._partitions[0])
        else:
            await self._send(event, None, counts=True)

    async def drain(self) -> None:
        """Wait until everything is confirmed."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))
            await asyncio.sleep(0)  # the callbacks of what is done
        self._raise()

    async def _send(self, event: Planned, partition: int | None, *, counts: bool) -> None:
        self._raise()
        await self._room.acquire()
        key = None if event.key is None else event.key.encode("utf-8", "surrogatepass")
        try:
            confirmation = await self._producer.send(self._topic, event.raw, key=key, partition=partition)
        except KafkaError as error:
            raise self._told(error) from error
        self._under_way.add(confirmation)
        confirmation.add_done_callback(lambda done: self._confirmed(done, counts=counts))

    def _confirmed(self, done: Any, *, counts: bool) -> None:
        self._under_way.discard(done)
        self._room.release()
        if done.cancelled():
            return
        if done.exception() is not None:
            self._error = self._error or done.exception()
        elif counts:
            self._report.sent += 1

    def _raise(self) -> None:
        if self._error is not None:
            raise self._told(self._error) from self._error

    def _told(self, error: Exception) -> SendError:
        return SendError(f"{self._topic}: the brokers did not confirm: {type(error).__name__}")
