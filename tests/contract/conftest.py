"""Faust apps that run inside a test, against the shared broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types import TP
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from stream.runtime.kafka.feed import BatchSchema, batch_scheduler
from stream.testing import PATIENCE, eventually


@dataclass
class Running:
    """A started app whose agent hands every event to the test, which alone acknowledges."""

    app: faust.App
    events: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    assignments: list[set[TP]] = field(default_factory=list)

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self.events.get()

    async def stop(self) -> None:
        with suppress(asyncio.CancelledError):
            await self.app.stop()


StartApp = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start_app(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[StartApp]:
    """Start an app that reads the named topics in batches; ended with the test.

    Call it with `batched=False` for Faust's ordinary way, `configure` to add to the app before it starts,
    and any setting of Faust's.
    """
    async with AsyncExitStack() as stack:
        count = 0

        async def start(
            *topics: str,
            batched: bool = True,
            configure: Callable[[faust.App], None] = lambda _app: None,
            **settings: Any,
        ) -> Running:
            nonlocal count
            count += 1
            options: dict[str, Any] = {
                "broker": f"kafka://{kafka}",
                "datadir": str(tmp_path / f"faust-{count}"),
                "web_enabled": False,
                "topic_disable_leader": True,
                "topic_allow_declare": False,
                "stream_wait_empty": False,  # a test leaves batches unacknowledged on purpose
                "consumer_auto_offset_reset": "earliest",
                # Commits happen when a test asks for one.
                "broker_commit_interval": 3600.0,
            }
            if batched:
                options["ConsumerScheduler"] = batch_scheduler(max_records=10)
            app = faust.App(topic_prefix + "app", **options | settings)
            running = Running(app)
            schema = {"schema": BatchSchema()} if batched else {"value_type": bytes, "key_type": bytes}

            async def hand_over(messages: Any) -> None:
                async for event in messages.noack().events():
                    running.events.put_nowait(event)

            for topic in topics:
                app.agent(app.topic(topic, **schema), name=f"reads {topic}")(hand_over)

            async def on_assigned(_app: Any, assigned: set[TP], **_: Any) -> None:
                running.assignments.append(set(assigned))

            app.on_partitions_assigned.connect(on_assigned, weak=False)
            configure(app)
            app.finalize()
            await app.start()
            stack.push_async_callback(running.stop)
            await eventually(lambda: bool(running.assignments), "an assignment")
            return running

        yield start


MakeTopic = Callable[..., str]


@pytest.fixture
def make_topic(kafka_admin: KafkaAdminClient, topic_prefix: str) -> MakeTopic:
    """Make a topic of this test and return its name; settings as `{"retention.ms": "1"}`."""

    def make(name: str, partitions: int = 1, settings: dict[str, str] | None = None) -> str:
        options = {"num_partitions": partitions, "configs": settings or {}}
        kafka_admin.create_topics({topic_prefix + name: options}, wait_for_metadata=True)
        return topic_prefix + name

    return make


@pytest.fixture
def write(kafka: str) -> Callable[[str, int], None]:
    """Write that many records to partition 0 of a topic; their values are 0, 1, 2 …"""

    def writing(topic: str, count: int) -> None:
        producer = KafkaProducer(bootstrap_servers=kafka)
        futures = [producer.send(topic, b"%d" % n, key=b"c-1", partition=0) for n in range(count)]
        for future in futures:
            future.get(timeout=PATIENCE)
        producer.close()

    return writing


@pytest.fixture
def committed(kafka_admin: KafkaAdminClient, topic_prefix: str) -> Callable[[str], int | None]:
    """What the group has committed for partition 0 of a topic, as the broker has it; None for nothing."""

    def reading(topic: str) -> int | None:
        offsets = kafka_admin.list_group_offsets({topic_prefix + "app": None})[topic_prefix + "app"]
        found = {(tp.topic, tp.partition): offset.offset for tp, offset in offsets.items()}
        return found.get((topic, 0))

    return reading
