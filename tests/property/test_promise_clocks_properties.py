"""Laws of promises and inferred legs: kept or breached and never both, in whatever portions it is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core import clocks
from stream.core import state as states
from stream.core.events import Received
from stream.core.outputs import Finding, Summary
from stream.core.state import ClockState, State
from stream.runtime.conversations import Conversations, Input, Knowledge
from tests.contract import day
from tests.golden.dialogues import pack_sets
from tests.property.chats import last_status, received, tick

PASSED = frozenset({ClockState.BREACHED, ClockState.ANSWERED_LATE, ClockState.MISSED})
SAYS = {
    "customer": ("你好", "我要退款", "谢谢", "人呢"),
    "agent": (
        "您稍等",
        "有货的",
        "今天发货",
        "仓库今天发货",
        "今天发不了了",
        "24小时内回复您",
        "明天给您回电话",
        "刚才给您打电话了",
        "三个工作日内给您退款",
        "已反馈仓库核实",
        "仓库那边回复说能发",
        "物流反馈包裹在路上",
    ),
    "bot": ("请稍等", "今天发货"),
}
OTHERS: tuple[dict[str, Any], ...] = (
    {"type": "conversation.closed", "by": "agent"},
    {"type": "conversation.opened"},
    {"type": "order.shipped", "order_id": "o-1"},
    {"type": "order.refunded", "order_id": "o-1"},
    {"type": "issue.opened", "issue_id": "i-1"},
    {"type": "issue.handed_off", "issue_id": "i-1", "to": "operations"},
    {"type": "issue.answered", "issue_id": "i-1"},
    {"type": "issue.paused", "issue_id": "i-1"},
    {"type": "issue.resumed", "issue_id": "i-1"},
    {"type": "issue.resolved", "issue_id": "i-1"},
)
STEPS = (0, 1, 1_000, 60_000, 90_000, 90_001, 180_000, 180_001, 1_800_000, 1_800_001, 15 * 3_600_000)
LATE = (0, 0, 0, 1, 60_000, 180_001, 1_800_000)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    (files,) = pack_sets()["promises"]
    return day.knowledge(dict(files), tmp_path_factory.mktemp("packs"))


@st.composite
def logs(draw: st.DrawFn) -> list[Received]:
    """Draw one conversation's events as they arrive, some of them late."""
    at = day.START
    events: list[Received] = []
    for number in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from(STEPS))
        t = at - draw(st.sampled_from(LATE))
        role = draw(st.sampled_from((*SAYS, "agent", "agent", "")))
        if role:
            said = draw(st.sampled_from(SAYS[role]))
            events.append(received(day.message("c-1", f"m-{number}", t, role, said)))
        else:
            events.append(received({**draw(st.sampled_from(OTHERS)), "conversation_id": "c-1", "at": t}))
    return events


def run(known: Knowledge, log: list[Received], portions: list[int]) -> tuple[list[Any], dict[str, State]]:
    """Apply the log in portions, each by conversations that were read back from their bytes."""
    conversations = Conversations()
    records: list[Any] = []
    at = 0
    for size in [*portions, len(log)]:
        done = conversations.apply(known, [Input(item) for item in log[at : at + size]])
        records += done.records
        at += size
        restarted = Conversations()
        for name, raw in conversations.raw():
            restarted.load(known, name, raw)
        conversations = restarted
    end = max(one.t for one in log) + 20 * 60 * day.MINUTE
    records += conversations.apply(known, [Input(tick(end))]).records
    return records, {name: states.decode(raw) for name, raw in conversations.raw()}


@given(logs())
@settings(deadline=None)
def test_a_promise_is_kept_or_breached_and_never_both(known: Knowledge, log: list[Received]) -> None:
    records, held = run(known, log, [])
    findings = [one for one in records if isinstance(one, Finding)]
    ended = last_status(findings)
    told = {(one.clock_id, one.at) for one in findings if ended[one.finding_id] == "raised"}
    for state in held.values():
        for clock in clocks.all_of(state):
            breached = (state.clock_id(clock), clock.target_at) in told
            assert breached == (clock.state in PASSED)
            assert clock.moments == sorted(clock.moments)
        open_now = [one for one in clocks.all_of(state) if one.stopped_at is None]
        assert max(Counter((one.kind, one.party, one.issue) for one in open_now).values(), default=1) == 1


@given(logs(), st.lists(st.integers(1, 4), max_size=5))
@settings(deadline=None)
def test_portions_and_restarts_change_nothing(
    known: Knowledge, log: list[Received], portions: list[int]
) -> None:
    whole, held = run(known, log, [])
    parts, again = run(known, log, portions)
    assert parts == whole
    assert {name: states.encode(one) for name, one in again.items()} == {
        name: states.encode(one) for name, one in held.items()
    }


@given(logs())
@settings(deadline=None)
def test_the_legs_of_an_inferred_issue_add_up(known: Knowledge, log: list[Received]) -> None:
    records, _ = run(known, log, [])
    for summary in (one for one in records if isinstance(one, Summary)):
        for issue in summary.issues:
            assert all(seconds >= 0 for seconds in issue.legs.values())
            if issue.state in {"resolved", "closed"} and not issue.reopened:
                assert sum(issue.legs.values()) <= (max(one.t for one in log) - issue.opened_at) / 1000 + 1800
