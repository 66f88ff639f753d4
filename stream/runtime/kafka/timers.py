"""When a due clock may speak: once the worker has read what was in Kafka when it came due.

An answer that is already in the log must stop the clock, so the worker first reads up to where the
log ended at that moment. Traffic that never ends cannot starve a clock, because the end is noted once;
a worker far behind speaks after `longest` all the same, and takes it back if the answer turns up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from stream.core.events import Timer
from stream.runtime.clock import Clock

TICK_S = 0.2
"""How often clocks are looked at; lateness is at most this and a round trip (budget: p99 of 1 s)."""

GATE_S = 0.025
"""How often while some wait for the log: a batch takes some 50 ms, so the wait is hardly longer for it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Clocks due before `as_of` wait until the worker has applied everything below `end`.

    Times are milliseconds; `end` is an offset of `chat.messages`.
    """

    as_of: int
    end: int
    deadline: int

    def opens(self, position: int, now: int) -> bool:
        """Return whether they may speak: `position` is the next offset to apply."""
        return position >= self.end or now >= self.deadline


class Partition(Protocol):
    """What the clocks of one partition are asked for."""

    @property
    def number(self) -> int:
        """The partition's number."""
        ...

    @property
    def running(self) -> bool:
        """Whether the partition is ours, recovered, and not being handed over."""
        ...

    @property
    def position(self) -> int:
        """The next offset of `chat.messages` to apply."""
        ...

    def next_due(self) -> int | None:
        """Return when the next clock comes due."""
        ...

    def take_due(self, until: int) -> list[Timer]:
        """Return the clocks due before `until`, each once."""
        ...


EndOffsets = Callable[[Iterable[int]], Awaitable[Mapping[int, int]]]
"""Where the log of `chat.messages` ends now, for each of the partition numbers."""

Write = Callable[[int, list[Timer]], Awaitable[None]]
"""Makes timer records durable in the partition of that number."""

Told = Callable[[int, int], None]
"""Hears the lateness of a clock in milliseconds, with and without the wait for the log."""


class ClockDriver:
    """Driver `wall`: turns due clocks into timer records, partition by partition."""

    def __init__(
        self, clock: Clock, end_offsets: EndOffsets, write: Write, told: Told, *, longest_ms: int
    ) -> None:
        self._clock = clock
        self._end_offsets = end_offsets
        self._write = write
        self._told = told
        self._longest = longest_ms
        self._gates: dict[int, Gate] = {}

    @property
    def waiting(self) -> int:
        """How many partitions have due clocks that wait for the log."""
        return len(self._gates)

    def forget(self, number: int) -> None:
        """Drop what is known of a partition that is no longer ours."""
        self._gates.pop(number, None)

    @property
    def pause_s(self) -> float:
        """How long the next look may wait."""
        return GATE_S if self._gates else TICK_S

    async def tick(self, partitions: Iterable[Partition]) -> None:
        """Look at every clock once; a partition whose timers are long in writing holds up no other."""
        running = [partition for partition in partitions if partition.running]
        await self._note(running)
        now = self._clock.now_ms()
        await asyncio.gather(
            *(
                self._speak(partition, self._gates.pop(partition.number))
                for partition in running
                if partition.running
                and (gate := self._gates.get(partition.number)) is not None
                and gate.opens(partition.position, now)
            )
        )

    async def _note(self, running: Iterable[Partition]) -> None:
        now = self._clock.now_ms()
        due = [
            partition.number
            for partition in running
            if partition.number not in self._gates and (at := partition.next_due()) is not None and at < now
        ]
        if not due:
            return
        for number, end in (await self._end_offsets(due)).items():
            self._gates[number] = Gate(now, end, now + self._longest)

    async def _speak(self, partition: Partition, gate: Gate) -> None:
        timers = partition.take_due(gate.as_of)
        if not timers:  # all of them were answered by what has been read meanwhile
            return
        await self._write(partition.number, timers)
        now = self._clock.now_ms()
        for timer in timers:
            self._told(now - timer.due, gate.as_of - timer.due)
