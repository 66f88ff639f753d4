"""One commit covers every batch acknowledged in order before it; Faust left to itself covers one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stream.runtime.kafka.commits import commit_in_order

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
    """The reason for `stream.runtime.kafka.commits`; where this fails that module may go."""
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
    running = await start_app(topic, configure=commit_in_order)
    await _acknowledge(running, 3)
    await running.app.consumer.commit()
    assert committed(topic) == 30, "later batches are in flight and must not be committed over"
    await _acknowledge(running, 2)
    await running.app.consumer.commit()
    assert committed(topic) == 45
