"""What Faust does that the Kafka runtime relies upon or works around, each pinned by one small test.

A test that fails after an upgrade names the rule of ours that may now be dropped, or must be rethought.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import pytest
from faust.transport.producer import ProducerBuffer
from faust.types import TP

from stream.testing import eventually

Write = Callable[[str, int], None]
Committed = Callable[[str], int | None]
MakeTopic = Callable[..., str]
StartApp = Callable[..., Awaitable[Any]]

TP0 = TP("t", 0)


@pytest.fixture
async def idle_app(tmp_path: Any) -> faust.App:
    """An app that never meets a broker: for what happens inside its objects."""
    app = faust.App("idle", broker="kafka://127.0.0.1:1", datadir=str(tmp_path), web_enabled=False)
    app.finalize()
    return app


@pytest.mark.parametrize(
    ("committed", "acked", "returned"),
    [
        # 2585 is the next to come and in flight; it is lost if the worker dies after this commit.
        (2585, [2586, 2587, 2588, 2589], 2590),
        (None, [7, 8, 9], 10),
        # One further off, and the hole is seen.
        (2585, [2587, 2588], None),
    ],
)
async def test_commit_passes_over_a_message_in_flight_at_the_head(
    idle_app: faust.App, committed: int | None, acked: list[int], returned: int | None
) -> None:
    """Why batches are acknowledged in order only. The first batch after a restart relies on it."""
    consumer = idle_app.consumer
    consumer._committed_offset[TP0] = committed
    consumer._acked[TP0] = list(acked)
    assert consumer._new_offset(TP0) == returned


async def test_neighbouring_gaps_stay_apart(idle_app: faust.App) -> None:
    """Were they merged, acknowledging one batch would commit the next one, which is in flight."""
    consumer = idle_app.consumer
    await consumer._add_gap(TP0, 1, 9)
    await consumer._add_gap(TP0, 10, 19)
    consumer._acked[TP0] = [9]
    assert consumer._new_offset(TP0) == 10


async def test_producer_flush_returns_before_all_is_sent(idle_app: faust.App) -> None:
    """Why outputs and states are sent and awaited by us, not left to the flush before a commit."""

    class Slow:
        sent = 0

        async def publish_message(self, _message: Any, wait: bool) -> None:
            await asyncio.sleep(0.3)
            self.sent += 1

    class Pending:
        def __init__(self, channel: Slow) -> None:
            self.message = self
            self.channel = channel

    slow = Slow()
    buffer = ProducerBuffer()
    buffer.app = idle_app
    async with buffer:
        for _ in range(3):
            buffer.put(Pending(slow))
        await asyncio.sleep(0)
        await buffer.flush()
        assert slow.sent < 3
        await eventually(lambda: slow.sent == 3, "the queued messages")


@pytest.mark.kafka
@pytest.mark.parametrize("noack", [False, True])
async def test_failed_message_is_acknowledged_unless_noack(
    start_app: StartApp, make_topic: MakeTopic, write: Write, committed: Committed, noack: bool
) -> None:
    """Why every processor reads a `noack` stream."""
    topic = make_topic("failing")
    write(topic, 2)
    read: list[int] = []

    async def reader(messages: Any) -> None:
        async for event in (messages.noack() if noack else messages).events():
            read.append(event.message.offset)
            raise RuntimeError("a fault in a processor")

    def configure(app: faust.App) -> None:
        app.agent(app.topic(topic, key_type=bytes, value_type=bytes))(reader)

    running = await start_app(batched=False, configure=configure)
    await eventually(lambda: read == [0, 1], "both messages: the agent is restarted after each fault")
    await running.stop()  # closes the streams and commits what is acknowledged
    assert (committed(topic) is None) is noack


@pytest.mark.kafka
async def test_static_member_comes_back_without_a_rebalance(
    start_app: StartApp, make_topic: MakeTopic
) -> None:
    """Why workers have stable names: the others notice nothing of a restart."""
    topic = make_topic("chat", partitions=4)
    other = await start_app(topic, consumer_group_instance_id="other")
    restarted = await start_app(topic, consumer_group_instance_id="restarted")
    await eventually(lambda: other.assignments[-1] and len(other.assignments[-1]) == 2, "two partitions each")
    before, mine = list(other.assignments), restarted.assignments[-1]

    await restarted.stop()
    again = await start_app(topic, consumer_group_instance_id="restarted")
    assert again.assignments[-1] == mine
    assert other.assignments == before


@pytest.mark.kafka
async def test_topics_of_one_app_share_their_partition_numbers(
    start_app: StartApp, make_topic: MakeTopic
) -> None:
    """A conversation's messages and timers must reach one worker."""
    topics = [make_topic(name, partitions=5) for name in ("chat", "timers")]
    one = await start_app(*topics)
    two = await start_app(*topics)
    await eventually(
        lambda: bool(two.assignments[-1]) and len(one.assignments[-1]) < 10, "a shared assignment"
    )
    for running in (one, two):
        numbers = [{tp.partition for tp in running.assignments[-1] if tp.topic == topic} for topic in topics]
        assert numbers[0] == numbers[1] != set()


@pytest.mark.kafka
async def test_fault_in_a_timer_crashes_the_app(start_app: StartApp, make_topic: MakeTopic) -> None:
    """Why our timers catch, count and decide themselves."""

    async def faulty() -> None:
        raise RuntimeError("a fault in a timer")

    running = await start_app(make_topic("chat"), configure=lambda app: app.timer(0.01)(faulty))
    await eventually(lambda: running.app.crashed, "the crash")


@pytest.mark.kafka
async def test_switched_off_web_server_opens_no_port(start_app: StartApp, make_topic: MakeTopic) -> None:
    """Why `web_enabled=False`: on, Faust serves on all interfaces without a password."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await start_app(make_topic("chat"), web_port=port, web_bind="127.0.0.1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
