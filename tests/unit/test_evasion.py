"""Which tricks are seen through, what they are called, and what is left alone."""

from __future__ import annotations

import time
from functools import cache

import pytest

from stream import models
from stream.core.evasion import Disguises
from stream.core.evasion_verdict import Found
from stream.core.lexicon import Evasion, Lexicon, Term
from stream.spelling import spellings

ALL = frozenset(Evasion)


@cache
def disguises(term: str, *tricks: Evasion) -> Disguises:
    terms = [Term("a.b.c", term, evasions=frozenset(tricks) or ALL)]
    return Disguises(terms, models.normaliser().text, spellings())


def found(term: str, text: str, *tricks: Evasion) -> list[Found]:
    return disguises(term, *tricks).find(models.normaliser().text(text))


@pytest.mark.parametrize(
    ("term", "text", "trick"),
    [
        ("投诉", "投-诉", Evasion.SEPARATORS),
        ("投诉", "投 诉", Evasion.SEPARATORS),
        ("投诉", "投投诉诉", Evasion.SEPARATORS),
        ("脑残", "脑丶残", Evasion.SEPARATORS),
        ("投诉", "投拆", Evasion.SHAPE),
        ("微信", "v❤", Evasion.SHAPE),
        ("12315", "一二三一五", Evasion.SHAPE),
        ("投诉", "扌殳讠斥", Evasion.SPLIT),
        ("投诉", "投素", Evasion.HOMOPHONE),
        ("投诉", "toushu", Evasion.PINYIN),
        ("投诉", "t.o.u.s.u", Evasion.PINYIN),
        ("投诉", "投su", Evasion.PINYIN),
        ("投诉", "ts", Evasion.INITIALS),
        ("投诉", "t诉", Evasion.INITIALS),
    ],
)
def test_a_trick_is_named_and_seen_only_where_allowed(term: str, text: str, trick: Evasion) -> None:
    (one,) = found(term, text)
    assert (one.start, one.end, one.plain) == (0, len(text), term)
    assert trick in one.tricks
    assert found(term, text, *(ALL - one.tricks - {Evasion.HOMOPHONE})) == []
    assert found(term, text, *one.tricks) == [one]


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("投诉", "我要投诉你"),  # plain: nothing to reveal
        ("投诉", "今晚投宿"),  # an everyday word
        ("差评", "质量差 评价低"),  # 评价 goes on behind
        ("差评", "质量差，评价低"),  # another clause
        ("举报", "据报道"),
        ("他妈的", "他妈妈的手机"),
        ("投诉", "ts文件怎么打开"),
        ("投诉", "ts60"),
        ("傻逼", "usb接口"),
        ("妈的", "made in china"),
        ("12315", "12.315元"),
        ("12315", "九一二三一五"),
        ("去死", "去四楼"),
        ("投诉", "投-*-*-诉"),  # too far apart
    ],
)
def test_ordinary_texts_are_left_alone(term: str, text: str) -> None:
    assert found(term, text) == []


def test_the_plain_term_takes_the_place_of_the_disguised_one() -> None:
    text, offsets = models.normaliser().normalise("我要tou-素你们")
    assert disguises("投诉").reveal(text, offsets, 9) == ("我要投诉你们", (0, 1, 2, 6, 7, 8, 9))


def test_offsets_lead_to_the_original_through_both_maps() -> None:
    raw = "气\u200b死，ｔ\u200bｏｕｓｕ\u200b吧"
    text, offsets = disguises("投诉").reveal(*models.normaliser().normalise(raw), len(raw))
    assert text == "气死,投诉吧"
    assert offsets is not None
    assert raw[offsets[3] : offsets[4] + 1] == "ｔ\u200bｏｕｓｕ"


def test_variants_are_not_sought_by_sound() -> None:
    term = Term("a", "你妈的", variants=("尼玛",), evasions=ALL)
    assert Disguises([term], str, spellings()).find("你妈身材多高") == []


def test_a_term_that_asks_for_nothing_is_not_sought() -> None:
    assert not Disguises([Term("a", "投诉")], str, spellings())


def test_revealed_terms_pass_allow_lists_and_context() -> None:
    term = Term("a", "投诉", not_in=("投诉热线",), near=("我", "去"), not_near=("不想",), evasions=ALL)
    lexicon = Lexicon([term], str)
    reveal = Disguises([term], str, spellings()).reveal

    def hits(text: str) -> int:
        return len(lexicon.find(reveal(text, None, len(text))[0]))

    assert hits("我要tousu你") == 1
    assert hits("tousu你") == 0
    assert hits("我打tousu热线") == 0
    assert hits("我不想tousu你") == 0


@pytest.mark.parametrize(
    "text",
    [
        "投" * 65_536,
        "投诉" * 32_768,
        "投素" * 32_768,
        "t s " * 16_384,
        "tousu" * 13_107,
        "tousu " * 10_922,
        "投" + "-" * 65_000 + "诉",
        "扌" * 65_536,
        "讠斥" * 32_768,
        "e" + "\u0301" * 10_000,
        "\u202e投\u202d诉" * 16_384,
        "\ud800投\udfff诉" * 16_384,
        "❤" * 65_536,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 2_000,
    ],
)
def test_hostile_texts_are_read_in_time(text: str) -> None:
    hidden = disguises("投诉")
    folded, offsets = models.normaliser().normalise(text)
    started = time.thread_time()
    revealed, _ = hidden.reveal(folded, offsets, len(text))
    # It takes some 30 ms; what takes the square of the length would take minutes.
    assert time.thread_time() - started < 0.5
    assert len(revealed) <= len(folded)
