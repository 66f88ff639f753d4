"""Laws of counting clocks: each is decided once, and what is counted is what became of it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from stream.core import attainment, clocks, engine
from stream.core.annotation import EMPTY, Annotation
from stream.core.attainment import Verdict
from stream.core.events import Message, Received, Tick
from stream.core.state import State
from stream.runtime.conversations import Knowledge
from tests.contract import day
from tests.property.chats import logs

# Longer than anything is remembered: a week after the last moment of a clock.
LATER = 30 * 24 * 60 * day.MINUTE


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return day.knowledge(day.BEFORE, tmp_path_factory.mktemp("packs"))


def started(state: State) -> int:
    """Return how many clocks the conversation has had; the waits of rules are none of the service's."""
    return sum(
        count for kind, count in state.clock_counts.items() if not state.names[kind].startswith("rule:")
    )


@given(logs(names=1))
def test_every_clock_is_decided_once_and_as_it_ended(known: Knowledge, log: list[Received]) -> None:
    state: State | None = None
    counted: Counter[str | None] = Counter()
    clocks_had, missed = 0, 0

    def take(step: engine.Step, owner: State) -> State | None:
        nonlocal clocks_had, missed
        counted.update(one.verdict for one in step.decided)
        if step.state is None:
            clocks_had += started(owner)
            missed += sum(
                attainment.VERDICTS[clock.state.name.lower()] is Verdict.MISSED
                for clock in clocks.all_of(owner)
                if clocks.kind_of(owner.clock_id(clock)) != clocks.RULE
            )
        return step.state

    for item in log:
        if state is not None:
            state = take(engine.advance(known.book, state, item.t), state)
        if not isinstance(item.event, Tick):
            step = engine.apply(known.book, state, item, annotated(known, item))
            assert step.state is not None
            state = take(step, step.state)
    if state is not None:
        assert take(engine.advance(known.book, state, max(one.t for one in log) + LATER), state) is None
    decided = counted[Verdict.MET] + counted[Verdict.MISSED] + counted[Verdict.WITHDRAWN]
    assert decided == clocks_had
    assert counted[Verdict.MISSED] - counted[Verdict.CORRECTED] == missed


def annotated(known: Knowledge, item: Received) -> Annotation:
    text = item.event.content.text if isinstance(item.event, Message) else ""
    return known.annotator.annotate([text], [True])[0] if text else EMPTY
