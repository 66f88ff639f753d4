"""Folding: idempotent, mapped, bounded, whatever is sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.core.text import MAX_EXPANSION, Normaliser, original_span

FOLDING = Normaliser({"氣": "气", "這": "这", "薴": "苧", "苧": "苎"})

ODD = "气氣死Ａa1１①㈱㍿é\u0301\u200b\ufe0f\u00ad ß\ufdfaİ\ud800😡，。"
TEXTS = st.text(alphabet=st.one_of(st.sampled_from(ODD), st.characters(codec=None)), max_size=60) | st.text(
    alphabet=ODD, max_size=60
)


def test_every_character_of_unicode_folds_to_something_settled() -> None:
    unsettled = [
        code
        for code in range(0x110000)
        if FOLDING.text(folded := FOLDING.text(chr(code))) != folded or len(folded) > MAX_EXPANSION
    ]
    assert unsettled == []


@given(TEXTS)
def test_normalise_is_idempotent(raw: str) -> None:
    once = FOLDING.text(raw)
    assert FOLDING.normalise(once) == (once, None)


@given(TEXTS)
def test_offsets_rise_and_end_with_the_original(raw: str) -> None:
    text, offsets = FOLDING.normalise(raw)
    if offsets is None:
        assert len(text) == len(raw)
    else:
        assert len(offsets) == len(text) + 1
        assert list(offsets) == sorted(offsets)
        assert offsets[-1] == len(raw)


@given(TEXTS)
def test_each_normalised_character_stands_in_the_folding_of_its_origin(raw: str) -> None:
    text, offsets = FOLDING.normalise(raw)
    for place, char in enumerate(text):
        start, end = original_span(offsets, place, place + 1)
        assert end == start + 1
        assert char in FOLDING.text(raw[start])


@given(TEXTS, TEXTS)
def test_folding_looks_at_no_neighbours(left: str, right: str) -> None:
    assert FOLDING.text(left + "\n" + right) == FOLDING.text(FOLDING.text(left) + "\n" + FOLDING.text(right))
