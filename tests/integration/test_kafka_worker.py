"""The Kafka runtime against a real broker: the whole way of a message, and what survives."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient

from stream.core.events import Timer
from stream.runtime.kafka import partition, publisher
from stream.runtime.kafka.dlq import list_dead_letters, replay
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.names import Role
from stream.runtime.kafka.ownership import Ownership
from stream.runtime.kafka.worker import Driver, Worker
from stream.testing import PATIENCE
from stream.wire import encode, read
from tests.integration.kafkasystem import (
    CALM,
    COMPLAINT,
    Installation,
    Receiver,
    message,
    now_ms,
    until,
)

pytestmark = pytest.mark.kafka


@pytest.fixture
def system(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path, hook: Receiver
) -> Iterator[Installation]:
    one = Installation(kafka, topic_prefix, tmp_path, hook=hook.url)
    one.make_topics(kafka_admin)
    yield one
    one.end()


def done(system: Installation, admin: KafkaAdminClient, topic: str) -> int:
    """How many records of a topic are committed, over its partitions."""
    committed = system.committed(admin)
    return sum(committed.get((topic, number), 0) for number in range(system.partitions))


def held(worker: Worker) -> dict[str, bytes]:
    """The conversations that a worker has in memory."""
    assert worker._ownership is not None
    return {
        name: raw
        for processor in worker._ownership.processors.values()
        for name, raw in processor.conversations.raw()
    }


def owned(worker: Worker) -> set[int]:
    assert worker._ownership is not None
    return set(worker._ownership.processors)


async def test_message_becomes_finding_alert_notification_state_and_commit(
    system: Installation, hook: Receiver, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    async with system.worker():
        system.send([message("c-1", 1, CALM), message("c-1", 2, COMPLAINT), message("c-2", 1, CALM)])
        await until(lambda: bool(hook.alerts()), "a notification")
        await until(lambda: done(system, kafka_admin, names.messages) == 3, "commits")
    findings = system.json(names.findings)
    alerts = system.json(names.alerts)
    assert {finding["conversation_id"] for finding in findings} == {"c-1"}
    assert hook.alerts() == {alert["alert_id"] for alert in alerts}
    assert set(system.states()) == {"c-1", "c-2"}
    by_partition = {record.key: record.partition for record in system.read(names.messages)}
    for topic in (names.findings, names.alerts, names.state):
        for record in system.read(topic):
            assert record.partition == by_partition[record.key], topic
    assert {alert["source_partition"] for alert in alerts} == {by_partition[b"c-1"]}


async def test_restart_recovers_state_and_tells_nothing_twice(
    system: Installation, hook: Receiver, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    async with system.worker():
        system.send([message("c-1", 1, CALM), message("c-1", 2, COMPLAINT)])
        await until(lambda: bool(hook.alerts()), "a notification")
        await until(lambda: done(system, kafka_admin, names.messages) == 2, "commits")
    before, told = system.states(), list(hook.ids)
    async with system.worker() as again:
        assert held(again) == before
        system.send([message("c-1", 3, CALM)])
        await until(lambda: done(system, kafka_admin, names.messages) == 3, "the next message")
    assert hook.ids == told


async def test_worker_killed_with_its_work_half_done_tells_everything_once_it_is_back(
    system: Installation, hook: Receiver, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    system.send(message(f"c-{n}", 1, COMPLAINT) for n in range(200))
    first = system.process()
    await until(lambda: len(hook.alerts()) > 5, "the first notifications")
    first.kill()
    system.send(message(f"c-{n}", 2, CALM) for n in range(200))
    second = system.process()
    await until(lambda: done(system, kafka_admin, names.messages) == 400, "all of it")
    await until(lambda: len(hook.alerts()) == 200, "all notifications")
    assert second.stop() == Exit.OK
    assert len({alert["alert_id"] for alert in system.json(names.alerts)}) == 200
    assert len(system.states()) == 200


async def test_poison_goes_untouched_to_the_dead_letters_and_comes_back_by_replay(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    broken = b'{"type": "message", "conversation_id": "k", \xff'
    async with system.worker() as worker:
        system.send([message("c-1", 1, CALM), broken, message("c-1", 2, CALM)])
        foreign = json.dumps(message("c-9", 1, CALM)).encode()
        system.send([foreign])
        await until(lambda: done(system, kafka_admin, names.messages) == 4, "commits")
        kafka = worker.settings.kafka
        letters = list(list_dead_letters(kafka))
        assert {(letter.reason, letter.value, letter.key) for letter in letters} == {
            ("not_json", broken, b"k"),
            ("key_mismatch", foreign, b"k"),
        }
        sent = {(r.partition, r.offset): r.value for r in system.read(names.messages)}
        for letter in letters:
            assert letter.topic == names.messages
            assert sent[letter.partition, letter.offset] == letter.value
        assert replay(kafka).count == 2
        await until(lambda: len(list(list_dead_letters(kafka))) == 4, "the same again")
    again = list(list_dead_letters(kafka))[2:]
    assert [letter.value for letter in again] == [letter.value for letter in letters]


async def test_run_of_poison_stops_the_worker_with_its_own_code(system: Installation) -> None:
    system.send([b"nonsense"] * 30)
    process = system.process(poison_limit=10)
    assert process.wait() == Exit.POISON
    assert "nonsense" not in process.text()


async def test_unusable_alerts_are_buried_too(system: Installation, kafka_admin: KafkaAdminClient) -> None:
    names = system.names
    async with system.worker(roles=[Role.ALERTS]) as worker:
        system.send([b"{}"], topic=names.alerts)
        await until(lambda: done(system, kafka_admin, names.alerts) == 1, "a commit")
        (letter,) = list_dead_letters(worker.settings.kafka)
    assert (letter.topic, letter.value) == (names.alerts, b"{}")


async def test_no_partition_is_lost_or_shared_when_a_second_worker_comes_and_goes(
    system: Installation, hook: Receiver, kafka_admin: KafkaAdminClient
) -> None:
    system = Installation(system.bootstrap, system.prefix + "four.", system.directory, 4, system.hook)
    system.make_topics(kafka_admin)
    topic = system.names.messages
    async with system.worker("w0") as first:
        system.send(message(f"c-{n}", 1, COMPLAINT) for n in range(40))
        await until(lambda: done(system, kafka_admin, topic) == 40, "the first messages")
        async with system.worker("w1") as second:
            await until(lambda: len(owned(second)) == 2 and len(owned(first)) == 2, "two each")
            await until(lambda: not first.unready() and not second.unready(), "both ready")
            assert owned(first) | owned(second) == {0, 1, 2, 3}
            # What a worker holds in memory is exactly its partitions' part of the changelog.
            parts = {record.key.decode(): record.partition for record in system.read(topic)}
            for worker in (first, second):
                assert set(held(worker)) == {name for name, part in parts.items() if part in owned(worker)}
            system.send(message(f"c-{n}", 2, CALM) for n in range(40))
            await until(lambda: done(system, kafka_admin, topic) == 80, "messages of both")
        system.send(message(f"c-{n}", 3, CALM) for n in range(40))
        await until(lambda: done(system, kafka_admin, topic) == 120, "messages of all, by one", patience=90)
        assert owned(first) == {0, 1, 2, 3}
        assert held(first) == system.states()
    await until(lambda: len(hook.alerts()) == 40, "all notifications")


async def test_static_member_comes_back_without_a_rebalance(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    system.kafka["session_timeout"] = "60s"  # beside other tests a start may take longer than a session
    async with system.worker("w0") as first:
        process = system.process("w1")
        await until(lambda: "recovered" in process.text(), "the first start's recovery")
        assert owned(first) in ({0}, {1})
        generation = first._ownership._held_generation  # type: ignore[union-attr]
        process.kill()
        again = system.process("w1")
        await until(lambda: again.text().count("recovered") == 2, "the second start's recovery")
        assert first._ownership._held_generation == generation  # type: ignore[union-attr]
        assert again.stop() == Exit.OK


async def test_batch_that_comes_before_the_assignment_is_taken_up_waits_for_it(
    system: Installation, kafka_admin: KafkaAdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust resumes its flow beside telling us what was assigned; dropping memory may take longer."""
    given = Ownership.given

    async def slowly(self: Ownership, app: Any, assigned: Any) -> None:
        await asyncio.sleep(1)
        await given(self, app, assigned)

    monkeypatch.setattr(Ownership, "given", slowly)
    system.send([message("c-1", 1, CALM)])
    async with system.worker():
        await until(lambda: done(system, kafka_admin, system.names.messages) == 1, "the commit", patience=20)


async def test_worker_that_is_asked_to_end_amid_a_rebalance_takes_nothing_up_and_ends_in_order(
    system: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, close = Ownership.given, partition.ConversationProcessor.close
    first = Worker(system.settings("w0"))

    async def asked_to_end_before(self: Ownership, app: Any, assigned: Any) -> None:
        if self is first._ownership and self.processors:  # another worker joins
            first.stop()
            await asyncio.sleep(0.1)
        await given(self, app, assigned)

    async def slowly(self: partition.ConversationProcessor) -> None:
        await asyncio.sleep(0.2)
        await close(self)

    monkeypatch.setattr(Ownership, "given", asked_to_end_before)
    monkeypatch.setattr(partition.ConversationProcessor, "close", slowly)
    running = asyncio.create_task(first.run())
    await until(lambda: not first.unready(), "a ready worker")
    second = system.process("w1")
    async with asyncio.timeout(PATIENCE):
        assert await running is Exit.OK
    assert not owned(first)
    assert second.stop() == Exit.OK


@pytest.mark.parametrize("where", ["outputs", "state"])
async def test_crash_between_outputs_states_and_offsets_repeats_ids_and_loses_nothing(
    system: Installation, hook: Receiver, kafka_admin: KafkaAdminClient, where: str, monkeypatch: Any
) -> None:
    """The process dies after outputs (or states) were confirmed and before the next effect."""
    names = system.names

    class DiedError(Exception):
        pass

    confirmed = publisher.confirm
    calls = {"outputs": 1, "state": 2}[where]

    async def dying(confirmations: Any) -> None:
        nonlocal calls
        await confirmed(confirmations)
        calls -= 1
        if calls == 0:
            raise DiedError

    monkeypatch.setattr(partition, "confirm", dying)
    system.send([message("c-1", 1, COMPLAINT)])
    async with asyncio.timeout(PATIENCE):
        assert await Worker(system.settings()).run() == Exit.CRASHED
    assert done(system, kafka_admin, names.messages) == 0
    assert len(system.json(names.alerts)) == 1
    assert (len(system.states()) == 1) is (where == "state")

    monkeypatch.setattr(partition, "confirm", confirmed)
    async with system.worker():
        await until(lambda: done(system, kafka_admin, names.messages) == 1, "the commit")
        await until(lambda: bool(hook.alerts()), "the notification")
    ids = [alert["alert_id"] for alert in system.json(names.alerts)]
    assert len(set(ids)) == 1
    assert len(ids) == (1 if where == "state" else 2), "told again only where no state says that it was told"
    assert len(hook.ids) == 1
    assert len(system.states()) == 1


async def test_clock_that_nobody_answers_comes_by_the_timer_topic(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    """The default policy owes a first response within minutes; the question is older than that."""
    names = system.names
    async with system.worker():
        system.send([message("c-1", 1, CALM, at=now_ms() - 20 * 60_000)])
        await until(lambda: bool(system.read(names.timers)), "a timer record")
        await until(
            lambda: any(finding["kind"] == "ola" for finding in system.json(names.findings)), "a breach"
        )
    timer = system.read(names.timers)[0]
    (question,) = system.read(names.messages)
    assert timer.partition == question.partition
    assert read(Timer, timer.value).conversation_id == "c-1"


async def test_answer_that_is_already_in_the_log_stops_the_clock(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    asked = now_ms() - 20 * 60_000
    fillers = [message(f"x-{n}", 1, CALM) for n in range(500)]
    answer = message("c-1", 2, "亲，在的，您请说", role="agent", at=asked + 5_000)
    system.send([message("c-1", 1, CALM, at=asked), *fillers, answer])
    async with system.worker():
        await until(lambda: done(system, kafka_admin, names.messages) == 502, "everything")
    about = [finding for finding in system.json(names.findings) if finding["conversation_id"] == "c-1"]
    assert [finding for finding in about if finding["kind"] == "ola"] == []


async def test_stream_driver_writes_no_timers_and_ticks_move_time(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    asked = 1_790_000_000_000
    async with system.worker(driver=Driver.STREAM):
        system.send([message("c-1", 1, CALM, at=asked)])
        await until(lambda: done(system, kafka_admin, names.messages) == 1, "the question")
        assert [f for f in system.json(names.findings) if f["kind"] == "ola"] == []
        system.tick(asked + 24 * 3600_000)
        await until(lambda: bool(system.json(names.conversations)), "an inferred close")
    assert system.read(names.timers) == []
    assert any(finding["kind"] == "ola" for finding in system.json(names.findings))
    assert system.states() == {}


async def test_forgotten_conversation_leaves_no_key_once_its_offsets_are_committed(
    system: Installation, kafka_admin: KafkaAdminClient, monkeypatch: Any
) -> None:
    monkeypatch.setattr("stream.runtime.kafka.monitor.LET_GO_S", 0.5)
    names = system.names
    asked = 1_790_000_000_000
    async with system.worker(driver=Driver.STREAM):
        system.send([message("c-1", 1, CALM, at=asked)])
        system.tick(asked + 24 * 3600_000)
        await until(lambda: any(r.value is None for r in system.read(names.state)), "a tombstone")
    values = [record.value for record in system.read(names.state)]
    assert values[-1] is None
    assert values[-2] is not None, "the gone record comes first"


async def test_late_state_of_a_stopped_worker_does_not_win_at_recovery(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    async with system.worker():
        system.send([message("c-1", 1, CALM)])
        await until(lambda: done(system, kafka_admin, names.messages) == 1, "the first message")
        older = system.read(names.state)[-1]
        system.send([message("c-1", 2, CALM)])
        await until(lambda: done(system, kafka_admin, names.messages) == 2, "the second message")
        newer = system.states()["c-1"]
    producer = system.producer()
    producer.send(names.state, key=older.key, value=older.value, partition=older.partition).get(10)
    producer.close()
    async with system.worker() as again:
        assert held(again) == {"c-1": newer}


async def test_newer_state_is_refused_and_left_alone(system: Installation) -> None:
    names = system.names
    newer = b"\x92\x7f\x94\xa3c-1\x00\x00\x93\x05\xff\xff"
    producer = system.producer()
    producer.send(names.state, key=b"c-1", value=newer, partition=0).get(10)
    producer.close()
    assert await Worker(system.settings()).run() == Exit.TOO_NEW
    assert [record.value for record in system.read(names.state)] == [newer]


async def test_worker_stopped_past_its_session_ends_before_it_writes(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    process = system.process("w0", session_timeout="6s")
    system.send([message("c-1", 1, CALM)])
    await until(lambda: done(system, kafka_admin, names.messages) == 1, "work")
    os.kill(process.pid, signal.SIGSTOP)
    async with system.worker("w1") as other:
        await until(lambda: owned(other) == {0, 1} and not other.unready(), "the other's turn")
        system.send([message("c-1", 2, CALM)])
        await until(lambda: done(system, kafka_admin, names.messages) == 2, "the other's work")
        os.kill(process.pid, signal.SIGCONT)
        system.send(message("c-1", n, CALM) for n in range(3, 20))
        await until(lambda: done(system, kafka_admin, names.messages) == 19, "all of it", patience=90)
    assert process.stop() in (Exit.OK, Exit.FENCED)
    ids = [alert["alert_id"] for alert in system.json(names.alerts)]
    assert len(ids) == len(set(ids))


async def test_worker_asked_to_end_again_and_again_says_that_it_ended_in_order(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    process = system.process()
    system.send([message("c-1", 1, CALM)])
    await until(lambda: done(system, kafka_admin, system.names.messages) == 1, "work")
    while process.running:
        os.kill(process.pid, signal.SIGTERM)
        await asyncio.sleep(0.01)  # far less than the interpreter's own end takes
    assert process.wait() == Exit.OK


async def test_packs_that_come_by_the_configuration_topic_take_hold(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    pack = (Path(__file__).parents[2] / "lexicons" / "sensitive" / "complaint.yaml").read_text("utf-8")
    command = {
        "type": "packs.activate",
        "packs": {"sensitive/complaint.yaml": pack.replace("12315", "12316")},
    }
    producer = system.producer()
    producer.send(names.config, key=b"packs", value=json.dumps(command).encode(), partition=0).get(10)
    async with system.worker() as worker:
        version = worker._shelf.knowledge().book.version
        producer.send(
            names.config, key=b"packs", value=b'{"type":"packs.activate","packs":{}}', partition=0
        ).get(10)
        await until(lambda: worker._shelf.knowledge().book.version != version, "the old packs again")
        producer.send(names.config, key=b"other", value=b"nonsense", partition=0).get(10)
        bad = json.dumps({"type": "packs.activate", "packs": {"../x.yaml": "a"}}).encode()
        producer.send(names.config, key=b"packs", value=bad, partition=0).get(10)
        system.send([message("c-1", 1, CALM)])
        await until(lambda: done(system, kafka_admin, names.messages) == 1, "work goes on")
    producer.close()


async def test_missing_topics_end_the_worker_with_their_names(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    system = Installation(kafka, topic_prefix + "none.", tmp_path)
    process = system.process()
    assert process.wait() == Exit.TOPICS
    assert "chat.messages" in process.text()


async def test_timer_record_comes_twice_without_a_second_finding(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    async with system.worker():
        system.send([message("c-1", 1, CALM, at=now_ms() - 20 * 60_000)])
        await until(lambda: bool(system.read(names.timers)), "a timer record")
        await until(lambda: any(f["kind"] == "ola" for f in system.json(names.findings)), "a breach")
        first = system.read(names.timers)[0]
        producer = system.producer()
        timer = encode(read(Timer, first.value))
        producer.send(names.timers, key=first.key, value=timer, partition=first.partition).get(10)
        producer.close()
        count = len(system.read(names.timers))
        await until(lambda: done(system, kafka_admin, names.timers) >= count, "the timers")
    ids = [finding["finding_id"] for finding in system.json(names.findings)]
    assert len(ids) == len(set(ids))
