"""Records out, in batches whose confirmation can be awaited.

aiokafka's `send` makes a future for each record (about 30 µs); here a batch of one partition is built
at once and has one. Batches handed in for one partition are written in that order: one of them is on
its way at a time, and a repeated attempt goes before the next.

Whoever writes to a partition waits for a turn. aiokafka 0.14 would let a batch wait until nothing else is
left to leave, for ever where single records keep coming, and counts each of its waits from the first one on:
after some tens of lost races, within a second, it gives up as if a minute had passed
(`aiokafka.producer.message_accumulator.MessageAccumulator.add_batch`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from stream.runtime.kafka import burial
from stream.runtime.kafka.exits import Exit, WorkerExit
from stream.runtime.kafka.feed import Record

Headers = Sequence[tuple[str, bytes]]
Confirmation = asyncio.Future[Any]


class Row(NamedTuple):
    """One record to write. A value of None is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Publisher:
    """Writes through one started `AIOKafkaProducer`."""

    def __init__(self, producer: Any, dead_letters: str) -> None:
        self._producer = producer
        self._dead_letters = dead_letters
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, topic: str, partition: int, rows: Iterable[Row]) -> list[Confirmation]:
        """Hand rows of one partition over, in order; returns what to await for their confirmation.

        Waits while an earlier batch of the partition has not left yet, which is the back-pressure.

        Raises:
            WorkerExit: The broker took none for as long as a delivery may take.
        """
        confirmations: list[Confirmation] = []
        batch = None
        for row in rows:
            if batch is None:
                batch = self._producer.create_batch()
            if self._append(batch, row) is None:  # full
                confirmations.append(await self._submit(batch, topic, partition))
                batch = self._producer.create_batch()
                self._append(batch, row)
        if batch is not None:
            confirmations.append(await self._submit(batch, topic, partition))
        return confirmations

    async def send_singly(
        self, topic: str, rows: Iterable[Row], partition: int | None = None
    ) -> list[Confirmation]:
        """Hand rows over one by one: those of many callers leave together in the client's next batch.

        Without a partition they go where their keys hash to (as the Java client hashes); to such a topic
        nothing may go by `send`.
        """
        confirmations = []
        try:
            # Of keys that hash anywhere none must wait for a partition whose broker is away.
            async with nullcontext() if partition is None else self._turns[topic, partition]:
                for key, value, headers in rows:
                    confirmations.append(
                        await self._producer.send(
                            topic, key=key, value=value, headers=list(headers), partition=partition
                        )
                    )
        except KafkaError as error:
            raise _unconfirmed(error, topic) from error
        return confirmations

    async def dead_letter(
        self, record: Record, topic: str, partition: int, reason: str, extra: Headers = ()
    ) -> Confirmation:
        """Put a record among the dead letters, untouched where it fits; the future confirms it."""
        about = [
            ("reason", reason.encode()),
            ("topic", topic.encode()),
            ("partition", str(partition).encode()),
            ("offset", str(record.offset).encode()),
            *extra,
        ]

        async def send(letter: burial.Letter) -> Confirmation:
            sent: Confirmation = await self._producer.send(
                self._dead_letters, key=letter.key, value=letter.value, headers=list(letter.headers)
            )
            return sent

        try:
            return await burial.bury(record, about, send)
        except KafkaError as error:
            raise _unconfirmed(error, self._dead_letters) from error

    @staticmethod
    def _append(batch: Any, row: Row) -> Any:
        return batch.append(key=row.key, value=row.value, timestamp=None, headers=list(row.headers))

    async def _submit(self, batch: Any, topic: str, partition: int) -> Confirmation:
        batch.close()
        try:
            async with self._turns[topic, partition]:
                confirmation: Confirmation = await self._producer.send_batch(
                    batch, topic, partition=partition
                )
        except KafkaError as error:
            raise _unconfirmed(error, topic) from error
        return confirmation


async def confirm(confirmations: Iterable[Confirmation]) -> None:
    """Return when the broker has confirmed them all.

    Raises:
        WorkerExit: It refused one, or did not answer in time.
    """
    for confirmation in confirmations:
        try:
            await confirmation
        except KafkaError as error:
            raise _unconfirmed(error, "") from error


def _unconfirmed(error: KafkaError, topic: str) -> WorkerExit:
    where = f" to {topic}" if topic else ""
    return WorkerExit(
        Exit.BROKER, f"the broker did not confirm what was written{where}: {type(error).__name__}"
    )
