"""Laws of every kind of clock: how it ended agrees with what was told, and it runs in its own time alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core import clocks, engine
from stream.core import state as states
from stream.core.events import Received
from stream.core.outputs import Finding, FindingStatus
from stream.core.state import Clock, ClockState, State
from stream.runtime.conversations import Conversations, Input
from tests.contract import day
from tests.golden.dialogues import pack_sets
from tests.property.chats import NAME, last_status, logs, received, tick

PASSED = frozenset({ClockState.BREACHED, ClockState.ANSWERED_LATE, ClockState.MISSED})
OPENED = {
    "type": "conversation.opened",
    "conversation_id": NAME,
    "shop_id": "s-leaving",
    "at": day.START - day.SECOND,
}


class Packs:
    """What the packs say, for tests whose failing examples are to be read."""

    def __init__(self, folder: Path) -> None:
        self.knowledge = day.knowledge(dict(pack_sets()["clocks"][0]), folder)


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Packs:
    return Packs(tmp_path_factory.mktemp("packs"))


def run(packs: Packs, log: list[Received]) -> tuple[State, list[Finding]]:
    """Play a conversation until it is closed, by an event or by silence; return it and its findings."""
    conversations = Conversations()
    inputs = [Input(one) for one in (received(OPENED), *log)]
    records: list[Any] = conversations.apply(packs.knowledge, inputs).records
    ((_, raw),) = conversations.raw()
    if states.decode(raw).closed_at is None:
        end = max(day.START, *(one.t for one in log)) + 31 * day.MINUTE
        records += conversations.apply(packs.knowledge, [Input(tick(end))]).records
    ((_, raw),) = conversations.raw()
    return states.decode(raw), [one for one in records if isinstance(one, Finding)]


@given(logs(silences=False))
def test_no_clock_of_any_kind_is_both_answered_and_breached(packs: Packs, log: list[Received]) -> None:
    state, findings = run(packs, log)
    ended = last_status(findings)
    standing = {(one.clock_id, one.at) for one in findings if ended[one.finding_id] is FindingStatus.RAISED}
    for clock in clocks.all_of(state):
        told = (state.clock_id(clock), clock.target_at) in standing
        assert told == (clock.state in PASSED), (state.clock_id(clock), clock)


@given(logs(silences=False))
def test_what_ended_ended_where_its_state_says(packs: Packs, log: list[Received]) -> None:
    """In time is up to the target; what the chat owes ends with it; only an issue's clock stands still."""
    state, _ = run(packs, log)
    for clock in clocks.all_of(state):
        if clock.issue is None:
            assert clock.stopped_at is not None
            assert clock.stood_ms == 0
        if clock.stopped_at is None:
            assert clock.state in {ClockState.RUNNING, ClockState.BREACHED, ClockState.PAUSED}
        elif clock.paused_at is None:
            assert (clock.stopped_at > clock.target_at) == (clock.state in PASSED)
            assert clock.stopped_at >= clock.started_at
    comforts = clocks.of_kinds(state, frozenset({"comfort"}))
    spans = [(clock.started_at, clock.stopped_at) for clock in comforts]
    assert not any(_overlap(one, other) for one in spans for other in spans if one is not other)


def _overlap(one: tuple[int, int | None], other: tuple[int, int | None]) -> bool:
    assert one[1] is not None
    assert other[1] is not None
    return one[0] < other[1] and other[0] < one[1]


# Up to a night and a weekend: pauses begin and end in breaks, at night, on days off.
GAPS = st.lists(st.integers(1, 70 * 60), min_size=1, max_size=9)
DEPARTMENTS = st.sampled_from(("desk", "night", "operations"))


@given(GAPS, DEPARTMENTS, st.integers(0, 7 * 24 * 60))
def test_running_and_standing_make_up_the_working_time_there_was(
    packs: Packs, gaps: list[int], department: str, begin: int
) -> None:
    """Whatever the pauses: the target lies where its amount of working time has been run, and no sooner."""
    at = day.START + begin * day.MINUTE
    state: State | None = None
    ran = stood = 0

    def say(kind: str, **fields: str) -> State:
        event = {"type": kind, "conversation_id": NAME, "issue_id": "i", "at": at, **fields}
        after = engine.step(packs.knowledge.book, state, received(event)).state
        assert after is not None
        return after

    state = say("issue.handed_off", to=department)
    clock = _leg(state)
    policy = packs.knowledge.book.clock_policy_by_id(state.names[clock.policy])
    assert policy is not None
    for number, gap in enumerate(gaps):
        before, at = at, at + gap * day.MINUTE
        passed = policy.worktime.measure(before, at)
        paused = clock.paused_at is not None
        ran, stood = (ran, stood + passed) if paused else (ran + passed, stood)
        state = say("issue.resumed" if number % 2 else "issue.paused")
        clock = _leg(state)
        if clock.state is ClockState.BREACHED:
            break  # what is late runs on, pause or no pause
    assert clocks.stood_ms(clock, at, policy.worktime) == stood
    assert ran + stood == policy.worktime.measure(clock.started_at, at)
    # A target at closing time has passed by the next morning, though nobody has worked since.
    assert clock.state is not ClockState.BREACHED or ran >= policy.target_ms
    assert clock.state is ClockState.BREACHED or ran <= policy.target_ms
    if clock.paused_at is None and clock.state is ClockState.RUNNING:
        assert policy.worktime.measure(clock.started_at, clock.target_at) == policy.target_ms + stood


def _leg(state: State) -> Clock:
    (clock,) = clocks.of_kinds(state, frozenset({clocks.LEG}))
    return clock
