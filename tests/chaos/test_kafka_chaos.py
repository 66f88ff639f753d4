"""The Kafka runtime under fire: processes and brokers are killed, and everything is accounted for.

The oracle is the pure core run over the very log that the workers read: what it says must have been told
and kept, no more and no less, whatever happened to the processes meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from alerts.model import Alert, AlertStatus
from stream import wire
from stream.core import state as states
from stream.core.outputs import Finding
from stream.runtime.broker import LocalBroker
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.preparation import open_books
from stream.runtime.kafka.worker import Driver
from stream.testing import cache_home
from tests.integration.kafkasystem import (
    CALM,
    COMPLAINT,
    Installation,
    Process,
    Receiver,
    message,
    receiver,
    until,
)

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

RATE = 600
"""Messages a second: above the 500 that each round must bear."""

SECONDS = 20
"""How long a round's traffic lasts."""

SUPERVISION_S = 0.3
"""How soon a dead worker is started again, as systemd would."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    one = LocalBroker(cache_home(os.environ) / "kafka", tmp_path / "broker")
    yield one
    one.kill()


class Traffic(threading.Thread):
    """Writes chats at a steady rate; every fiftieth conversation complains, once, somewhere."""

    def __init__(self, system: Installation, seed: int) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.expected = 0
        self.failed: BaseException | None = None
        self._system = system
        self._random = random.Random(seed)
        self._start_at = 1_790_000_000_000

    def run(self) -> None:
        try:
            self._write()
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            self.failed = error

    def _write(self) -> None:
        producer = self._system.producer()
        total, begun = RATE * SECONDS, time.monotonic()
        topic = self._system.names.messages
        futures = []
        for number in range(total):
            conversation = f"c-{number // 400}-{self._random.randrange(50)}"
            complains = number % 40 == 7
            self.expected += complains
            text = f"{COMPLAINT}{number}" if complains else CALM
            # Complaints have conversations of their own: each is an alert of its own.
            conversation = f"a-{number}" if complains else conversation
            event = message(conversation, number, text, at=self._start_at + number)
            raw = json.dumps(event, ensure_ascii=False).encode()
            futures.append(producer.send(topic, key=conversation.encode(), value=raw))
            self.sent += 1
            ahead = self.sent / RATE - (time.monotonic() - begun)
            if ahead > 0.01:
                time.sleep(ahead)
        for future in futures:
            future.get(120)
        producer.close()


class Supervisor:
    """Keeps one worker alive, as systemd does, and remembers how each of its lives ended."""

    def __init__(self, system: Installation, name: str, driver: Driver = Driver.STREAM) -> None:
        self._system = system
        self._name = name
        self._driver = driver
        self._stopping = False
        self.process = self._start()
        self.codes: list[int] = []

    def _start(self) -> Process:
        return self._system.process(self._name, driver=self._driver)

    async def run(self) -> None:
        while not self._stopping:
            await asyncio.sleep(SUPERVISION_S)
            if not self.process.running and not self._stopping:
                self.codes.append(self.process.wait())
                self.process = self._start()

    def stop(self) -> int:
        self._stopping = True
        return self.process.stop()


def oracle(system: Installation, knowledge: Knowledge) -> tuple[dict[str, bytes], Counter[str], Counter[str]]:
    """What the pure core makes of the log: states, and how often each finding and alert is told."""
    log: dict[int, list[Input]] = {}
    for record in system.read(system.names.messages):
        item = wire.decode(record.value, received_at=None, key=record.key)
        log.setdefault(record.partition, []).append(Input(item, offset=record.offset))
    kept: dict[str, bytes] = {}
    findings: Counter[str] = Counter()
    alerts: Counter[str] = Counter()
    for number, inputs in log.items():
        conversations = Conversations(source_partition=number)
        for record in conversations.apply(knowledge, inputs).records:
            if isinstance(record, Finding):
                findings[record.finding_id] += 1
            elif isinstance(record, Alert) and record.status is AlertStatus.FIRING:
                alerts[record.alert_id] += 1
        kept |= dict(conversations.raw())
    return kept, findings, alerts


async def settle(system: Installation, admin: KafkaAdminClient, hook: Receiver, expected: set[str]) -> None:
    names = system.names

    def all_committed() -> bool:
        ends = Counter(record.partition for record in system.read(names.messages))
        committed = system.committed(admin)
        return all(committed.get((names.messages, number), 0) == end for number, end in ends.items())

    await until(all_committed, "every message's commit", patience=180)
    await until(lambda: expected <= hook.alerts(), "every notification", patience=120)


def verdict(system: Installation, hook: Receiver, knowledge: Knowledge) -> None:
    """Nothing lost, nothing doubled under another id, every effect in the state exactly once."""
    kept, findings, alerts = oracle(system, knowledge)
    names = system.names
    told = {finding["finding_id"] for finding in system.json(names.findings)}
    assert told == set(findings), "findings"
    raised = [alert["alert_id"] for alert in system.json(names.alerts) if alert["status"] == "firing"]
    assert set(raised) == set(alerts), "alerts"
    assert hook.alerts() == set(alerts), "notifications"
    found = system.states()
    assert set(found) == set(kept), "conversations"
    wrong = [name for name in kept if states.decode(found[name]) != states.decode(kept[name])]
    assert wrong == [], "states"
    assert list(system.read(names.dlq, 1)) == []


async def a_round(
    system: Installation, broker: LocalBroker, hook: Receiver, knowledge: Knowledge, seed: int
) -> str:
    """Traffic, three kills of workers and one of the broker, and the verdict; returns what it was."""
    chance = random.Random(seed)
    supervisors = [Supervisor(system, f"r{seed}w{number}") for number in range(2)]
    watching = [asyncio.create_task(one.run()) for one in supervisors]
    await until(lambda: all("recovered" in one.process.text() for one in supervisors), "workers")
    traffic = Traffic(system, seed)
    traffic.start()
    faults = ["worker", "worker", "broker", "worker"]
    chance.shuffle(faults)
    for fault in faults:
        await asyncio.sleep(chance.uniform(2, 5))
        if fault == "broker":
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        else:
            chance.choice(supervisors).process.kill()
    await asyncio.to_thread(traffic.join)
    assert traffic.failed is None
    _, _, alerts = await asyncio.to_thread(oracle, system, knowledge)
    assert len(alerts) >= 50
    with KafkaAdminClient(bootstrap_servers=system.bootstrap) as admin:
        await settle(system, admin, hook, set(alerts))
    codes = [one.stop() for one in supervisors]
    for task in watching:
        task.cancel()
    verdict(system, hook, knowledge)
    assert codes == [Exit.OK, Exit.OK]
    return (
        f"seed {seed}: {'-'.join(faults)}; {traffic.sent} messages, {len(alerts)} alerts told, "
        f"{hook.repeats()} repeats; workers ended {[one.codes for one in supervisors]}"
    )


@pytest.mark.rounds(20)
async def test_workers_and_broker_killed_under_load_lose_and_double_nothing(
    broker: LocalBroker, tmp_path: Path, chaos_seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each seed has faults of its own: three workers killed and one broker, in an order of its own."""
    address = broker.start()
    with receiver() as hook:
        system = Installation(address, "chaos.", tmp_path, partitions=2, hook=hook.url)
        with KafkaAdminClient(bootstrap_servers=address) as admin:
            system.make_topics(admin)
        books = open_books(system.settings(), tmp_path / "oracle").current
        try:
            told = await a_round(system, broker, hook, Knowledge(books.book, books.annotator), chaos_seed)
        finally:
            system.end()
    with capsys.disabled():
        print(f"\n{told}", end="")
