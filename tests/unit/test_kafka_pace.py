"""How much is applied in one turn of the loop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.runtime.kafka.pace import BEHIND_S, FIRST_S, LEAST, SLICE_S, Pace


def test_a_slice_follows_what_a_record_costs() -> None:
    pace = Pace()
    assert pace.records() == int(SLICE_S / FIRST_S)
    for cost_s in (0.000_1, 0.000_5):
        for _ in range(50):
            pace.took(100, 100 * cost_s)
        assert pace.records() == pytest.approx(SLICE_S / cost_s, abs=1)
        assert pace.records(behind=True) == pytest.approx(BEHIND_S / cost_s, abs=1)


def test_one_pause_of_the_process_is_soon_forgotten() -> None:
    pace = Pace()
    for _ in range(50):
        pace.took(100, 100 * 0.000_1)
    pace.took(100, 1.0)
    for _ in range(15):
        pace.took(100, 100 * 0.000_1)
    assert pace.records() > SLICE_S / 0.000_2


def test_batches_of_few_records_say_nothing_of_a_record() -> None:
    """A batch has costs of its own: at one record each they would be taken for the record's."""
    pace = Pace()
    for _ in range(50):
        pace.took(1, 0.01)
    assert pace.records() == int(SLICE_S / FIRST_S)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 100))))
def test_a_slice_is_never_empty(slices: list[tuple[int, float]]) -> None:
    pace = Pace()
    for records, seconds in slices:
        pace.took(records, seconds)
    assert pace.records() >= LEAST
