"""Laws of clocks laid aside: what is packed comes back as it was, whatever was packed before it."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.core import aside, clocks
from stream.core.state import Clock, ClockState, Counted, State

TIMES = st.integers(0, 2**47)
INDEXES = st.none() | st.integers(0, 60)


@st.composite
def ended_or_not(draw: st.DrawFn) -> Clock:
    started_at = draw(TIMES)
    moments = sorted(draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=4)))
    return Clock(
        kind=draw(st.integers(0, 60)),
        number=draw(st.integers(1, 300)),
        policy=draw(st.integers(0, 60)),
        started_at=started_at,
        moments=moments,
        fired=draw(st.integers(0, len(moments))),
        state=draw(st.sampled_from(ClockState)),
        stopped_at=draw(st.none() | st.integers(started_at, 2**47)),
        target=draw(st.integers(0, len(moments) - 1)),
        issue=draw(INDEXES),
        party=draw(INDEXES),
        paused_at=draw(st.none() | TIMES),
        stood_ms=draw(st.integers(0, 10**9)),
        counted=draw(st.sampled_from(Counted)),
    )


@given(st.lists(st.lists(ended_or_not(), max_size=5), max_size=5))
def test_clocks_laid_aside_bit_by_bit_come_back_the_ended_first_and_in_order(lots: list[list[Clock]]) -> None:
    state = State("c-1", 0, 0)
    for lot in lots:
        state.settled += lot
        aside.lay(state)
        assert all(clock.stopped_at is None for clock in state.settled)
    settled = [clock for lot in lots for clock in lot]
    ended = [clock for clock in settled if clock.stopped_at is not None]
    assert aside.count(state) == len(ended)
    assert aside.until(state) == max((clock.stopped_at or 0 for clock in ended), default=-1)
    aside.recall(state)
    assert state.settled == [*ended, *(clock for clock in settled if clock.stopped_at is None)]
    assert aside.count(state) == 0


@given(st.lists(ended_or_not(), max_size=12), TIMES)
def test_what_a_moment_concerns_is_the_same_whether_or_not_clocks_are_laid_aside(
    settled: list[Clock], t: int
) -> None:
    kept, laid = State("c-1", 0, 0), State("c-1", 0, 0)
    kept.settled, laid.settled = list(settled), list(settled)
    aside.lay(laid)
    by_value = msgspec.json.encode
    assert sorted(map(by_value, clocks.owed_at(laid, t))) == sorted(map(by_value, clocks.owed_at(kept, t)))
    assert sorted(map(by_value, clocks.all_of(laid))) == sorted(map(by_value, clocks.all_of(kept)))
