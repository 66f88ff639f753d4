"""Releases side by side and one after the other: the newer one's records are refused by the older, unharmed.

The newer release is this one with its versions raised, in a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from stream.core import customers
from stream.core import state as states
from stream.runtime.kafka.changelog import GONE
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.versions import HEADER
from tests.integration.kafkasystem import (
    CALM,
    COMPLAINT,
    RUN,
    Installation,
    Process,
    Receiver,
    is_complaint,
    message,
    until,
)

pytestmark = pytest.mark.kafka

NEWER = states.VERSION + 1

RUN_NEWER = f"""
from stream.core import customers, state
from stream.runtime.kafka import versions
state.VERSION = {NEWER}
state.MIGRATIONS[{NEWER - 1}] = lambda fields: fields
state.decode.__kwdefaults__["version"] = {NEWER}
decode = customers.decode
customers.VERSION = 2
customers.decode = lambda raw: decode(raw[:1] + bytes((2,)) + raw[2:])
versions.FORMAT = 2
{RUN}"""


@pytest.fixture
def system(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path, hook: Receiver
) -> Iterator[Installation]:
    short = {"session_timeout": "6s"}
    one = Installation(kafka, topic_prefix, tmp_path, partitions=1, hook=hook.url, kafka=short)
    one.make_topics(kafka_admin)
    yield one
    one.end()


def start(system: Installation, name: str = "w0", *, newer: bool = False) -> Process:
    system.run = RUN_NEWER if newer else RUN
    return system.process(name)


def done(system: Installation, admin: KafkaAdminClient, topic: str) -> int:
    committed = system.committed(admin)
    return sum(committed.get((topic, number), 0) for number in range(system.partitions))


def ends(system: Installation) -> dict[str, int]:
    """Where each topic's log ends that a worker writes to."""
    names = system.names
    written = (
        "state",
        "customers",
        "findings",
        "alerts",
        "conversations",
        "contacts",
        "timers",
        "ledger",
        "dlq",
    )
    topics = [*(getattr(names, one) for one in written), names.notify("hook")]
    consumer = KafkaConsumer(bootstrap_servers=system.bootstrap)
    found = consumer.end_offsets([TopicPartition(topic, 0) for topic in topics])
    consumer.close()
    return {where.topic: end for where, end in found.items()}


def put(system: Installation, topic: str, key: bytes, value: bytes, headers: Any = ()) -> None:
    producer = system.producer()
    producer.send(topic, key=key, value=value, headers=list(headers), partition=0).get(30)
    producer.close()


async def served(system: Installation, admin: KafkaAdminClient, hook: Receiver, alerts: int) -> None:
    await until(lambda: len(hook.complaints()) == alerts, "alerts")
    await until(lambda: done(system, admin, system.names.messages) == alerts, "commits")


def version_of(raw: bytes) -> int:
    return int(msgspec.msgpack.decode(raw)[0])


async def test_going_back_a_release_is_refused_harms_nothing_and_going_forward_again_loses_nothing(
    system: Installation, kafka_admin: KafkaAdminClient, hook: Receiver
) -> None:
    names = system.names
    older = start(system)
    system.send([message("c-1", 1, COMPLAINT)])
    await served(system, kafka_admin, hook, 1)
    assert older.stop() == Exit.OK

    newer = start(system, newer=True)
    system.send([message("c-2", 1, COMPLAINT)])
    await served(system, kafka_admin, hook, 2)
    assert newer.stop() == Exit.OK
    assert {name: version_of(raw) for name, raw in system.states().items()} == {
        "c-1": NEWER - 1,
        "c-2": NEWER,
    }

    system.send([message("c-1", 2, CALM), message("c-3", 1, COMPLAINT)])
    before, committed = ends(system), system.committed(kafka_admin)
    for _ in range(2):
        back = start(system)
        assert back.wait() == Exit.TOO_NEW
        assert f"state record of version {NEWER}; this release reads up to {NEWER - 1}" in back.text()
    assert ends(system) == before, "nothing was written"
    assert system.committed(kafka_admin) == committed, "nothing was acknowledged"

    forward = start(system, newer=True)
    await until(lambda: done(system, kafka_admin, names.messages) == 4, "the rest")
    await until(lambda: len(hook.complaints()) == 3, "all alerts")
    assert forward.stop() == Exit.OK
    kept = {
        name: states.decode(raw, version=NEWER, migrations={**states.MIGRATIONS, NEWER - 1: list})
        for name, raw in system.states().items()
    }
    assert {name: state.applied[0] for name, state in kept.items()} == {"c-1": 2, "c-2": 1, "c-3": 3}
    assert len({one["alert_id"] for one in system.json(names.alerts) if is_complaint(one)}) == 3
    assert hook.repeats() == 0, "nobody was told twice"


async def test_older_worker_that_takes_over_a_newer_ones_partition_ends_and_leaves_it_to_the_newer(
    system: Installation, kafka_admin: KafkaAdminClient, hook: Receiver
) -> None:
    """Amid a rolling upgrade the upgraded worker dies."""
    system.partitions = 2
    system.prefix += "two."
    system.make_topics(kafka_admin)
    topic = system.names.messages
    first, second = start(system, "w0"), start(system, "w1", newer=True)
    await until(lambda: all("recovered" in one.text() for one in (first, second)), "both")
    system.send(message(f"c-{n}", 1, COMPLAINT) for n in range(30))
    await until(lambda: done(system, kafka_admin, topic) == 30, "commits")
    assert {version_of(raw) for raw in system.states().values()} == {NEWER - 1, NEWER}
    second.kill()
    assert first.wait() == Exit.TOO_NEW, "the partition that it took over"
    system.send(message(f"d-{n}", 1, COMPLAINT) for n in range(30))
    upgraded = [start(system, name, newer=True) for name in ("w0", "w1")]
    await until(lambda: done(system, kafka_admin, topic) == 60, "the rest", patience=90)
    await until(lambda: len(hook.complaints()) == 60, "all alerts")
    assert [one.stop() for one in upgraded] == [Exit.OK, Exit.OK]
    assert len(system.states()) == 60


def _customer(names: Names) -> tuple[str, bytes, bytes, Any]:
    return names.customers, b"u-9", msgspec.msgpack.encode([customers.VERSION + 1, ["u-9", 1]]), ()


def _unknown_outcome(names: Names) -> tuple[str, bytes, bytes, Any]:
    return names.ledger, b"n-9", json.dumps({"notification_id": "n-9", "outcome": "postponed"}).encode(), ()


def _format(topic: Callable[[Names], str]) -> Callable[[Names], tuple[str, bytes, bytes, Any]]:
    return lambda names: (topic(names), b"of a newer release", b"{}", [(HEADER, b"2")])


RECORDS: dict[str, Callable[[Names], tuple[str, bytes, bytes, Any]]] = {
    "a state that is none": lambda names: (names.state, b"of a newer release", b"\xc1", ()),
    "a customer": _customer,
    "a notification in the ledger": _unknown_outcome,
    "the ledger's format": _format(lambda names: names.ledger),
    "a timer": _format(lambda names: names.timers),
    "a contact": _format(lambda names: names.contacts),
    "an alert": _format(lambda names: names.alerts),
    "a notification": _format(lambda names: names.notify("hook")),
}


@pytest.mark.parametrize("what", RECORDS)
async def test_newer_record_of_any_topic_of_ours_is_refused_and_no_dead_letter(
    what: str, system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    topic, key, value, headers = RECORDS[what](system.names)
    put(system, topic, key, value, headers)
    process = start(system)
    assert process.wait() == Exit.TOO_NEW, process.text()[-1500:]
    assert "of a newer release" not in process.text().replace(what, "")
    assert [record.value for record in system.read(topic)] == [value]
    assert system.committed(kafka_admin).get((topic, 0), 0) == 0
    assert system.read(system.names.dlq, 1) == []


async def test_format_that_this_release_has_is_read_with_and_without_its_header(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    put(system, system.names.timers, b"of a newer release", b"{}", [(HEADER, b"1"), ("other", b"")])
    async with system.worker():
        await until(lambda: done(system, kafka_admin, system.names.timers) == 1, "a commit")
    (letter,) = system.read(system.names.dlq, 1)
    assert dict(letter.headers)["reason"] == b"missing_field", "it was read"


def test_no_release_may_take_the_version_of_what_is_gone() -> None:
    assert GONE < 1 <= customers.VERSION < NEWER
