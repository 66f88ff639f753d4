"""Snapshots on a real broker: a start with one, without, with a bad one, and after another worker's turn.

Each time what is held must be what the whole changelog says.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.recovery import SNAPSHOTS
from stream.runtime.kafka.worker import Worker
from tests.integration.kafkasystem import CALM, COMPLAINT, Installation, message, until

pytestmark = pytest.mark.kafka

KEPT = " from a snapshot and "
REFUSED = "the whole changelog is read, not the snapshot"


@pytest.fixture
def system(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path
) -> Iterator[Installation]:
    one = Installation(kafka, topic_prefix, tmp_path, kafka={"snapshot_interval": "500ms"})
    one.make_topics(kafka_admin)
    yield one
    one.end()


@pytest.fixture(autouse=True)
def _told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stream.runtime.kafka")


def held(worker: Worker) -> dict[str, bytes]:
    assert worker._ownership is not None
    return {
        name: raw
        for processor in worker._ownership.processors.values()
        for name, raw in processor.conversations.raw()
    }


def files(system: Installation, worker: str = "w0") -> list[Path]:
    return sorted((system.directory / worker / SNAPSHOTS / worker).glob("*"))


def committed(system: Installation, admin: KafkaAdminClient) -> int:
    found = system.committed(admin)
    return sum(found.get((system.names.messages, number), 0) for number in range(system.partitions))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


def lost(path: Path) -> None:
    if path.parent.exists():
        shutil.rmtree(path.parent)


def whole(path: Path) -> None:
    assert path.stat().st_size > 0


@pytest.mark.parametrize(
    ("damage", "says"), [(whole, KEPT), (lost, "has no snapshot"), (truncated, REFUSED), (flipped, REFUSED)]
)
async def test_killed_worker_comes_back_as_the_changelog_says(
    system: Installation,
    kafka_admin: KafkaAdminClient,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    says: str,
) -> None:
    first = system.process()
    system.send(message(f"c-{n}", 1, COMPLAINT) for n in range(60))
    await until(lambda: committed(system, kafka_admin) == 60, "the first messages")
    await until(lambda: len(files(system)) == system.partitions, "a file for each partition")
    system.send(message(f"c-{n}", 2, CALM) for n in range(40, 90))
    await until(lambda: committed(system, kafka_admin) == 110, "the next messages")
    first.kill()
    for path in files(system):
        if path.suffix == ".snapshot":
            damage(path)
    async with system.worker() as again:
        assert held(again) == system.states()
        assert len(held(again)) == 90
        assert caplog.text.count(says) == system.partitions
        system.send(message(f"c-{n}", 3, CALM) for n in range(90))
        await until(lambda: committed(system, kafka_admin) == 200, "what comes then")
        assert held(again) == system.states()


async def test_partition_that_another_worker_had_comes_back_with_what_that_one_did(
    system: Installation, kafka_admin: KafkaAdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with system.worker("w0"):
        system.send(message(f"c-{n}", 1, CALM) for n in range(40))
        await until(lambda: committed(system, kafka_admin) == 40, "the first messages")
    assert len(files(system, "w0")) == system.partitions, "an orderly stop leaves files"
    other = system.process("w1", session_timeout="6s")
    system.send(message(f"c-{n}", 2, COMPLAINT) for n in range(10, 60))
    await until(lambda: committed(system, kafka_admin) == 90, "the other's work")
    assert other.stop() == Exit.OK
    caplog.clear()
    async with system.worker("w0") as again:
        assert held(again) == system.states()
        assert len(held(again)) == 60
        assert caplog.text.count(KEPT) == system.partitions


async def test_orderly_stop_leaves_nothing_to_read_but_the_last_batch(
    system: Installation, kafka_admin: KafkaAdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with system.worker("w0", snapshot_interval="1h"):
        for number in range(1, 6):
            system.send(message(f"c-{n}", number, CALM) for n in range(20))
            await until(
                lambda number=number: committed(system, kafka_admin) == 20 * number,  # type: ignore[misc]
                "a batch",
            )
    caplog.clear()
    async with system.worker("w0") as again:
        assert held(again) == system.states()
    read = [
        record.args[3]  # type: ignore[index]
        for record in caplog.records
        if record.message.startswith("partition") and " recovered: " in record.message
    ]
    assert len(read) == system.partitions
    assert sum(read) <= 20, "the batches before the last are in the files"  # type: ignore[arg-type]


async def test_changelog_that_was_deleted_and_made_again_is_not_mixed_with_an_old_file(
    system: Installation, kafka_admin: KafkaAdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with system.worker():
        system.send(message(f"c-{n}", 1, CALM) for n in range(20))
        await until(lambda: committed(system, kafka_admin) == 20, "the messages")
    name = system.names.state
    kafka_admin.delete_topics([name])
    await until(lambda: name not in kafka_admin.list_topics(), "the topic's end")
    system.make_topics(kafka_admin)
    caplog.clear()
    async with system.worker() as again:
        assert held(again) == {}
        assert caplog.text.count("deleted and made again") == system.partitions


async def test_no_files_are_kept_where_none_are_wanted(
    system: Installation, kafka_admin: KafkaAdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        async with system.worker(snapshot_interval="0s") as worker:
            assert held(worker) == system.states()
            sent = committed(system, kafka_admin)
            system.send(message(f"c-{n}", sent, CALM) for n in range(10))
            await until(lambda sent=sent: committed(system, kafka_admin) == sent + 10, "it")  # type: ignore[misc]
    assert files(system) == []
    assert "no snapshots are kept" in caplog.text
