"""Who owns what: partitions come and go with the group's generations, processors follow.

Kafka takes all partitions from everybody at each rebalance and gives them out again. A partition that
comes straight back, in the very next generation, was nobody else's meanwhile: its memory is still right
and is kept. Where a generation lies between, or something was not finished in time, memory is dropped
and read back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Any

from faust.types import TP

from stream.core.state import Source
from stream.runtime.kafka.counts import Counts
from stream.runtime.kafka.delivery import Delivery
from stream.runtime.kafka.exits import Exit, WorkerExit
from stream.runtime.kafka.fetching import AT_ONCE
from stream.runtime.kafka.inbox import Fed, Inbox
from stream.runtime.kafka.membership import Heartbeats
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.partition import ConversationProcessor
from stream.runtime.kafka.planning import AlertProcessor
from stream.runtime.kafka.shared import Shared

logger = logging.getLogger(__name__)


class Ownership:
    """Starts, keeps and ends processors as partitions are assigned and revoked.

    `failed` hears the first exception of any of them; `hand_over_s` bounds the wait for what is under
    way when partitions are taken.
    """

    def __init__(
        self,
        names: Names,
        shared: Shared,
        planner: AlertProcessor | None,
        delivery: Delivery | None,
        *,
        counts: Counts,
        heartbeats: Heartbeats,
        hand_over_s: float,
        failed: Callable[[BaseException], None],
        forget: Callable[[int], None],
    ) -> None:
        self.processors: dict[int, ConversationProcessor] = {}
        self._assigned = asyncio.Event()
        self._names = names
        self._sources = names.sources()
        self._shared = shared
        self._planner = planner
        self._delivery = delivery
        self._counts = counts
        self._heartbeats = heartbeats
        self._hand_over_s = hand_over_s
        self._failed = failed
        self._forget = forget
        self._held_generation = -1
        self._ended = False
        self._finished: set[int] = set()

    @property
    def assigned(self) -> bool:
        """Whether partitions have been given to us and none is being handed over."""
        return self._assigned.is_set()

    async def settled(self) -> None:
        """Return once what the group gave us is taken up; a batch before that would be left alone."""
        await self._assigned.wait()

    # Records ----------------------------------------------------------------------------------------------

    async def take(self, event: Any) -> None:
        """Give a batch to whoever it is for; waits while there is no room.

        What still arrives while partitions are handed over is left alone: batches before it were
        forgotten, and to apply it first would make them look as if they had been applied.
        """
        if not self.assigned:
            return
        fed = Fed(event)
        topic = fed.batch.topic
        if topic in self._sources:
            processor = self.processors.get(fed.batch.partition)
            if processor is not None:
                await processor.inbox.put(fed)
        elif topic == self._names.alerts and self._planner is not None:
            await self._planner.inbox.put(fed)
        elif self._delivery is not None and self._names.receiver(topic) is not None:
            await self._delivery.inbox.put(fed)

    # Rebalance --------------------------------------------------------------------------------------------

    async def revoked(self, app: Any, revoked: Iterable[TP]) -> None:
        """Finish what is under way and commit it; no partition is ours until the next assignment."""
        taken = set(revoked)
        self._assigned.clear()
        self._held_generation = app.consumer_generation_id
        drains = {number: one.drain(self._hand_over_s) for number, one in self.processors.items()}
        finished = await asyncio.gather(*drains.values())
        self._finished = {number for number, done in zip(drains, finished, strict=True) if done}
        if self._planner is not None and not await self._planner.drain(self._hand_over_s):
            # It keeps no state to drop: what it would acknowledge later must not be, so it ends.
            self._failed(WorkerExit(Exit.BROKER, "notifications were not confirmed during a rebalance"))
        if self._delivery is not None:
            await self._delivery.stop()
        await self._commit(app, taken)

    async def _commit(self, app: Any, taken: set[TP]) -> None:
        """Commit what the processors finished, so that the next owner need not skip it record by record."""
        offsets = {
            TP(topic, number): offset
            for number in self._finished
            for topic, source in self._sources.items()
            if (offset := self.processors[number].done.get(source)) is not None
        }
        offsets = {tp: offset for tp, offset in offsets.items() if tp in taken}
        if offsets:
            await app.consumer._commit(offsets)

    async def given(self, app: Any, assigned: Iterable[TP]) -> None:
        """Take up what the group gave us.

        Raises:
            WorkerExit: Topics that belong together were given to different workers.
        """
        if self._ended:  # asked to end amid a rebalance
            return
        given = set(assigned)
        _forget_acknowledgements(app)
        numbers = self._numbers(given)
        consecutive = app.consumer_generation_id == self._held_generation + 1
        for number in list(self.processors):
            if number not in numbers or number not in self._finished or not consecutive:
                await self.processors.pop(number).close()
                self._forget(number)
        for number in sorted(numbers):
            self._own(app, number)
        if self._planner is not None and any(tp.topic == self._names.alerts for tp in given):
            self._planner.resume()
        if self._delivery is not None:
            receivers = frozenset(
                receiver for tp in given if (receiver := self._names.receiver(tp.topic)) is not None
            )
            self._delivery.start(receivers, self._failed)
        self._heartbeats.good()
        self._heartbeats.observe(app)
        app.consumer.ask(AT_ONCE)
        self._counts.rebalanced()
        self._assigned.set()
        logger.info("generation %d: partitions %s", app.consumer_generation_id, sorted(numbers))

    def _own(self, app: Any, number: int) -> None:
        if number in self.processors:
            self.processors[number].resume()
            return
        inbox = Inbox(
            app.consumer.on_buffer_full, app.consumer.on_buffer_drop, partial(self._others_starve, number)
        )
        processor = ConversationProcessor(number, self._shared, inbox)
        self.processors[number] = processor
        processor.start(self._failed)

    def _others_starve(self, number: int) -> bool:
        """Return whether another partition's processor could work and has nothing to."""
        return any(
            one.inbox.moving and not len(one.inbox)
            for other, one in self.processors.items()
            if other != number
        )

    def _numbers(self, given: set[TP]) -> set[int]:
        by_topic = {topic: {tp.partition for tp in given if tp.topic == topic} for topic in self._sources}
        numbers = by_topic[self._names.messages]
        if any(owned != numbers for owned in by_topic.values()):
            raise WorkerExit(
                Exit.TOPICS, "topics that belong together were assigned apart; check their partitions"
            )
        return numbers

    async def stop(
        self, app: Any, keep: Callable[[Collection[ConversationProcessor]], Awaitable[None]]
    ) -> bool:
        """Finish and commit what is under way, then end every processor; whether all was finished.

        `keep` is given those that finished, before they end.
        """
        self._ended = True
        given = {TP(topic, number) for topic in self._sources for number in self.processors}
        await self.revoked(app, given)
        everything = self._finished == set(self.processors)
        await keep([one for number, one in self.processors.items() if one.ready and number in self._finished])
        await self.abandon()
        return everything

    async def abandon(self) -> None:
        """End every processor as it stands, and take nothing up any more, whatever the group still gives."""
        self._ended = True
        while self.processors:
            _, processor = self.processors.popitem()
            await processor.close()

    # What others ask ----------------------------------------------------------------------------------------

    def done(self) -> dict[TP, int]:
        """Return, for each source partition owned and recovered, the next offset to confirm."""
        return {
            TP(topic, number): processor.done.get(source, 0)
            for number, processor in self.processors.items()
            if processor.ready
            for topic, source in self._sources.items()
        }

    def recovering(self) -> int:
        """Return how many partitions are ours and not read back yet."""
        return sum(not processor.ready for processor in self.processors.values())

    def reading_back(self) -> bool:
        """Return whether anything of ours is still being read back: a partition, or the ledger."""
        ledger = self.assigned and self._delivery is not None and not self._delivery.ready
        return ledger or self.recovering() > 0


def _forget_acknowledgements(app: Any) -> None:
    """Drop what Faust noted while partitions were handed over.

    To Faust the offsets between two batches are a gap, and a gap counts as acknowledged once a later
    offset is. An acknowledgement noted before the rebalance is such a later offset for batches read after
    it, and would let them be committed unprocessed.
    """
    for book in (app.consumer._acked, app.consumer._acked_index, app.consumer._gap):
        book.clear()


def source_offsets(names: Names, committed: dict[TP, int], number: int) -> dict[Source, int]:
    """Return a group's committed offsets of one partition number, by source; absent where there is none."""
    return {
        source: committed[TP(topic, number)]
        for topic, source in names.sources().items()
        if TP(topic, number) in committed
    }
