"""How Faust's consumer hands a batch on, as ours does it: at once where there is room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types import TP

from stream.runtime.kafka import eager
from stream.runtime.kafka.consumer import consume_in_order


@pytest.fixture
async def consumer(tmp_path: Path) -> Any:
    """A consumer that never meets a broker."""
    app = faust.App("idle", broker="kafka://127.0.0.1:1", datadir=str(tmp_path), web_enabled=False)
    consume_in_order(app)
    app.finalize()
    return app.consumer


def later(turns: list[str]) -> None:
    asyncio.get_running_loop().call_soon(turns.append, "a turn of the loop")


async def test_a_batch_that_finds_room_waits_for_no_turn_of_the_loop(consumer: Any) -> None:
    turns: list[str] = []
    handed = []

    async def hand_on() -> None:
        handed.append("batch")

    later(turns)
    suspended = asyncio.Event()
    await consumer.wait_first(hand_on(), suspended.wait())
    assert (handed, turns) == (["batch"], [])
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_batch_that_finds_no_room_waits_for_it(consumer: Any) -> None:
    room, suspended = asyncio.Event(), asyncio.Event()
    handed = []

    async def hand_on() -> None:
        await room.wait()
        await asyncio.sleep(0)
        handed.append("batch")

    waiting = asyncio.create_task(consumer.wait_first(hand_on(), suspended.wait()))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    room.set()
    await waiting
    assert handed == ["batch"]


async def test_a_batch_that_finds_no_room_is_given_up_when_partitions_are_handed_over(consumer: Any) -> None:
    """The processors must come to rest, and the batch is read again."""
    room, suspended = asyncio.Event(), asyncio.Event()
    given_up = []

    async def hand_on() -> None:
        try:
            await room.wait()
        except asyncio.CancelledError:
            given_up.append("batch")
            raise

    waiting = asyncio.create_task(consumer.wait_first(hand_on(), suspended.wait()))
    await asyncio.sleep(0.01)
    suspended.set()
    await waiting
    await asyncio.sleep(0)
    assert given_up == ["batch"]


@pytest.mark.parametrize("turns", [0, 1])
async def test_what_breaks_the_handing_on_reaches_faust(consumer: Any, turns: int) -> None:
    async def hand_on() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise LookupError

    with pytest.raises(LookupError):
        await consumer.wait_first(hand_on(), asyncio.Event().wait())


async def test_no_gaps_are_kept_of_what_is_committed_without_them(consumer: Any) -> None:
    await consumer._add_gap(TP("t", 0), 1, 9)
    assert not consumer._gap[TP("t", 0)]


async def test_the_rest_of_a_coroutine_that_nobody_awaits_is_closed() -> None:
    closed = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    rest = eager.begin(work())
    task = asyncio.create_task(rest)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert closed == [True]
