"""The machine's clock steps: what is owed and late is decided by the events' times all the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from alerts.config import AlertsConfig
from stream.core import clocks
from stream.core import state as states
from stream.core.state import ClockState
from stream.runtime.local import LocalRuntime
from stream.runtime.store import Store, open_read_only
from stream.testing import eventually
from tests.contract import day

SECOND, MINUTE = 1_000, 60_000
TARGET = 60 * SECOND  # of tests/contract/day.py's first response
WARNED_AND_BREACHED = 2


@dataclass
class Steppable:
    """A machine's clock that somebody sets."""

    at: int = day.START

    def now_ms(self) -> int:
        return self.at


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def said(at: int, role: str) -> bytes:
    message = day.message("c-1", f"{role}-{at}", day.START + at, role, "在吗")
    return json.dumps(message, ensure_ascii=False).encode()


async def live(data: Path, steps: Sequence[tuple[int, bytes | None]]) -> None:
    """Set the clock to each moment, and then take the event, or wait until what is due was told."""
    knowledge = day.knowledge(day.BEFORE, data / "packs")
    clock = Steppable()
    runtime = LocalRuntime(data, lambda: knowledge, AlertsConfig(), clock=clock)
    await runtime.start()
    try:
        for at, event in steps:
            clock.at = day.START + at
            if event is not None:
                await runtime.accept([event])
            else:
                await eventually(lambda: len(told(data)) == WARNED_AND_BREACHED, "what is due")
    finally:
        await runtime.stop()


def told(data: Path) -> list[tuple[str, str, str]]:
    with open_read_only(data) as connection:
        findings = [json.loads(raw) for raw in Store(connection).records("finding")]
    return [(one["rule_id"], one["status"], one["at"]) for one in findings]


def responses(data: Path) -> list[tuple[ClockState, int | None]]:
    with open_read_only(data) as connection:
        ((_, raw),) = list(Store(connection).conversations())
    state = states.decode(raw)
    return [(clock.state, clock.stopped_at) for clock in clocks.of_kinds(state, clocks.RESPONSES)]


async def test_a_clock_that_steps_forward_tells_early_and_takes_it_back(data: Path) -> None:
    """Due at 60 s; the machine says 10 minutes after 20 s, and steps back. The answer of 30 s is in time."""
    await live(
        data,
        [(0, said(0, "customer")), (10 * MINUTE, None), (31 * SECOND, said(30 * SECOND, "agent"))],
    )
    assert responses(data) == [(ClockState.ANSWERED, day.START + 30 * SECOND)]
    statuses = [status for rule, status, _ in told(data) if rule == "ola.day.first"]
    # Warned and breached, each by its own time; both moments but the warning's prove wrong.
    assert statuses == ["raised", "raised", "corrected"]


async def test_a_clock_that_steps_back_by_little_changes_nothing(data: Path) -> None:
    """Four minutes back: less than the five from which on a time counts as one from the future."""
    await live(
        data,
        [(5 * MINUTE, said(5 * MINUTE, "customer")), (MINUTE + 61 * SECOND, said(6 * MINUTE, "agent"))],
    )
    # Asked at 5:00, answered at 6:00: the very moment of the target.
    assert responses(data) == [(ClockState.ANSWERED, day.START + 6 * MINUTE)]
    assert [rule for rule, _, _ in told(data)] == ["ola.day.first"]  # the warning of 20 s


async def test_a_clock_that_steps_back_by_much_makes_events_look_like_the_future(data: Path) -> None:
    """An hour back: what is said then is taken for said at its receipt, and flagged."""
    hour = 60 * MINUTE
    await live(data, [(hour, said(hour, "customer")), (0, said(hour + MINUTE, "agent"))])
    with open_read_only(data) as connection:
        ((_, raw),) = list(Store(connection).conversations())
    state = states.decode(raw)
    assert state.counts["clock_skew"] == 1
    assert state.last_at == day.START + hour  # the agent's word counts as of receipt, an hour before


@pytest.mark.parametrize("asleep", [MINUTE, 60 * MINUTE])
async def test_a_worker_that_slept_tells_what_came_due_with_its_own_time(data: Path, asleep: int) -> None:
    await live(data, [(0, said(0, "customer")), (asleep + TARGET, None)])
    assert told(data) == [
        ("ola.day.first", "raised", "2026-11-11T09:00:20.000+08:00"),
        ("ola.day.first", "raised", "2026-11-11T09:01:00.000+08:00"),
    ]
