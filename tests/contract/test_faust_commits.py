"""One commit covers every batch acknowledged in order before it; Faust left to itself covers one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest

from stream.runtime.kafka.consumer import consume_in_order
from stream.runtime.kafka.fetching import AT_ONCE, ENOUGH_BYTES
from stream.testing import eventually

StartApp = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.kafka


async def _acknowledge(running: Any, batches: int) -> None:
    for _ in range(batches):
        (await running.next()).ack()


async def test_faust_commits_one_batch_at_a_time(
    start_app: StartApp,
    make_topic: Callable[..., str],
    write: Callable[[str, int], None],
    committed: Callable[[str], int | None],
) -> None:
    """The reason for `stream.runtime.kafka.consumer`; where this fails that module may go."""
    topic = make_topic("chat")
    write(topic, 45)
    running = await start_app(topic)
    await _acknowledge(running, 5)
    for expected in (20, 30, 40, 45):  # the first one is spared: no gap comes before it
        await running.app.consumer.commit()
        assert committed(topic) == expected


async def test_one_commit_covers_all_batches_acknowledged_before_it(
    start_app: StartApp,
    make_topic: Callable[..., str],
    write: Callable[[str, int], None],
    committed: Callable[[str], int | None],
) -> None:
    topic = make_topic("chat")
    write(topic, 45)
    running = await start_app(topic, configure=consume_in_order)
    await _acknowledge(running, 3)
    await running.app.consumer.commit()
    assert committed(topic) == 30, "later batches are in flight and must not be committed over"
    await _acknowledge(running, 2)
    await running.app.consumer.commit()
    assert committed(topic) == 45


async def test_fetches_ask_of_the_broker_what_the_consumer_was_told_to_ask(
    start_app: StartApp, make_topic: Callable[..., str], write: Callable[[str, int], None]
) -> None:
    """aiokafka takes wait and bytes from its fetcher at each request."""
    topic = make_topic("chat")
    write(topic, 1)
    running = await start_app(topic, configure=consume_in_order)
    await running.next()
    fetcher = running.app.consumer._thread._consumer._fetcher
    sent: list[tuple[int, int]] = []
    send = fetcher._client.send

    async def noted(node: int, request: Any, **others: Any) -> Any:
        if isinstance(request, FetchRequest):
            sent.append((request._max_wait_ms, request._min_bytes))
        return await send(node, request, **others)

    fetcher._client.send = noted
    await eventually(lambda: AT_ONCE in sent, "a fetch with nothing lately")
    write(topic, 500)
    for _ in range(50):
        await running.next()
    await eventually(lambda: sent[-1][1] == ENOUGH_BYTES, "a fetch after many records")
    await eventually(lambda: sent[-1:] == [AT_ONCE], "a fetch after silence")
