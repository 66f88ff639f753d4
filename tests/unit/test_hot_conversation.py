"""A hot conversation: neither its record nor the work of one message grows with its length."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import msgspec
import pytest

from stream import wire
from stream.bench.workload import models
from stream.core import state as states
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.knowledge import open_knowledge

NAME = "hot"
GAP_MS = 10
"""A hundred messages a second, as where one conversation in ten is this one at a thousand."""

BATCH = 100


@pytest.fixture(scope="module")
def known() -> Knowledge:
    return open_knowledge()


def _batches(known: Knowledge) -> Iterator[list[Input]]:
    """Batches of messages of all kinds, without end: both sides, eventful and not, every rule of the day."""
    said = enumerate(cycle(models(known)))
    while True:
        yield [_message(number, one.role, one.text) for number, one in islice(said, BATCH)]


def _message(number: int, role: str, text: str) -> Input:
    at = 1_794_398_400_000 + number * GAP_MS
    event = {
        "type": "message",
        "conversation_id": NAME,
        "message_id": f"{NAME}/{number}",
        "sent_at": at,
        "sender": {"role": role, "id": role},
        "content": {"text": f"{text}{number}"},
    }
    return Input(wire.decode(msgspec.json.encode(event), received_at=None), offset=number)


def _calls(work: Callable[[], object]) -> int:
    """How many functions are called, in Python and in C: what time is, but for the machine."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def _course(known: Knowledge) -> Iterator[tuple[int, int, int]]:
    """Yield after each batch: calls a message, bytes of the record, records told."""
    conversations = Conversations()
    for batch in _batches(known):
        told = 0

        def work(batch: list[Input] = batch) -> None:
            nonlocal told
            told = len(conversations.apply(known, batch).records)

        calls = _calls(work) // BATCH
        yield calls, len(dict(conversations.raw())[NAME]), told


@pytest.fixture(scope="module")
def course(known: Knowledge) -> list[tuple[int, int, int]]:
    return list(islice(_course(known), 60))


def test_the_record_does_not_grow_with_the_conversation(course: list[tuple[int, int, int]]) -> None:
    sizes = [size for _, size, _ in course]
    assert max(sizes[40:]) <= 1.1 * max(sizes[10:25])


def test_the_work_of_a_message_does_not_grow_with_the_conversation(
    course: list[tuple[int, int, int]],
) -> None:
    calls = [calls for calls, _, _ in course]
    early, late = calls[10:25], calls[45:]
    assert sum(late) / len(late) <= 1.1 * sum(early) / len(early)


def test_what_is_told_does_not_grow_with_the_conversation(course: list[tuple[int, int, int]]) -> None:
    told = [told for _, _, told in course]
    assert max(told[40:]) <= 1.2 * max(told[10:25])


def test_the_whole_of_it_is_read_back(known: Knowledge) -> None:
    conversations = Conversations()
    for batch in islice(_batches(known), 12):
        conversations.apply(known, batch)
    raw = dict(conversations.raw())[NAME]
    assert states.encode(states.decode(raw)) == raw
