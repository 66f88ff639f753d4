"""One play, three runtimes: the same lines and packs through replay, the embedded runtime and Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from alerts import config as alerts_config
from stream import wire
from stream.core import clocks
from stream.core import state as states
from stream.core.events import Received
from stream.core.state import State
from stream.runtime.clock import StreamClock
from stream.runtime.conversations import Knowledge
from stream.runtime.kafka.worker import Driver, Worker
from stream.runtime.local import LocalRuntime
from stream.runtime.replay import Refused, replay
from stream.runtime.store import Store, open_read_only
from stream.wire import InvalidMessage
from tests.contract import day as days

Json = dict[str, Any]
# A record's key and its bytes; without a key it is a tick, which reaches every partition.
Line = tuple[str | None, bytes]

# Lines that a sender hands over at once. Several do so at a time, so that transactions begin anywhere.
CHUNK = 333


class Part(NamedTuple):
    """Lines in the order in which they arrive, and the packs, by file, that are in force then."""

    packs: Mapping[str, str]
    lines: Sequence[Line]


@dataclass(frozen=True)
class Play:
    """Parts one after another, and a last tick at ``end`` (milliseconds UTC)."""

    parts: Sequence[Part]
    end: int

    def knowledge(self, folder: Path) -> list[Knowledge]:
        """Return what the packs of each part say."""
        return [
            days.knowledge(dict(part.packs), folder / f"packs-{number}")
            for number, part in enumerate(self.parts)
        ]

    def last(self) -> bytes:
        """Return the record of the last tick."""
        return json.dumps({"type": "tick", "at": self.end}).encode()


class Records(NamedTuple):
    """What a runtime said, each kind in its order, and why it refused what it did."""

    findings: list[Json]
    alerts: list[Json]
    summaries: list[Json]
    refused: list[str]


def by_replay(play: Play, folder: Path) -> Records:
    """Return what a replay makes of the play."""
    return replayed(play, play.knowledge(folder))


def replayed(play: Play, known: Sequence[Knowledge]) -> Records:
    """Return what a replay makes of the play by the knowledge of its parts."""

    def events() -> Iterator[Received | Refused | Knowledge]:
        for knowledge, part in zip(known, play.parts, strict=True):
            yield knowledge
            for number, (_, raw) in enumerate(part.lines):
                yield _read(number, raw)
        yield _read(0, play.last())

    done = replay(known[0], events(), close=False)
    return Records(
        [json.loads(wire.encode(one, UTC)) for one in done.findings],
        [json.loads(wire.encode_alert(one, UTC)) for one in done.alerts],
        [json.loads(wire.encode(one, UTC)) for one in done.summaries.values()],
        [one.reason for one in done.refused],
    )


def _read(number: int, raw: bytes) -> Received | Refused:
    try:
        return wire.decode(raw, received_at=None)
    except InvalidMessage as error:
        return Refused("play", number + 1, error.reason, error.detail)


async def by_local(play: Play, folder: Path) -> Records:
    """Return what the embedded runtime makes of the play."""
    known = play.knowledge(folder)
    current = [known[0]]
    data = folder / "data"
    data.mkdir()
    runtime = LocalRuntime(
        data,
        lambda: current[0],
        alerts_config.parse({}, source="none", env={}),
        clock=StreamClock(),
        zone=UTC,
    )
    await runtime.start()
    for knowledge, part in zip(known, play.parts, strict=True):
        current[0] = knowledge
        raws = [raw for _, raw in part.lines]
        chunks = [raws[start : start + CHUNK] for start in range(0, len(raws), CHUNK)]
        await asyncio.gather(*(runtime.accept(chunk, keep_refused=True, stamped=False) for chunk in chunks))
    await runtime.accept([play.last()], keep_refused=True, stamped=False)
    await runtime.stop()
    with open_read_only(data) as connection:
        store = Store(connection)
        kept = [states.decode(raw) for _, raw in store.conversations()]
        assert all(_owed(state) for state in kept), "nothing is kept but what is owed to an issue"
        return Records(
            [json.loads(raw) for raw in store.records("finding")],
            [json.loads(raw) for raw in store.records("alert")],
            [json.loads(raw) for raw in store.records("conversation")],
            [row[1] for row in store.refused()],
        )


def _owed(state: State) -> bool:
    return any(clock.issue is not None and clock.stopped_at is None for clock in clocks.all_of(state))


async def by_kafka(play: Play, folder: Path, request: pytest.FixtureRequest) -> Records:
    """Return what two workers on a broker make of the play."""
    # Only where Kafka is: its helpers start nothing by being imported, but its fixtures do.
    from tests.integration.kafkasystem import Installation, until  # noqa: PLC0415

    admin = request.getfixturevalue("kafka_admin")
    packs = folder / "packs"
    version = days.knowledge(dict(play.parts[0].packs), packs).book.version
    system = Installation(
        request.getfixturevalue("kafka"),
        request.getfixturevalue("topic_prefix"),
        folder,
        partitions=4,
        settings_of={"packs": [str(packs)], "zone": "UTC"},
    )
    system.make_topics(admin)
    names = system.names
    sent = 0

    def taken() -> bool:
        committed = system.committed(admin).items()
        return sum(offset for (topic, _), offset in committed if topic == names.messages) >= sent

    async def swap(workers: list[Worker], wanted: str) -> None:
        reload = {"type": "packs.reload", "conversation_id": "reload"}
        await asyncio.to_thread(system.send, [reload], names.config)
        await until(
            lambda: all(worker._shelf.knowledge().book.version == wanted for worker in workers),
            "the new packs",
        )

    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(system.worker(name, driver=Driver.STREAM))
            for name in ("w0", "w1")
        ]
        await until(lambda: all(not worker.unready() for worker in workers), "two ready workers")
        for part in (*play.parts, Part(play.parts[-1].packs, [(None, play.last())])):
            wanted = days.knowledge(dict(part.packs), packs).book.version
            if wanted != version:
                await swap(workers, wanted)
                version = wanted
            sent += await asyncio.to_thread(_write, system, part.lines)
            await until(taken, "the commit of what was sent", patience=180)
        # What those made of customers goes round through a topic of its own.
        await until(lambda: system.contacts_taken(admin), "the commit of the contacts", patience=60)
        return await asyncio.to_thread(
            lambda: Records(
                system.json(names.findings),
                system.json(names.alerts),
                system.json(names.conversations),
                [dict(record.headers)["reason"].decode() for record in system.read(names.dlq, 1)],
            )
        )


def _write(system: Any, lines: Sequence[Line]) -> int:
    """Send the lines in order, a tick to every partition; return how many records they were."""
    producer = system.producer()
    futures = []
    for key, raw in lines:
        if key is None:
            futures += [
                producer.send(system.names.messages, key=b"tick", value=raw, partition=number)
                for number in range(system.partitions)
            ]
        else:
            futures.append(producer.send(system.names.messages, key=key.encode(), value=raw))
    for future in futures:
        future.get(timeout=60)
    producer.close()
    return len(futures)
