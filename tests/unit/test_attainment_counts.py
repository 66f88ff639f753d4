"""Which clocks were kept, as `/metrics` counts them: each once when it is decided, corrections apart."""

from __future__ import annotations

from typing import Any

import pytest

from stream import metrics as table
from stream import models
from stream.core.book import ClockPolicy, RuleBook
from stream.core.outputs import Severity
from stream.metrics import Metrics
from stream.packs import open_book
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.counting import Counting
from tests.property.chats import received

SECOND = 1_000
DAY = 24 * 60 * 60


def policy(name: str, kind: str, target_s: int, *departments: str) -> ClockPolicy:
    match = (("department", frozenset(departments)),) if departments else ()
    severity, audience, why = {"breach": Severity.MEDIUM}, {"breach": ("supervisor",)}, {"breach": "超时"}
    return ClockPolicy(
        name, kind, "ola@1", target_s * SECOND, (), severity, audience, frozenset({"human"}), why, match=match
    )


BOOK = RuleBook(
    clocks=(
        policy("ola.stock", "leg", 100, "仓库"),
        policy("ola.leg", "leg", 100),
        policy("ola.first", "first_response", 60),
    )
)


@pytest.fixture(scope="module")
def known() -> Knowledge:
    return Knowledge(BOOK, models.build_annotator((), "plain"))


class Service:
    """One conversation's events on their way to the meters, at seconds from its beginning."""

    def __init__(self, known: Knowledge) -> None:
        self.known = known
        self.metrics = Metrics()
        self.counting = Counting(self.metrics)
        self.conversations = Conversations()
        self.messages = 0

    def say(self, kind: str, at: float, **fields: Any) -> Service:
        when = "sent_at" if kind == "message" else "at"
        event = {"type": kind, "conversation_id": "c", when: round(at * SECOND), **fields}
        if kind.startswith("issue"):
            event.setdefault("issue_id", "i")
        self.counting.applied(self.conversations.apply(self.known, [Input(received(event))]))
        return self

    def customer(self, at: float) -> Service:
        return self._message(at, {"role": "customer"})

    def agent(self, at: float) -> Service:
        return self._message(at, {"role": "agent", "id": "a-1", "mode": "human"})

    def _message(self, at: float, sender: dict[str, str]) -> Service:
        self.messages += 1
        content = {"kind": "image"}
        return self.say("message", at, message_id=f"m-{self.messages}", sender=sender, content=content)

    def tick(self, at: float) -> Service:
        self.counting.applied(self.conversations.advance(self.known, round(at * SECOND)))
        return self

    def counted(self) -> dict[tuple[str, str, str], int]:
        """Return the counts that are not zero, by policy, leg and outcome."""
        return {
            (sample.labels["policy"], sample.labels["leg"], sample.labels["outcome"]): int(sample.value)
            for family in self.metrics.collect()
            for sample in family.samples
            if sample.name == table.CLOCKS_STOPPED.name and sample.value
        }

    def over(self) -> tuple[int, float]:
        """Return how many clocks ended late, and the sum of how late in seconds."""
        found = {"_count": 0.0, "_sum": 0.0}
        for family in self.metrics.collect():
            for sample in family.samples:
                part = sample.name.removeprefix(table.CLOCK_OVER.name)
                if part in found:
                    found[part] += sample.value
        return int(found["_count"]), found["_sum"]


def closed_with_a_leg_open(known: Knowledge) -> Service:
    service = Service(known).say("issue.opened", 0).say("issue.handed_off", 10, to="仓库")
    return service.say("conversation.closed", 20, by="agent")


def test_clock_that_is_answered_after_the_chat_closed_is_counted(known: Knowledge) -> None:
    assert closed_with_a_leg_open(known).say("issue.answered", 110, by="仓库").counted() == {
        ("ola.stock", "仓库", "met"): 1
    }


def test_clock_that_is_missed_after_the_chat_closed_is_counted_once(known: Knowledge) -> None:
    service = closed_with_a_leg_open(known).tick(200)
    assert service.counted() == {("ola.stock", "仓库", "missed"): 1}
    service.say("issue.answered", 130 + 80, by="仓库").say("conversation.rated", 300, score=5).tick(30 * DAY)
    assert service.counted() == {("ola.stock", "仓库", "missed"): 1}
    # Due at 110, answered at 210.
    assert service.over() == (1, 100.0)


def test_miss_that_a_late_answer_disproves_is_corrected_and_stays_counted(known: Knowledge) -> None:
    service = closed_with_a_leg_open(known).tick(200).say("issue.answered", 109, by="仓库").tick(30 * DAY)
    assert service.counted() == {("ola.stock", "仓库", "missed"): 1, ("ola.stock", "仓库", "corrected"): 1}
    assert service.over() == (0, 0.0)


def test_how_late_is_told_once_though_the_answer_proves_earlier(known: Knowledge) -> None:
    service = closed_with_a_leg_open(known).say("issue.answered", 150, by="仓库")
    service.say("issue.answered", 130, by="仓库").tick(30 * DAY)
    assert service.counted() == {("ola.stock", "仓库", "missed"): 1}
    assert service.over() == (1, 40.0)


def test_department_that_no_policy_names_is_counted_as_a_department(known: Knowledge) -> None:
    service = Service(known).say("issue.handed_off", 0, to="门店 5512").say("issue.answered", 5)
    assert service.counted() == {("ola.leg", "department", "met"): 1}


def test_what_nobody_had_to_answer_is_withdrawn_once_the_conversation_is_let_go(known: Knowledge) -> None:
    service = Service(known).customer(0).say("conversation.closed", 30, by="customer")
    assert service.counted() == {}  # an answer at 29 s may still be told of late
    assert service.tick(30 * DAY).counted() == {("ola.first", "agent", "withdrawn"): 1}


def test_late_answer_to_what_was_withdrawn_counts_once_as_met(known: Knowledge) -> None:
    service = Service(known).customer(0).say("conversation.closed", 30, by="customer").agent(29)
    assert service.counted() == {("ola.first", "agent", "met"): 1}
    assert service.tick(30 * DAY).counted() == {("ola.first", "agent", "met"): 1}


def test_breach_before_a_pause_that_is_told_of_late_is_one_miss_whatever_follows(known: Knowledge) -> None:
    """Due at 110. The pause from 60 takes the breach back; going on at 300 the clock is due at 350."""
    service = Service(known).say("issue.opened", 0).say("issue.handed_off", 10, to="仓库").tick(120)
    service.say("issue.paused", 60)
    assert service.counted() == {("ola.stock", "仓库", "missed"): 1}
    kept = service.say("issue.resumed", 300).say("issue.answered", 350, by="仓库").counted()
    assert kept == {("ola.stock", "仓库", "missed"): 1, ("ola.stock", "仓库", "corrected"): 1}


def test_clocks_beyond_those_that_are_kept_are_counted_when_they_are_let_go(known: Knowledge) -> None:
    service = Service(known)
    for number in range(70):
        issue = f"i-{number}"
        service.say("issue.handed_off", number, issue_id=issue, to="仓库")
        service.say("issue.resolved", number, issue_id=issue)
    assert service.counted() == {("ola.stock", "仓库", "withdrawn"): 6}
    assert service.tick(30 * DAY).counted() == {("ola.stock", "仓库", "withdrawn"): 70}


def test_open_clocks_are_told_by_how_they_stand_and_the_oldest_of_each_kind(known: Knowledge) -> None:
    service = Service(known).customer(0).say("issue.opened", 0)
    service.say("issue.handed_off", 10, to="仓库").say("issue.handed_off", 20, issue_id="j", to="仓库")
    service.say("issue.paused", 30, issue_id="j").tick(50)
    assert service.conversations.open_clocks() == {
        ("first_response", "running"): 1,
        ("leg", "running"): 1,
        ("leg", "paused"): 1,
    }
    assert service.conversations.overdue() == {}
    service.tick(111)
    assert service.conversations.open_clocks() == {
        ("first_response", "breached"): 1,
        ("leg", "breached"): 1,
        ("leg", "paused"): 1,
    }
    assert service.conversations.overdue() == {"first_response": 60 * SECOND, "leg": 110 * SECOND}
    service.say("issue.resolved", 112).agent(113)
    assert service.conversations.open_clocks() == {("leg", "paused"): 1}


def test_departments_that_the_shipped_packs_know_are_told_apart() -> None:
    book = open_book()
    assert {"仓库", "warehouse", "物流"} <= book.parties
    assert "门店 5512" not in book.parties
