"""One text in, all that is known of it out."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from stream.core.annotate import MAX_CACHED_TEXT, MAX_TOGETHER, Annotator
from stream.core.annotation import Hit, PersonalData
from stream.core.lexicon import Lexicon, Term
from stream.core.scores import TermScorer
from stream.core.text import Normaliser
from stream.models import build_annotator

TERMS = (
    Term("emotion.anger.anger", "生气"),
    Term("emotion.anger.fury", "气死", degree=2.0),
    Term("emotion.disappointment.disappointment", "失望", negatable=False),
    Term("sensitive.abuse.insult", "滚"),
)


def annotator(cache_size: int = 0) -> Annotator:
    folding = Normaliser({"氣": "气"})
    return Annotator(Lexicon(TERMS, folding.text), TermScorer(), folding, cache_size)


def test_hits_stand_in_the_original_text() -> None:
    annotation = annotator().annotate_one("真的㈱氣\u200b死我了，沒不生氣")
    assert annotation.normalised == "真的(株)气死我了,沒不生气"
    assert annotation.hits == (
        Hit("emotion.anger.fury", "气死", 3, 6, degree=2.0),
        Hit("emotion.anger.anger", "生气", 11, 13, negated=True),
    )
    assert [annotation.text[hit.start : hit.end] for hit in annotation.hits] == ["氣\u200b死", "生氣"]


def test_spans_of_expressions_are_original_ones_too() -> None:
    annotation = annotator().annotate_one("找㈱气\u200b")
    assert annotation.normalised == "找(株)气"
    assert annotation.original_span(2, 3) == (1, 2)
    assert annotation.original_span(4, 5) == (2, 3)
    assert annotation.original_span(4, 4) == (2, 2)


def test_negation_spares_terms_that_cannot_be_negated() -> None:
    assert [hit.negated for hit in annotator().annotate_one("不失望").hits] == [False]


def test_personal_data_is_found_in_every_text() -> None:
    annotations = annotator().annotate(["我的13800138000"] * 2, [True, False])
    assert [annotation.personal for annotation in annotations] == [(PersonalData("phone", 2, 13),)] * 2


def test_only_texts_that_want_scores_get_them_whatever_was_asked_before() -> None:
    cached = annotator(cache_size=10)
    for _ in range(2):
        scored, bare = cached.annotate(["气死了", "气死了"], [True, False])
        assert scored.scores is not None
        assert bare.scores is None


def test_as_many_wishes_as_texts_are_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        annotator().annotate(["a", "b"], [True])


def test_the_cache_is_bounded_in_entries_and_text_length() -> None:
    cached = annotator(cache_size=2)
    cached.annotate(["a", "b", "c", "x" * (MAX_CACHED_TEXT + 1)])
    assert cached.cached == 2


def test_more_text_than_is_looked_at_together_changes_nothing() -> None:
    texts = ["生气" * 10_000, "不生气", "气死了", "滚" + "好" * MAX_TOGETHER, "", "沒有失望", "氣死"] * 3
    texts = [f"{number}{text}" for number, text in enumerate(texts)]
    assert annotator().annotate(texts) == [annotator().annotate_one(text) for text in texts]


def test_an_empty_batch_gives_nothing() -> None:
    assert annotator().annotate([]) == []


@pytest.mark.parametrize(
    "text",
    ["滚啊" * 10_000, "e" + "\u0301" * 10_000, "a" * 65_536, "1 " * 32_000, "不" * 21_845, "路1栋" * 9_000],
)
def test_a_hostile_message_is_handled_in_time(text: str, tmp_path) -> None:
    hostile = build_annotator(TERMS, data_dir=tmp_path)
    started = time.perf_counter()
    hostile.annotate_one(text)
    # The aim is 50 ms on a free core; the limit is there to catch anything worse than linear.
    assert time.perf_counter() - started < 0.5


def test_importing_detection_loads_no_model() -> None:
    code = "import sys, stream.models\nsys.exit(bool({'jieba', 'opencc', 'snownlp'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
