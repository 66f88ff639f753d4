"""After kill -9 with many open conversations: how long until the first message is worked off again.

The conversations are records in the changelog, as a worker would have left them. A worker reads them
back, messages trickle in all the while, the worker is killed and started again at once. What is timed is
from the kill to the first state record written by the new process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream.bench.figures import Figure, Row, at_most
from stream.bench.installation import (
    PARTITIONS,
    Installation,
    WorkerFailedError,
    fill,
    partition_of,
)
from stream.bench.session import Session
from stream.bench.states import records_of, renamed
from stream.core import state as states
from stream.runtime.clock import WallClock

FIRST = Figure(
    "recovery.first_message", "s", "kill -9 to the first message, 100,000 open conversations", at_most(6)
)
READ_BACK = Figure("recovery.ready", "s", "a worker's start to ready, 100,000 open conversations")
MEMORY = Figure("recovery.memory", "MiB", "a worker that holds 100,000 open conversations", at_most(600))
FIGURES = (FIRST, READ_BACK, MEMORY)

CONVERSATIONS: Final = 100_000
ROUNDS: Final = 2
TRICKLE_S: Final = 0.02
"""Between two messages: enough that the wait for the next one is nothing beside a recovery."""
PATIENCE_S: Final = 60.0


def measure(session: Session) -> list[Row]:
    """Return how a worker comes back; the best of two kills."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    try:
        return _measure(session, session.scale(CONVERSATIONS, 5_000))
    except WorkerFailedError as error:
        return [figure.unmeasured(str(error)) for figure in FIGURES]


def _measure(session: Session, count: int) -> list[Row]:
    session.tell(f"recovery: writing {count:,} conversations to the changelog")
    installation = Installation(session, "recovery.")
    installation.make_topics()
    _, sample = records_of(session, session.scale(2_000, 200))
    fill(session.bootstrap, installation.names.state, _changelog(sample, count))
    worker = installation.start()
    session.tell("recovery: reading them back")
    ready = worker.wait_ready()
    memory = worker.memory_mib()
    waits: list[float] = []
    with _trickle(installation):
        _until_written(installation, _written(installation))
        for number in range(session.scale(ROUNDS, 1)):
            session.tell(f"recovery: kill {number + 1}")
            worker.kill()
            killed = time.monotonic()
            before = _written(installation)
            worker = installation.start()
            _until_written(installation, before)
            waits.append(time.monotonic() - killed)
            worker.wait_ready()
    worker.stop()
    how = f"{count:,} conversations, {len(waits)} kills: {', '.join(f'{wait:.1f} s' for wait in waits)}"
    if session.quick:
        sized = f"--quick: {count:,} conversations"
        return [
            FIRST.unmeasured(f"{sized}, {min(waits):.1f} s"),
            READ_BACK.unmeasured(f"{sized}, {ready:.1f} s"),
            MEMORY.unmeasured(f"{sized}, {memory:.0f} MiB"),
        ]
    return [FIRST.row(min(waits), how), READ_BACK.row(ready), MEMORY.row(memory, "resident, all of it")]


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


def _until_written(installation: Installation, before: int) -> None:
    """Return as soon as there are more state records than ``before``."""
    places = [TopicPartition(installation.names.state, number) for number in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=installation.bootstrap)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while sum(consumer.end_offsets(places).values()) <= before:
            if time.monotonic() > deadline:
                raise WorkerFailedError(f"no message worked off within {PATIENCE_S:g} s")
            time.sleep(0.01)
    finally:
        consumer.close()
