"""Record batches through Faust: one Faust message for many Kafka records of one partition.

Faust's path for one message (conductor, decoding, event, queue, stream, acknowledgement) costs about 80 µs
and none of it is needed for each record. The setting `ConsumerScheduler` is Faust's extension point for the
order in which fetched records are handed on: it gets `{TP: [records]}` and yields `(TP, record)`. Ours
yields one *carrier* for a chunk of a partition's records: it looks like a record, its value is a RecordBatch,
its offset is the chunk's last. Group membership, assignment, commits and supervision stay Faust's.

    app = faust.App(..., ConsumerScheduler=batch_scheduler(max_records=512), stream_buffer_maxsize=32,
                    topic_disable_leader=True)
    topic = app.topic("chat.messages", schema=BatchSchema())

    @app.agent(topic, concurrency=1)
    async def processor(messages):
        async for event in messages.noack().events():
            batch: RecordBatch = event.value       # raw records, in offset order, at least one
            ...                                    # outputs confirmed, then states confirmed
            event.ack()                            # commits batch.last_offset + 1 at the next commit

What whoever uses it must keep to; `tests/contract/test_faust_feed.py` holds Faust to its side:

- Every topic an app reads goes through its scheduler, so every one of them needs a BatchSchema.
- **Acknowledge the batches of a partition in order.** To Faust the offsets between two carriers are a gap
  in the log, and a gap counts as acknowledged once any later offset is: acknowledging the second batch
  commits over the first.
- A batch not acknowledged comes again after a restart or a rebalance, cut at other places: never count on
  where a batch begins or ends.
- After a rebalance what was queued before it comes again too, from the committed offset.
- `stream_buffer_maxsize` counts batches: it times `max_bytes` bounds the memory of one topic's queue.
- Faust's own monitor counts batches, and `broker_commit_every` counts acknowledged batches.
- Topics that must share their partition numbers need Faust's own assignor, which is in use while
  `table_standby_replicas` is at least 1 (Faust's default; it needs no table). At 0 Faust takes a round-robin
  over all topics, which gives chat.messages/3 and qa.timers/3 to different workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import faust
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

MAX_RECORDS = 512
"""Measured: from 512 on Faust's share is under 0.2 µs a record; more only makes the confirmations lumpier."""

MAX_BYTES = 1 << 20
"""One fetch of a partition (`consumer_max_fetch_size`, 1 MiB by default) is then at least one batch."""


class Record(Protocol):
    """One Kafka record as fetched (aiokafka's ConsumerRecord): raw bytes and where they came from."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Epoch milliseconds; the broker's receipt time where the topic says LogAppendTime."""

    @property
    def timestamp_type(self) -> int:
        """0: the producer's clock; 1: the broker's."""

    @property
    def key(self) -> bytes | None:
        """The raw key."""

    @property
    def value(self) -> bytes | None:
        """The raw value; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers in the order written; names may repeat."""

    @property
    def serialized_key_size(self) -> int:
        """Bytes of the key, -1 where there is none."""

    @property
    def serialized_value_size(self) -> int:
        """Bytes of the value, -1 where there is none."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of one partition, in offset order, never empty.

    Offsets may have holes (compaction, transactions), so the length says nothing about them.
    """

    topic: str
    partition: int
    records: Sequence[Record]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def first_offset(self) -> int:
        """The offset of the first record."""
        return self.records[0].offset

    @property
    def last_offset(self) -> int:
        """The offset of the last record; one more is what acknowledging the batch commits."""
        return self.records[-1].offset


@dataclass(frozen=True, slots=True)
class _Carrier:
    """What Faust takes for a fetched record: the attributes its consumer reads of one."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: RecordBatch
    serialized_value_size: int
    key: None = None
    headers: tuple[()] = ()
    checksum: None = None
    serialized_key_size: int = 0


class BatchScheduler:
    """Hands fetched records on as batches, in turn over topics and over each topic's partitions.

    Faust makes one without arguments; `batch_scheduler` makes a class with other bounds.
    """

    max_records: int = MAX_RECORDS
    max_bytes: int = MAX_BYTES

    def iterate(self, records: Mapping[TP, Sequence[Record]]) -> Iterator[tuple[TP, _Carrier]]:
        """Yield all records, each once, as carriers; per partition in offset order."""
        carriers = {tp: self._carriers(tp, fetched) for tp, fetched in records.items() if fetched}
        turns: Iterator[tuple[TP, _Carrier]] = DefaultSchedulingStrategy().iterate(carriers)
        return turns

    def _carriers(self, tp: TP, fetched: Sequence[Record]) -> Iterator[_Carrier]:
        for chunk, size in chunks(fetched, self.max_records, self.max_bytes):
            last = chunk[-1]
            batch = RecordBatch(tp.topic, tp.partition, chunk)
            # The last record's time, for Faust's end-to-end measures; nothing of ours reads it.
            yield _Carrier(
                tp.topic, tp.partition, last.offset, last.timestamp, last.timestamp_type, batch, size
            )


def batch_scheduler(max_records: int = MAX_RECORDS, max_bytes: int = MAX_BYTES) -> type[BatchScheduler]:
    """Return a class for the setting `ConsumerScheduler` whose batches keep within these bounds.

    A record larger than `max_bytes` is a batch of its own. Raises ValueError where a bound is not positive.
    """
    if max_records < 1 or max_bytes < 1:
        raise ValueError("a batch has at least one record and one byte")
    return type("BatchScheduler", (BatchScheduler,), {"max_records": max_records, "max_bytes": max_bytes})


def chunks(
    records: Sequence[Record], max_records: int, max_bytes: int
) -> Iterator[tuple[Sequence[Record], int]]:
    """Yield the records in order, cut where either bound would be passed, each chunk with its bytes."""
    start, size = 0, 0
    for index, record in enumerate(records):
        added = max(record.serialized_key_size, 0) + max(record.serialized_value_size, 0)
        if index > start and (index - start == max_records or size + added > max_bytes):
            yield records[start:index], size
            start, size = index, 0
        size += added
    if start < len(records):
        yield records[start:], size


class BatchSchema(faust.Schema):  # type: ignore[misc]  # faust is not typed for us
    """Hands the RecordBatch through as the event's value; no serializer sees it.

    For reading only: what is sent to such a topic is sent as it is, bytes.
    """

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """Return None: a batch has no key, its records have."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> RecordBatch:  # noqa: ARG002 -- Faust's signature
        """Return the batch.

        Raises TypeError for anything else: the app was made without `batch_scheduler`.
        """
        if not isinstance(message.value, RecordBatch):
            raise TypeError("the app reads single records: set ConsumerScheduler=batch_scheduler()")
        return message.value
