"""What a soak makes short, so that an hour shows the level that days would."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import wire
from stream.bench.soak.hurry import LONGEST_MS, hurried, hurry
from stream.bench.soak.load import Churn
from stream.bench.workload import models
from stream.core import state as states
from stream.core.book import ClockPolicy
from stream.core.limits import Limits
from stream.runtime.conversations import Conversations, Input
from stream.runtime.knowledge import open_knowledge

BASE = 1_794_358_800_000
RATE = 20
SOON = Limits(60_000, 20_000, issue_keep_ms=60_000, reopen_ms=60_000)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=5).map(sorted))
def test_moments_keep_their_order_and_come_soon(moments: list[int]) -> None:
    found = hurried(moments)
    assert found[-1] == min(moments[-1], LONGEST_MS)
    assert all(one <= next_ for one, next_ in pairwise(found))
    assert found == moments or moments[-1] > LONGEST_MS


def test_conversations_of_a_soak_are_let_go_within_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("moments", "moments_until"):
        monkeypatch.setattr(ClockPolicy, name, getattr(ClockPolicy, name))  # put back at the end
    hurry()
    knowledge = open_knowledge(limits=SOON)
    churn, conversations = Churn(models(knowledge), 11), Conversations(source_partition=0)
    churn.begin_amid(0.0, RATE)
    for second in range(600):
        moments = [second + number / RATE for number in range(RATE)]
        raws = [one.raw(BASE + round(t * 1000)) for t in moments for one in churn.take(t)]
        conversations.apply(knowledge, [Input(wire.decode(raw, received_at=None)) for raw in raws])
        while due := conversations.take_due(BASE + second * 1000):
            conversations.apply(knowledge, [Input(timer) for timer in due])
    # The last moment, what is owed after it, and a minute for whatever is late.
    longest = LONGEST_MS + SOON.issue_keep_ms + 60_000
    held = [states.decode(raw) for _, raw in conversations.raw()]
    assert [one.conversation_id for one in held if one.last_at < BASE + 600_000 - longest] == []
    assert len(held) > RATE
