"""Which partition is a customer's, which record of a customer is right, and what waits for recovery."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC

import pytest

from stream.core import customers
from stream.core.customers import Customer, Visit
from stream.core.limits import DEFAULT_LIMITS
from stream.runtime.conversations import Applied
from stream.runtime.customers import Told
from stream.runtime.kafka import outputs
from stream.runtime.kafka.customers import CustomerReplay, CustomerSide, partition_of, rows
from stream.runtime.kafka.exits import WorkerExit
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.publisher import Confirmation, Row
from tests.unit.test_customers import contact_of, summary_of

NOW = 1_794_358_800_000


def record(applied: int, name: str = "c-1") -> bytes:
    visit = Visit(name, 0, NOW, None, "refund", None, True, None)
    return customers.encode(Customer("u-1", applied, visits=[visit]))


def test_partition_of_a_customer_never_changes() -> None:
    """With other numbers, customers would be looked for elsewhere. By `b2sum -l 64`, modulo 8."""
    assert [partition_of(key, 8) for key in ("u-1", "u-2", "小王", "")] == [1, 5, 5, 4]


def test_customers_spread_over_the_partitions() -> None:
    spread = Counter(partition_of(f"u-{number}", 8) for number in range(8_000))
    assert set(spread) == set(range(8))
    assert min(spread.values()) > 800


def test_higher_offset_wins_and_of_equal_ones_the_later_record() -> None:
    replay = CustomerReplay()
    later = record(7, "c-2")
    replay.take([(b"u-1", record(7)), (b"u-1", later), (b"u-1", record(6))])
    assert list(replay.states()) == [("u-1", later)]
    replay.take([(b"u-1", None)])
    assert list(replay.states()) == []


def test_forgotten_customer_gets_a_tombstone() -> None:
    assert [tuple(row[:2]) for row in rows(Told(changed={"u-1": b"x"}, forgotten={"u-2"}))] == [
        (b"u-1", b"x"),
        (b"u-2", None),
    ]


async def test_nothing_is_applied_or_due_before_the_customers_were_read_back() -> None:
    side = CustomerSide()
    go = asyncio.Event()

    async def read(number: int, replay: CustomerReplay) -> None:
        replay.take([(b"u-1", record(3))])
        await go.wait()

    task = asyncio.create_task(side.recover(0, read, DEFAULT_LIMITS))
    waiting = asyncio.create_task(side.recovered())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert not side.due(2**60)
    go.set()
    await waiting
    await task
    assert len(side.customers) == 1
    assert side.due(2**60)
    assert not side.due(NOW)


async def test_customer_of_a_newer_release_ends_the_worker() -> None:
    async def read(number: int, replay: CustomerReplay) -> None:
        replay.take([(b"u-1", b"\x92\x7f\x92\xa3u-1\x05")])

    with pytest.raises(WorkerExit):
        await CustomerSide().recover(0, read, DEFAULT_LIMITS)


class Log:
    """Takes what would be written, by topic and partition."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int | None, Row]] = []

    async def send(self, topic: str, partition: int, rows: list[Row]) -> list[Confirmation]:
        self.rows += [(topic, partition, row) for row in rows]
        return []

    async def send_singly(self, topic: str, rows: list[Row], partition: int | None) -> list[Confirmation]:
        return await self.send(topic, partition, rows)  # type: ignore[arg-type]


async def test_contact_carries_its_own_summary_though_another_was_told() -> None:
    """A close and what follows it in one step: two contacts, of two revisions, and one summary."""
    first, second = (summary_of("c-1", NOW, NOW + 1, revision=revision) for revision in (1, 2))
    applied = Applied(records=[second, contact_of(first), contact_of(second)])
    log = Log()
    await outputs.tell(log, Names(), 3, applied, UTC, 8)  # type: ignore[arg-type]
    told = [(topic, partition, json.loads(row.value or b"")) for topic, partition, row in log.rows]
    assert [(topic, partition) for topic, partition, _ in told] == [
        ("qa.conversations", 3),
        ("qa.contacts", partition_of("u-1", 8)),
        ("qa.contacts", partition_of("u-1", 8)),
    ]
    assert [one["summary"]["revision"] for _, _, one in told[1:]] == [1, 2]
    assert told[2][2]["summary"] == told[0][2]
