"""Ids: the same happening always gets the same one, another never."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.core.ids import mark, stable_id

PARTS = st.lists(st.text(max_size=4) | st.integers(0, 10**13), max_size=4)


@given(PARTS, PARTS)
def test_different_parts_give_different_ids(one: list[str | int], other: list[str | int]) -> None:
    assert (stable_id(*one) == stable_id(*other)) == (one == other)


def test_ids_never_change_between_releases() -> None:
    """A replayed record of an old release must get its old id: these are fixed for good."""
    assert stable_id("rule", "c-8", "emotion.anger.explicit", "m-1", 0) == "1f2736e6eb067db5ea2511727aa65663"
    assert mark("m-1").hex() == "d27ad701a6859b35"


def test_any_text_can_be_part_of_an_id() -> None:
    assert len(stable_id("\ud800", "\x00", "客")) == 32
    assert len(mark("\ud800")) == 8
