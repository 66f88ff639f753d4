"""Dead letters: listed, and sent back to where they came from once the cause is mended.

Key and value are as they were; the headers say why and whence. A replay goes in the order of `qa.dlq`,
which for one partition is the order in which its records were refused, and back into that partition: a
client of another language may have chosen it by another hash, and what belongs to the conversation lies
there. What was sent back gets a *receipt*, a record of `qa.dlq` that names its letter, so a replay that was
stopped half-way is taken up where it was, and one that is repeated sends nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from stream.runtime import cluster
from stream.runtime.kafka.burial import CUT, ORIGINAL, TOMBSTONE
from stream.runtime.kafka.client import MAX_REQUEST_BYTES
from stream.runtime.kafka.delivery import REPLAYED
from stream.runtime.kafka.names import Names
from stream.settings import Kafka

RECEIPT = "receipt"
"""Header of a receipt: the number of the letter that was sent back."""

POLL_MS = 500
"""How long one poll waits; the end is known beforehand, so this only paces the questions."""

CONFIRM_S = 60.0
"""How long a replayed record may take to be confirmed."""

CHUNK = 32
"""Letters sent before their receipts are. Where a replay dies between the two so many are sent again, and
all of them are among the last 64 messages of their conversations, which are known by their ids."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter. `at` is when it was refused (epoch milliseconds), `number` its offset in `qa.dlq`.

    `offset` is -1 for what never was a record of its topic (a notification that failed for good).
    `replayed_at` is when it was sent back; None: it never was. `cut`: only the beginning of the value is
    here, for the whole of it was larger than the topic takes.
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
    replayed_at: int | None = None
    cut: bool = False


@dataclass(slots=True)
class Sent:
    """What a replay came to: letters sent back, and those that are there in part only."""

    count: int = 0
    cut: int = 0


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
        end = consumer.end_offsets([where])[where]
        # A receipt stands behind its letter, and no letter is kept in memory meanwhile.
        replayed = {
            number: record.timestamp
            for record in _read(consumer, where, end)
            if (number := _receipt(record)) is not None
        }
        for record in _read(consumer, where, end):
            if _receipt(record) is None:
                letter = _letter(record, replayed.get(record.offset))
                if wanted(letter):
                    yield letter
    finally:
        consumer.close()


def _read(consumer: Any, where: TopicPartition, end: int) -> Iterator[Any]:
    consumer.seek_to_beginning(where)
    while consumer.position(where) < end:
        for record in consumer.poll(timeout_ms=POLL_MS).get(where, ()):
            if record.offset < end:
                yield record


def replay(
    kafka: Kafka,
    wanted: Wanted = everything,
    *,
    again: bool = False,
    told: Callable[[DeadLetter], None] | None = None,
) -> Sent:
    """Send the wanted dead letters back to their topics, in order; returns what that came to.

    What was sent back before is left out, unless `again`. Letters stay in `qa.dlq` until retention takes
    them; one that is refused again comes there anew. `told` hears of each that was confirmed.

    Raises:
        kafka.errors.KafkaError: The broker cannot be asked or does not confirm; what it confirmed before
            has its receipt.
    """
    sent = Sent()
    producer = KafkaProducer(
        **cluster.options(kafka), acks="all", enable_idempotence=True, max_request_size=MAX_REQUEST_BYTES
    )
    names = Names(kafka.topic_prefix)
    try:
        letters = list_dead_letters(
            kafka, lambda letter: (again or letter.replayed_at is None) and wanted(letter)
        )
        while chunk := list(islice(letters, CHUNK)):
            whole = [letter for letter in chunk if not letter.cut]
            sent.cut += len(chunk) - len(whole)
            sent.count += _send_back(producer, names, whole)
            if told is not None:
                for letter in whole:
                    told(letter)
    finally:
        producer.close()
    return sent


def _send_back(producer: Any, names: Names, letters: Sequence[DeadLetter]) -> int:
    """Send letters and, for each that was confirmed, its receipt; raise for the first that was not."""
    # An idempotent producer keeps the order of a partition, whatever it has to repeat.
    futures = [(letter, _post(producer, names, letter)) for letter in letters]
    failure: KafkaError | None = None
    receipts = []
    for letter, future in futures:
        try:
            future.get(CONFIRM_S)
        except KafkaError as error:
            failure = failure or error
        else:
            about = [(RECEIPT, str(letter.number).encode())]
            receipts.append(producer.send(names.dlq, value=b"", headers=about, partition=0))
    for receipt in receipts:
        receipt.get(CONFIRM_S)
    if failure is not None:
        raise failure
    return len(receipts)


def _post(producer: Any, names: Names, letter: DeadLetter) -> Any:
    headers = list(letter.headers)
    if names.receiver(letter.topic) is not None:
        # Delivery must know it from one that it has decided already.
        headers.append((REPLAYED, str(time.time_ns() // 1_000_000).encode()))
    there = letter.partition in (producer.partitions_for(letter.topic) or ())
    return producer.send(
        letter.topic,
        key=letter.key,
        value=letter.value,
        headers=headers,
        partition=letter.partition if there else None,
    )


def _receipt(record: Any) -> int | None:
    """Return the number of the letter that a record is the receipt of; None where it is a letter."""
    return next((int(value) for name, value in record.headers if name == RECEIPT), None)


def _letter(record: Any, replayed_at: int | None) -> DeadLetter:
    about = {name: value for name, value in record.headers if not name.startswith(ORIGINAL)}
    own = tuple(
        (name.removeprefix(ORIGINAL), value)
        for name, value in record.headers
        if name.startswith(ORIGINAL) and name != f"{ORIGINAL}{REPLAYED}"
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
        value=None if TOMBSTONE in about else record.value,
        headers=own,
        replayed_at=replayed_at,
        cut=CUT in about,
    )
