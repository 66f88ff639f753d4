"""Faust carries our batches: what it does with their offsets, on a real broker.

These tests fail when a new version of Faust treats the offsets between two batches otherwise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from stream.runtime.kafka.feed import BatchScheduler, RecordBatch, batch_scheduler
from stream.testing import eventually

Write = Callable[[str, int], None]
Committed = Callable[[str], int | None]
StartApp = Callable[..., Awaitable[Any]]


def _record(topic: str, partition: int, offset: int, size: int) -> Any:
    return ConsumerRecord(topic, partition, offset, 0, 0, None, b"v" * size, None, -1, size, ())


@given(
    sizes=st.lists(st.lists(st.integers(0, 50), max_size=30), min_size=1, max_size=5),
    max_records=st.integers(1, 12),
    max_bytes=st.integers(1, 120),
)
def test_scheduler_hands_on_every_record_once_in_order_within_bounds(
    sizes: list[list[int]], max_records: int, max_bytes: int
) -> None:
    fetched = {
        TP("t", partition): [_record("t", partition, 2 * offset, size) for offset, size in enumerate(row)]
        for partition, row in enumerate(sizes)
    }
    seen: dict[TP, list[Any]] = {tp: [] for tp in fetched}
    for tp, carrier in batch_scheduler(max_records, max_bytes)().iterate(fetched):
        batch = carrier.value
        assert (batch.topic, batch.partition) == tp
        assert carrier.offset == batch.last_offset == batch.records[-1].offset
        assert 1 <= len(batch) <= max_records
        assert len(batch) == 1 or sum(record.serialized_value_size for record in batch.records) <= max_bytes
        seen[tp].extend(batch.records)
    assert seen == fetched


def test_scheduler_takes_partitions_in_turn() -> None:
    fetched = {TP("t", p): [_record("t", p, offset, 1) for offset in range(3)] for p in (0, 1)}
    order = [
        (tp.partition, carrier.offset) for tp, carrier in batch_scheduler(max_records=1)().iterate(fetched)
    ]
    assert order == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(("max_records", "max_bytes"), [(0, 1), (1, 0)])
def test_empty_batches_cannot_be_asked_for(max_records: int, max_bytes: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        batch_scheduler(max_records, max_bytes)


def test_scheduler_needs_no_arguments() -> None:
    assert list(BatchScheduler().iterate({TP("t", 0): []})) == []


@pytest.mark.kafka
async def test_batches_carry_raw_records_and_acknowledging_in_order_commits_the_last_plus_one(
    start_app: StartApp, make_topic: Callable[..., str], write: Write, committed: Committed
) -> None:
    topic = make_topic("chat")
    write(topic, 25)
    running = await start_app(topic)
    events = [await running.next() for _ in range(3)]
    batches: list[RecordBatch] = [event.value for event in events]
    assert [(batch.first_offset, batch.last_offset) for batch in batches] == [(0, 9), (10, 19), (20, 24)]
    assert [record.value for batch in batches for record in batch.records] == [b"%d" % n for n in range(25)]
    assert batches[0].records[0].key == b"c-1"

    for event, expected in zip(events, (10, 20, 25), strict=True):
        event.ack()
        await running.app.consumer.commit()
        assert committed(topic) == expected, "later batches are in flight and must not be committed over"


@pytest.mark.kafka
async def test_first_batch_after_a_restart_commits(
    start_app: StartApp, make_topic: Callable[..., str], write: Write, committed: Committed
) -> None:
    topic = make_topic("chat")
    write(topic, 25)
    first = await start_app(topic)
    (await first.next()).ack()
    await first.stop()
    assert committed(topic) == 10

    second = await start_app(topic)
    event = await second.next()
    assert event.value.first_offset == 10
    event.ack()
    await second.app.consumer.commit()
    assert committed(topic) == 20


@pytest.mark.kafka
async def test_acknowledging_out_of_order_commits_over_the_unacknowledged_batch(
    start_app: StartApp, make_topic: Callable[..., str], write: Write, committed: Committed
) -> None:
    """The reason for our rule to acknowledge in order; where this fails the rule may be relaxed."""
    topic = make_topic("chat")
    write(topic, 30)
    running = await start_app(topic)
    first, second, third = [await running.next() for _ in range(3)]
    first.ack()
    await running.app.consumer.commit()
    third.ack()
    await running.app.consumer.commit()
    assert second.value.last_offset == 19
    assert committed(topic) == 30


@pytest.mark.kafka
async def test_compacted_holes_do_not_stop_the_commits(
    start_app: StartApp, make_topic: Callable[..., str], write: Write, committed: Committed, kafka_admin: Any
) -> None:
    """Deleted records at the head of the log make the same kind of hole as compaction, and at once."""
    topic = make_topic("chat")
    write(topic, 20)
    running = await start_app(topic)
    (await running.next()).ack()
    await running.app.consumer.commit()
    await running.stop()
    kafka_admin.delete_records({TopicPartition(topic, 0): 15})
    again = await start_app(topic)
    event = await again.next()
    assert (event.value.first_offset, event.value.last_offset) == (15, 19)
    event.ack()
    await again.app.consumer.commit()
    assert committed(topic) == 20


@pytest.mark.kafka
async def test_broker_receipt_time_is_the_same_when_read_again(
    start_app: StartApp, make_topic: Callable[..., str], write: Write
) -> None:
    topic = make_topic("chat", settings={"message.timestamp.type": "LogAppendTime"})
    write(topic, 5)
    times = []
    for _ in range(2):
        running = await start_app(topic)
        batch = (await running.next()).value
        times.append([record.timestamp for record in batch.records])
        assert {record.timestamp_type for record in batch.records} == {1}
        await running.stop()
    assert times[0] == times[1]


@pytest.mark.kafka
async def test_app_without_the_scheduler_is_told(
    start_app: StartApp, make_topic: Callable[..., str], write: Write
) -> None:
    topic = make_topic("chat")
    running = await start_app(topic, ConsumerScheduler=DefaultSchedulingStrategy)
    write(topic, 1)
    await eventually(lambda: running.app.crashed or running.app.consumer.crashed, "a crash")
