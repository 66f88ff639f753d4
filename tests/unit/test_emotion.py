"""Negation and degree round a term."""

from __future__ import annotations

import pytest

from stream.core.emotion import MAX_DEGREE, SCOPE, Reading, read


def reading(text: str, term: str) -> Reading:
    start = text.index(term)
    return read(text, start, start + len(term))


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("我不生气", "生气"),
        ("没有生气", "生气"),
        ("我没那么生气", "生气"),
        ("请您不要生气", "生气"),
        ("别生气", "生气"),
        ("并没有觉得失望", "失望"),
        ("从来没有投诉过", "投诉"),
        ("不是很满意", "满意"),
        ("一点也不满意", "满意"),
        ("不会再投诉", "投诉"),
        ("没什么好生气的", "生气"),
    ],
)
def test_denied_terms_are_negated(text: str, term: str) -> None:
    assert reading(text, term).negated


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("不是不满意", "满意"),
        ("不得不投诉", "投诉"),
        ("别提多生气了", "生气"),
        ("非常失望", "失望"),
        ("特别失望", "失望"),
        ("从来没有这么生气过", "生气"),
        ("能不生气吗", "生气"),
        ("谁能不生气", "生气"),
        ("你们是不是骗子", "骗子"),
        ("你说气不气人", "气人"),
        ("不退款就投诉", "投诉"),
        ("不处理我要投诉", "投诉"),
        ("要不投诉吧", "投诉"),
        ("不生气才怪", "生气"),
        ("不投诉不行", "投诉"),
        ("不要了，生气", "生气"),
        ("不要 生气", "生气"),
        ("不仅失望", "失望"),
    ],
)
def test_what_only_looks_like_a_denial_is_none(text: str, term: str) -> None:
    assert not reading(text, term).negated


@pytest.mark.parametrize(
    ("text", "term", "degree"),
    [
        ("生气", "生气", 1.0),
        ("非常失望", "失望", 1.5),
        ("极其失望", "失望", 2.0),
        ("很着急", "着急", 1.25),
        ("有点着急", "着急", 0.5),
        ("失望透顶", "失望", 2.0),
        ("别提多生气了", "生气", 2.0),
        ("从来没有这么生气过", "生气", 2.0),
        ("非常非常失望", "失望", 2.25),
        ("着急得不得了", "着急", 2.0),
        ("非常，失望", "失望", 1.0),
    ],
)
def test_degree_multiplies_what_grades_the_term(text: str, term: str, degree: float) -> None:
    assert reading(text, term).degree == degree


def test_degree_is_bounded() -> None:
    assert reading("极其极其极其极其失望透顶", "失望").degree == MAX_DEGREE


def test_scope_is_limited() -> None:
    assert not reading("没有" + "的" * SCOPE + "生气", "生气").negated


def test_a_term_that_cannot_be_negated_keeps_its_degree() -> None:
    assert read("不非常失望", 3, 5, negatable=False) == Reading(negated=False, degree=1.5)
