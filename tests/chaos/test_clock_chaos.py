"""A hundred thousand running clocks under fire: every one that comes due is told of, once, and no other.

Workers die, others join and leave, the broker dies, while clocks come due by the dozen each second and are
answered in time, at the last moment, or too late. Two oracles judge a round: the sum by hand
(`openclocks.add_up`: start, target, answer), and the pure core run over the very log that the workers read.
The `wall` driver may take back what it told too soon (design §2, Time); no more than that is forgiven.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient

from stream import wire
from stream.bench.installation import PARTITIONS, fill, partition_of
from stream.bench.statistics import percentile
from stream.core.outputs import Finding
from stream.runtime import topics
from stream.runtime.broker import LocalBroker
from stream.runtime.conversations import Knowledge
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.preparation import open_books
from stream.runtime.kafka.worker import Driver
from stream.testing import cache_home
from tests.chaos.clockoracle import Oracle, effects
from tests.chaos.openclocks import Fate, Leg, Told, add_up, legs, standing
from tests.chaos.test_kafka_chaos import Supervisor
from tests.integration.kafkasystem import (
    CALM,
    Installation,
    Receiver,
    message,
    now_ms,
    receiver,
    until,
)

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(900)]

RATE = 500
"""Messages a second that flow all the while."""

CHATS = 200
"""Chats beside the clocks' own: a customer asks, an agent answers two seconds later."""

ANSWER_MS = 2_000

PATIENCE_S = 120.0
"""How long a round may take, once its traffic ends, for each thing that is waited for."""

FAULTS = ("kill", "join", "broker")


class Size(NamedTuple):
    """How large a round is: clocks, those that come due, for how long; and how long making them may take."""

    clocks: int
    due: int
    seconds: int
    lead_s: int


LONG = Size(100_000, 1_500, 60, 60)
SHORT = Size(2_000, 150, 20, 12)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    one = LocalBroker(cache_home(os.environ) / "kafka", tmp_path / "broker")
    yield one
    one.kill()


# What is sent ---------------------------------------------------------------------------------------------


def opening_words(leg: Leg, now: int) -> list[dict[str, Any]]:
    """The events before the round: of a clock that comes due in it, with a word of late.

    Without that the conversation would fall silent at the very moment at which its clock is due.
    """
    return leg.opening() if leg.fate is Fate.WAITING else [*leg.opening(), leg.word("before", now)]


def traffic(made: list[Leg], seed: int, since: int, seconds: int) -> list[tuple[int, dict[str, Any]]]:
    """Return what is sent when: answers at their moment, chats and agents' words at a steady rate."""
    chance = random.Random(f"traffic {seed}")
    sent = [(leg.told_at, leg.answer()) for leg in made if leg.told_at is not None]
    for number in range(RATE * seconds * 2 // 3):
        at = since + number * 1500 // RATE
        if number % 2:
            sent.append((at, chance.choice(made).word(number, at)))
            continue
        chat = f"chat-{number // 2 % CHATS}-{number // (2 * CHATS)}"
        answered = at + ANSWER_MS
        sent.append((at, message(chat, 1, CALM, at=at)))
        sent.append((answered, message(chat, 2, "亲，今天就发", role="agent", at=answered)))
    return sorted(sent, key=lambda one: one[0])


class Sender(threading.Thread):
    """Sends each event at its moment; what a dead broker holds up goes out once it is back."""

    def __init__(self, system: Installation, sent: list[tuple[int, dict[str, Any]]]) -> None:
        super().__init__(daemon=True)
        self.failed: BaseException | None = None
        self._system = system
        self._sent = sent

    def run(self) -> None:
        try:
            asyncio.run(self._send())
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            self.failed = error

    async def _send(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._system.bootstrap, request_timeout_ms=int(PATIENCE_S * 1000), linger_ms=5
        )
        await producer.start()
        futures = []
        for at, event in self._sent:
            if (ahead := at - now_ms()) > 0:
                await asyncio.sleep(ahead / 1000)
            key = event["conversation_id"]
            raw = json.dumps(event, ensure_ascii=False).encode()
            futures.append(
                await producer.send(
                    self._system.names.messages, raw, key=key.encode(), partition=partition_of(key)
                )
            )
        await asyncio.gather(*futures)
        await producer.stop()


# Before the round ----------------------------------------------------------------------------------------


def populate(system: Installation, oracle: Oracle, made: list[Leg], now: int) -> None:
    """Leave everything as workers would have that started the clocks and ended: log, states, commits."""
    names = system.names
    rows = [
        (leg.name, json.dumps(event, ensure_ascii=False).encode())
        for leg in made
        for event in opening_words(leg, now)
    ]
    counts = fill(system.bootstrap, names.messages, rows)
    by_partition: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for name, raw in rows:
        by_partition[partition_of(name)].append(raw)
    for number, values in enumerate(by_partition):
        oracle.read(number, enumerate(values))
    fill(system.bootstrap, names.state, oracle.states().items())
    ends = {
        TopicPartition(names.messages, number): OffsetAndMetadata(count, "", -1)
        for number, count in enumerate(counts)
    }
    # Not the admin client: a consumer waits for a young broker's coordinator.
    group = KafkaConsumer(bootstrap_servers=system.bootstrap, group_id=f"{system.prefix}app")
    group.assign(list(ends))
    group.commit(ends)
    group.close(autocommit=False)
    oracle.forget_told()


# A round --------------------------------------------------------------------------------------------------


class Faults:
    """Does what a round's seed says to one worker, a second one, and the broker."""

    def __init__(self, system: Installation, broker: LocalBroker, seed: int) -> None:
        self.chance = random.Random(f"faults {seed}")
        self.order = self.chance.sample(FAULTS, len(FAULTS))
        self._system = system
        self._broker = broker
        self._watching: list[asyncio.Task[None]] = []
        self.workers: list[Supervisor] = []

    def start_worker(self) -> Supervisor:
        worker = Supervisor(self._system, f"w{len(self.workers)}", Driver.WALL)
        self.workers.append(worker)
        self._watching.append(asyncio.create_task(worker.run()))
        return worker

    async def strike(self, until_ms: int) -> None:
        """Let all of them happen, one after another, spread over the time until then."""
        pause = (until_ms - now_ms()) / 1000 / (len(self.order) + 1)
        for fault in self.order:
            await asyncio.sleep(max(1.0, pause * self.chance.uniform(0.4, 1.0)))
            await self._happen(fault)

    async def _happen(self, fault: str) -> None:
        if fault == "kill":
            self.workers[0].process.kill()
        elif fault == "broker":
            await asyncio.to_thread(self._broker.kill)
            await asyncio.to_thread(self._broker.start)
        else:
            guest = self.start_worker()
            await until(lambda: recovered(guest) > 0, "the second worker's share", patience=PATIENCE_S)
            await asyncio.sleep(self.chance.uniform(2, 5))
            # In a thread: the others are watched all the while.
            await asyncio.to_thread(guest.stop)

    async def end(self) -> list[int]:
        codes = [await asyncio.to_thread(one.stop) for one in self.workers]
        for task in self._watching:
            task.cancel()
        return codes


def recovered(worker: Supervisor) -> int:
    """Return how many partitions' states it has read back so far."""
    return worker.process.text().count("conversations from")


def told_of(system: Installation) -> list[Told]:
    """Return every finding, with the broker's time of it."""
    return [
        Told(wire.read(Finding, record.value), record.timestamp)
        for record in system.read(system.names.findings)
    ]


def unread(system: Installation, admin: KafkaAdminClient) -> int:
    """Return how many messages and timers are not committed yet."""
    places = [
        TopicPartition(topic, number)
        for topic in (system.names.messages, system.names.timers)
        for number in range(PARTITIONS)
    ]
    consumer = KafkaConsumer(bootstrap_servers=system.bootstrap)
    try:
        ends: Mapping[TopicPartition, int] = consumer.end_offsets(places)
    finally:
        consumer.close()
    committed = system.committed(admin)
    return sum(end - committed.get((place.topic, place.partition), 0) for place, end in ends.items())


async def settle(system: Installation, hook: Receiver, made: list[Leg], oracle: Oracle) -> None:
    """Return once all was worked off, told and notified that must be."""
    expected = {leg.name for leg in made if leg.breaches}

    def told() -> bool:
        return expected <= {one.conversation_id for one in standing(told_of(system)).values()}

    with KafkaAdminClient(bootstrap_servers=system.bootstrap) as admin:
        await until(told, "every breach", patience=PATIENCE_S)
        await until(lambda: unread(system, admin) == 0, "every commit", patience=PATIENCE_S)
    await until(lambda: oracle.alerts <= hook.alerts(), "every notification", patience=PATIENCE_S)


def read_on(system: Installation, oracle: Oracle, until_ms: int) -> None:
    """Let the oracle read what came in during the round, and clocks come due up to then."""
    grouped: dict[int, list[tuple[int, bytes]]] = {}
    for record in system.read(system.names.messages):
        if record.offset >= oracle.position[record.partition]:
            grouped.setdefault(record.partition, []).append((record.offset, record.value))
    for number, values in grouped.items():
        oracle.read(number, values)
    oracle.advance(until_ms)


def compare(system: Installation, oracle: Oracle, told: list[Told]) -> None:
    """Hold what was told and kept against the pure core's word."""
    wanted = {one.finding_id: one.status for one in oracle.findings}
    right = {name for name, status in wanted.items() if status == "raised"}
    assert set(standing(told)) == right, "findings"
    firing = {one["alert_id"] for one in system.json(system.names.alerts) if one["status"] == "firing"}
    assert firing >= oracle.alerts, "alerts"
    kept, found = oracle.states(), system.states()
    assert found.keys() == kept.keys(), "conversations"
    changed = [name for name, raw in kept.items() if raw != found[name]]
    wrong = [name for name in changed if effects(kept[name]) != effects(found[name])]
    assert wrong == [], f"{len(wrong)} states, {wrong[:3]}"
    assert list(system.read(system.names.dlq, 1)) == []


async def a_round(
    system: Installation, broker: LocalBroker, hook: Receiver, oracle: Oracle, size: Size, seed: int
) -> str:
    """Clocks, traffic, faults, and the verdict; returns what it was."""
    begun = time.monotonic()
    now = now_ms()
    since = now + size.lead_s * 1000
    ended = since + size.seconds * 1000
    made = legs(seed, size.clocks, size.due, since, ended, now)
    await asyncio.to_thread(populate, system, oracle, made, now)
    faults = Faults(system, broker, seed)
    worker = faults.start_worker()
    await until(lambda: recovered(worker) >= PARTITIONS, "the worker", patience=PATIENCE_S)
    since = max(since, now_ms())
    sender = Sender(system, traffic(made, seed, since, size.seconds))
    sender.start()
    await asyncio.sleep((since - now_ms()) / 1000)
    await faults.strike(max(ended, since + 20_000))
    await asyncio.to_thread(sender.join, PATIENCE_S)
    assert sender.failed is None, sender.failed
    assert not sender.is_alive(), "what was to be sent was not"
    quiet = max(ended, now_ms()) + 1
    await asyncio.to_thread(read_on, system, oracle, quiet)
    await settle(system, hook, made, oracle)
    codes = await faults.end()
    told = await asyncio.to_thread(told_of, system)
    outcome = add_up(made, told)
    await asyncio.to_thread(compare, system, oracle, told)
    assert set(codes) == {Exit.OK}, codes
    fates = Counter(leg.fate for leg in made if leg.fate is not Fate.WAITING)
    late = [percentile(outcome.lateness, share) / 1000 for share in (0.5, 0.99, 1.0)]
    return (
        f"seed {seed}: {'-'.join(faults.order)}; {size.clocks:,} clocks, {size.due} due: "
        f"{len(outcome.lateness)} breached, {size.due - len(outcome.lateness)} answered in time "
        f"({fates[Fate.TOLD_LATE]} told of late), {outcome.taken_back} told and taken back; "
        f"lateness p50 {late[0]:.1f} s, p99 {late[1]:.1f} s, max {late[2]:.1f} s; "
        f"repeats: {outcome.repeats} findings, {hook.repeats()} notifications; "
        f"workers ended {[one.codes for one in faults.workers]}; {time.monotonic() - begun:.0f} s"
    )


@pytest.mark.rounds(10)
async def test_running_clocks_are_neither_lost_nor_doubled_under_fire(
    broker: LocalBroker,
    tmp_path: Path,
    chaos_seed: int,
    chaos_is_long: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each seed has clocks, answers and an order of faults of its own."""
    address = broker.start()
    with receiver() as hook:
        system = Installation(address, "clocks.", tmp_path, partitions=PARTITIONS, hook=hook.url)
        with KafkaAdminClient(bootstrap_servers=address) as admin:
            system.make_topics(admin)
            # Stamped by the broker: the moment from which a finding is there for everybody.
            stamp = {"message.timestamp.type": "LogAppendTime"}
            findings = topics.Topic(system.names.findings, PARTITIONS, topics.BROKER_DEFAULT, stamp)
            topics.apply(admin, [findings])
        books = open_books(system.settings(), tmp_path / "oracle").current
        oracle = Oracle(Knowledge(books.book, books.annotator))
        try:
            told = await a_round(system, broker, hook, oracle, LONG if chaos_is_long else SHORT, chaos_seed)
        finally:
            system.end()
    with capsys.disabled():
        print(f"\n{told}", end="")
