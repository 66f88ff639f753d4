"""Laws of one conversation: what clocks say agrees with how they ended; ids are of the happening alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from stream.core import clocks
from stream.core import state as states
from stream.core.events import Received
from stream.core.outputs import Finding, FindingStatus
from stream.core.state import ClockState
from stream.runtime.conversations import Conversations, Input, Knowledge
from tests.contract import day
from tests.property.chats import last_status, logs, tick

PASSED = frozenset({ClockState.BREACHED, ClockState.ANSWERED_LATE, ClockState.MISSED})


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return day.knowledge(day.BEFORE, tmp_path_factory.mktemp("packs"))


@pytest.fixture(scope="module")
def reworded(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """Return the same rules under another version, with other words, and one rule more that waits."""
    files = dict(day.BEFORE)
    files["emotion/day.yaml"] = (
        files["emotion/day.yaml"]
        .replace("version: 1", "version: 9")
        .replace("severity: high", "severity: low")
        .replace("why: 客户", "why: 顾客")
    )
    files["emotion/more.yaml"] = """
pack: emotion.more
version: 1
title: 更多
terms: {hello: [你好], sorry: [抱歉]}
rules:
  - {id: emotion.more.hello, title: 问好, severity: info, role: customer, when: {any: hello}, wait: 10s,
     unless: {any: sorry, role: agent}, fire: every, why: 客户问好。}
tests:
  - {rule: emotion.more.hello, hit: [你好], miss: [在吗]}
"""
    return day.knowledge(files, tmp_path_factory.mktemp("reworded"))


def run(known: Knowledge, log: list[Received]) -> tuple[Conversations, list[Any]]:
    conversations = Conversations()
    records = conversations.apply(known, [Input(item) for item in log]).records
    end = max(one.t for one in log) + 31 * day.MINUTE
    return conversations, records + conversations.apply(known, [Input(tick(end))]).records


@given(logs())
def test_a_clock_is_answered_or_breached_and_never_both(known: Knowledge, log: list[Received]) -> None:
    conversations, records = run(known, log)
    findings = [one for one in records if isinstance(one, Finding)]
    ended = last_status(findings)
    standing = {(one.clock_id, one.at) for one in findings if ended[one.finding_id] is FindingStatus.RAISED}
    for _, raw in conversations.raw():
        state = states.decode(raw)
        for clock in clocks.all_of(state):
            if state.names[clock.policy].startswith("emotion.day.quiet"):
                continue  # staged: counted, not told
            told = (state.clock_id(clock), clock.target_at) in standing
            # A rule's clock that fired after a close, or was overtaken by a change, tells by its rule.
            if clocks.kind_of(state.clock_id(clock)) != clocks.RULE:
                assert told == (clock.state in PASSED)
            elif clock.state is ClockState.ANSWERED:
                assert not told


@given(logs())
def test_ids_do_not_depend_on_pack_version_wording_or_other_rules(
    known: Knowledge, reworded: Knowledge, log: list[Received]
) -> None:
    def ids(knowledge: Knowledge) -> set[tuple[str, str, str]]:
        _, records = run(knowledge, log)
        return {
            (one.finding_id, one.rule_id, one.status)
            for one in records
            if isinstance(one, Finding) and not one.rule_id.startswith("emotion.more")
        }

    assert ids(known) == ids(reworded)


@given(logs())
def test_times_of_records_are_business_times(known: Knowledge, log: list[Received]) -> None:
    _, records = run(known, log)
    last = max(one.t for one in log)
    first = min(one.t for one in log)
    for one in records:
        if isinstance(one, Finding):
            assert first <= one.at <= last + 30 * day.MINUTE
