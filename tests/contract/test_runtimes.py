"""Every runtime makes the same of the same day: replay, the embedded runtime, Kafka with two workers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from alerts import config as alerts_config
from stream import wire
from stream.core import clocks
from stream.core import state as states
from stream.core.events import Received
from stream.core.state import State
from stream.runtime.clock import StreamClock
from stream.runtime.kafka.worker import Driver
from stream.runtime.local import LocalRuntime
from stream.runtime.replay import Refused, replay
from stream.runtime.store import Store, open_read_only
from stream.wire import InvalidMessage
from tests.contract import day as days
from tests.contract.day import AFTER, BEFORE, Day

Json = dict[str, Any]


@dataclass
class Told:
    """What a runtime said, by what names it; of a summary's revisions the last."""

    findings: dict[tuple[str, str], Json] = field(default_factory=dict)
    alerts: dict[tuple[str, str, int], Json] = field(default_factory=dict)
    summaries: dict[str, Json] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls,
        findings: Iterable[bytes],
        alerts: Iterable[bytes],
        summaries: Iterable[bytes],
        refused: Iterable[str],
    ) -> Told:
        told = cls(refused=Counter(refused))
        for finding in map(json.loads, findings):
            told.findings[finding["finding_id"], finding["status"]] = finding
        for alert in map(json.loads, alerts):
            alert.pop("source_partition", None)  # only Kafka has partitions
            told.alerts[alert["alert_id"], alert["status"], alert["step"]] = alert
        for summary in map(json.loads, summaries):
            known = told.summaries.get(summary["conversation_id"])
            if known is None or known["revision"] < summary["revision"]:
                told.summaries[summary["conversation_id"]] = summary
        return told


@pytest.fixture(scope="module")
def day() -> Day:
    return days.build()


@pytest.fixture(scope="module")
def replayed(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return by_replay(day, tmp_path_factory.mktemp("replayed"))


def by_replay(day: Day, folder: Path) -> Told:
    before = days.knowledge(BEFORE, folder / "before")
    after = days.knowledge(AFTER, folder / "after")

    def events() -> Any:
        for number, raw in enumerate(day.raws):
            if number == day.change_at:
                yield after
            yield read(number, raw)

    done = replay(before, events())
    return Told.of(
        (wire.encode(one, UTC) for one in done.findings),
        (wire.encode_alert(one, UTC) for one in done.alerts),
        (wire.encode(one, UTC) for one in done.summaries.values()),
        (one.reason for one in done.refused),
    )


def read(number: int, raw: bytes) -> Received | Refused:
    try:
        return wire.decode(raw, received_at=None)
    except InvalidMessage as error:
        return Refused("day", number + 1, error.reason, error.detail)


def owed(state: State) -> bool:
    return any(clock.issue is not None and clock.stopped_at is None for clock in clocks.all_of(state))


async def by_local(day: Day, folder: Path) -> Told:
    packs = {name: days.knowledge(files, folder / name) for name, files in (("b", BEFORE), ("a", AFTER))}
    current = [packs["b"]]
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
    for piece in (day.raws[: day.change_at], day.raws[day.change_at :], [day.end()]):
        # Several senders at once, so that transactions begin and end anywhere.
        chunks = [piece[start : start + 333] for start in range(0, len(piece), 333)]
        await asyncio.gather(*(runtime.accept(chunk, keep_refused=True, stamped=False) for chunk in chunks))
        current[0] = packs["a"]
    await runtime.stop()
    with open_read_only(data) as connection:
        store = Store(connection)
        kept = [states.decode(raw) for _, raw in store.conversations()]
        assert kept
        assert all(owed(state) for state in kept), "nothing is kept but what is owed to an issue"
        return Told.of(
            store.records("finding"),
            store.records("alert"),
            store.records("conversation"),
            (row[1] for row in store.refused()),
        )


async def by_kafka(day: Day, folder: Path, request: pytest.FixtureRequest) -> Told:
    # Only where Kafka is: its helpers start nothing by being imported, but its fixtures do.
    from tests.integration.kafkasystem import Installation, until  # noqa: PLC0415

    admin = request.getfixturevalue("kafka_admin")
    packs = days.write_packs(BEFORE, folder / "packs")
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

    async def feed(lines: list[tuple[str | None, bytes]], ticks: int = 0) -> None:
        nonlocal sent
        await asyncio.to_thread(write, system, lines)
        sent += len(lines) + ticks
        await until(
            lambda: (
                sum(n for (topic, _), n in system.committed(admin).items() if topic == names.messages) >= sent
            ),
            "the commit of what was sent",
            patience=180,
        )

    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(system.worker(name, driver=Driver.STREAM))
            for name in ("w0", "w1")
        ]
        await until(lambda: all(not worker.unready() for worker in workers), "two ready workers")
        await feed(day.lines[: day.change_at])
        version = days.knowledge(AFTER, packs).book.version
        reload = {"type": "packs.reload", "conversation_id": "reload"}
        await asyncio.to_thread(system.send, [reload], names.config)
        await until(
            lambda: all(worker._shelf.knowledge().book.version == version for worker in workers),
            "the new packs",
        )
        await feed(day.lines[day.change_at :])
        at = json.loads(day.end())["at"]
        await asyncio.to_thread(system.tick, at)
        await feed([], ticks=system.partitions)
        return await asyncio.to_thread(
            lambda: Told.of(
                (record.value for record in system.read(names.findings)),
                (record.value for record in system.read(names.alerts)),
                (record.value for record in system.read(names.conversations)),
                (dict(record.headers)["reason"].decode() for record in system.read(names.dlq, 1)),
            )
        )


def write(system: Any, lines: list[tuple[str | None, bytes]]) -> None:
    producer = system.producer()
    futures = [
        producer.send(system.names.messages, key=(key or "").encode(), value=raw) for key, raw in lines
    ]
    for future in futures:
        future.get(timeout=60)
    producer.close()


@pytest.mark.parametrize("runtime", ["replay", "local", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_every_runtime_tells_the_same_of_the_same_day(
    runtime: str, day: Day, replayed: Told, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if runtime == "replay":
        told = by_replay(days.build(), tmp_path)
    elif runtime == "local":
        told = await by_local(day, tmp_path)
    else:
        told = await by_kafka(day, tmp_path, request)
    assert told.findings == replayed.findings
    assert told.alerts == replayed.alerts
    assert told.summaries == replayed.summaries
    assert told.refused == replayed.refused


def test_day_is_the_same_for_the_same_seed(day: Day) -> None:
    assert days.build().lines == day.lines
    assert days.build(seed=1).lines != day.lines


def test_day_holds_what_the_runtimes_must_agree_on(day: Day, replayed: Told) -> None:
    assert len(replayed.summaries) == day.conversations == 2_000
    assert set(day.expected.values()) == {"in_time", "at_target", "late", "never"}
    states = Counter(clock["state"] for one in replayed.summaries.values() for clock in one["clocks"])
    assert min(states[name] for name in ("answered", "answered_late", "missed")) > 50
    at_target = [
        clock
        for one in replayed.summaries.values()
        for clock in one["clocks"]
        if clock["due"] == clock["stopped_at"]
    ]
    assert len(at_target) > 50
    assert {clock["state"] for clock in at_target} <= {"answered", "stopped"}
    counted = Counter[str]()
    for one in replayed.summaries.values():
        counted.update(one["counted"])
    assert counted["duplicate"] > 50
    assert counted["late"] > 50
    assert any(one["inferred"] for one in replayed.summaries.values())
    assert any(one["revision"] > 1 for one in replayed.summaries.values())
    assert sum(replayed.refused.values()) == day.poison >= 6
    assert len(replayed.refused) >= 4
    versions = {finding["pack_version"] for finding in replayed.findings.values()}
    assert {"emotion.day@1", "emotion.day@2", "ola.day@1", "ola.day@2"} <= versions
    statuses = Counter(finding["status"] for finding in replayed.findings.values())
    assert statuses["corrected"] > 20
    assert statuses["raised"] > 500


def test_planted_answers_end_their_clocks_as_planted(day: Day, replayed: Told) -> None:
    """By hand: 12 s is in time, 95 s is late; 30 s is in time before the change and at the target after."""
    wanted = {
        "in_time": {"answered"},
        "at_target": {"answered"},
        "late": {"answered_late", "answered"},
        "never": {"missed"},
    }
    for name, kind in day.expected.items():
        first = next(one for one in replayed.summaries[name]["clocks"] if one["kind"] == "first_response")
        assert first["state"] in wanted[kind], (name, kind, first)


def test_no_personal_data_is_told(replayed: Told, day: Day) -> None:
    assert any(b"13800138000" in raw for raw in day.raws)
    assert "13800138000" not in repr((replayed.findings, replayed.alerts, replayed.summaries))
