"""A long batch is applied in slices, in order, and whatever else waits has its turn between them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from stream.core import state as states
from stream.core.events import Received, Tick, Timer
from stream.core.state import Source, State
from stream.core.state import decode as decode_state
from stream.runtime.conversations import Applied, Conversations, Input, Knowledge, conversation_of
from stream.runtime.kafka.pace import LEAST, SLICE_S, Pace
from stream.runtime.kafka.slices import READ_TOGETHER, Slices, by_conversation
from stream.runtime.knowledge import open_knowledge
from stream.wire import InvalidMessage, Reason, decode
from tests.integration.kafkasystem import COMPLAINT, message

FIRST = Pace().records()
START = 1_794_398_400_000


def never(_: Input, problem: InvalidMessage) -> None:
    raise problem


def inputs(count: int) -> list[Input]:
    return [
        Input(Timer(conversation_id="c", clock_id="k", due=1), Source.TIMERS, place) for place in range(count)
    ]


class Notes:
    """In which turn of the loop how much was applied, and which partition's; and what was read together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.applied: list[tuple[int, int, list[int]]] = []
        self.read: list[int] = []
        self.turn = 0

        def read(_: Any, texts: Sequence[Input]) -> Sequence[Input]:
            self.read.append(len(texts))
            return texts

        monkeypatch.setattr(Conversations, "read", staticmethod(read))

    def partition(self, number: int, seconds: float = 0.0) -> Conversations:
        def apply(_: Any, slice_: Sequence[Input], reads: Sequence[Input]) -> Applied:
            assert list(reads) == list(slice_)
            self.applied.append((self.turn, number, [one.offset for one in slice_]))
            time.sleep(seconds)
            return Applied(applied=len(slice_))

        conversations: Any = Conversations()
        conversations.apply = apply
        return conversations  # type: ignore[no-any-return]

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    return Notes(monkeypatch)


def nothing_known() -> Any:
    return "nothing"


async def test_the_loop_turns_between_slices_and_partitions_take_turns(notes: Notes) -> None:
    slices = Slices(nothing_known)
    parts = [notes.partition(number, seconds=SLICE_S) for number in range(3)]
    counting = asyncio.create_task(notes.count())
    done = await asyncio.gather(*(slices.apply(part, inputs(4 * FIRST), never) for part in parts))
    counting.cancel()
    assert [one.applied for one in done] == [4 * FIRST] * 3
    for number in range(3):
        offsets = [offset for _, whose, slice_ in notes.applied if number == whose for offset in slice_]
        assert offsets == list(range(4 * FIRST))
    turns = [turn for turn, _, _ in notes.applied]
    assert len(set(turns)) == len(turns), "each took the time of a turn"
    assert [whose for _, whose, _ in notes.applied[:6]] == [0, 1, 2, 0, 1, 2]


async def test_short_batches_are_read_in_one_call_and_applied_in_one_turn(notes: Notes) -> None:
    slices = Slices(nothing_known)
    counting = asyncio.create_task(notes.count())
    parts = [notes.partition(number) for number in range(4)]
    await asyncio.gather(*(slices.apply(part, inputs(3), never) for part in parts))
    counting.cancel()
    assert notes.read == [12]
    assert len({turn for turn, _, _ in notes.applied}) == 1
    assert [(whose, slice_) for _, whose, slice_ in notes.applied] == [(n, [0, 1, 2]) for n in range(4)]


async def test_no_more_is_read_at_once_than_is_cheaper_for_it(notes: Notes) -> None:
    slices = Slices(nothing_known)
    counts = [READ_TOGETHER - 1, 2, 2 * READ_TOGETHER + 1, 1]
    parts = [notes.partition(number) for number in range(4)]
    batches = (slices.apply(part, inputs(count), never) for part, count in zip(parts, counts, strict=True))
    done = await asyncio.gather(*batches)
    assert [one.applied for one in done] == counts
    assert sum(notes.read) == sum(counts)
    assert max(notes.read) <= READ_TOGETHER


async def test_a_batch_that_nobody_waits_for_any_more_is_left_alone(notes: Notes) -> None:
    slices = Slices(nothing_known)
    given_up = asyncio.create_task(slices.apply(notes.partition(0), inputs(3), never))
    await asyncio.sleep(0)
    other = asyncio.create_task(slices.apply(notes.partition(1), inputs(3), never))
    given_up.cancel()
    assert (await other).applied == 3
    assert {whose for _, whose, _ in notes.applied} == {1}


async def test_what_breaks_a_batch_with_a_tick_is_for_its_partition_alone(notes: Notes) -> None:
    slices = Slices(nothing_known)
    broken: Any = notes.partition(0)

    def breaking(*_: Any) -> Applied:
        raise LookupError

    broken.apply = breaking
    tick = [Input(Received(Tick(at=START), START))]
    results = await asyncio.gather(
        slices.apply(broken, tick, never),
        slices.apply(notes.partition(1), inputs(3), never),
        return_exceptions=True,
    )
    assert isinstance(results[0], LookupError)
    assert isinstance(results[1], Applied)


async def test_nothing_comes_to_nothing(notes: Notes) -> None:
    assert await Slices(nothing_known).apply(notes.partition(0), [], never) == Applied()
    assert not notes.applied


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


def of_each(batch: list[Input], records: list[Any]) -> dict[str, list[Any]]:
    names = sorted({conversation_of(one) or "" for one in batch})
    return {name: [one for one in records if one.conversation_id == name] for name in names}


async def test_slices_of_a_batch_come_to_what_the_batch_would(knowledge: Knowledge) -> None:
    batch = chats(READ_TOGETHER + 3 * FIRST)
    whole, sliced = Conversations(), Conversations()
    expected = whole.apply(knowledge, batch)
    done = await Slices(lambda: knowledge).apply(sliced, batch, never)
    assert of_each(batch, done.records) == of_each(batch, expected.records)
    assert done.changed == expected.changed
    assert (done.counted, done.applied) == (expected.counted, expected.applied)
    assert dict(sliced.raw()) == dict(whole.raw())


async def test_conversations_mixed_in_a_batch_are_read_once_each(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = Conversations()
    conversations.apply(knowledge, chats(9))
    read: list[bytes] = []

    def noted(raw: bytes) -> State:
        read.append(raw)
        return decode_state(raw)

    monkeypatch.setattr(states, "decode", noted)
    batch = chats(READ_TOGETHER)[9:]
    await Slices(lambda: knowledge).apply(conversations, batch, never)
    assert len(read) < 9 + len(batch) // LEAST, "once, and once more where a slice ends amid its events"


async def test_input_that_breaks_our_code_is_left_out_and_everything_else_is_told_once(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = chats(120)
    bad = 83
    rest = [one for one in batch if one.offset != bad]
    expected = Conversations().apply(knowledge, rest)
    conversations = Conversations()
    apply_one = conversations._apply_one

    def breaking(known: Knowledge, entry: Input, *others: Any) -> None:
        apply_one(known, entry, *others)
        if entry.offset == bad:
            raise ValueError

    monkeypatch.setattr(conversations, "_apply_one", breaking)
    refused: list[tuple[int, Reason]] = []
    slices = Slices(lambda: knowledge)
    done = await slices.apply(
        conversations, batch, lambda entry, why: refused.append((entry.offset, why.reason))
    )
    assert refused == [(bad, Reason.INTERNAL)]
    assert of_each(rest, done.records) == of_each(rest, expected.records)
    assert done.changed == expected.changed
    assert done.applied == len(rest)


def test_nothing_is_moved_across_a_tick() -> None:
    def named(name: str | None, offset: int) -> Input:
        if name is None:
            return Input(Received(Tick(at=offset), offset), Source.MESSAGES, offset)
        return Input(Timer(conversation_id=name, clock_id="k", due=1), Source.TIMERS, offset)

    order = ["a", "b", "a", None, "b", "a", "b", "c", None, None, "a"]
    found = by_conversation([named(name, place) for place, name in enumerate(order)])
    assert [one.offset for one in found] == [0, 2, 1, 3, 4, 6, 5, 7, 8, 9, 10]
