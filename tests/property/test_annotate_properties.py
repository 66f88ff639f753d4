"""Neither batch nor cache changes an annotation."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from stream.core.annotate import Annotator
from stream.core.lexicon import Term
from stream.models import build_annotator
from stream.packs.promises import load_promises

TERMS = (
    Term("emotion.anger.anger", "生气", ("氣死",)),
    Term("emotion.praise.praise", "满意"),
    Term("sensitive.abuse.insult", "滚", not_in=("滚筒",)),
)
PIECES = st.sampled_from(
    [
        *"不很我了，，1a",
        "生气",
        "氣死",
        "满意",
        "滚",
        "滚筒",
        "㈱",
        "\u200b",
        "13800138000",
        "差评",
        "啊啊啊啊啊",
        "x" * 150,
        *("稍等", "今天", "发货", "已反馈", "仓库", "㈱查", "的话", "明天给您回电话"),
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)
BATCHES = st.lists(st.lists(st.tuples(TEXTS, st.booleans()), max_size=6), max_size=4)


@cache
def reference() -> Annotator:
    return build_annotator(TERMS, cache_size=0, promises=load_promises().vocabulary)


@given(BATCHES, st.integers(0, 3))
def test_batch_and_cache_never_change_a_result(
    batches: list[list[tuple[str, bool]]], cache_size: int
) -> None:
    cached = reference().with_cache(cache_size)
    for batch in batches:
        texts, wants = [text for text, _ in batch], [want for _, want in batch]
        alone = [reference().annotate_one(text, wants_scores=want) for text, want in batch]
        assert cached.annotate(texts, wants) == alone
        assert cached.cached <= cache_size


@given(TEXTS)
def test_hits_personal_data_and_promises_stand_inside_the_text(text: str) -> None:
    annotation = reference().annotate_one(text, wants_scores=False)
    for said in annotation.said:
        assert 0 <= said.start < said.end <= len(text)
    for hit in annotation.hits:
        assert 0 <= hit.start < hit.end <= len(text)
    for data in annotation.personal:
        assert 0 <= data.start < data.end <= len(text)
