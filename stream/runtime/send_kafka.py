"""Sends events to ``chat.messages``, keyed by conversation, every one confirmed by all replicas."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self

from aiokafka.errors import KafkaError

from stream.runtime.kafka import client
from stream.runtime.kafka.names import Names
from stream.runtime.send import Planned, Report, SendError
from stream.settings import Kafka

UNCONFIRMED: Final = 5_000
"""Events under way before reading stops: at a million a minute a third of a second's worth."""

START_SECONDS: Final = 15.0
"""Connection, login and the topic's metadata; a broker under load takes a second."""


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
        where = ", ".join(self._kafka.bootstrap)
        self._producer = client.producer(self._kafka)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._producer.start()
                self._partitions = sorted(await self._producer.partitions_for(self._topic))
        except (KafkaError, OSError, TimeoutError) as error:
            await self._producer.stop()
            raise SendError(
                f"{self._topic} at {where}: {type(error).__name__}. "
                "Is Kafka running, are the topics there? (yanshao topics check)"
            ) from error
        return self

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
