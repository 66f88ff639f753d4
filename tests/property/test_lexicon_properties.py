"""The automaton finds what a naive scan finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stream.core.lexicon import Lexicon, Term

TERMS = st.lists(
    st.builds(
        Term,
        terms=st.sampled_from(["x.a", "x.b"]),
        text=st.text("甲乙丙", min_size=1, max_size=4),
        variants=st.tuples(st.text("甲乙丙", min_size=1, max_size=3)) | st.just(()),
        not_in=st.tuples(st.text("甲乙丙", min_size=1, max_size=4)) | st.just(()),
    ),
    max_size=6,
)


def naive(terms: list[Term], text: str) -> set[tuple[str, int, int]]:
    """Every place of every spelling, less allowed places; longest first, leftmost first, by list."""
    kept: set[tuple[str, int, int]] = set()
    for name in {term.terms for term in terms}:
        places = {
            (start, start + len(spelling))
            for term in terms
            if term.terms == name
            for spelling in (term.text, *term.variants)
            for start in range(len(text))
            if text.startswith(spelling, start)
            and not any(
                text.startswith(phrase, at) and at <= start and start + len(spelling) <= at + len(phrase)
                for phrase in term.not_in
                for at in range(len(text))
            )
        }
        taken: set[int] = set()
        for start, end in sorted(places, key=lambda place: (place[0] - place[1], place[0])):
            if taken.isdisjoint(range(start, end)):
                taken.update(range(start, end))
                kept.add((name, start, end))
    return kept


@given(TERMS, st.text("甲乙丙丁", max_size=20))
def test_find_equals_a_naive_scan(terms: list[Term], text: str) -> None:
    matches = Lexicon(terms, str).find(text)
    assert {(match.term.terms, match.start, match.end) for match in matches} == naive(terms, text)
    assert [(match.start, match.end) for match in matches] == sorted((m.start, m.end) for m in matches)
    for match in matches:
        assert text[match.start : match.end] in {match.term.text, *match.term.variants}
