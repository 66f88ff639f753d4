"""After kill -9 with many open conversations: how long until the first message is worked off again.

The conversations are records in the changelog, as a worker would have left them. A worker reads them
back and keeps its snapshots, messages trickle in all the while, the worker is killed and started again at
once. What is timed is from the kill to the first state record written by the new process; at last once
more with its disk lost. Apart from that, the reading alone: from snapshots and from the changelog, with
one and with five records of each conversation in it.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from alerts.model import Outcome
from alerts.testing import sample_notification
from stream import settings
from stream.bench.figures import Figure, Row, at_most
from stream.bench.installation import (
    PARTITIONS,
    Installation,
    Worker,
    WorkerFailedError,
    fill,
    partition_of,
)
from stream.bench.session import Session
from stream.bench.states import records_of, renamed
from stream.core import state as states
from stream.core.ids import stable_id
from stream.runtime.clock import WallClock
from stream.runtime.conversations import Conversations
from stream.runtime.kafka.changelog import Coverage, Replay
from stream.runtime.kafka.ledger import KafkaLedger
from stream.runtime.kafka.publisher import Publisher
from stream.runtime.kafka.recovery import SNAPSHOTS, Origin, StateLog
from stream.runtime.kafka.snapshots import SUFFIX, Image

FIRST = Figure(
    "recovery.first_message", "s", "kill -9 to the first message, 100,000 open conversations", at_most(6)
)
LOST = Figure("recovery.first_message_lost_disk", "s", "the same where no snapshot is left")
READ_BACK = Figure("recovery.ready", "s", "a worker's start to ready, from the whole changelog")
KEPT = Figure("recovery.read_snapshots", "s", "reading 100,000 open conversations from snapshots")
WHOLE = Figure("recovery.read_changelog", "s", "reading them from the changelog, one record each")
HISTORY = Figure("recovery.read_changelog_5x", "s", "reading them from the changelog, five records each")
MEMORY = Figure("recovery.memory", "MiB", "a worker that holds 100,000 open conversations", at_most(600))
LEDGER = Figure("recovery.read_ledger", "s", "reading the ledger back, 100,000 decided notifications")
FIGURES = (FIRST, LOST, READ_BACK, MEMORY, KEPT, WHOLE, HISTORY, LEDGER)

CONVERSATIONS: Final = 100_000
FEWER: Final = 10_000
"""How the reading follows from what is open is seen beside this number."""
RECORDS: Final = 5
"""Of a conversation, in a changelog that nobody has compacted."""
ROUNDS: Final = 3
"""Kills; the slowest counts."""
TRICKLE_S: Final = 0.02
"""Between two messages: enough that the wait for the next one is nothing beside a recovery."""
PATIENCE_S: Final = 60.0
RETENTION_MS: Final = 86_400_000
"""Longer than a run lasts."""


def measure(session: Session) -> list[Row]:
    """Return how a worker comes back: the slowest of several kills."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    count = session.scale(CONVERSATIONS, 5_000)
    _, sample = records_of(session, session.scale(2_000, 200))
    try:
        rows = [*_kills(session, sample, count), *_readings(session, sample, count), _ledger(session, count)]
    except WorkerFailedError as error:
        return [figure.unmeasured(str(error)) for figure in FIGURES]
    if session.quick:
        sized = f"--quick: {count:,} conversations"
        return [row.figure.unmeasured(f"{sized}, {row.value:.1f} {row.figure.unit}") for row in rows]
    return rows


def _kills(session: Session, sample: list[bytes], count: int) -> list[Row]:
    session.tell(f"recovery: writing {count:,} conversations to the changelog")
    installation = Installation(session, "recovery.")
    installation.make_topics()
    fill(session.bootstrap, installation.names.state, _changelog(sample, count))
    worker = installation.start()
    session.tell("recovery: reading them back")
    ready = worker.wait_ready()
    memory = worker.memory_mib()
    waits: list[float] = []
    with _trickle(installation):
        _until_written(installation, worker, _written(installation))
        _until_kept(installation, worker)
        for number in range(session.scale(ROUNDS, 1)):
            session.tell(f"recovery: kill {number + 1}")
            worker, wait = _kill(installation, worker)
            waits.append(wait)
        session.tell("recovery: kill, and the disk is lost")
        worker, lost = _kill(installation, worker, disk=False)
    worker.stop()
    how = f"{count:,} conversations, {len(waits)} kills: {', '.join(f'{wait:.1f} s' for wait in waits)}"
    return [
        FIRST.row(max(waits), how),
        LOST.row(lost, "the whole changelog"),
        READ_BACK.row(ready),
        MEMORY.row(memory, "resident, all of it"),
    ]


def _kill(installation: Installation, worker: Worker, *, disk: bool = True) -> tuple[Worker, float]:
    """Kill the worker and start it again; return the new one and after how long it wrote."""
    worker.kill()
    killed = time.monotonic()
    if not disk:
        shutil.rmtree(installation.folder / "data")
    before = _written(installation)
    worker = installation.start()
    _until_written(installation, worker, before)
    wait = time.monotonic() - killed
    worker.wait_ready()
    return worker, wait


def _readings(session: Session, sample: list[bytes], count: int) -> list[Row]:
    """Return how long the reading alone takes, partition after partition, decoding included."""
    found: dict[int, list[tuple[float, float]]] = {}
    sizes = (min(FEWER, count // 2), count)
    for records in (1, RECORDS):
        for size in sizes:
            session.tell(f"recovery: reading {size:,} conversations, {records} records each")
            found.setdefault(records, []).append(
                asyncio.run(_reading(session, list(_changelog(sample, size)), records))
            )

    def row(figure: Figure, records: int, which: int) -> Row:
        fewer, all_ = (times[which] for times in found[records])
        return figure.row(all_, f"{sizes[0]:,} conversations: {fewer:.2f} s")

    return [row(KEPT, RECORDS, 1), row(WHOLE, 1, 0), row(HISTORY, RECORDS, 0)]


async def _reading(session: Session, rows: list[tuple[str, bytes]], records: int) -> tuple[float, float]:
    """Return the seconds that the changelog takes, and those that its snapshots take."""
    installation = Installation(session, f"reading{records}-{len(rows)}.")
    installation.make_topics()
    topic = installation.names.state
    await asyncio.to_thread(fill, session.bootstrap, topic, rows * records)
    log = StateLog(
        settings.load(installation.config(), env={}).kafka,
        # No other topic of that name has been, or will be, in this run.
        Origin(topic, "the only one", RETENTION_MS),
        installation.folder,
        limits=lambda: session.knowledge.book.limits,
        now_ms=WallClock().now_ms,
    )
    whole, partitions = await _read(session, log)
    await log.finish(partitions)
    kept, _ = await _read(session, log)
    return whole, kept


def _ledger(session: Session, count: int) -> Row:
    """Return how long delivery reads before it sends: each notification as accepted, and as decided."""
    session.tell(f"recovery: reading {count:,} notifications that were decided")
    installation = Installation(session, "ledger.")
    installation.make_topics()
    topic = installation.names.ledger
    fill(session.bootstrap, topic, _notifications(count), lambda _: 0)
    # It writes nothing here, so it needs no producer.
    ledger = KafkaLedger(Publisher(None, ""), topic, mine=lambda _: True, now_ms=WallClock().now_ms)
    kafka = settings.load(installation.config(), env={}).kafka
    begun = time.perf_counter()
    records = asyncio.run(ledger.recover(kafka))
    return LEDGER.row(time.perf_counter() - begun, f"{records:,} records, nothing compacted")


def _notifications(count: int) -> Iterator[tuple[str, bytes]]:
    sample = sample_notification()
    for number in range(count):
        name = stable_id("notification", str(number))
        entry = msgspec.structs.replace(sample, notification_id=name, alert_id=stable_id("alert", name))
        for outcome in (Outcome.PENDING, Outcome.DELIVERED):
            yield name, msgspec.json.encode(msgspec.structs.replace(entry, outcome=outcome))


@dataclass
class _Partition:
    """A partition that nobody writes to, as a worker holds it."""

    number: int
    covered: Coverage
    conversations: Conversations
    running: bool = True

    async def image(self) -> tuple[Image, int] | None:
        return Image(*self.conversations.image(), self.covered.offset, self.covered.at), self.covered.end


async def _read(session: Session, log: StateLog) -> tuple[float, list[_Partition]]:
    partitions: list[_Partition] = []
    begun = time.perf_counter()
    for number in range(PARTITIONS):
        replay, conversations = Replay(), Conversations(source_partition=number)
        await log.read(number, replay)
        for name, held in replay.held():
            conversations.adopt(session.knowledge, name, held)
        for name, raw in replay.states():
            conversations.load(session.knowledge, name, raw)
        partitions.append(_Partition(number, replay.covered, conversations))
    return time.perf_counter() - begun, partitions


def _changelog(sample: list[bytes], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield the records of so many conversations that somebody has just written in."""
    now = WallClock().now_ms()
    for number in range(count):
        name = f"open-{number:08d}"
        state = states.decode(renamed(sample[number % len(sample)], name))
        # Of a moment ago, owing nothing: silence would else have closed all of them by now.
        state.opened_at = state.last_at = now
        state.running = []
        state.applied = [-1, -1, -1]
        yield name, states.encode(state)


@contextmanager
def _trickle(installation: Installation) -> Iterator[None]:
    """Send messages into all partitions all the time."""
    stop = threading.Event()
    producer = KafkaProducer(bootstrap_servers=installation.bootstrap, linger_ms=0)

    def send() -> None:
        number = 0
        while not stop.wait(TRICKLE_S):
            name = f"open-{number % 1_000:08d}"
            message = {
                "type": "message",
                "conversation_id": name,
                "message_id": f"trickle-{number}",
                "sent_at": WallClock().now_ms(),
                "sender": {"role": "customer", "id": "u"},
                "content": {"text": "你好，请问这个什么时候发货"},
            }
            producer.send(
                installation.names.messages,
                msgspec.json.encode(message),
                key=name.encode(),
                partition=partition_of(name),
            )
            number += 1

    thread = threading.Thread(target=send, name="trickle", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        producer.close()


def _written(installation: Installation) -> int:
    """Return how many state records there are."""
    places = [TopicPartition(installation.names.state, number) for number in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=installation.bootstrap)
    try:
        return int(sum(consumer.end_offsets(places).values()))
    finally:
        consumer.close()


def _until_kept(installation: Installation, worker: Worker) -> None:
    """Return once there is a snapshot of each partition."""
    deadline = time.monotonic() + PATIENCE_S
    while len(list((installation.folder / "data").glob(f"{SNAPSHOTS}/*/*{SUFFIX}"))) < PARTITIONS:
        worker.check()
        if time.monotonic() > deadline:
            raise WorkerFailedError(f"no snapshots within {PATIENCE_S:g} s")
        time.sleep(0.05)


def _until_written(installation: Installation, worker: Worker, before: int) -> None:
    """Return as soon as there are more state records than ``before``."""
    places = [TopicPartition(installation.names.state, number) for number in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=installation.bootstrap)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while sum(consumer.end_offsets(places).values()) <= before:
            worker.check()
            if time.monotonic() > deadline:
                raise WorkerFailedError(f"no message worked off within {PATIENCE_S:g} s")
            time.sleep(0.01)
    finally:
        consumer.close()
