"""Laws of explaining clocks: what is told ends as the replay does, and legs tell each moment once."""

from __future__ import annotations

import pytest
from hypothesis import given

from stream.core.events import Received
from stream.core.outputs import Summary
from stream.runtime.clock_story import ConversationStory
from stream.runtime.conversations import Knowledge
from stream.runtime.explain_clocks import explain
from stream.runtime.replay import replay
from tests.contract import day
from tests.property.chats import logs


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return day.knowledge(day.BEFORE, tmp_path_factory.mktemp("packs"))


def ended(summary: Summary) -> dict[str, tuple[str, int]]:
    return {
        clock.clock_id: (clock.state, clock.started_at) for clock in summary.clocks if clock.kind != "rule"
    }


@given(logs(names=2, silences=True))
def test_clocks_end_as_in_the_replay(known: Knowledge, log: list[Received]) -> None:
    done = replay(known, log)
    last: dict[str, ConversationStory] = {story.conversation_id: story for story in explain(known, log)}
    assert last.keys() == done.summaries.keys()
    for name, story in last.items():
        told = {clock.clock_id: (clock.state, clock.started_at) for clock in story.clocks}
        # The summary is of a moment before what was still open was let go.
        assert {id_: told[id_] for id_ in ended(done.summaries[name])}.keys() == told.keys()
        for id_, (state, started_at) in ended(done.summaries[name]).items():
            assert told[id_][1] == started_at
            if state not in {"running", "breached", "paused"}:
                assert told[id_][0] == state


@given(logs(names=2, silences=True))
def test_every_clock_starts_once_and_every_leg_begins_where_the_one_before_ends(
    known: Knowledge, log: list[Received]
) -> None:
    for story in explain(known, log):
        for clock in story.clocks:
            assert [one.what for one in clock.happened].count("started") == 1
            assert clock.trials[-1].holds
            assert clock.trials[-1].policy == clock.policy
            assert not any(trial.holds for trial in clock.trials[:-1])
        for issue in story.issues:
            assert all(one.until is not None for one in issue.legs[:-1])
            for before, after in zip(issue.legs, issue.legs[1:], strict=False):
                assert before.until is not None
                assert before.since <= before.until <= after.since
            spans: dict[str, int] = {}
            for one in issue.legs:
                if one.until is not None:
                    spans[one.leg] = spans.get(one.leg, 0) + one.until - one.since
            running = issue.legs[-1].leg if issue.legs[-1].until is None else None
            for leg, length in issue.legs_ms.items():
                if leg != running:
                    assert spans.get(leg, 0) == length
