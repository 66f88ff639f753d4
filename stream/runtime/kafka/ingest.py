"""`yanshao ingest`: foreign events into `chat.messages`, mapped, re-keyed by conversation, confirmed.

Two doors. HTTP: the same `POST /v1/events` as the embedded runtime has; with a mapping, each event of a
request is a foreign payload. A topic: read as a consumer group of its own, whose offsets move on only
when everything made of a batch is confirmed, so a restart repeats a little and loses nothing (repeated
messages are known by their `message_id`). What cannot be mapped goes to `qa.dlq` untouched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiokafka
from aiohttp import web

from stream import metrics as m
from stream import wire
from stream.core.events import AgentStatus, AnyEvent, Tick
from stream.metrics import Metrics
from stream.runtime import cluster
from stream.runtime.clock import Clock, WallClock
from stream.runtime.health import health_site
from stream.runtime.http import Overloaded, Unavailable, events_handler, limits_of
from stream.runtime.kafka import client
from stream.runtime.kafka.exits import Exit, WorkerExit, to_exit
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.publisher import Confirmation, Publisher, Row, confirm
from stream.runtime.listening import Listening, bounds_of
from stream.runtime.signals import asked_to_end
from stream.settings import Kafka, Settings, ensure_token
from stream.wire import InvalidMessage
from stream.wire.mapping import Mapping

logger = logging.getLogger(__name__)

BATCH_RECORDS = 1_000
"""Foreign records mapped before their events are confirmed: a few tens of milliseconds of work."""

Rows = list[tuple[int | None, Row]]
"""Records to write, each with its partition; None: the one its key hashes to."""


class Intake:
    """Turns payloads into records of `chat.messages`: decodes or maps, checks, and keys them."""

    def __init__(self, partitions: Sequence[int], mapping: Mapping | None, clock: Clock) -> None:
        self._partitions = partitions
        self._mapping = mapping
        self._clock = clock

    def rows(self, payload: bytes) -> Rows:
        """Return the records of one payload.

        Raises:
            InvalidMessage: It cannot be used, and why.
        """
        if self._mapping is None:
            received = wire.decode(payload, received_at=self._clock.now_ms())
            return self._keyed(received.event, payload)
        return [
            row
            for event in self._mapping.apply(payload)
            for row in self._keyed(event, wire.encode_event(event))
        ]

    def _keyed(self, event: AnyEvent, raw: bytes) -> Rows:
        owner = wire.conversation_id(event)
        if owner is not None:
            return [(None, Row(owner.encode(), raw))]
        # What concerns no conversation concerns them all.
        key = b"tick" if isinstance(event, Tick) else _agent(event)
        return [(number, Row(key, raw)) for number in self._partitions]


def _agent(event: AnyEvent) -> bytes:
    return event.agent.encode() if isinstance(event, AgentStatus) else b""


class KafkaDoor:
    """The HTTP door's other side (`stream.runtime.http.Door`): accepted means confirmed by the broker.

    `room` bounds the bytes that may wait for confirmation; beyond it senders are turned away.
    """

    def __init__(self, intake: Intake, write: Callable[[Rows], Any], *, room: int) -> None:
        self._intake = intake
        self._write = write
        self._room = room
        self._waiting = 0

    async def accept(self, events: Sequence[bytes]) -> list[InvalidMessage | None]:
        """Write the usable events and return once they are confirmed; why each other was refused.

        Raises:
            Overloaded: Too much waits for the broker already; nothing was taken.
            Unavailable: The broker did not confirm. What it took of the request may be there; sending
                the request again is safe.
        """
        size = sum(map(len, events))
        if self._waiting + size > self._room:
            raise Overloaded
        rows: Rows = []
        outcomes: list[InvalidMessage | None] = []
        for event in events:
            try:
                rows += self._intake.rows(event)
                outcomes.append(None)
            except InvalidMessage as problem:
                outcomes.append(problem)
        self._waiting += size
        try:
            await confirm(await self._write(rows))
        except WorkerExit as error:
            raise Unavailable from error
        finally:
            self._waiting -= size
        return outcomes


class Ingest:
    """One ingest process; `run` returns its exit code."""

    def __init__(
        self, settings: Settings, *, source: str, mapping: Mapping | None, clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.door: Listening | None = None
        self.side: Listening | None = None
        self.ready = asyncio.Event()
        self._source = source
        self._mapping = mapping
        self._clock = clock or WallClock()
        self._names = Names(settings.kafka.topic_prefix)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stopping.set()

    async def run(self) -> Exit:
        """Run until told to stop or until something fails; returns the exit code."""
        return await to_exit(self._run())

    async def _run(self) -> None:
        work = asyncio.create_task(self._work(), name="ingest")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not work.done() and not self.ready.is_set():
            work.cancel()  # told to stop while it still starts: a broker that is away may take long to find
        await asyncio.wait([work])
        if not work.cancelled():
            work.result()

    async def _work(self) -> None:
        async with AsyncExitStack() as stack:
            await self._open(stack)

    async def _check_topics(self) -> None:
        """Return if every topic is there: a client would look for a missing one for a minute, or for ever."""
        wanted = [self._names.messages, self._names.dlq]
        if self._source != "http":
            wanted.append(self._source)

        def missing() -> list[str]:
            with cluster.admin(self.settings.kafka) as admin:
                return sorted(set(wanted) - set(admin.list_topics()))

        try:
            absent = await asyncio.to_thread(missing)
        except cluster.UnreachableError as error:
            raise WorkerExit(Exit.BROKER, str(error)) from error
        if absent:
            raise WorkerExit(
                Exit.TOPICS, f"missing topics: {', '.join(absent)}. Ours are made by: yanshao topics apply"
            )

    async def _open(self, stack: AsyncExitStack) -> None:
        await self._check_topics()
        producer = client.producer(self.settings.kafka)
        await producer.start()
        stack.push_async_callback(producer.stop)
        partitions = sorted(await producer.partitions_for(self._names.messages))
        self._producer = producer
        self._publisher = Publisher(producer, self._names.dlq)
        self._intake = Intake(partitions, self._mapping, self._clock)
        await self._serve_side(stack)
        if self._source == "http":
            await self._serve_door(stack)
            self.ready.set()
            await self._stopping.wait()
        else:
            await self._follow(stack)

    async def _serve_side(self, stack: AsyncExitStack) -> None:
        listen = self.settings.listen
        unready = lambda: () if self.ready.is_set() else ("starting",)  # noqa: E731 - two words
        self.side = health_site(self.metrics, listen, unhealthy=tuple, unready=unready)
        await self.side.start()
        stack.push_async_callback(self.side.stop)

    async def _serve_door(self, stack: AsyncExitStack) -> None:
        listen = self.settings.listen
        handler = events_handler(
            KafkaDoor(self._intake, self._write, room=self.settings.local.queue_bytes),
            ensure_token(self.settings),
            limits_of(self.settings),
            self._answered,
        )
        app = web.Application(client_max_size=listen.max_body_bytes)
        app.router.add_post("/v1/events", handler)
        self.door = Listening(
            app,
            listen.host,
            listen.port,
            bounds_of(listen),
            cut=lambda reason: self.metrics.inc(m.HTTP_CUT, reason),
            answered=self._answered,
        )
        await self.door.start()
        stack.push_async_callback(self.door.stop)
        logger.info("POST /v1/events on port %d", self.door.port)

    def _answered(self, status: int) -> None:
        self.metrics.inc(m.HTTP_REQUESTS, "events", str(status))

    async def _write(self, rows: Rows) -> list[Confirmation]:
        """Hand records over in order; those of one conversation stay in order, for they share a key."""
        topic = self._names.messages
        confirmations: list[Confirmation] = []
        for partition, row in rows:
            if partition is None:
                confirmations += await self._publisher.send_singly(topic, [row])
            else:
                confirmations += await self._publisher.send(topic, partition, [row])
        return confirmations

    async def _follow(self, stack: AsyncExitStack) -> None:
        """Map a foreign topic until told to stop."""
        consumer = _group_reader(self.settings.kafka, self._source)
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        self.ready.set()
        while not self._stopping.is_set():
            fetched = await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
            if not fetched:
                continue
            confirmations: list[Confirmation] = []
            for records in fetched.values():
                for record in records:
                    confirmations += await self._map(record)
            await confirm(confirmations)
            await consumer.commit()

    async def _map(self, record: Any) -> list[Confirmation]:
        try:
            rows = self._intake.rows(record.value or b"")
        except InvalidMessage as problem:
            self.metrics.inc(m.EVENTS_INVALID, problem.reason)
            self.metrics.inc(m.DEAD_LETTERS, problem.reason)
            detail = [("detail", problem.detail.encode())]
            buried = await self._publisher.dead_letter(
                record, record.topic, record.partition, problem.reason, detail
            )
            return [buried]
        return await self._write(rows)


def _group_reader(kafka: Kafka, topic: str) -> Any:
    """Return a consumer whose group is named after the topic: several processes share its partitions."""
    return aiokafka.AIOKafkaConsumer(
        topic,
        bootstrap_servers=list(kafka.bootstrap),
        group_id=f"{kafka.app_id}.ingest.{topic}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=kafka.session_timeout,
        heartbeat_interval_ms=kafka.heartbeat_interval,
        **client.security(kafka),
    )


def run_ingest(settings: Settings, *, source: str, mapping: Mapping | None = None) -> int:
    """Run one ingest until SIGTERM or SIGINT, or until something fails; returns the exit code.

    `source` is `http` or the name of a topic (in full: the prefix is not added to foreign names).
    """
    return asyncio.run(_run(settings, source, mapping))


async def _run(settings: Settings, source: str, mapping: Mapping | None) -> int:
    ingest = Ingest(settings, source=source, mapping=mapping)
    with asked_to_end(ingest.stop):
        return int(await ingest.run())
