"""What was settled is known for as long as it should be, however it is packed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.runtime.kafka.remembered import Remembered

# Few ids, so that they meet again; zero bytes at either end, which arrays of bytes like to lose.
NAMES = ["00" * 16, "00" * 15 + "01", "01" + "00" * 15, "ff" * 16, "ab" * 8 + "00" * 8, "no id", "AB" * 16]

PUT = st.tuples(st.just("put"), st.sampled_from(NAMES), st.integers(0, 254))
DISCARD = st.tuples(st.just("discard"), st.sampled_from(NAMES), st.just(0))
FORGET = st.tuples(st.just("forget"), st.just(""), st.integers(0, 20))


@given(st.integers(1, 5), st.lists(PUT | DISCARD | FORGET, max_size=60))
def test_it_knows_what_a_dictionary_knows_and_forgets_nothing_young(
    run: int, steps: list[tuple[str, str, int]]
) -> None:
    remembered = Remembered(run)
    model: dict[str, tuple[int, int]] = {}
    for now, (what, name, number) in enumerate(steps):
        if what == "put":
            remembered.put(name, number, now)
            model[name] = number, now
        elif what == "discard":
            remembered.discard(name, now)
            model.pop(name, None)
        else:
            limit = now - number
            gone = remembered.forget(limit)
            assert len(gone) == len(set(gone))
            for one in gone:  # what was discarded is named no more; a run goes as a whole, so never too early
                assert model.pop(one)[1] < limit
        assert remembered.get(NAMES) == {one: value for one, (value, _) in model.items()}


@given(st.integers(1, 5), st.lists(st.sampled_from(NAMES), max_size=40))
def test_in_the_end_everything_is_forgotten_and_named_once(run: int, names: list[str]) -> None:
    remembered = Remembered(run)
    for now, name in enumerate(names):
        remembered.put(name, 1, now)
    assert sorted(remembered.forget(len(names))) == sorted(set(names))
    assert len(remembered) == 0
    assert remembered.get(NAMES) == {}
