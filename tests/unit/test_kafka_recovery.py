"""In which order several partitions are read back; `tests/integration` does it with a broker."""

from __future__ import annotations

import asyncio
from datetime import UTC
from types import SimpleNamespace
from typing import Any

from stream.core.book import EMPTY_BOOK
from stream.core.state import Source
from stream.runtime.conversations import Knowledge
from stream.runtime.kafka.changelog import Replay
from stream.runtime.kafka.feed import RecordBatch
from stream.runtime.kafka.inbox import Fed, Inbox
from stream.runtime.kafka.membership import Heartbeats
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.partition import ConversationProcessor
from stream.runtime.kafka.shared import Shared
from stream.runtime.kafka.slices import Slices
from stream.runtime.kafka.snapshots import Image
from stream.settings import Kafka
from stream.testing import eventually


class Changelog:
    """Gives a partition's records when a test lets it; knows whose are being read."""

    def __init__(self) -> None:
        self.reading: list[int] = []
        self.may_end = asyncio.Semaphore(0)

    async def read_state(self, number: int, _: Replay) -> None:
        self.reading.append(number)
        await self.may_end.acquire()

    async def read_customers(self, *_: Any) -> None:
        pass

    async def start_offsets(self, _: int) -> dict[Source, int]:
        return dict.fromkeys(Source, 0)


class Silent:
    """Hears everything and keeps nothing."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


class Confirming:
    """Takes every record, and confirms it at once."""

    async def send(self, *_: Any) -> list[Any]:
        return []

    async def dead_letter(self, *_: Any) -> Any:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def processors(changelog: Changelog, count: int) -> list[ConversationProcessor]:
    nobody = Silent()

    def knowledge() -> Knowledge:
        return Knowledge(EMPTY_BOOK, nobody)

    shared = Shared(
        names=Names(),
        kafka=Kafka(),
        zone=UTC,
        live=False,
        publisher=Confirming(),  # type: ignore[arg-type]
        knowledge=knowledge,
        heartbeats=Heartbeats(10.0),
        observer=nobody,
        slices=Slices(knowledge),
        read_state=changelog.read_state,
        read_customers=changelog.read_customers,
        start_offsets=changelog.start_offsets,
    )
    return [
        ConversationProcessor(number, shared, Inbox(lambda _: None, lambda _: None))
        for number in range(count)
    ]


async def test_partitions_are_read_back_one_after_another_so_that_the_first_is_ready_soonest() -> None:
    changelog, failed = Changelog(), list[BaseException]()
    parts = processors(changelog, 3)
    for part in parts:
        part.start(failed.append)
    for number in range(3):
        await eventually(lambda number=number: len(changelog.reading) == number + 1, "the next one's turn")  # type: ignore[misc]
        assert [part.ready for part in parts].count(True) == number
        changelog.may_end.release()
    await eventually(lambda: all(part.ready for part in parts), "all of them")
    for part in parts:
        await part.close()
    assert failed == []


async def test_recovery_goes_on_over_a_rebalance_that_gives_the_partition_straight_back() -> None:
    changelog, failed = Changelog(), list[BaseException]()
    [part] = processors(changelog, 1)
    part.start(failed.append)
    await eventually(lambda: changelog.reading == [0], "the reading")
    assert await part.drain(1.0), "nothing was under way"
    changelog.may_end.release()
    await eventually(lambda: part.ready, "the end of the reading")
    assert (part.running, part.inbox.moving) == (False, False)
    part.resume()
    assert (part.running, part.inbox.moving) == (True, True)
    assert changelog.reading == [0]
    await part.close()
    assert failed == []


async def test_partition_that_was_ended_has_no_image() -> None:
    """Its memory is empty then: a file of that would say that there is not one conversation."""
    changelog, failed = Changelog(), list[BaseException]()
    changelog.may_end.release()
    [part] = processors(changelog, 1)
    part.start(failed.append)
    await eventually(lambda: part.ready, "the end of the reading")
    assert await part.image() == (Image({}, {}, 0, 0), 0)
    await part.close()
    assert await part.image() is None


async def test_image_waits_until_nothing_is_under_way_and_keeps_no_place() -> None:
    changelog, failed = Changelog(), list[BaseException]()
    changelog.may_end.release()
    [part] = processors(changelog, 1)
    part.start(failed.append)
    await eventually(lambda: part.ready, "the end of the reading")
    await part._take_slot()  # a batch
    waiting = asyncio.create_task(part.image())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    part._free_slot()
    assert await waiting is not None
    assert part.under_way == 0
    await part.close()


async def test_messages_do_not_wait_for_customers() -> None:
    changelog, failed = Changelog(), list[BaseException]()
    changelog.may_end.release()
    let = asyncio.Event()

    async def read_customers(*_: Any) -> None:
        await let.wait()

    changelog.read_customers = read_customers  # type: ignore[method-assign]
    [part] = processors(changelog, 1)
    part.start(failed.append)
    await eventually(lambda: part.ready, "the end of the reading")
    names = part._shared.names
    acknowledged: list[str] = []
    for topic in (names.contacts, names.messages):
        records = [SimpleNamespace(offset=0, timestamp=0, key=b"k", value=b"poison", headers=())]

        def acknowledge(topic: str = topic) -> None:
            acknowledged.append(topic)

        fed = SimpleNamespace(value=RecordBatch(topic, 0, records), ack=acknowledge)
        await part.inbox.put(Fed(fed))
    await eventually(lambda: acknowledged == [names.messages], "the message")
    let.set()
    await eventually(lambda: acknowledged == [names.messages, names.contacts], "the contact")
    await part.close()
    assert failed == []
