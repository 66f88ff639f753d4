"""What Faust has fetched and nobody has taken yet, bounded in batches.

Two ways to hold back. While its owner works, a full inbox makes the giver wait: Faust's fetching then
pauses and goes on without loss of time. Where the owner stands still (it recovers, its broker is slow), or
another partition has nothing left to do (this one alone is behind), waiting would hold up the others too, so
the consumer is asked to leave this partition out. That way alone would not do: to Faust a partition taken up
again may be a second late where no other brings records meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from faust.types import TP

from stream.runtime.kafka.feed import RecordBatch

HIGH = 16
"""Batches that may wait: with 512 records each, 2 s of work at 250 µs a record, and at most 16 MiB."""

LOW = 8
"""Batches at which a partition left out is taken in again: a second of work, the most that this may take."""

PATIENCE_S = 1.0
"""An owner that takes nothing for so long stands still; the work of a batch takes less."""

LOOK_S = 0.02
"""How often whoever waits looks whether others have run dry: some slices of work."""


class Fed:
    """One batch as Faust gave it; `acknowledge` may be called once, in order."""

    __slots__ = ("_event", "batch", "tp")

    def __init__(self, event: Any) -> None:
        self._event = event
        self.batch: RecordBatch = event.value
        self.tp = TP(self.batch.topic, self.batch.partition)

    def acknowledge(self) -> None:
        """Let the offset be committed: everything before and in this batch is done."""
        self._event.ack()


class Inbox:
    """Batches in the order of arrival; those of one partition of one topic are in offset order.

    `leave_out` and `take_in` are the consumer's: fetch no more of a partition, fetch it again.
    `others_starve` says whether an inbox that is fed by the same giver is empty.
    """

    def __init__(
        self,
        leave_out: Callable[[TP], None],
        take_in: Callable[[TP], None],
        others_starve: Callable[[], bool] = lambda: False,
    ) -> None:
        self._leave_out = leave_out
        self._take_in = take_in
        self._others_starve = others_starve
        self._waiting: deque[Fed] = deque()
        self._later: dict[str, list[Fed]] = {}
        """By topic, what is kept back."""
        self._left_out: set[TP] = set()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self.records = 0
        self.taken_at = time.monotonic()
        """Since when something waits that nobody has taken (`time.monotonic()`)."""
        self.moving = False
        """Whether the owner takes batches; where it does not, nobody waits for it."""

    def __len__(self) -> int:
        return len(self._waiting)

    def keep_back(self, topic: str) -> None:
        """Give out no batches of this topic until `let_in`: its owner cannot use them yet, others it can."""
        if topic in self._later:
            return
        later = self._later[topic] = [fed for fed in self._waiting if fed.tp.topic == topic]
        if later:
            self._waiting = deque(fed for fed in self._waiting if fed.tp.topic != topic)
            self.records -= sum(len(fed.batch) for fed in later)

    def let_in(self, topic: str) -> None:
        """Give out what was kept back of a topic, first."""
        later = self._later.pop(topic, [])
        self._waiting.extendleft(reversed(later))
        self.records += sum(len(fed.batch) for fed in later)
        if self._waiting:
            self._arrived.set()
        self._take_in_again()

    async def put(self, fed: Fed) -> None:
        """Add a batch; returns when there is room for the next, or its partition is left out."""
        later = self._later.get(fed.tp.topic)
        if later is not None:
            later.append(fed)
            if len(later) >= LOW:
                self._left_out.add(fed.tp)
                self._leave_out(fed.tp)
            return
        if not self._waiting:
            self.taken_at = time.monotonic()
        self._waiting.append(fed)
        self.records += len(fed.batch)
        self._arrived.set()
        if len(self._waiting) < HIGH:
            return
        if not (self.moving and await self._room_comes()):
            self._left_out.add(fed.tp)
            self._leave_out(fed.tp)

    async def _room_comes(self) -> bool:
        """Wait for room as long as that holds up nobody else; returns whether there is some."""
        until = time.monotonic() + PATIENCE_S
        self._room.clear()
        while not self._others_starve() and (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, LOOK_S)):
                    await self._room.wait()
            except TimeoutError:
                continue
            return True
        return False

    async def arrival(self, timeout_s: float | None = None) -> bool:
        """Return True as soon as a batch waits, False after the time."""
        if self._waiting:
            return True
        self._arrived.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return bool(self._waiting)

    async def more(self, timeout_s: float) -> None:
        """Return at the next arrival, or after the time."""
        self._arrived.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()
        except TimeoutError:
            return

    def take(self, most_records: int) -> list[Fed]:
        """Return the next batches, at least one and as many as fit; empty where none waits."""
        taken: list[Fed] = []
        count = 0
        self.taken_at = time.monotonic()
        while self._waiting:
            size = len(self._waiting[0].batch)
            if taken and count + size > most_records:
                break
            taken.append(self._waiting.popleft())
            count += size
        self.records -= count
        if len(self._waiting) < HIGH:
            self._room.set()
        self._take_in_again()
        return taken

    def _take_in_again(self) -> None:
        """Have partitions that were left out fetched again where there is room, and their topic is let in."""
        if self._left_out and len(self._waiting) <= LOW:
            again = {tp for tp in self._left_out if tp.topic not in self._later}
            for tp in again:
                self._take_in(tp)
            self._left_out -= again

    def clear(self) -> None:
        """Forget everything: it will be read again."""
        self._waiting.clear()
        for later in self._later.values():
            later.clear()
        self._left_out.clear()
        self.records = 0
        self._room.set()
