"""Customers in the embedded store: there again after a restart, settled and let go by time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from alerts import config as alerts_config
from stream.core.limits import HOUR_MS
from stream.runtime.clock import StreamClock
from stream.runtime.conversations import Knowledge
from stream.runtime.jobs import Done
from stream.runtime.local import LocalRuntime
from stream.runtime.store import Store, open_read_only
from tests.contract import day as days
from tests.contract.test_runtimes_customers import Talk, events_of

DAY = 24 * HOUR_MS


@pytest.fixture
def known(tmp_path: Path) -> Knowledge:
    return days.knowledge(days.BEFORE, tmp_path / "packs")


@asynccontextmanager
async def running(folder: Path, known: Knowledge, seen: list[Done]) -> AsyncIterator[LocalRuntime]:
    runtime = LocalRuntime(
        folder,
        lambda: known,
        alerts_config.parse({}, source="none", env={}),
        clock=StreamClock(),
        observe=seen.append,
    )
    await runtime.start()
    yield runtime
    await runtime.stop()


async def send(runtime: LocalRuntime, talk: Talk) -> None:
    raws = [json.dumps(event).encode() for _, event in events_of(talk, "1")]
    assert set(await runtime.accept(raws, stamped=False)) == {None}


def stored(folder: Path) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The summaries told so far, and the customers' records."""
    with open_read_only(folder) as connection:
        store = Store(connection)
        return list(map(json.loads, store.records("conversation"))), dict(store.customers())


def settled(seen: Iterable[Done]) -> dict[str, tuple[float, int]]:
    return {
        one.figure: (one.numerator, one.denominator)
        for done in seen
        for one in done.told.settled
        if one.definition == "pdd_v1"
    }


async def test_customer_is_charged_by_a_runtime_that_was_started_later(
    tmp_path: Path, known: Knowledge
) -> None:
    seen: list[Done] = []
    async with running(tmp_path, known, seen) as first:
        await send(first, Talk("a1", 0))
        held = dict(first.customers.raw())
    assert stored(tmp_path)[1] == held
    async with running(tmp_path, known, seen) as second:
        assert dict(second.customers.raw()) == held
        await send(second, Talk("a2", HOUR_MS))
    told = {(one["conversation_id"], one["revision"]): one for one in stored(tmp_path)[0]}
    assert told["a1-1", 2]["followed_by"] == ["a2-1"]
    assert told["a2-1", 2]["repeat_contact"]
    assert sorted(told) == [("a1-1", 1), ("a1-1", 2), ("a2-1", 1), ("a2-1", 2)]


async def test_time_settles_the_customers_day_and_lets_the_customer_go(
    tmp_path: Path, known: Knowledge
) -> None:
    """Two conversations of one customer and one day, all answered at once: one customer-day of one."""
    seen: list[Done] = []

    async def tick(runtime: LocalRuntime, at: int) -> None:
        await runtime.accept([json.dumps({"type": "tick", "at": at}).encode()], stamped=False)

    async with running(tmp_path, known, seen) as runtime:
        await send(runtime, Talk("a1", 0))
        await send(runtime, Talk("a2", HOUR_MS))
        await tick(runtime, days.START + 15 * HOUR_MS)  # midnight: the day is over, not settled yet
        assert settled(seen) == {}
        await tick(runtime, days.START + 16 * HOUR_MS + 1)
        assert settled(seen) == {"customers_answered": (1, 1), "first_answered_in_300s": (1, 1)}
        await tick(runtime, days.START + 3 * DAY)
        assert len(runtime.customers) == 0
    assert stored(tmp_path)[1] == {}
