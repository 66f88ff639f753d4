"""A long batch is applied in slices, in order, and whatever else waits has its turn between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from stream.core.events import Timer
from stream.core.state import Source
from stream.runtime.conversations import Applied, Conversations, Input, Knowledge
from stream.runtime.kafka.feed import RecordBatch
from stream.runtime.kafka.inbox import Fed
from stream.runtime.kafka.pace import FIRST
from stream.runtime.kafka.slices import PORTION, Slices, portions
from stream.runtime.knowledge import open_knowledge
from stream.wire import InvalidMessage, Reason, decode
from tests.integration.kafkasystem import COMPLAINT, message

START = 1_794_398_400_000


def never(_: Input, problem: InvalidMessage) -> None:
    raise problem


def inputs(count: int) -> list[Input]:
    return [
        Input(Timer(conversation_id="c", clock_id="k", due=1), Source.TIMERS, place) for place in range(count)
    ]


class Notes:
    """In which turn of the loop how much was applied, and which partition's."""

    def __init__(self) -> None:
        self.applied: list[tuple[int, int, list[int]]] = []
        self.turn = 0

    def partition(self, number: int, applying: asyncio.Lock) -> Slices:
        def go_on(_: Any, slice_: Sequence[Input]) -> Applied:
            self.applied.append((self.turn, number, [one.offset for one in slice_]))
            return Applied(applied=len(slice_))

        conversations: Any = Conversations()
        conversations.go_on = go_on
        nothing: Any = None
        return Slices(conversations, lambda: nothing, applying)

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


async def test_the_loop_turns_between_the_slices_of_all_partitions() -> None:
    notes, applying = Notes(), asyncio.Lock()
    parts = [notes.partition(number, applying) for number in range(3)]
    counting = asyncio.create_task(notes.count())
    done = await asyncio.gather(*(part.go_on(inputs(4 * FIRST), never) for part in parts))
    counting.cancel()
    assert [one.applied for one in done] == [4 * FIRST] * 3
    for number in range(3):
        offsets = [offset for _, whose, slice_ in notes.applied if number == whose for offset in slice_]
        assert offsets == list(range(4 * FIRST))
    turns = [turn for turn, _, _ in notes.applied]
    assert len(turns) >= 6
    assert len(set(turns)) == len(turns), "no two slices in one turn"


async def test_a_short_batch_is_applied_whole() -> None:
    notes = Notes()
    await notes.partition(0, asyncio.Lock()).go_on(inputs(FIRST), never)
    assert [slice_ for _, _, slice_ in notes.applied] == [list(range(FIRST))]


def test_portions_keep_the_order_and_the_bound() -> None:
    class Event:
        def __init__(self, records: int) -> None:
            self.value = RecordBatch("t", 0, [None] * records)  # type: ignore[list-item]

    sizes = [1, PORTION, 100, 156, 1, 2 * PORTION, 3, 4]
    found = [[len(one.batch) for one in some] for some in portions(Fed(Event(size)) for size in sizes)]
    assert found == [[1], [PORTION], [100, 156], [1], [2 * PORTION], [3, 4]]


# What a batch comes to, with real knowledge ---------------------------------------------------------


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return open_knowledge()


def chats(count: int) -> list[Input]:
    """Complaints and small talk of nine conversations by turns."""
    texts = [COMPLAINT if n % 5 == 0 else f"第{n}句" for n in range(count)]
    said = [message(f"c-{n % 9}", n, text, at=START + n * 1_000) for n, text in enumerate(texts)]
    return [
        Input(decode(json.dumps(one).encode(), received_at=None), Source.MESSAGES, n)
        for n, one in enumerate(said)
    ]


async def test_slices_of_a_batch_come_to_what_the_batch_would_and_write_each_state_once(
    knowledge: Knowledge,
) -> None:
    batch = chats(3 * FIRST)
    whole = Conversations()
    expected = whole.apply(knowledge, batch)
    conversations = Conversations()
    slices = Slices(conversations, lambda: knowledge, asyncio.Lock())
    done = Applied()
    for at in range(0, len(batch), 50):
        some = await slices.go_on(batch[at : at + 50], never)
        assert not some.changed
        assert not len(conversations), "nothing is held before the end"
        done.merge(some)
    slices.end(done)
    assert done == expected
    assert dict(conversations.raw()) == dict(whole.raw())


async def test_input_that_breaks_our_code_is_left_out_and_everything_else_is_told_once(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = chats(120)
    bad = 83
    expected = Conversations().apply(knowledge, [one for one in batch if one.offset != bad])
    conversations = Conversations()
    apply_one = conversations._apply_one

    def breaking(known: Knowledge, entry: Input, *rest: Any) -> None:
        apply_one(known, entry, *rest)
        if entry.offset == bad:
            raise ValueError

    monkeypatch.setattr(conversations, "_apply_one", breaking)
    slices = Slices(conversations, lambda: knowledge, asyncio.Lock())
    refused: list[tuple[int, Reason]] = []
    done = Applied()
    for at in range(0, len(batch), 40):
        some = batch[at : at + 40]
        done.merge(await slices.go_on(some, lambda entry, why: refused.append((entry.offset, why.reason))))
    slices.end(done)
    assert refused == [(bad, Reason.INTERNAL)]
    assert done.records == expected.records
    assert done.changed == expected.changed
    assert done.applied == len(batch) - 1
