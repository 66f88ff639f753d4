"""A receiver that is down for long: what is open for it is bounded, the others go on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from stream.runtime.kafka import delivery
from stream.runtime.kafka.worker import Worker
from tests.integration.kafkasystem import COMPLAINT, Installation, Receiver, message, receiver, until

pytestmark = pytest.mark.kafka

MOST, FEW, WAVE = 6, 2, 4


@pytest.fixture
def sick() -> Iterator[Receiver]:
    with receiver() as one:
        one.status = 503
        yield one


@pytest.fixture
def system(
    kafka: str,
    kafka_admin: KafkaAdminClient,
    topic_prefix: str,
    tmp_path: Path,
    hook: Receiver,
    sick: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Installation]:
    monkeypatch.setattr(delivery, "MOST_OPEN", MOST)
    monkeypatch.setattr(delivery, "FEW_OPEN", FEW)
    monkeypatch.setattr(delivery, "LOOK_S", 0.1)
    retry = {"first_delay": "200ms", "longest_delay": "500ms"}
    receivers = {
        name: {"type": "webhook", "url": one.url, "allow_private": True, "retry": retry}
        for name, one in (("well", hook), ("sick", sick))
    }
    alerts = {"receivers": receivers, "default_receivers": ["sick", "well"]}
    one = Installation(kafka, topic_prefix, tmp_path, settings_of={"alerts": alerts})
    one.make_topics(kafka_admin)
    yield one
    one.end()


def read_of(system: Installation, admin: KafkaAdminClient, name: str) -> int:
    """How many notifications of a receiver are in the ledger for good."""
    return system.committed(admin).get((system.names.notify(name), 0), 0)


def open_at(worker: Worker, name: str) -> int:
    owner = worker._delivery
    assert owner is not None
    assert owner._dispatcher is not None
    return owner._dispatcher.open(name)


async def test_topic_of_a_dead_receiver_is_read_on_only_as_far_as_there_is_room(
    system: Installation, hook: Receiver, sick: Receiver, kafka_admin: KafkaAdminClient
) -> None:
    waves = 6
    async with system.worker() as worker:
        for wave in range(waves):
            system.send(message(f"c-{wave}-{n}", 1, COMPLAINT) for n in range(WAVE))
            await until(lambda: len(hook.complaints()) == (wave + 1) * WAVE, "what the other is told")  # noqa: B023
            if wave == 0:
                await until(
                    lambda: read_of(system, kafka_admin, "sick") >= WAVE, "the first wave in the ledger"
                )
        assert MOST <= open_at(worker, "sick") < MOST + 2 * WAVE
        assert read_of(system, kafka_admin, "sick") < waves * WAVE
        sick.status = 200
        await until(lambda: sick.complaints() == hook.complaints(), "everything once it is well")
        total = len(system.read(system.names.notify("sick"), 1))
        await until(lambda: read_of(system, kafka_admin, "sick") == total, "the whole topic read")


async def test_restart_beside_a_dead_receiver_loses_nothing(
    system: Installation, hook: Receiver, sick: Receiver
) -> None:
    waves = 4
    async with system.worker():
        for wave in range(waves):
            system.send(message(f"c-{wave}-{n}", 1, COMPLAINT) for n in range(WAVE))
            await until(lambda: len(hook.complaints()) == (wave + 1) * WAVE, "what the other is told")  # noqa: B023
    async with system.worker() as worker:
        assert open_at(worker, "sick") >= MOST
        sick.status = 200
        await until(lambda: sick.complaints() == hook.complaints(), "everything once it is well")
    assert not hook.repeats()
