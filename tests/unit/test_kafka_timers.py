"""When a due clock may speak."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from stream.core.events import Timer
from stream.runtime.kafka.timers import GATE_S, TICK_S, ClockDriver, Gate
from stream.testing import ManualClock


@dataclass
class Part:
    """A partition whose position and clocks a test moves by hand."""

    number: int = 0
    position: int = 0
    running: bool = True
    dues: list[int] = field(default_factory=list)

    def next_due(self) -> int | None:
        return min(self.dues, default=None)

    def take_due(self, until: int) -> list[Timer]:
        taken = sorted(due for due in self.dues if due < until)
        self.dues = [due for due in self.dues if due >= until]
        return [Timer(conversation_id=f"c-{due}", clock_id="first_response#1", due=due) for due in taken]


@dataclass
class Log:
    """Where the log ends, and what was written."""

    end: int = 0
    asked: int = 0
    written: list[int] = field(default_factory=list)
    lateness: list[tuple[int, int]] = field(default_factory=list)

    async def end_offsets(self, numbers: Iterable[int]) -> Mapping[int, int]:
        self.asked += 1
        return dict.fromkeys(numbers, self.end)

    async def write(self, number: int, timers: list[Timer]) -> None:
        self.written += [timer.due for timer in timers]

    def told(self, late: int, without_wait: int) -> None:
        self.lateness.append((late, without_wait))


def driver(clock: ManualClock, log: Log, longest_ms: int = 30_000) -> ClockDriver:
    return ClockDriver(clock, log.end_offsets, log.write, log.told, longest_ms=longest_ms)


async def test_clock_speaks_at_once_where_the_log_is_read_to_its_end(clock: ManualClock) -> None:
    log, part = Log(end=7), Part(position=7, dues=[clock.now_ms() - 100])
    await driver(clock, log).tick([part])
    assert len(log.written) == 1
    assert log.lateness == [(100, 100)]


async def test_clock_waits_for_what_was_in_the_log_when_it_came_due(clock: ManualClock) -> None:
    log, part = Log(end=7), Part(position=5, dues=[clock.now_ms() - 100])
    clocks = driver(clock, log)
    await clocks.tick([part])
    assert (log.written, clocks.waiting) == ([], 1)
    log.end = 1000  # traffic goes on; the end is not noted again
    part.position = 7
    clock.advance(2_000)
    await clocks.tick([part])
    assert len(log.written) == 1
    assert log.lateness == [(2_100, 100)]
    assert log.asked == 1


async def test_answer_read_meanwhile_stops_the_clock(clock: ManualClock) -> None:
    log, part = Log(end=7), Part(position=5, dues=[clock.now_ms() - 100])
    clocks = driver(clock, log)
    await clocks.tick([part])
    part.position, part.dues = 7, []
    await clocks.tick([part])
    assert log.written == []


async def test_wait_for_the_log_has_a_bound(clock: ManualClock) -> None:
    log, part = Log(end=7), Part(position=5, dues=[clock.now_ms() - 1])
    clocks = driver(clock, log, longest_ms=30_000)
    await clocks.tick([part])
    clock.advance(29_999)
    await clocks.tick([part])
    assert log.written == []
    clock.advance(1)
    await clocks.tick([part])
    assert len(log.written) == 1


async def test_clock_that_comes_due_during_a_wait_has_a_gate_of_its_own(clock: ManualClock) -> None:
    first = clock.now_ms() - 1
    log, part = Log(end=7), Part(position=5, dues=[first])
    clocks = driver(clock, log)
    await clocks.tick([part])
    second = clock.now_ms() + 10
    part.dues.append(second)
    clock.advance(20)
    log.end, part.position = 9, 7
    await clocks.tick([part])
    assert log.written == [first]
    await clocks.tick([part])
    assert log.written == [first], "the log went on to 9 before the second came due"
    part.position = 9
    await clocks.tick([part])
    assert log.written == [first, second]


async def test_partition_that_is_not_ours_does_not_speak(clock: ManualClock) -> None:
    log, part = Log(end=7), Part(position=7, dues=[clock.now_ms() - 1], running=False)
    await driver(clock, log).tick([part])
    assert (log.written, log.asked) == ([], 0)


async def test_partition_that_is_long_in_writing_holds_up_no_other(clock: ManualClock) -> None:
    log = Log(end=7)
    slow, quick = asyncio.Event(), asyncio.Event()

    async def write(number: int, timers: list[Timer]) -> None:
        if number == 0:
            await slow.wait()
        else:
            quick.set()

    clocks = ClockDriver(clock, log.end_offsets, write, log.told, longest_ms=30_000)
    due = [clock.now_ms() - 100]
    parts = [Part(number=number, position=7, dues=list(due)) for number in (0, 1)]
    ticking = asyncio.create_task(clocks.tick(parts))
    await asyncio.wait_for(quick.wait(), 1)
    assert not ticking.done()
    slow.set()
    await ticking
    assert len(log.lateness) == 2


async def test_while_clocks_wait_for_the_log_they_are_looked_at_sooner(clock: ManualClock) -> None:
    log, part = Log(end=7), Part(position=5, dues=[clock.now_ms() - 1])
    clocks = driver(clock, log)
    assert clocks.pause_s == TICK_S
    await clocks.tick([part])
    assert clocks.pause_s == GATE_S < TICK_S
    part.position = 7
    await clocks.tick([part])
    assert clocks.pause_s == TICK_S


async def test_gate_is_forgotten_with_its_partition(clock: ManualClock) -> None:
    log, part = Log(end=7), Part(position=5, dues=[clock.now_ms() - 1])
    clocks = driver(clock, log)
    await clocks.tick([part])
    clocks.forget(part.number)
    assert clocks.waiting == 0


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_gate_opens_by_position_or_by_time(end: int, position: int, deadline: int, now: int) -> None:
    assert Gate(0, end, deadline).opens(position, now) is (position >= end or now >= deadline)
