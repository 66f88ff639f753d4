"""Runs of unusable records: the worker stops rather than fill the dead letters after a bad deploy upstream.

A run is counted over the worker's ends as well. Each life would else count from nought, and a supervisor that
starts it again and again would let the run pass bit by bit, a limit's worth at a time.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream.runtime.kafka import tail
from stream.runtime.kafka.exits import Exit, WorkerExit
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.names import Names
from stream.settings import Kafka
from stream.wire import Reason

Place = tuple[bytes, bytes, bytes]
"""Topic, partition and offset of a record, as a dead letter's headers have them."""


def too_many(count: int, topic: str, partition: int, offset: int, reason: Reason) -> WorkerExit:
    """Return the end that a run asks for, with what an operator can do."""
    return WorkerExit(
        Exit.POISON,
        f"{count} unusable records in a row, the last one {topic}/{partition} offset {offset}: {reason}. "
        "Mend what writes there; a start with a higher kafka.poison_limit lets them pass into qa.dlq "
        "(yanshao dlq list --kafka)",
    )


async def buried_before(kafka: Kafka, names: Names, number: int, offset: int) -> int:
    """Return how many records of a partition of `chat.messages` right before an offset are dead letters.

    Counts to the limit of a run and no further. Raises aiokafka.errors.KafkaError.
    """
    found: list[Record] = []
    # Letters of all partitions lie there in turn; those of a run that stopped a worker are among the last.
    async with tail.opened(kafka, names.dlq, 0) as log:
        await log.read(max(log.first, log.end - LETTERS_A_LIMIT * kafka.poison_limit), found.extend)
    return run_before(map(_place, found), names.messages, number, offset, kafka.poison_limit)


LETTERS_A_LIMIT = 4
"""Letters looked at for each that may be in a run: other partitions and topics have theirs among them."""


def run_before(places: Iterable[Place], topic: str, number: int, offset: int, most: int) -> int:
    """Return how many offsets right before `offset` are among the places, at most `most`. Pure."""
    there = set(places)
    count = 0
    while count < most:
        place = topic.encode(), b"%d" % number, b"%d" % (offset - count - 1)
        if place not in there:
            break
        count += 1
    return count


def _place(letter: Record) -> Place:
    about = dict(letter.headers)
    return about.get("topic", b""), about.get("partition", b""), about.get("offset", b"")
