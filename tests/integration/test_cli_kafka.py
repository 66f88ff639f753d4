"""`yanshao kafka`, `topics`, `send --to kafka` and `dlq --kafka` against a real Apache Kafka."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaConsumer, TopicPartition

from stream.cli import main
from stream.runtime.broker import LocalBroker, SaslUser
from stream.testing import cache_home

pytestmark = pytest.mark.kafka

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YANSHAO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("YANSHAO_KAFKA__PARTITIONS", "2")
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def shared(run: Run, kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shared broker with this test's own topics."""
    monkeypatch.setenv("YANSHAO_KAFKA__BOOTSTRAP", kafka)
    monkeypatch.setenv("YANSHAO_KAFKA__TOPIC_PREFIX", topic_prefix)
    assert run("topics", "apply").exit_code == 0
    return topic_prefix


@pytest.fixture
def started(run: Run) -> Iterator[str]:
    result = run("kafka", "start", "--port", "0", "--json")
    assert result.exit_code == 0, result.output
    yield json.loads(result.stdout)["bootstrap"]
    run("kafka", "stop")


def _message(number: int, conversation: str) -> bytes:
    return json.dumps(
        {
            "type": "message",
            "conversation_id": conversation,
            "message_id": f"{conversation}/{number}",
            "sent_at": 1_794_358_800_000 + number,
            "sender": {"role": "customer"},
            "content": {"text": "在吗"},
        }
    ).encode()


def _records(bootstrap: str, topic: str, partition: int) -> list[tuple[bytes | None, bytes]]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    where = TopicPartition(topic, partition)
    consumer.assign([where])
    consumer.seek_to_beginning(where)
    end = consumer.end_offsets([where])[where]
    found: list[tuple[bytes | None, bytes]] = []
    while consumer.position(where) < end:
        found += [(record.key, record.value) for record in consumer.poll(timeout_ms=500).get(where, ())]
    consumer.close()
    return found


def test_local_broker_is_started_shown_and_stopped(run: Run, started: str) -> None:
    status = run("kafka", "status", "--json")
    document = json.loads(status.stdout)
    assert (status.exit_code, document["responds"], document["bootstrap"]) == (0, True, started)
    assert run("kafka", "start").stdout == f"Apache Kafka answers at {started}\n"
    assert run("kafka", "stop").stdout == "stopped\n"
    assert run("kafka", "status").exit_code == 1
    assert run("kafka", "stop").stdout == "it was not running\n"


def test_topics_are_missing_then_made_then_as_wanted(
    run: Run, kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YANSHAO_KAFKA__BOOTSTRAP", kafka)
    monkeypatch.setenv("YANSHAO_KAFKA__TOPIC_PREFIX", topic_prefix)
    missing = run("topics", "check", "--json")
    differences = json.loads(missing.stdout)["differences"]
    assert missing.exit_code == 1
    assert {difference["what"] for difference in differences} == {"topic"}
    made = json.loads(run("topics", "apply", "--json").stdout)
    assert f"{topic_prefix}chat.messages" in made["created"]
    assert run("topics", "check").exit_code == 0
    assert json.loads(run("topics", "apply", "--json").stdout)["created"] == []


def test_other_partition_counts_are_refused(run: Run, shared: str) -> None:
    result = run("topics", "apply", "--partitions", "3")
    assert result.exit_code == 1
    assert f"{shared}chat.messages has 2 partitions, wanted 3" in result.stderr


def test_no_broker_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANSHAO_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    result = run("topics", "check")
    assert result.exit_code == 2
    assert "nothing listens at 127.0.0.1:1" in result.stderr


def test_sent_events_are_keyed_and_in_order(run: Run, shared: str, kafka: str, tmp_path: Path) -> None:
    lines = [_message(number, f"c-{number % 5}") for number in range(1_000)]
    tick = b'{"type":"tick","at":1794358900000}'
    (tmp_path / "day.jsonl").write_bytes(b"\n".join([*lines, tick, b"nope"]))
    result = run("send", "day.jsonl", "--to", "kafka", "--recorded", "--json")
    assert (result.exit_code, json.loads(result.stdout)["sent"]) == (0, 1_002), result.output
    partitions = [_records(kafka, f"{shared}chat.messages", number) for number in range(2)]
    for records in partitions:
        values = [value for _, value in records]
        assert tick in values
        assert [value for value in values if value in lines] == [line for line in lines if line in values]
    every = [record for records in partitions for record in records]
    assert all(
        json.loads(value)["conversation_id"].encode() == key for key, value in every if key is not None
    )
    assert sum(value == b"nope" for _, value in every) == 1


def test_sending_to_a_missing_topic_is_told(
    run: Run, kafka: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YANSHAO_KAFKA__BOOTSTRAP", kafka)
    monkeypatch.setenv("YANSHAO_KAFKA__TOPIC_PREFIX", topic_prefix)
    (tmp_path / "day.jsonl").write_bytes(_message(1, "c-1"))
    result = run("send", "day.jsonl", "--to", "kafka")
    assert result.exit_code == 2
    assert "yanshao topics apply" in result.stderr


def test_no_dead_letters_is_an_empty_list(run: Run, shared: str) -> None:
    assert json.loads(run("dlq", "list", "--kafka", "--json").stdout) == []
    assert json.loads(run("dlq", "replay", "--kafka", "--json").stdout) == {"sent": 0, "in part only": 0}


def test_doctor_looks_at_brokers_and_topics(run: Run, shared: str) -> None:
    checks = {
        check["name"]: check for check in json.loads(run("doctor", "--kafka", "--json").stdout)["checks"]
    }
    assert (checks["kafka"]["verdict"], checks["topics"]["verdict"]) == ("ok", "ok")
    assert checks["java"]["verdict"] == "ok"


@pytest.fixture
def sasl(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A broker whose configured listener asks for a user."""
    user = SaslUser("yanshao", "a-password")
    broker = LocalBroker(cache_home(os.environ) / "kafka", tmp_path / "broker", sasl=user)
    broker.start()
    monkeypatch.setenv("YANSHAO_KAFKA__BOOTSTRAP", str(broker.status().sasl_bootstrap))
    monkeypatch.setenv("YANSHAO_KAFKA__SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("YANSHAO_KAFKA__SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("YANSHAO_KAFKA__SASL_USERNAME", user.name)
    monkeypatch.setenv("YANSHAO_KAFKA__SASL_PASSWORD", user.password)
    yield
    broker.kill()


def test_sasl_settings_reach_every_client(
    run: Run, sasl: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "day.jsonl").write_bytes(_message(1, "c-1"))
    assert run("topics", "apply").exit_code == 0
    assert run("send", "day.jsonl", "--to", "kafka", "--recorded").exit_code == 0
    assert json.loads(run("dlq", "list", "--kafka", "--json").stdout) == []
    monkeypatch.setenv("YANSHAO_KAFKA__SASL_PASSWORD", "another-password")
    refused = run("topics", "check")
    assert refused.exit_code == 2
    assert "look at kafka.security_protocol, the login" in refused.stderr
    assert "another-password" not in refused.output
