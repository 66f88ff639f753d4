"""Bugs of our own, put back on purpose: a suite that does not see them would not see the next ones either.

Only a child process that a test starts by way of `child` honours the variable; the product has no hook.
Each stands for a shortcut that looks harmless: faster, and right as long as nothing dies.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from alerts.model import Notification
from stream import wire
from stream.core.events import Timer
from stream.core.state import Source
from stream.runtime.conversations import Input
from stream.runtime.kafka import outputs, partition
from stream.runtime.kafka.partition import ConversationProcessor
from stream.runtime.kafka.publisher import confirm
from stream.runtime.kafka.timers import ClockDriver
from stream.runtime.local import LocalRuntime
from stream.runtime.store import Store
from stream.wire import InvalidMessage

VARIABLE = "YANSHAO_TEST_MUTATION"

ASIDE_S = 0.8
"""How long a batch that is kept by itself takes, where several may: longer than two commits lie apart."""


def acknowledge_before_delivery() -> None:
    """A batch is acknowledged once it was applied in memory; nobody waits for the broker."""
    process = ConversationProcessor._process

    async def hasty(self: Any, fed: Any) -> None:
        await process(self, [_Acknowledged(one) for one in fed])  # type: ignore[misc]

    ConversationProcessor._process = hasty  # type: ignore[method-assign]


class _Acknowledged:
    """A batch that was acknowledged when it was taken."""

    def __init__(self, fed: Any) -> None:
        self.batch, self.tp = fed.batch, fed.tp
        fed.acknowledge()

    def acknowledge(self) -> None:
        """Has been."""


def state_before_outputs() -> None:
    """States are written while outputs wait for them: an event that was applied may never be told."""
    tell = outputs.tell

    async def later(*arguments: Any) -> list[Any]:
        return [_Later(lambda: tell(*arguments))]

    async def keep(self: Any) -> None:
        while True:
            batch = await self._told.get()
            batch.kept = await self._shared.publisher.send(
                self._shared.names.state, self.number, batch.states
            )
            await confirm(batch.kept)
            batch.kept = []
            for one in batch.outputs:
                batch.kept += await one.tell() if isinstance(one, _Later) else [one]
            self._kept.put_nowait(batch)

    outputs.tell = later  # type: ignore[assignment]
    ConversationProcessor._keep = keep  # type: ignore[method-assign]


class _Later:
    """Outputs that are not on their way yet."""

    def __init__(self, tell: Callable[[], Any]) -> None:
        self.tell = tell

    def __await__(self) -> Generator[Any, None, None]:
        return iter(())  # type: ignore[return-value]


def acknowledge_out_of_order() -> None:
    """Batches are kept side by side, and acknowledged as they end: the later one commits over the earlier."""
    tasks: deque[asyncio.Task[None]] = deque(maxlen=1_000)

    async def keep(self: Any) -> None:
        number = 0
        while True:
            batch = await self._told.get()
            number += 1
            tasks.append(asyncio.create_task(by_itself(self, batch, ASIDE_S if number % 3 == 0 else 0)))

    async def by_itself(self: Any, batch: Any, wait_s: float) -> None:
        await confirm(batch.outputs)
        await asyncio.sleep(wait_s)
        await confirm(await self._shared.publisher.send(self._shared.names.state, self.number, batch.states))
        self._kept.put_nowait(batch)

    ConversationProcessor._keep = keep  # type: ignore[method-assign]


def timer_without_ownership() -> None:
    """Whoever holds a clock tells of it, from memory, without asking the log or the group.

    It is right as long as nobody else has the partition and nothing dies. To leave out the question for the
    heartbeat alone would do no harm that anybody could see: a timer is a record, which the owner judges.
    """

    async def tick(self: Any, processors: Iterable[Any]) -> None:
        for one in processors:
            if one.ready and (timers := one.take_due(self._clock.now_ms())):
                await speak(one, timers)

    async def speak(one: Any, timers: Sequence[Timer]) -> None:
        shared = one._shared
        inputs = [Input(timer, Source.TIMERS) for timer in timers]
        await one._take_slot()
        async with one._applying:
            applied = one.conversations.apply(shared.knowledge(), inputs)
            batch = partition._Batch((), states=outputs.state_rows(applied))
            batch.outputs = await outputs.tell(
                shared.publisher, shared.names, one.number, applied, shared.zone, shared.kafka.partitions
            )
            one._told.put_nowait(batch)

    ClockDriver.tick = tick  # type: ignore[method-assign, assignment]


def answer_before_commit() -> None:
    """A sender hears 202 as soon as its events were read; they wait for their transaction."""
    accept = LocalRuntime.accept
    waiting: set[asyncio.Task[Any]] = set()

    async def hasty(self: Any, events: Sequence[bytes], **how: Any) -> list[InvalidMessage | None]:
        task = asyncio.create_task(accept(self, events, **how))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        return [_problem(raw) for raw in events]

    LocalRuntime.accept = hasty  # type: ignore[method-assign]


def _problem(raw: bytes) -> InvalidMessage | None:
    try:
        wire.decode(raw, received_at=None)
    except InvalidMessage as problem:
        return problem
    return None


def ledger_after_sending() -> None:
    """The ledger holds what was sent, and not what is to be."""
    put = Store.put_notifications

    def decided(self: Any, entries: Sequence[Notification]) -> None:
        put(self, [entry for entry in entries if not entry.open])

    Store.put_notifications = decided  # type: ignore[method-assign]


KAFKA: Mapping[str, Callable[[], None]] = {
    one.__name__: one
    for one in (
        acknowledge_before_delivery,
        state_before_outputs,
        acknowledge_out_of_order,
        timer_without_ownership,
    )
}

LOCAL: Mapping[str, Callable[[], None]] = {
    one.__name__: one for one in (answer_before_commit, ledger_after_sending)
}


def install(environment: Mapping[str, str] = os.environ) -> None:
    """Put back the bug that the environment names, if it names one."""
    name = environment.get(VARIABLE)
    if name:
        {**KAFKA, **LOCAL}[name]()
