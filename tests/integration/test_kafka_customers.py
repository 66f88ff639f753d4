"""Customers on a real broker: charged across partitions, read back after kill -9, settled after their day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from stream.core import customers
from stream.core.limits import HOUR_MS, MINUTE_MS
from stream.metrics import render
from stream.runtime.kafka.customers import CustomerReplay, partition_of
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.worker import Driver
from tests.integration.kafkasystem import Installation, message, now_ms, until

pytestmark = pytest.mark.kafka

Json = dict[str, Any]
MANY = 60


@pytest.fixture
def system(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path
) -> Iterator[Installation]:
    one = Installation(kafka, topic_prefix, tmp_path, partitions=4)
    one.make_topics(kafka_admin)
    yield one
    one.end()


def talk(name: str, customer: str, at: int) -> list[Json]:
    """A short conversation about a refund, closed after a minute."""
    of = {"conversation_id": name, "customer": {"id": customer}}
    return [
        message(name, 1, "你好", at=at) | of,
        of | {"type": "issue.opened", "issue_id": f"i-{name}", "category": "refund", "at": at + 1_000},
        message(name, 2, "您好", role="agent", at=at + 5_000) | of,
        of | {"type": "issue.resolved", "issue_id": f"i-{name}", "at": at + 30_000},
        of | {"type": "conversation.closed", "at": at + MINUTE_MS},
    ]


def talks(prefix: str, at: int) -> list[Json]:
    return [event for number in range(MANY) for event in talk(f"{prefix}-{number}", f"u-{number}", at)]


def held(system: Installation) -> dict[str, customers.Customer]:
    """Every customer as recovery would find it."""
    replay = CustomerReplay()
    replay.take((record.key, record.value) for record in system.read(system.names.customers))
    return {key: customers.decode(raw) for key, raw in replay.states()}


async def contacts_applied(system: Installation, admin: KafkaAdminClient, count: int) -> None:
    await until(lambda: len(system.read(system.names.contacts)) >= count, f"{count} contacts")
    await until(lambda: system.contacts_taken(admin), "their commit")


async def test_customer_is_charged_across_partitions_and_read_back_after_kill_9(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names, at = system.names, now_ms() - 5 * HOUR_MS
    system.send(talks("a", at))
    first = system.process(driver=Driver.STREAM)
    await contacts_applied(system, kafka_admin, 2 * MANY)
    system.send(talks("b", at + HOUR_MS))
    await until(lambda: any(one["reopened"] for one in system.json(names.conversations)), "the first charge")
    first.kill()
    second = system.process(driver=Driver.STREAM)
    system.send(talks("c", at + 2 * HOUR_MS))
    await contacts_applied(system, kafka_admin, 6 * MANY)
    assert second.stop() == Exit.OK

    told: dict[str, dict[int, list[Json]]] = defaultdict(lambda: defaultdict(list))
    for one in system.json(names.conversations):
        told[one["conversation_id"]][one["revision"]].append(one)
    for number in range(MANY):
        revisions = [told[f"{prefix}-{number}"] for prefix in "abc"]
        last_a, last_b, last_c = (one[max(one)][0] for one in revisions)
        assert (last_a["followed_by"], last_a["repeat_contact"]) == ([f"b-{number}"], False)
        assert (last_b["followed_by"], last_b["repeat_contact"]) == ([f"c-{number}"], True)
        assert (last_c["followed_by"], last_c["repeat_contact"]) == ([], True)
        for by_revision in revisions:  # what was told again after the kill was told alike
            assert all(copies == copies[:1] * len(copies) for copies in by_revision.values())
    states = held(system)
    assert set(states) == {f"u-{number}" for number in range(MANY)}
    for number, state in ((number, states[f"u-{number}"]) for number in range(MANY)):
        wanted = [max(told[f"{prefix}-{number}"]) for prefix in "abc"]
        assert [one.told for one in state.visits] == wanted


async def test_records_lie_where_their_owners_do(system: Installation, kafka_admin: KafkaAdminClient) -> None:
    names, at = system.names, now_ms() - 5 * HOUR_MS
    async with system.worker(driver=Driver.STREAM):
        system.send([*talks("a", at), *talks("b", at + HOUR_MS)])
        await contacts_applied(system, kafka_admin, 4 * MANY)
    for topic in (names.contacts, names.customers):
        for record in system.read(topic):
            assert record.partition == partition_of(record.key.decode(), system.partitions)
    of_conversation = {record.key: record.partition for record in system.read(names.messages)}
    for record in system.read(names.conversations):
        assert record.partition == of_conversation[record.key]


async def test_day_that_is_over_is_settled_and_its_customers_are_let_go(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names, at = system.names, now_ms() - 5 * 24 * HOUR_MS
    async with system.worker() as worker:
        system.send(talks("a", at))
        await contacts_applied(system, kafka_admin, 2 * MANY)
        await until(lambda: not held(system), "tombstones")
        exposition = render(worker.metrics, "")[0].decode()
    gone = {record.key for record in system.read(names.customers) if record.value is None}
    assert gone == {f"u-{number}".encode() for number in range(MANY)}
    wanted = 'yanshao_platform_denominator_total{definition="plain",figure='
    found = [line for line in exposition.splitlines() if line.startswith(wanted)]
    assert found
    assert all(float(line.rsplit(" ", 1)[1]) == MANY for line in found), found
