"""Revealing: mapped, bounded, never an exception, whatever is sent; and fuzzing of the whole annotator."""

from __future__ import annotations

import gc
import os
import random
import resource
import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import models, packs
from stream.core.annotate import Annotator
from stream.core.evasion import Disguises
from stream.core.lexicon import Evasion, Term
from stream.spelling import spellings

WORDS = ("投诉", "微信", "加微信", "傻逼", "12315", "他妈的", "垃圾", "平台介入")
PIECES = [
    *"投诉微信加傻逼垃圾他妈的平台介入素威薇徽❤🐴马扁讠斥扌殳12315一二三五tsvxwei",
    *"，。 -.*@_\n/丶\u200b\u0301\u202e\ud800\ufe0f",
    "tousu", "shabi", "weixin", "谢谢", "评价", "[怒]", "/::@", "😡", "㈤", "⑸",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=24).map("".join) | st.text(max_size=40)

SLOWEST_S = 0.05
"""No message may hold up a worker for longer."""
TRIES = 3
"""A text is slow that is so each time: once in ten thousand calls it is the machine."""


@cache
def disguises() -> Disguises:
    terms = [Term("a.b.c", word, evasions=frozenset(Evasion)) for word in WORDS]
    return Disguises(terms, models.normaliser().text, spellings())


@given(TEXTS)
def test_offsets_rise_and_end_with_the_original(raw: str) -> None:
    folded, offsets = models.normaliser().normalise(raw)
    text, revealed = disguises().reveal(folded, offsets, len(raw))
    assert len(text) <= len(folded)
    if revealed is None:
        assert len(text) == len(raw)
    else:
        assert len(revealed) == len(text) + 1
        assert list(revealed) == sorted(revealed)
        assert revealed[-1] == len(raw)


@given(TEXTS)
def test_what_is_found_stands_in_the_text_and_does_not_overlap(raw: str) -> None:
    folded = models.normaliser().text(raw)
    done = 0
    for one in disguises().find(folded):
        assert done <= one.start < one.end <= len(folded)
        assert one.plain in WORDS
        assert folded[one.start : one.end] != one.plain
        assert one.tricks
        done = one.end


@given(TEXTS)
def test_what_is_left_was_not_changed(raw: str) -> None:
    folded = models.normaliser().text(raw)
    text, _ = disguises().reveal(folded, None, len(folded))
    at, kept = 0, []
    for one in disguises().find(folded):
        kept += [folded[at : one.start], one.plain]
        at = one.end
    assert text == "".join((*kept, folded[at:]))


@given(TEXTS)
def test_revealing_again_changes_no_revealed_term(raw: str) -> None:
    folded = models.normaliser().text(raw)
    once, _ = disguises().reveal(folded, None, len(folded))
    twice, _ = disguises().reveal(once, None, len(once))
    for word in WORDS:
        assert twice.count(word) >= once.count(word)


@given(st.sampled_from(WORDS), TEXTS, TEXTS)
def test_a_plain_term_stays_where_it_is(word: str, left: str, right: str) -> None:
    normalise = models.normaliser().text
    folded = f"{normalise(left)},{word},{normalise(right)}"
    assert f",{word}," in disguises().reveal(folded, None, len(folded))[0]


@cache
def annotator() -> Annotator:
    return models.build_annotator(packs.open_book().terms, cache_size=0)


def fuzzed(seed: int) -> str:
    """Return a text of pieces of tricks, of any characters, or of one repeated; now and then a long one."""
    chance = random.Random(seed)
    length = chance.choice((3, 8, 20, 40, 40, 200 if seed % 50 else 4_000))
    kind = chance.randrange(4)
    if kind == 0:
        return "".join(chance.choices(PIECES, k=length))
    if kind == 1:
        return "".join(map(chr, (chance.randrange(0x110000) for _ in range(length))))
    if kind == 2:
        return "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(length))
    piece: str = chance.choice(PIECES)
    return piece * length


@pytest.mark.timeout(3_600)
def test_fuzzed_messages_neither_crash_nor_stall() -> None:
    """30,000 messages, which is half a minute; ``YANSHAO_FUZZ=1000000`` for the long form."""
    count = int(os.environ.get("YANSHAO_FUZZ", "30000"))
    annotate = annotator().annotate_one
    for seed in range(2_000):
        annotate(fuzzed(seed))
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slow = []
    for seed in range(count):
        text = fuzzed(seed)
        took = 0.0
        for _ in range(TRIES):
            started = time.thread_time()
            annotation = annotate(text)
            took = time.thread_time() - started
            if took <= SLOWEST_S:
                break
        else:
            slow.append((took, seed))
        for hit in annotation.hits:
            assert 0 <= hit.start < hit.end <= len(text)
    assert not slow
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 32 * 1024  # KiB; one text of 4,000 characters needs a hundredth of it for a moment
