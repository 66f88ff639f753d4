"""Texts laid end to end: whatever is done to all at once is what would have been done to each."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream import models
from stream.core.evasion import Disguises
from stream.core.evasion_tables import Tables, suspicious
from stream.core.joined import PLANE, Joined, characters, code_points, looked_up, marked
from stream.core.lexicon import Evasion, Lexicon, Term
from stream.core.privacy import find_personal, find_personal_all
from stream.spelling import spellings

PIECES = [
    *"投诉加微信素❤讠斥扌殳tsvx路街号栋区0119@,，.。[]/: \n\x00\ud800\uffff\U0001f621㈱Ａ［０\u200b",
    "[怒]", "［怒］", "/::@", "/:", "@P", "啊啊啊啊", "tousu", "13800138000", "a@b.cn", "张江路100号",
    "好的,亲", "x" * 40,
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES), max_size=10).map("".join) | st.text(max_size=20)
TEXTS = st.lists(TEXT, max_size=8)  # fewer than FEW, and more

WORDS = ("投诉", "微信", "加微信", "好的,亲", ",", "0,0", "信,加", "怒", "啊啊啊")


@cache
def disguises() -> Disguises:
    terms = [Term("a.b.c", word, evasions=frozenset(Evasion)) for word in ("投诉", "微信", "加微信", "12315")]
    return Disguises(terms, models.normaliser().text, spellings())


@cache
def tables() -> Tables:
    return Tables(spellings())


@cache
def lexicon() -> Lexicon:
    return Lexicon([Term("a.b.c", word) for word in WORDS], models.normaliser().text)


@given(TEXTS)
def test_texts_are_cut_where_they_were_joined(texts: list[str]) -> None:
    joined = Joined(texts)
    assert joined.cut(characters(code_points(joined.text))) == texts


@given(TEXTS, st.sampled_from("投, @"))
def test_the_texts_that_have_a_character_are_named(texts: list[str], char: str) -> None:
    joined = Joined(texts)
    mask = looked_up(marked(char), code_points(joined.text))
    # The separator is no text's own.
    own = [index for index, text in enumerate(texts) if char in text]
    assert set(own) <= set(joined.having(mask))
    if char != ",":
        assert joined.having(mask) == own


@given(TEXTS)
def test_all_are_folded_as_each_is(texts: list[str]) -> None:
    assert models.normaliser().normalise_all(texts) == [models.normaliser().normalise(text) for text in texts]


def test_every_character_is_folded_alike_in_company_and_alone() -> None:
    texts = [chr(code) for code in range(PLANE + 0x1000)]
    assert models.normaliser().normalise_all(texts) == [models.normaliser().normalise(text) for text in texts]


@given(TEXTS)
def test_the_terms_of_all_are_those_of_each(texts: list[str]) -> None:
    folded = [models.normaliser().text(text) for text in texts]
    assert lexicon().find_all(folded) == [lexicon().find(text) for text in folded]


@given(TEXTS)
def test_a_term_is_found_wherever_it_stands(texts: list[str]) -> None:
    folded = [models.normaliser().text(text) for text in texts]
    for text, matches in zip(folded, lexicon().find_all(folded), strict=True):
        assert all(text[match.start : match.end] == match.term.text for match in matches)
        assert bool(matches) == any(word in text for word in WORDS)


@given(TEXTS)
def test_the_disguises_of_all_are_those_of_each(texts: list[str]) -> None:
    folded = [models.normaliser().normalise(text) for text in texts]
    lengths = [len(text) for text in texts]
    alone = [disguises().reveal(*one, length) for one, length in zip(folded, lengths, strict=True)]
    assert disguises().reveal_all(folded, lengths) == alone


@given(TEXTS)
def test_a_text_that_is_not_suspicious_is_its_own_skeleton(texts: list[str]) -> None:
    folded = [models.normaliser().text(text) for text in texts]
    odd = suspicious(Joined(folded))
    for number, text in enumerate(folded):
        skeleton = tables().skeleton(text)
        assert tables().squeezed(text) == skeleton.text
        if number not in odd:
            assert skeleton.text == text


@given(TEXT)
def test_a_text_is_heard_character_by_character(text: str) -> None:
    squeezed = tables().squeezed(models.normaliser().text(text))
    assert tables().heard(squeezed) == "".join(map(tables().heard, squeezed))


@given(TEXTS)
def test_a_text_that_is_not_looked_at_holds_no_personal_data(texts: list[str]) -> None:
    assert find_personal_all(texts) == [find_personal(text) for text in texts]


@given(
    st.lists(
        st.sampled_from([*"，！？；,!?;：:@＠１1.．号路", "13800138000", "张江路", "a@b.cn"]), max_size=12
    )
)
def test_marks_between_clauses_are_read_alike_in_full_and_half_width(pieces: list[str]) -> None:
    wide = "".join(pieces)
    assert find_personal(wide) == find_personal(
        wide.translate(dict(zip(map(ord, "，！？；"), ",!?;", strict=True)))
    )


def test_tables_say_nothing_of_what_lies_behind_the_first_plane() -> None:
    table = marked("好")
    assert np.flatnonzero(looked_up(table, code_points("好\U0001f621\uffff"))).tolist() == [0]
