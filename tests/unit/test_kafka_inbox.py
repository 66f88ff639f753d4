"""The inbox of a processor: who waits when it is full, and what a cancellation does to whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from stream.runtime.kafka.feed import RecordBatch
from stream.runtime.kafka.inbox import HIGH, LOOK_S, LOW, Fed, Inbox

RECORD = SimpleNamespace(offset=0)


def batch(topic: str = "chat.messages") -> Fed:
    return Fed(SimpleNamespace(value=RecordBatch(topic, 0, [RECORD])))


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


async def filled(inbox: Inbox) -> None:
    inbox.moving = True
    for _ in range(HIGH - 1):
        await inbox.put(batch())


async def test_full_inbox_makes_the_giver_wait_while_all_others_have_work() -> None:
    out: set[object] = set()
    inbox = Inbox(out.add, out.discard)
    await filled(inbox)
    giving = asyncio.create_task(inbox.put(batch()))
    await asyncio.sleep(3 * LOOK_S)
    assert not giving.done()
    inbox.take(1)
    await giving
    assert not out


async def test_full_inbox_is_left_out_as_soon_as_another_partition_has_run_dry() -> None:
    """One that is far behind must not keep the others' records in Faust's queue."""
    out: set[object] = set()
    dry = False
    inbox = Inbox(out.add, out.discard, lambda: dry)
    await filled(inbox)
    giving = asyncio.create_task(inbox.put(last := batch()))
    await asyncio.sleep(3 * LOOK_S)
    assert not giving.done()
    dry = True
    await giving
    assert out == {last.tp}
    while len(inbox) > LOW:
        assert out
        inbox.take(1)
    assert not out


async def test_what_is_kept_back_holds_up_nothing_else_and_comes_first_when_it_is_let_in() -> None:
    inbox = Inbox(lambda tp: None, lambda tp: None)
    inbox.keep_back("qa.contacts")
    contacts, messages = [batch("qa.contacts") for _ in range(2)], [batch() for _ in range(2)]
    for one in (contacts[0], messages[0], contacts[1], messages[1]):
        await inbox.put(one)
    assert inbox.take(1) == [messages[0]]
    inbox.let_in("qa.contacts")
    assert inbox.records == 3
    assert inbox.take(9) == [*contacts, messages[1]]
    await inbox.put(late := batch("qa.contacts"))
    assert inbox.take(9) == [late]


async def test_whoever_waits_hears_of_what_is_let_in() -> None:
    inbox = Inbox(lambda tp: None, lambda tp: None)
    inbox.keep_back("qa.contacts")
    await inbox.put(batch("qa.contacts"))
    assert not await inbox.arrival(0.01)
    waiting = asyncio.create_task(inbox.arrival(60))
    await asyncio.sleep(0.01)
    inbox.let_in("qa.contacts")
    assert await waiting


async def test_partition_of_what_is_kept_back_is_left_out_and_taken_in_again() -> None:
    out: set[object] = set()
    inbox = Inbox(out.add, out.discard)
    inbox.keep_back("qa.contacts")
    contacts = [batch("qa.contacts") for _ in range(LOW)]
    for one in contacts:
        assert not out
        await inbox.put(one)
    assert out == {contacts[0].tp}
    await inbox.put(batch())
    inbox.take(9)
    assert out, "nobody wants more of them yet"
    inbox.let_in("qa.contacts")
    assert inbox.take(99) == contacts
    assert not out


async def test_handing_over_forgets_what_was_kept_back() -> None:
    inbox = Inbox(lambda tp: None, lambda tp: None)
    inbox.keep_back("qa.contacts")
    await inbox.put(batch("qa.contacts"))
    inbox.clear()
    inbox.let_in("qa.contacts")
    assert inbox.take(9) == []


async def test_what_waits_already_is_kept_back_too() -> None:
    inbox = Inbox(lambda tp: None, lambda tp: None)
    first, other, second = batch("qa.notify.a"), batch("qa.notify.b"), batch("qa.notify.a")
    for one in (first, other):
        await inbox.put(one)
    inbox.keep_back("qa.notify.a")
    inbox.keep_back("qa.notify.a")
    await inbox.put(second)
    assert inbox.records == 1
    assert inbox.take(9) == [other]
    assert not await inbox.arrival(0.01)
    inbox.let_in("qa.notify.a")
    assert inbox.take(9) == [first, second]


async def test_partition_that_was_left_out_stays_so_while_its_topic_is_kept_back() -> None:
    out: set[object] = set()
    inbox = Inbox(out.add, out.discard)
    for _ in range(HIGH - 1):
        await inbox.put(batch())
    await inbox.put(batch("qa.notify.a"))
    inbox.keep_back("qa.notify.a")
    inbox.take(99)
    assert out
    inbox.let_in("qa.notify.a")
    assert not out
