"""Folding and the way back to the original characters."""

from __future__ import annotations

import time

import pytest

from stream.core.text import MAX_EXPANSION, Normaliser, original_span
from stream.models import normaliser

TRADITIONAL = {"氣": "气", "這": "这"}


@pytest.fixture(scope="module")
def folding() -> Normaliser:
    return Normaliser(TRADITIONAL)


@pytest.mark.parametrize(
    ("raw", "text", "offsets"),
    [
        ("", "", None),
        ("怎么还不发货", "怎么还不发货", None),
        ("ＶＸ１２３，Ok！", "vx123,ok!", None),
        ("氣死", "气死", None),
        ("气\u200b死", "气死", (0, 2, 3)),
        ("㈱Ａ", "(株)a", (0, 0, 0, 1, 2)),
        ("①", "1", None),
        ("❤\ufe0f好", "❤好", (0, 2, 3)),
        ("e\u0301a", "ea", (0, 2, 3)),
        ("éa", "ea", None),
        ("傻\u0353逼", "傻逼", (0, 2, 3)),
        ("𝐕𝐗", "vx", None),
        ("滚滚滚", "滚滚滚", None),
        ("滚滚滚滚滚!", "滚滚滚!", (0, 1, 2, 5, 6)),
        ("10000000", "10000000", None),
        ("\ud800x", "\ufffdx", None),
        ("\u200b", "", (1,)),
    ],
)
def test_normalise_folds_and_maps_back(
    folding: Normaliser, raw: str, text: str, offsets: tuple[int, ...] | None
) -> None:
    assert folding.normalise(raw) == (text, offsets)


def test_span_ends_behind_the_last_original_character(folding: Normaliser) -> None:
    text, offsets = folding.normalise("气\u200b死\u200b了")
    assert text == "气死了"
    assert original_span(offsets, 0, 2) == (0, 3)


def test_span_of_part_of_an_expansion_is_the_whole_character(folding: Normaliser) -> None:
    _, offsets = folding.normalise("找㈱好")
    assert original_span(offsets, 2, 3) == (1, 2)


def test_openccs_characters_fold_to_simplified() -> None:
    assert normaliser().text("氣死我了這個客服態度極差") == "气死我了这个客服态度极差"


@pytest.mark.parametrize(
    "raw",
    [
        "e" + "\u0301" * 10_000,
        "a" * 65_536,
        "滚" * 21_845,
        "\ufdfa" * 21_845,
        "㍿" * 21_845,
        "ab" * 32_768,
        "".join(map(chr, range(0xA000, 0xD7A4))),
    ],
    ids=["marks", "letter", "ideograph", "long expansion", "expansion", "pairs", "all different"],
)
def test_hostile_text_is_folded_in_time_and_space(raw: str) -> None:
    folding = Normaliser(TRADITIONAL)
    started = time.perf_counter()
    text, _ = folding.normalise(raw)
    # A tenth of it on a free core: the limit is there to catch anything worse than linear.
    assert time.perf_counter() - started < 0.5
    assert len(text) <= MAX_EXPANSION * len(raw)
