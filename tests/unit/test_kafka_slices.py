"""A long batch is applied in slices, in order, and whatever else waits has its turn between them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from stream.core.events import Timer
from stream.core.state import Source
from stream.runtime.conversations import Applied, Input
from stream.runtime.kafka.inbox import Inbox
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.pace import FIRST
from stream.runtime.kafka.partition import ConversationProcessor
from stream.runtime.kafka.shared import Shared
from stream.settings import Kafka


class Silent:
    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


def processors(count: int) -> list[ConversationProcessor]:
    nobody: Any = Silent()
    shared = Shared(
        names=Names(),
        kafka=Kafka(),
        zone=UTC,
        live=False,
        publisher=nobody,
        knowledge=nobody.knowledge,
        heartbeats=nobody,
        observer=nobody,
        read_state=nobody.read_state,
        read_customers=nobody.read_customers,
        start_offsets=nobody.start_offsets,
    )
    return [
        ConversationProcessor(number, shared, Inbox(lambda _: None, lambda _: None))
        for number in range(count)
    ]


def inputs(count: int) -> list[Input]:
    return [
        Input(Timer(conversation_id="c", clock_id="k", due=1), Source.TIMERS, place) for place in range(count)
    ]


class Notes:
    """In which turn of the loop how much was applied, and which partition's."""

    def __init__(self) -> None:
        self.applied: list[tuple[int, int, list[int]]] = []
        self.turn = 0

    def listen(self, part: ConversationProcessor) -> None:
        def apply(_: Any, slice_: Sequence[Input]) -> Applied:
            self.applied.append((self.turn, part.number, [one.offset for one in slice_]))
            return Applied(applied=len(slice_))

        part.conversations.apply = apply  # type: ignore[method-assign, assignment]

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


async def test_the_loop_turns_between_the_slices_of_all_partitions() -> None:
    parts, notes = processors(3), Notes()
    for part in parts:
        notes.listen(part)
    counting = asyncio.create_task(notes.count())
    done = await asyncio.gather(*(part._apply_all([], inputs(4 * FIRST), []) for part in parts))
    counting.cancel()
    assert [one.applied for one in done] == [4 * FIRST] * 3
    for part in parts:
        offsets = [
            offset for _, number, slice_ in notes.applied if number == part.number for offset in slice_
        ]
        assert offsets == list(range(4 * FIRST))
    turns = [turn for turn, _, _ in notes.applied]
    assert len(turns) >= 6
    assert len(set(turns)) == len(turns), "no two slices in one turn"


async def test_a_short_batch_is_applied_whole() -> None:
    [part], notes = processors(1), Notes()
    notes.listen(part)
    await part._apply_all([], inputs(FIRST), [])
    assert [slice_ for _, _, slice_ in notes.applied] == [list(range(FIRST))]
