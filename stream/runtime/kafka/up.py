"""``yanshao up --kafka``: a local broker, a worker and an HTTP door in one process, for trials."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import as_file, files
from typing import Any

from stream import metrics as m
from stream import wire
from stream.runtime import cluster, topics
from stream.runtime.broker import LocalBroker
from stream.runtime.clock import Clock, ScaledClock, WallClock
from stream.runtime.demo import DEFAULT_SPEED, shipped_day
from stream.runtime.hours import parse_alerts
from stream.runtime.kafka import client
from stream.runtime.kafka.ingest import Ingest
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.worker import Worker
from stream.runtime.send import Plan, Planned, planned
from stream.runtime.signals import asked_to_end
from stream.settings import Settings

Say = Callable[[str], None]

DEMO_PARTITIONS = 4
"""Enough to see that conversations are spread; each costs a trial's broker a few files."""

BEHIND_S = 2.0
"""The demo's clock follows its events at this distance, in real seconds: at speed a second on the way
through Kafka is most of a minute of the day, and answers must not seem to come after it."""

SETTLE_S = 60.0
"""How long the end of the demo waits for the last notification: clocks need the backlog wait, 30 s."""


def run_up(
    settings: Settings,
    broker: LocalBroker,
    say: Say,
    *,
    demo: bool,
    speed: float | None,
    stay: bool,
) -> int:
    """Start the broker and everything on it; returns the exit code of the worker.

    Raises:
        stream.runtime.broker.BrokerError: It cannot be started; says what to install.
        stream.runtime.topics.TopicsError: The topics there cannot be used.
    """
    # On a broker that has just started its clients complain until they find the coordinator; what
    # matters ends the worker with a reason of its own.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    say("Apache Kafka is starting (the first time it is fetched: 54 MB) ...")
    bootstrap = broker.start()
    try:
        kafka = settings.kafka.model_copy(
            update={"bootstrap": (bootstrap,), "worker_name": "up"}
            | ({"partitions": DEMO_PARTITIONS} if demo else {})
        )
        settings = settings.model_copy(update={"kafka": kafka})
        with cluster.admin(kafka) as admin:
            receivers = sorted(parse_alerts(settings).receivers)
            topics.apply(admin, cluster.wanted_topics(kafka, receivers))
        say(f"Apache Kafka answers at {bootstrap}, {kafka.partitions} partitions")
        return asyncio.run(_demo(settings, say, speed, stay=stay) if demo else _live(settings, say))
    finally:
        broker.stop()


@asynccontextmanager
async def _worker(settings: Settings, clock: Clock) -> AsyncIterator[tuple[Worker, asyncio.Task[Any]]]:
    worker = Worker(settings, clock=clock)
    running = asyncio.create_task(worker.run(), name="worker")
    try:
        while worker.unready() and not running.done():  # noqa: ASYNC110 - readiness has no event of its own
            await asyncio.sleep(0.05)
        yield worker, running
    finally:
        worker.stop()
        await running


async def _live(settings: Settings, say: Say) -> int:
    side = settings.listen.model_copy(update={"metrics_port": 0})
    ingest = Ingest(settings.model_copy(update={"listen": side}), source="http", mapping=None)
    async with _worker(settings, WallClock()) as (worker, running):
        door = asyncio.create_task(ingest.run(), name="ingest")
        asked = asyncio.Event()
        if worker.site is not None:
            say(f"metrics  http://{settings.listen.metrics_host}:{worker.site.port}/metrics")
        say(f"events   POST http://{settings.listen.host}:{settings.listen.port}/v1/events")
        with asked_to_end(asked.set):
            ended = asyncio.create_task(asked.wait())
            await asyncio.wait({running, door, ended}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
        say("stopping ...")
        ingest.stop()
        await door
    return int(running.result())


async def _demo(settings: Settings, say: Say, speed: float | None, *, stay: bool) -> int:
    events = shipped_day()
    span = events[-1][0] - events[0][0]
    # The day is moved so that it ends now: no event may seem to come from the future.
    begin = WallClock().now_ms() - span
    pace = speed or DEFAULT_SPEED
    clock = ScaledClock(begin - int(BEHIND_S * 1000 * pace), pace)
    listen = settings.listen.model_copy(update={"metrics_port": 0})
    settings = settings.model_copy(update={"listen": listen})
    async with _worker(settings, clock) as (worker, running):
        if worker.site is not None:
            say(f"metrics  http://{listen.metrics_host}:{worker.site.port}/metrics  (open it in a browser)")
        say(f"the shipped day: {len(events)} events, played at {pace:g} x\n")
        clock.restart()
        feeding = asyncio.create_task(_feed(settings, begin, pace))
        await asyncio.wait({running, feeding}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await feeding
            await _settled(worker, len(events))
            say("\nThe day is over.")
            if stay:
                say("Staying up; Ctrl-C ends.")
                asked = asyncio.Event()
                with asked_to_end(asked.set):
                    await asked.wait()
    return int(running.result())


async def _feed(settings: Settings, begin: int, speed: float) -> None:
    producer = client.producer(settings.kafka)
    topic = Names(settings.kafka.topic_prefix).messages
    await producer.start()
    try:
        with as_file(files("stream.resources") / "demo" / "day.jsonl") as day:
            # At its own speed, so that the times stay as far apart as they were; the pace is made here.
            plan = planned(wire.read_events(day), Plan("", speed=1.0), begin)
            started = time.monotonic()
            for event in plan:
                if isinstance(event, Planned) and event.key is not None:
                    wait = event.after_ms / 1000 / speed - (time.monotonic() - started)
                    if wait > 0:
                        await asyncio.sleep(wait)
                    await producer.send(topic, event.raw, key=event.key.encode())
        await producer.flush()
    finally:
        await producer.stop()


async def _settled(worker: Worker, events: int) -> None:
    """Return when every event was applied and every notification that was accepted is decided."""
    until = time.monotonic() + SETTLE_S
    quiet_since = time.monotonic()
    before = -1.0
    while time.monotonic() < until and time.monotonic() - quiet_since < 1.0:
        await asyncio.sleep(0.1)
        applied = _total(worker, m.EVENTS.name)
        decided = _total(worker, m.NOTIFICATIONS.name)
        accepted = _total(worker, m.NOTIFICATIONS_ACCEPTED.name)
        if applied < events or decided < accepted or decided != before:
            quiet_since = time.monotonic()
        before = decided


def _total(worker: Worker, name: str) -> float:
    return sum(
        sample.value
        for family in worker.metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    )
