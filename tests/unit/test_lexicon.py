"""Which terms are found, and where."""

from __future__ import annotations

import time

import pytest

from stream.core.lexicon import MAX_MATCHES_PER_TERM, Boundary, Lexicon, Term
from stream.core.text import Normaliser
from stream.models import segmenter

FOLDING = Normaliser({"氣": "气"})


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    return segmenter(tmp_path_factory.mktemp("jieba"))


def found(terms: list[Term], text: str, cut=None) -> list[tuple[str, str, int, int]]:
    matches = Lexicon(terms, FOLDING.text, cut).find(text)
    return [(match.term.terms, match.term.text, match.start, match.end) for match in matches]


def test_terms_and_variants_are_found_under_the_terms_spelling() -> None:
    terms = [Term("a.b.c", "气死", ("氣炸了",))]
    assert found(terms, "真气死我了，气炸了") == [("a.b.c", "气死", 1, 3), ("a.b.c", "气死", 6, 9)]


def test_nothing_is_found_in_a_text_without_terms() -> None:
    assert found([Term("a", "生气")], "请问什么时候发货") == []


def test_a_lexicon_without_terms_finds_nothing() -> None:
    assert found([], "生气") == []


def test_within_one_list_the_longest_wins() -> None:
    terms = [Term("a", "投诉"), Term("a", "投诉你"), Term("a", "要投诉")]
    assert found(terms, "我要投诉你") == [("a", "要投诉", 1, 4)]
    assert found(terms, "去投诉你") == [("a", "投诉你", 1, 4)]
    assert found(terms, "去投诉") == [("a", "投诉", 1, 3)]


def test_a_term_inside_a_longer_term_of_another_list_is_found() -> None:
    terms = [Term("a", "投诉"), Term("b", "12315投诉你")]
    assert found(terms, "12315投诉你") == [("b", "12315投诉你", 0, 8), ("a", "投诉", 5, 7)]


def test_the_same_term_in_two_lists_is_found_for_both() -> None:
    assert found([Term("a", "滚"), Term("b", "滚")], "滚") == [("a", "滚", 0, 1), ("b", "滚", 0, 1)]


def test_a_match_inside_an_allowed_phrase_does_not_count() -> None:
    terms = [Term("a", "烦", not_in=("麻烦", "烦请"))]
    assert found(terms, "麻烦你") == []
    assert found(terms, "烦请告知") == []
    assert found(terms, "麻烦你，烦死了") == [("a", "烦", 4, 5)]


def test_an_allowed_phrase_frees_only_its_own_term() -> None:
    terms = [Term("a", "烦", not_in=("麻烦",)), Term("b", "烦")]
    assert found(terms, "麻烦") == [("b", "烦", 1, 2)]


def test_a_filtered_longer_term_does_not_hide_a_shorter_one() -> None:
    terms = [Term("a", "投诉"), Term("a", "投诉你", not_in=("投诉你们的人",))]
    assert found(terms, "投诉你们的人") == [("a", "投诉", 0, 2)]


@pytest.mark.parametrize(
    ("text", "hits"),
    [("have", 0), ("av", 1), ("看av吗", 1), ("av8", 1), ("avs", 0), ("a av b", 1), ("wav", 0)],
)
def test_latin_terms_are_whole_words(text: str, hits: int) -> None:
    assert len(found([Term("a", "AV")], text)) == hits


@pytest.mark.parametrize(("text", "hits"), [("打12315", 1), ("1231567", 0), ("112315", 0), ("12315a", 1)])
def test_digit_terms_are_whole_numbers(text: str, hits: int) -> None:
    assert len(found([Term("a", "12315")], text)) == hits


def test_word_terms_keep_to_the_words_of_the_text(cut) -> None:
    terms = [Term("a", "和服", boundary=Boundary.WORD)]
    assert found(terms, "产品和服务", cut) == []
    assert found(terms, "想买和服", cut) == [("a", "和服", 2, 4)]


def test_word_terms_keep_to_words_in_long_texts_too(cut) -> None:
    terms = [Term("a", "和服", boundary=Boundary.WORD)]
    assert found(terms, "好的" * 200 + "产品和服务" + "好的" * 200, cut) == []
    assert found(terms, "好的，" * 200 + "想买和服" + "，好的" * 200, cut) == [("a", "和服", 602, 604)]


def test_a_word_term_needs_a_segmenter() -> None:
    with pytest.raises(ValueError, match=r"a\.b"):
        Lexicon([Term("a.b", "烦", boundary=Boundary.WORD)], FOLDING.text)


def test_a_repeated_term_is_capped_and_hides_no_other() -> None:
    matches = found([Term("a", "滚蛋"), Term("b", "12315")], "滚蛋" * 1000 + "12315")
    assert len(matches) == MAX_MATCHES_PER_TERM + 1
    assert matches[-1] == ("b", "12315", 2000, 2005)


def test_lists_are_named() -> None:
    assert Lexicon([Term("a", "x"), Term("b", "y")], FOLDING.text).lists == {"a", "b"}


@pytest.mark.parametrize("text", ["滚蛋" * 16_000, "和服" * 16_000, "烦" * 21_845, "麻烦" * 10_000])
def test_hostile_text_is_searched_in_time(text: str, cut) -> None:
    terms = [Term("a", "滚蛋"), Term("a", "和服", boundary=Boundary.WORD), Term("b", "烦", not_in=("麻烦",))]
    lexicon = Lexicon(terms, FOLDING.text, cut)
    lexicon.find("买和服")
    started = time.perf_counter()
    lexicon.find(text)
    assert time.perf_counter() - started < 0.5
