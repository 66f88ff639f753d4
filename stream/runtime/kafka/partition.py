"""The processor of one partition's conversations and customers: nothing is acknowledged before it is kept.

Three stages, each a task, joined by queues, so that several batches are under way and yet every effect
keeps its order:

1. *work*: decode, apply to the conversations (contacts: to the customers) in memory, hand outputs and dead
   letters to the producer;
2. *keep*: once those are confirmed, hand the changed states to the changelogs, one batch each;
3. *finish*: once those are confirmed, acknowledge the records.

So whatever the changelog says was applied, was told: after a crash between any two effects a record read
again is either held by the state, and skipped, or makes the same outputs with the same ids. Memory runs
ahead of the changelog by the batches under way; it is thrown away with them where anything fails.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stream.core.events import Timer
from stream.core.state import APPLIED, Source
from stream.runtime.clock import WallClock
from stream.runtime.conversations import Conversations, Input
from stream.runtime.customers import Contacted, Told, last_tick
from stream.runtime.kafka import customers, outputs
from stream.runtime.kafka.changelog import Coverage, Replay
from stream.runtime.kafka.customers import CustomerSide
from stream.runtime.kafka.decoding import decode, record_of
from stream.runtime.kafka.ending import end
from stream.runtime.kafka.inbox import Fed, Inbox
from stream.runtime.kafka.publisher import Confirmation, Row, confirm
from stream.runtime.kafka.refusals import Refusals
from stream.runtime.kafka.shared import Shared
from stream.runtime.kafka.snapshots import Image
from stream.runtime.kafka.versions import readable
from stream.wire import InvalidMessage, Reason

logger = logging.getLogger(__name__)

LOAD_CHUNK = 500
"""States taken back before the loop may turn to other work, partitions that are ready: about 15 ms."""


@dataclass(slots=True)
class _Batch:
    """What is under way: the batches read, what they made, and its confirmations."""

    fed: Sequence[Fed]
    outputs: list[Confirmation] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)
    customers: list[Row] = field(default_factory=list)
    kept: list[Confirmation] = field(default_factory=list)
    begun: float = 0.0


class ConversationProcessor:
    """All conversations and customers of one partition, from raw records to acknowledged offsets."""

    def __init__(self, number: int, shared: Shared, inbox: Inbox) -> None:
        self.number = number
        self.inbox = inbox
        self.conversations = self._empty(shared, number)
        self.side = CustomerSide()
        self.ready = False
        self.position = 0
        """The next offset of `chat.messages` to apply."""
        self.done: dict[Source, int] = {}
        """By source, the next offset to confirm."""
        self.progress_at = time.monotonic()
        self._shared = shared
        self._sources = shared.names.sources()
        self._open = asyncio.Event()
        self._slots = asyncio.Semaphore(shared.kafka.in_flight)
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._told: asyncio.Queue[_Batch] = asyncio.Queue()
        self._kept: asyncio.Queue[_Batch] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._refusals = Refusals(shared, number)
        self._began = 0
        self._states_read = asyncio.Event()
        self.covered = Coverage()
        """Up to where memory has what the changelog has."""
        # Batches go on in the order in which they were applied, those that time alone made too.
        self._applying = asyncio.Lock()
        # Customers are read back last, and messages must not wait for that behind a contact.
        inbox.keep_back(shared.names.contacts)

    @staticmethod
    def _empty(shared: Shared, number: int) -> Conversations:
        return Conversations(source_partition=number, conversation_url=shared.conversation_url)

    # Life -----------------------------------------------------------------------------------------------

    def start(self, failed: Callable[[BaseException], None]) -> None:
        """Recover, then process; `failed` hears what ended it."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                failed(error)

        for stage in (self._work, self._keep, self._finish, self._recover_customers):
            task = asyncio.create_task(stage(), name=f"{stage.__name__} partition {self.number}")
            task.add_done_callback(ended)
            self._tasks.append(task)
        self.resume()

    def resume(self) -> None:
        """Take batches (again)."""
        self._open.set()
        self.inbox.moving = self.ready
        self.progress_at = time.monotonic()

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing more, finish what is under way; returns whether all of it was finished in time.

        What waits in the inbox is forgotten: it will be read again. A recovery goes on: should the partition
        come straight back, what was read until then is right.
        """
        self._open.clear()
        self.inbox.moving = False
        self.inbox.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End at once; memory is worth nothing from now on and nothing is acknowledged any more."""
        self._open.clear()
        self.ready = False
        await end(self._tasks)
        self.conversations, self.side = self._empty(self._shared, self.number), CustomerSide()

    @property
    def running(self) -> bool:
        """Whether the partition is ours, recovered, and not being handed over."""
        return self.ready and self._open.is_set()

    @property
    def under_way(self) -> int:
        """How many batches are taken and not yet acknowledged."""
        return self._under_way

    # Recovery -------------------------------------------------------------------------------------------

    async def _recover(self) -> None:
        begun = time.perf_counter()
        replay = Replay()
        self.done = await self._shared.start_offsets(self.number)
        self.position = self._began = self.done[Source.MESSAGES]
        async with self._shared.turn:
            await self._shared.read_state(self.number, replay)
            await self._load(replay)
        self.covered = replay.covered
        seconds = time.perf_counter() - begun
        self._shared.observer.recovered(seconds)
        logger.info(
            "partition %d recovered: %d conversations from %s%d records (%d superseded) in %.1f s",
            self.number,
            len(self.conversations),
            "a snapshot and " if replay.begun else "",
            replay.records,
            replay.superseded,
            seconds,
        )
        self.ready = True
        self._states_read.set()
        self.inbox.moving = self._open.is_set()
        self.progress_at = time.monotonic()

    async def _load(self, replay: Replay) -> None:
        knowledge = self._shared.knowledge()
        with readable(f"{self._shared.names.state}/{self.number}"):
            for count, (conversation_id, held) in enumerate(replay.held(), start=1):
                self.conversations.adopt(knowledge, conversation_id, held)
                if count % LOAD_CHUNK == 0:
                    await asyncio.sleep(0)
            for count, (conversation_id, raw) in enumerate(replay.states(), start=1):
                self.conversations.load(knowledge, conversation_id, raw)
                if count % LOAD_CHUNK == 0:
                    await asyncio.sleep(0)
        for conversation_id, applied in replay.gone().items():
            self.conversations.load_gone(conversation_id, applied)

    async def _recover_customers(self) -> None:
        """Read the customers back once no partition's conversations wait to be read any more."""
        await self._states_read.wait()
        async with self._shared.turn:
            limits = self._shared.knowledge().book.limits
            await self.side.recover(self.number, self._shared.read_customers, limits)
        self.inbox.let_in(self._shared.names.contacts)

    # First stage ----------------------------------------------------------------------------------------

    async def _work(self) -> None:
        await self._recover()
        while True:
            fed = await self._next()
            await self._shared.heartbeats.sure()
            async with self._applying:
                await self._process(fed)

    async def _next(self) -> list[Fed]:
        """Return the next batches to apply together, with a slot of the window taken for them."""
        while True:
            await self._open.wait()
            await self.inbox.arrival()
            await self._take_slot()
            await self._gather()
            fed = self.inbox.take(self._shared.kafka.batch.records) if self._open.is_set() else []
            if fed:
                return fed
            self._free_slot()

    async def _gather(self) -> None:
        """While other batches are under way, wait a little for this one to fill; alone it goes at once."""
        batch = self._shared.kafka.batch
        until = time.monotonic() + batch.wait / 1000
        while self._under_way > 1 and self.inbox.records < batch.records and self._open.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return
            await self.inbox.more(left)

    async def _process(self, fed: Sequence[Fed]) -> None:
        begun = time.perf_counter()
        batch, shared = _Batch(fed), self._shared
        inputs: list[Input] = []
        contacts: list[Contacted] = []
        for one in fed:
            self._decode(one, inputs, contacts)
            await asyncio.sleep(0)
        first = self.position == self._began and not (inputs or contacts)
        await self._refusals.recall(self.position, first=first)

        def refuse(entry: Input, problem: InvalidMessage) -> None:
            self._refusals.add(*record_of(entry.source, entry.offset, fed, self._sources), problem)

        applied = await shared.slices.apply(self.conversations, inputs, refuse)
        shared.observer.applied(inputs, applied, time.perf_counter() - begun)
        told = await self._apply_contacts(fed, contacts, last_tick(inputs))
        for one in fed:
            if self._sources[one.batch.topic] is Source.MESSAGES:
                self.position = one.batch.last_offset + 1
        batch.states, batch.customers = outputs.state_rows(applied), customers.rows(told)
        batch.begun = time.perf_counter()
        batch.outputs = await outputs.tell(
            shared.publisher,
            shared.names,
            self.number,
            applied,
            shared.zone,
            shared.kafka.partitions,
            shared.route,
        )
        batch.outputs += await outputs.tell_amended(shared.publisher, shared.names, told, shared.zone)
        batch.outputs += await self._refusals.bury()
        self._told.put_nowait(batch)

    def _decode(self, fed: Fed, inputs: list[Input], contacts: list[Contacted]) -> None:
        source = self._sources[fed.batch.topic]
        for record in fed.batch.records:
            try:
                item = decode(source, record, live=self._shared.live)
            except InvalidMessage as problem:
                self._refusals.add(fed, record, problem)
                continue
            self._refusals.used()
            if isinstance(item, Input):
                inputs.append(item)
            else:
                contacts.append(item)

    async def _apply_contacts(
        self, fed: Sequence[Fed], contacts: Sequence[Contacted], tick: int | None
    ) -> Told:
        if not contacts and tick is None:
            return Told()
        await self.side.recovered()
        told, broken = self.side.apply(self._shared.knowledge().book.limits, contacts, tick)
        for offset in broken:
            problem = InvalidMessage(Reason.INTERNAL, "contact")
            self._refusals.add(*record_of(Source.CONTACTS, offset, fed, self._sources), problem)
        self._shared.observer.told(told)
        return told

    # Second and third stage -----------------------------------------------------------------------------

    async def _keep(self) -> None:
        shared = self._shared
        while True:
            batch = await self._told.get()
            await confirm(batch.outputs)
            now = time.perf_counter()
            shared.observer.confirmed("outputs", now - batch.begun)
            batch.begun = now
            if batch.states or batch.customers:
                await shared.heartbeats.sure()
                batch.kept = await shared.publisher.send(shared.names.state, self.number, batch.states)
                batch.kept += await shared.publisher.send(
                    shared.names.customers, self.number, batch.customers
                )
            self._kept.put_nowait(batch)

    async def _finish(self) -> None:
        while True:
            batch = await self._kept.get()
            await confirm(batch.kept)
            self._shared.observer.confirmed("state", time.perf_counter() - batch.begun)
            self._note_kept(batch)
            for fed in batch.fed:
                # While partitions are handed over Faust has dropped its books of what was read; what is
                # finished then is committed from `done` instead.
                if self._open.is_set():
                    fed.acknowledge()
                self.done[self._sources[fed.batch.topic]] = fed.batch.last_offset + 1
            self.progress_at = time.monotonic()
            self._free_slot()

    def _note_kept(self, batch: _Batch) -> None:
        """Note where in the changelog the states of a batch begin."""
        for one in batch.kept:
            written = one.result()
            if written.topic == self._shared.names.state:
                self.covered.confirmed(written.offset, len(batch.states), WallClock().now_ms())
                return

    async def _take_slot(self) -> None:
        await self._slots.acquire()
        self._under_way += 1
        self._quiet.clear()

    def _free_slot(self) -> None:
        self._slots.release()
        self._under_way -= 1
        if self._under_way == 0:
            self._quiet.set()

    # Between batches ------------------------------------------------------------------------------------

    async def let_go(self, committed: dict[Source, int]) -> int:
        """Delete the keys of forgotten conversations that the commits have passed; how many those were.

        `committed` holds the group's next offset by source. The tombstones take their place in the order
        of batches, behind whatever was applied before.
        """
        await self._take_slot()
        limits = [committed.get(source, 0) for source in APPLIED]
        gone = self.conversations.drop_gone(limits) if self.running else []
        if not gone:
            self._free_slot()
            return 0
        self._told.put_nowait(_Batch((), states=[Row(name.encode(), None) for name in gone]))
        return len(gone)

    async def advance_customers(self, until: int, most: int) -> bool:
        """Let what is due of at most so many customers come due; returns whether anything was.

        No record says so: what time did to a customer is done again where its state was not kept.
        """
        if not self.running or not self.side.due(until):
            return False
        await self._take_slot()
        async with self._applying:
            if not self._open.is_set():  # handed over meanwhile
                self._free_slot()
                return False
            limits = self._shared.knowledge().book.limits
            told = self.side.customers.advance(limits, until, most)
            self._shared.observer.told(told)
            self._told.put_nowait(_Batch((), customers=customers.rows(told)))
        return True

    async def image(self) -> tuple[Image, int] | None:
        """Return a copy of the conversations when nothing is under way, and where the changelog ends by then.

        Memory runs ahead of the changelog by what is under way: with every slot of the window taken there
        is none of that. It takes as long as one batch, once a minute. None where memory is not, or no
        more, that of the partition; where what is under way never ends, this does not either.
        """
        taken = 0
        try:
            while taken < self._shared.kafka.in_flight:
                await self._take_slot()
                taken += 1
            if not self.ready:
                return None
            held, gone = self.conversations.image()
            return Image(held, gone, self.covered.offset, self.covered.at), self.covered.end
        finally:
            for _ in range(taken):
                self._free_slot()

    def next_due(self) -> int | None:
        """Return when the next clock comes due."""
        return self.conversations.next_due()

    def take_due(self, until: int) -> list[Timer]:
        """Return the clocks due before `until`, each once; they stay in their states."""
        timers: list[Timer] = []
        while more := self.conversations.take_due(until):
            timers += more
        return timers
