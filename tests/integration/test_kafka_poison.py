"""Records that cannot be used, on a real broker: kept, told apart, stopped at, and sent back in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from stream.cli import main
from stream.runtime.kafka import dlq
from stream.runtime.kafka.burial import BEGINNING
from stream.runtime.kafka.dlq import DeadLetter, list_dead_letters, replay
from stream.runtime.kafka.exits import Exit
from tests.integration.kafkasystem import CALM, Installation, message, until

pytestmark = pytest.mark.kafka

MANY = [("h", b"")] * 20_000
"""60 KB of headers in a record, and 240 KB once each is told apart from ours: more than qa.dlq takes."""


def done(system: Installation, admin: KafkaAdminClient) -> int:
    committed = system.committed(admin)
    return sum(committed.get((system.names.messages, number), 0) for number in range(system.partitions))


def producer(system: Installation) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=system.bootstrap, max_request_size=2 << 20)


def put(system: Installation, key: bytes | None, value: bytes | None, **more: Any) -> None:
    one = producer(system)
    one.send(system.names.messages, key=key, value=value, partition=0, **more).get(30)
    one.close()


def raw(conversation: str, number: int) -> bytes:
    return json.dumps(message(conversation, number, CALM)).encode()


def message_ids(system: Installation) -> list[str]:
    """The ids of the usable messages of partition 0, in its order."""
    found = []
    for record in system.read(system.names.messages):
        try:
            found.append(json.loads(record.value or b"")["message_id"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


POISON: dict[str, tuple[bytes | None, bytes | None, str]] = {
    "no value": (b"c-1", None, "not_json"),
    "no key": (None, raw("c-1", 100), "key_mismatch"),
    "another's key": (b"c-2", raw("c-1", 101), "key_mismatch"),
    "no text": (b"c-1", b"\xff\xfe\x00", "not_json"),
    "no event": (b"c-1", b'{"type": "message", "conversation_id": 7}', "wrong_type"),
    "another version": (b"c-1", b'{"type": "message.v9", "conversation_id": "c-1"}', "unknown_type"),
    "larger than a batch": (b"c-1", b'"' + b"x" * 300_000 + b'"', "too_large"),
    "as large as can be": (b"c-1", b"x" * 1_048_000, "too_large"),
}


async def test_every_kind_of_poison_is_kept_untouched_and_in_order_and_stops_nothing(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    for number, (key, value, _) in enumerate(POISON.values()):
        put(system, b"c-1", raw("c-1", number))
        put(system, key, value, headers=[("from", b"desk")])
    batch = {"max_bytes": 65_536}
    async with system.worker(batch=batch) as worker:
        await until(lambda: done(system, kafka_admin) == 2 * len(POISON), "commits")
        letters = list(list_dead_letters(worker.settings.kafka))
    assert [(one.key, one.value, one.reason) for one in letters] == list(POISON.values())
    assert [one.offset for one in letters] == [2 * n + 1 for n in range(len(POISON))]
    assert all(one.headers == (("from", b"desk"),) and not one.cut for one in letters)
    assert set(system.states()) == {"c-1"}


async def test_record_that_the_dead_letters_have_no_room_for_is_kept_as_far_as_they_have(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    """Refused by the broker for its size, it would end this worker and every one after it."""
    put(system, b"c-1", b"x" * 900_000, headers=MANY)
    put(system, b"c-1", raw("c-1", 1))
    async with system.worker() as worker:
        await until(lambda: done(system, kafka_admin) == 2, "commits")
        narrow = {"max.message.bytes": "200000"}
        topic = ConfigResource(ConfigResourceType.TOPIC, system.names.dlq, configs=narrow)
        kafka_admin.alter_configs([topic])
        put(system, b"k" * 600_000, b"y" * 300_000)
        put(system, b"c-1", raw("c-1", 2))
        await until(lambda: done(system, kafka_admin) == 4, "commits on a topic that takes less")
        kafka = worker.settings.kafka
        headless, cut = list_dead_letters(kafka)
        assert (headless.value, headless.headers, headless.cut) == (b"x" * 900_000, (), False)
        assert (cut.value, cut.key, cut.cut) == (b"y" * BEGINNING, b"k" * 1024, True)
        assert replay(kafka, lambda letter: letter.cut) == dlq.Sent(count=0, cut=1)
    assert set(system.states()) == {"c-1"}


async def test_run_of_poison_stops_each_worker_at_the_same_place_until_an_operator_lets_it_pass(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    put(system, b"c-1", raw("c-1", 1))
    for number in range(30):
        put(system, b"c-1", b"nonsense %d" % number)
    put(system, b"c-1", raw("c-1", 2))
    for _ in range(2):
        stopped = system.process(poison_limit=10)
        assert stopped.wait() == Exit.POISON
        assert "kafka.poison_limit lets them pass" in stopped.text()
        assert "nonsense" not in stopped.text()
        assert done(system, kafka_admin) <= 1
        assert system.read(system.names.dlq, 1) == []
    async with system.worker(poison_limit=1_000) as worker:
        await until(lambda: done(system, kafka_admin) == 32, "commits")
        letters = list(list_dead_letters(worker.settings.kafka))
    assert [one.value for one in letters] == [b"nonsense %d" % number for number in range(30)]
    assert set(system.states()) == {"c-1"}


async def test_poison_that_trickles_in_is_not_let_pass_bit_by_bit_by_restarts(
    system: Installation, kafka_admin: KafkaAdminClient
) -> None:
    """Each worker would count from nought, and a supervisor's restarts drain a bad deploy after all."""
    async with system.worker(poison_limit=10):
        for number in range(10):
            put(system, b"c-1", b"nonsense %d" % number)
        await until(lambda: done(system, kafka_admin) == 10, "ten dead letters")
    put(system, b"c-1", b"nonsense 10")
    for _ in range(2):
        assert system.process(poison_limit=10).wait() == Exit.POISON
    assert done(system, kafka_admin) == 10
    assert len(system.read(system.names.dlq, 1)) == 10


# Sent back --------------------------------------------------------------------------------------------------


@pytest.fixture
def letters(system: Installation) -> list[str]:
    """Forty letters of two conversations in turn, refused in partition 0 for a fault that is mended."""
    one = producer(system)
    ids = []
    for number in range(40):
        conversation = f"c-{number % 2}"
        headers = [
            ("reason", b"internal" if number < 30 else b"too_deep"),
            ("topic", system.names.messages.encode()),
            ("partition", b"0"),
            ("offset", str(number).encode()),
            ("detail", b""),
            ("original.from", b"desk"),
        ]
        one.send(
            system.names.dlq, key=conversation.encode(), value=raw(conversation, number), headers=headers
        ).get(30)
        ids.append(f"{conversation}-{number}")
    one.close()
    return ids


async def test_letters_go_back_in_order_to_their_partition_and_each_once(
    system: Installation, kafka_admin: KafkaAdminClient, letters: list[str]
) -> None:
    kafka = system.settings().kafka
    assert replay(kafka, lambda letter: letter.reason == "internal").count == 30
    assert message_ids(system) == letters[:30]
    assert replay(kafka).count == 10
    assert replay(kafka).count == 0
    sent = system.read(system.names.messages)
    assert [record.partition for record in sent] == [0] * 40
    assert message_ids(system) == letters
    assert all(record.headers == [("from", b"desk")] for record in sent)
    async with system.worker():
        await until(lambda: done(system, kafka_admin) == 40, "commits")
    assert set(system.states()) == {"c-0", "c-1"}


async def test_replay_that_was_stopped_half_way_goes_on_where_it_was(
    system: Installation, letters: list[str]
) -> None:
    class StoppedError(Exception):
        pass

    def stop(letter: DeadLetter) -> None:
        if letter.number >= 10:
            raise StoppedError

    kafka = system.settings().kafka
    with pytest.raises(StoppedError):
        replay(kafka, told=stop)
    assert 0 < len(message_ids(system)) < 40
    replay(kafka)
    assert message_ids(system) == letters


def test_command_tells_what_was_sent_back_and_takes_reason_and_time(
    system: Installation, letters: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YANSHAO_CONFIG", str(system.config()))

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(main, ["dlq", *arguments, "--kafka", "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert run("replay", "--since", "2000-01-01T00:00:00+08:00", "--reason", "too_deep")["sent"] == 10
    assert run("replay", "--since", "2000-01-01T00:00:00+08:00", "--reason", "too_deep")["sent"] == 0
    assert run("replay", "--since", "1ms")["sent"] == 0
    assert len(run("list", "--since", "1h", "--reason", "internal")) == 30
    listed = run("list")
    assert [one["replayed_at"] is not None for one in listed] == [False] * 30 + [True] * 10
    assert run("replay", "0", "2")["sent"] == 2
    assert message_ids(system) == [*letters[30:], letters[0], letters[2]]
    assert run("replay", "0", "--again")["sent"] == 1
