"""Tasks end, also those whose first cancellation is swallowed by a library."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from stream.runtime.kafka import ending


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_what_was_asked_to_end_has_ended() -> None:
    async def failing() -> None:
        try:
            await for_ever()
        finally:
            raise LookupError

    done = asyncio.create_task(asyncio.sleep(0))
    await done
    tasks = [asyncio.create_task(for_ever()), asyncio.create_task(failing()), done]
    await asyncio.sleep(0)
    await ending.end(tasks)
    assert [task.done() for task in tasks] == [True] * 3
    assert isinstance(tasks[1].exception(), LookupError)


async def test_nothing_has_ended_at_once() -> None:
    await ending.end([])


async def test_a_task_whose_cancellation_was_taken_for_that_of_its_own_helper_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As aiokafka's `Fetcher.close` and `AIOKafkaClient.close` do it."""
    monkeypatch.setattr(ending, "AGAIN_S", 0.05)

    async def closing() -> None:
        slow = asyncio.Event()

        async def helper() -> None:
            try:
                await for_ever()
            finally:
                await slow.wait()

        mine = asyncio.create_task(helper())
        await asyncio.sleep(0)
        mine.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await mine
        await for_ever()

    task = asyncio.create_task(closing())
    await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        await ending.end([task])
    assert task.cancelled()
