"""The local Apache Kafka: it starts, is found again, survives a kill, and says what it needs."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from stream.runtime import broker as module
from stream.runtime.broker import BrokerError, LocalBroker, SaslUser, fetch_jars, find_java

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["pom.xml", "server.properties", "log4j2.xml"])
def test_deploy_kafka_holds_the_files_of_the_wheel(name: str) -> None:
    assert (ROOT / "deploy" / "kafka" / name).read_text(encoding="utf-8") == module.resource(name)


def test_missing_java_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BrokerError, match=r"java not found.*Install Java 17 or newer .*openjdk-17"):
        find_java()


def test_old_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BrokerError, match=r"too old.*Java 17"):
        find_java()


def test_missing_maven_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BrokerError, match=r"mvn not found.*apt-get install maven"):
        fetch_jars(tmp_path)
    assert not module.jars_path(tmp_path).exists()


def test_failing_maven_is_told_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text("#!/bin/sh\necho '[ERROR] no route to host'\nexit 1\n", encoding="utf-8")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BrokerError, match="no route to host"):
        fetch_jars(tmp_path / "home")
    assert [entry.name for entry in (tmp_path / "home").iterdir()] == ["fetch.lock"]


def test_nothing_started_is_not_running(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path, tmp_path / "data")
    assert not broker.status().running
    assert not broker.responds()
    assert not broker.stop()
    assert not broker.kill()


def test_a_foreign_process_under_the_recorded_id_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text(f'{{"pid": {os.getpid()}, "port": 1}}', encoding="utf-8")
    broker = LocalBroker(tmp_path, tmp_path)
    assert not broker.status().running
    assert not broker.kill()


@pytest.mark.kafka
def test_records_survive_kill_and_restart_at_the_same_address(own_broker: LocalBroker) -> None:
    bootstrap = own_broker.start()
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({"kept": {"num_partitions": 1}}, wait_for_metadata=True)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send("kept", b"one").get(timeout=30)
    producer.close()
    log_dir = own_broker.status().data_dir

    assert own_broker.kill()
    assert not own_broker.status().running
    assert own_broker.start() == bootstrap
    assert LocalBroker(log_dir, log_dir).status().pid == own_broker.status().pid, "another process finds it"

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition("kept", 0)])
    values = [record.value for records in consumer.poll(timeout_ms=30_000).values() for record in records]
    consumer.close()
    assert values == [b"one"]
    assert own_broker.start() == bootstrap, "starting what runs changes nothing"
    assert own_broker.stop()
    assert not own_broker.responds()


@pytest.mark.kafka
def test_taken_port_is_an_error_that_names_it(own_broker: LocalBroker) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(BrokerError, match="Address already in use"),
    ):
        own_broker.start(taken.getsockname()[1])
    assert not own_broker.status().running


@pytest.mark.kafka
def test_sasl_listener_lets_in_only_its_user(own_broker: LocalBroker, tmp_path: Path) -> None:
    user = SaslUser("watcher", 'p"a\\s s')
    broker = LocalBroker(own_broker._home, tmp_path / "sasl", sasl=user)
    try:
        broker.start()
        status = broker.status()
        assert status.sasl_bootstrap is not None
        assert stat.S_IMODE((status.data_dir / "server.properties").stat().st_mode) == 0o600
        assert "p" + '"a' not in repr(user)
        login = {
            "bootstrap_servers": status.sasl_bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": user.name,
        }
        with KafkaAdminClient(**login, sasl_plain_password=user.password) as admin:
            assert admin.describe_cluster()["brokers"]
        with pytest.raises(KafkaError):
            KafkaAdminClient(**login, sasl_plain_password="other", bootstrap_timeout_ms=3000)
    finally:
        broker.kill()
