"""Dead letters: listed, and sent back to where they came from once the cause is mended.

Key and value are as they were; the headers say why and whence. Replay goes in the order of `qa.dlq`,
which for one partition is the order in which its records were refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream.runtime import cluster
from stream.runtime.kafka.delivery import REPLAYED
from stream.runtime.kafka.names import Names
from stream.settings import Kafka

ORIGINAL = "original."
"""Before the name of a header that the record itself had."""

POLL_MS = 500
"""How long one poll waits; the end is known beforehand, so this only paces the questions."""

CONFIRM_S = 60.0
"""How long a replayed record may take to be confirmed."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter. `at` is when it was refused (epoch milliseconds), `number` its offset in `qa.dlq`.

    `offset` is -1 for what never was a record of its topic (a notification that failed for good).
    """

    number: int
    at: int
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


Wanted = Callable[[DeadLetter], bool]


def everything(_: DeadLetter) -> bool:
    """Want every dead letter."""
    return True


def list_dead_letters(kafka: Kafka, wanted: Wanted = everything) -> Iterator[DeadLetter]:
    """Yield the dead letters there are now, oldest first.

    Raises:
        kafka.errors.KafkaError: The broker cannot be asked.
    """
    consumer = KafkaConsumer(**cluster.options(kafka), group_id=None, enable_auto_commit=False)
    try:
        where = TopicPartition(Names(kafka.topic_prefix).dlq, 0)
        consumer.assign([where])
        consumer.seek_to_beginning(where)
        end = consumer.end_offsets([where])[where]
        while consumer.position(where) < end:
            for record in consumer.poll(timeout_ms=POLL_MS).get(where, ()):
                letter = _letter(record)
                if record.offset < end and wanted(letter):
                    yield letter
    finally:
        consumer.close()


def replay(
    kafka: Kafka, wanted: Wanted = everything, *, told: Callable[[DeadLetter], None] | None = None
) -> int:
    """Send the wanted dead letters back to their topics, in order; returns how many were confirmed.

    A record returns to the partition its key hashes to; one refused for its key is given no better
    one here and will be refused again. Letters stay in `qa.dlq` until retention takes them.

    Raises:
        kafka.errors.KafkaError: The broker cannot be asked or does not confirm; those before are sent.
    """
    count = 0
    producer = KafkaProducer(**cluster.options(kafka), acks="all", enable_idempotence=True)
    try:
        for letter in list_dead_letters(kafka, wanted):
            headers = [*letter.headers, (REPLAYED, str(time.time_ns() // 1_000_000).encode())]
            # One at a time: the next must not overtake one that is tried again.
            producer.send(letter.topic, key=letter.key, value=letter.value, headers=headers).get(CONFIRM_S)
            count += 1
            if told is not None:
                told(letter)
    finally:
        producer.close()
    return count


def _letter(record: Any) -> DeadLetter:
    about = {name: value for name, value in record.headers if not name.startswith(ORIGINAL)}
    own = tuple(
        (name.removeprefix(ORIGINAL), value) for name, value in record.headers if name.startswith(ORIGINAL)
    )
    return DeadLetter(
        number=record.offset,
        at=record.timestamp,
        reason=about.get("reason", b"").decode(),
        detail=about.get("detail", b"").decode(),
        topic=about.get("topic", b"").decode(),
        partition=int(about.get("partition", b"-1")),
        offset=int(about.get("offset", b"-1")),
        key=record.key,
        value=None if "tombstone" in about else record.value,
        headers=own,
    )
