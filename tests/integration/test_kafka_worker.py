"""The Kafka runtime against a real broker: the whole way of a message, and what survives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from tests.integration.kafkasystem import (
    CALM,
    COMPLAINT,
    Installation,
    Receiver,
    message,
    receiver,
    until,
)

pytestmark = pytest.mark.kafka


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def system(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path, hook: Receiver
) -> Installation:
    one = Installation(kafka, topic_prefix, tmp_path, hook=hook.url)
    one.make_topics(kafka_admin)
    return one


async def test_message_becomes_finding_alert_notification_state_and_commit(
    system: Installation, hook: Receiver, kafka_admin: KafkaAdminClient
) -> None:
    names = system.names
    async with system.worker():
        system.send([message("c-1", 1, CALM), message("c-1", 2, COMPLAINT), message("c-2", 1, CALM)])
        await until(lambda: bool(hook.alerts()), "a notification")
        await until(
            lambda: sum(system.committed(kafka_admin).get((names.messages, n), 0) for n in (0, 1)) == 3,
            "commits",
        )
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


async def test_restart_recovers_state_and_tells_nothing_twice(system: Installation, hook: Receiver) -> None:
    names = system.names
    async with system.worker():
        system.send([message("c-1", 1, CALM), message("c-1", 2, COMPLAINT)])
        await until(lambda: bool(hook.alerts()), "a notification")
    before = system.json(names.alerts)
    async with system.worker() as again:
        assert sum(len(one.conversations) for one in again._ownership.processors.values()) == 1  # type: ignore[union-attr]
        system.send([message("c-1", 3, COMPLAINT)])
        await until(lambda: len(system.json(names.findings)) > 0 and len(system.states()) == 1, "a state")
    assert [alert["alert_id"] for alert in system.json(names.alerts)][: len(before)] == [
        alert["alert_id"] for alert in before
    ]
    assert len(set(hook.ids)) == len(hook.ids)
