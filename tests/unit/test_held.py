"""What is held of a conversation between two batches, a hundred thousand times over."""

from __future__ import annotations

import gc
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from stream.core import clocks
from stream.core import state as states
from stream.core.annotation import Annotation
from stream.core.book import EMPTY_BOOK
from stream.core.limits import DEFAULT_LIMITS
from stream.core.state import State
from stream.runtime.conversations import Conversations, Knowledge
from stream.runtime.kafka.changelog import Replay

KINDS = ("leg", "first_response", "idle", "rule:a")


class Nothing:
    """An annotator that is never asked."""

    def annotate(self, texts: Sequence[str], wants_scores: Sequence[bool] | None = None) -> list[Annotation]:
        raise AssertionError("nothing was said")


def conversation(name: str, starts: list[tuple[str, int]], closed_at: int | None = None) -> State:
    state = State(conversation_id=name, opened_at=0, last_at=0, closed_at=closed_at)
    for kind, at in starts:
        clocks.start(state, kind, "policy", at, [10, 20])
    return state


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), max_size=5),
    st.booleans(),
    st.sampled_from([0, 1, DEFAULT_LIMITS.idle_close_ms]),
)
def test_soonest_is_the_first_of_what_is_upcoming(
    starts: list[tuple[str, int]], closed: bool, shift: int
) -> None:
    """Also where several come due at one moment, silence among them: their ids decide."""
    state = conversation("c", [(kind, at + shift) for kind, at in starts], 0 if closed else None)
    state.last_at = 10 - DEFAULT_LIMITS.idle_close_ms + shift
    assert clocks.soonest(state, DEFAULT_LIMITS) == clocks.upcoming(state, DEFAULT_LIMITS)[0]


def test_conversations_that_are_read_back_are_nothing_to_the_collector() -> None:
    """Each of its rounds would else look at all of them, and no clock speak meanwhile."""
    knowledge = Knowledge(EMPTY_BOOK, Nothing())
    rows = [
        (name.encode(), states.encode(conversation(name, [("leg", 0), ("first_response", number)])))
        for number in range(2_000)
        for name in (f"c-{number}",)
    ]
    gc.collect()
    before = len(gc.get_objects())
    replay, conversations = Replay(), Conversations()
    replay.take(rows)
    for name, raw in replay.states():
        conversations.load(knowledge, name, raw)
    gc.collect()
    assert len(conversations) == 2_000
    assert len(gc.get_objects()) - before < 200
