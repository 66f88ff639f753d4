"""Scores depend on the text alone: not on the batch, not on what stands beside it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.features import BUCKETS, features
from stream.core.model import LearnedScorer
from stream.models import normaliser, shipped_model

SCORER = LearnedScorer(shipped_model().model)
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.text(alphabet="谢好的吗人呢投诉垃圾傻逼?!,\x02\x03 ", max_size=60),
        st.sampled_from(["", "\x02", "\x03\x02", "差" * 2000, "\udc80", "👨‍👩‍👧"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_the_batch_changes_nothing(raw: list[str]) -> None:
    texts = [normaliser().text(text) for text in raw]
    together = SCORER.read(texts, [()] * len(texts), [True] * len(texts))
    assert together == [SCORER.read([text], [()], [True])[0] for text in texts]


@settings(max_examples=50, deadline=None)
@given(TEXTS, st.randoms())
def test_the_order_changes_nothing(raw: list[str], random) -> None:
    order = list(range(len(raw)))
    random.shuffle(order)
    straight = SCORER.read(raw, [()] * len(raw), [True] * len(raw))
    shuffled = SCORER.read([raw[at] for at in order], [()] * len(raw), [True] * len(raw))
    assert [straight[at] for at in order] == shuffled


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_buckets_lie_in_the_table(raw: list[str]) -> None:
    found = features(raw, shipped_model().model.syllables)
    assert found.buckets.min() >= 0
    assert found.buckets.max() < BUCKETS
    assert (found.ends > found.starts).all()
