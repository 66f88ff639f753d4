"""Clocks: what comes due, what an answer settles, what a stop leaves, as the table says."""

from __future__ import annotations

import pytest

from stream.core import clocks
from stream.core.clocks import TRANSITIONS, Due, Happening
from stream.core.limits import DEFAULT_LIMITS, MINUTE_MS
from stream.core.state import SETTLED_LIMIT, Clock, ClockState, State

WARN, TARGET = 20, 60


def state_with(*kinds: str) -> State:
    state = State("c-1", 0, 0)
    for kind in kinds:
        clocks.start(state, kind, f"ola.{kind}", 0, [WARN, TARGET])
    return state


def only(state: State) -> Clock:
    (clock,) = clocks.all_of(state)
    return clock


def fire_all(state: State) -> None:
    clock = only(state)
    while clock.fired < len(clock.moments):
        clocks.fire(state, clock)


def test_moments_fire_in_order_and_the_last_is_the_target() -> None:
    state = state_with("first_response")
    clock = only(state)
    assert [(one.due, one.step) for one in (clocks.fire(state, clock), clocks.fire(state, clock))] == [
        (WARN, -1),
        (TARGET, 0),
    ]
    assert clock.state is ClockState.BREACHED
    assert (state.running, state.settled) == ([], [clock])


@pytest.mark.parametrize(
    ("at", "ended", "wrong"),
    [
        (TARGET, ClockState.ANSWERED, [TARGET]),
        (TARGET + 1, ClockState.ANSWERED_LATE, []),
        (WARN + 1, ClockState.ANSWERED, [TARGET]),
        (WARN, ClockState.ANSWERED, [WARN, TARGET]),
        (0, ClockState.ANSWERED, [WARN, TARGET]),
    ],
)
def test_answer_that_comes_late_takes_back_the_moments_from_its_time_on(
    at: int, ended: ClockState, wrong: list[int]
) -> None:
    state = state_with("first_response")
    fire_all(state)
    assert [one.due for one in clocks.answer(state, only(state), at)] == wrong
    assert only(state).state is ended
    assert only(state).fired == 2 - len(wrong)


def test_answer_that_is_not_earlier_than_the_known_one_changes_nothing() -> None:
    state = state_with("first_response")
    clock = only(state)
    assert clocks.answer(state, clock, 50) == ()
    assert clocks.answer(state, clock, 50) == clocks.answer(state, clock, 55) == ()
    assert (clock.state, clock.stopped_at) == (ClockState.ANSWERED, 50)
    clocks.answer(state, clock, 40)
    assert clock.stopped_at == 40


@pytest.mark.parametrize(
    ("at", "ended", "wrong"),
    [
        (TARGET, ClockState.STOPPED, [TARGET]),
        (TARGET + 1, ClockState.MISSED, []),
        (10, ClockState.STOPPED, [WARN, TARGET]),
    ],
)
def test_stop_is_judged_by_its_own_time(at: int, ended: ClockState, wrong: list[int]) -> None:
    state = state_with("first_response")
    fire_all(state)
    assert [one.due for one in clocks.stop(state, only(state), at)] == wrong
    assert (only(state).state, only(state).stopped_at) == (ended, at)
    assert clocks.stop(state, only(state), at - 5) == ()


def test_resumed_clock_runs_or_stands_breached_as_before() -> None:
    early, late = state_with("first_response"), state_with("first_response")
    fire_all(late)
    for state, at in ((early, 10), (late, 70)):
        clocks.stop(state, only(state), at)
        clocks.resume(state, only(state))
        assert only(state).stopped_at is None
    assert [clock.state for clock in early.running] == [ClockState.RUNNING]
    assert early.settled == []
    assert (late.running, only(late).state) == ([], ClockState.BREACHED)


def test_what_comes_first_is_ordered_by_due_and_clock_id() -> None:
    state = state_with("next_response", "first_response")
    assert clocks.upcoming(state, DEFAULT_LIMITS) == (
        Due(WARN, "first_response#1"),
        Due(WARN, "next_response#1"),
        Due(30 * MINUTE_MS, clocks.IDLE),
    )
    assert clocks.earliest(state, DEFAULT_LIMITS) == WARN


def test_clocks_of_rules_are_numbered_apart() -> None:
    """Whether another pack's rule waits does not change the id of a response clock."""
    state = State("c-1", 0, 0)
    for kind, policy in (
        ("rule", "emotion.x.a"),
        ("first_response", "p"),
        ("rule", "emotion.x.b"),
        ("rule", "emotion.x.a"),
    ):
        clocks.start(state, kind, policy, 0, [5])
    ids = [state.clock_id(clock) for clock in state.running]
    assert ids == ["rule:emotion.x.a#1", "first_response#1", "rule:emotion.x.b#1", "rule:emotion.x.a#2"]
    assert [clocks.kind_of(id_) for id_ in ids] == ["rule", "first_response", "rule", "rule"]
    assert [clocks.find(state, id_) for id_ in ids] == state.running
    assert clocks.find(state, "first_response#2") is clocks.find(state, clocks.IDLE) is None
    assert clocks.kind_of(clocks.IDLE) == ""


def test_running_clocks_are_never_let_go_and_settled_ones_are_bounded() -> None:
    state = State("c-1", 0, 0)
    for number in range(SETTLED_LIMIT * 2):
        clocks.start(state, "next_response", "p", number, [10])
    assert len(state.running) == SETTLED_LIMIT * 2
    for clock in list(state.running):
        clocks.stop(state, clock, 5)
    assert [clock.number for clock in state.settled] == list(range(SETTLED_LIMIT + 1, SETTLED_LIMIT * 2 + 1))


def test_no_clock_is_both_answered_in_time_and_breached() -> None:
    assert all(
        after is ClockState.ANSWERED
        for (_, what), after in TRANSITIONS.items()
        if what is Happening.ANSWERED_IN_TIME
    )
    assert ClockState.BREACHED not in {
        after for (before, what), after in TRANSITIONS.items() if before is ClockState.ANSWERED
    }
