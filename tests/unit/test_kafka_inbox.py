"""The inbox of a processor: what a cancellation does to whoever waits for a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from stream.runtime.kafka.feed import RecordBatch
from stream.runtime.kafka.inbox import Fed, Inbox

RECORD = SimpleNamespace(offset=0)


def batch() -> Fed:
    return Fed(SimpleNamespace(value=RecordBatch("chat.messages", 0, [RECORD])))


@pytest.mark.parametrize("waiting", [lambda inbox: inbox.arrival(60), lambda inbox: inbox.more(60)])
@pytest.mark.parametrize("turns", range(6))
async def test_cancellation_that_comes_with_a_batch_is_not_lost(
    waiting: Callable[[Inbox], Coroutine[Any, Any, Any]], turns: int
) -> None:
    """A processor that goes on after its cancellation would keep whoever ends it waiting for ever."""
    inbox = Inbox(lambda tp: None, lambda tp: None)
    task = asyncio.create_task(waiting(inbox))
    await asyncio.sleep(0.01)
    await inbox.put(batch())
    for _ in range(turns):  # the turns of the loop between the arrival and the waiter's own
        await asyncio.sleep(0)
    cancelling = task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() is cancelling
