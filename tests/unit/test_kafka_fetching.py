"""How long fetches may wait: single records are never kept waiting, many come together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.runtime.kafka.fetching import (
    AT_ONCE,
    ENOUGH_BYTES,
    LONGEST_MS,
    RATE_OF_A_MS,
    WINDOW_S,
    Fetched,
    Fetching,
)


def asked(rate: float, seconds: float, step: float = 0.01) -> list[Fetching]:
    """What is asked for while records come evenly, with a look every ``step`` seconds."""
    fetched, told = Fetched(0.0), 0
    found = []
    for look in range(1, round(seconds / step) + 1):
        due = int(rate * look * step)
        found.append(fetched.count(due - told, look * step))
        told = due
    return found


def test_single_records_are_fetched_at_once() -> None:
    assert set(asked(RATE_OF_A_MS - 1, 5)) == {AT_ONCE}


@pytest.mark.parametrize(("rate", "wait_ms"), [(100, 5), (400, 20), (1_000, 50), (5_000, 50)])
def test_the_more_come_the_longer_a_fetch_may_wait(rate: int, wait_ms: int) -> None:
    found = asked(rate, 5)
    assert found[0] == AT_ONCE
    later = found[2 * round(WINDOW_S / 0.01) :]
    assert all(abs(asking.max_wait_ms - wait_ms) <= 1 for asking in later)
    assert all(asking.min_bytes == ENOUGH_BYTES for asking in later)


def test_silence_ends_it() -> None:
    fetched = Fetched(0.0)
    together = fetched.count(1_000, 1.0)
    assert together.max_wait_ms == LONGEST_MS
    assert fetched.count(0, 1.5) == together
    assert fetched.count(0, 2.0) == AT_ONCE
    assert fetched.count(100, 2.1) == AT_ONCE, "one lot is not a stream"


def test_a_lot_after_a_pause_is_judged_by_the_whole_pause() -> None:
    assert Fetched(0.0).count(RATE_OF_A_MS * 30 - 1, 30.0) == AT_ONCE


@given(st.lists(st.tuples(st.integers(0, 5_000), st.floats(0.0001, 3))))
def test_whatever_comes_no_fetch_waits_longer_than_a_fifth_of_a_second(
    answers: list[tuple[int, float]],
) -> None:
    fetched, now = Fetched(0.0), 0.0
    for records, seconds in answers:
        now += seconds
        asking = fetched.count(records, now)
        assert 1 <= asking.max_wait_ms <= 200
        assert asking.max_wait_ms <= LONGEST_MS or asking.min_bytes == 1
