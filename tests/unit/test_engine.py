"""One event after another into one conversation: what each changes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alerts.model import Alert, AlertStatus
from stream.core import clocks, engine
from stream.core import state as states
from stream.core.events import Flag, Received, Tick, Timer
from stream.core.outputs import Finding, Summary
from stream.core.state import ClockState, State
from stream.runtime.conversations import Applied, Conversations, Input, Knowledge
from tests.contract import day
from tests.property.chats import NAME, received, tick

S = day.SECOND


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packs")


@pytest.fixture(scope="module")
def known(packs: Path) -> Knowledge:
    return day.knowledge(day.BEFORE, packs / "before")


class Chat:
    """One conversation under one or several books; seconds from the start."""

    def __init__(self, known: Knowledge) -> None:
        self.known = known
        self.conversations = Conversations(conversation_url="https://desk.example/{conversation_id}")
        self.records: list[Any] = []
        self.number = 0

    def take(self, item: Received | Timer) -> Applied:
        done = self.conversations.apply(self.known, [Input(item)])
        self.records += done.records
        return done

    def say(self, at: float, role: str, text: str, *, id_: str | None = None, **sender: Any) -> Applied:
        self.number += 1
        said = day.message(NAME, id_ or f"m-{self.number}", self.at(at), role, text, **sender)
        return self.take(received(said))

    def event(self, at: float, type_: str, **fields: Any) -> Applied:
        return self.take(received({"type": type_, "conversation_id": NAME, "at": self.at(at), **fields}))

    def tick(self, at: float) -> Applied:
        return self.take(tick(self.at(at)))

    def timer(self, due: float, clock_id: str) -> Applied:
        return self.take(Timer(conversation_id=NAME, clock_id=clock_id, due=self.at(due)))

    def at(self, seconds: float) -> int:
        return day.START + round(seconds * S)

    @property
    def state(self) -> State:
        return states.decode(dict(self.conversations.raw())[NAME])

    @property
    def summary(self) -> Summary:
        return [one for one in self.records if isinstance(one, Summary)][-1]

    def findings(self) -> list[tuple[str, str, float]]:
        return [
            (one.rule_id, one.status.value, (one.at - day.START) / S)
            for one in self.records
            if isinstance(one, Finding)
        ]

    def alerts(self) -> list[Alert]:
        return [one for one in self.records if isinstance(one, Alert)]


@pytest.fixture
def chat(known: Knowledge) -> Chat:
    return Chat(known)


def test_a_timer_that_finds_its_clock_answered_takes_back_what_was_never_counted(chat: Chat) -> None:
    """Another worker may have told the breach and died: the correction goes out, the figures stay."""
    chat.say(0, "customer", "你好")
    chat.say(60, "agent", "您好，再见")
    chat.timer(60, "first_response#1")
    assert chat.findings()[-1] == ("ola.day.first", "corrected", 60)
    chat.event(70, "conversation.closed")
    assert chat.summary.findings == {"ola": 1}  # the warning of 20 s


def test_a_timer_changes_nothing_when_its_clock_is_unknown(chat: Chat) -> None:
    chat.say(0, "customer", "你好")
    before = dict(chat.conversations.raw())
    assert chat.timer(10, "first_response#7").records == []
    assert dict(chat.conversations.raw()) == before


def test_a_timer_without_its_conversation_is_counted(chat: Chat) -> None:
    assert chat.timer(10, "first_response#1").counted == {"timer_without_conversation": 1}


def test_an_unless_that_a_timer_overtook_takes_the_finding_its_points_and_its_alert_back(chat: Chat) -> None:
    chat.say(0, "customer", "我生气")
    chat.say(5, "agent", "好的，再见")
    chat.timer(90, "rule:emotion.day.uncomforted#1")
    assert ("emotion.day.uncomforted", "raised", 90) in chat.findings()
    chat.say(90, "agent", "抱歉")
    assert chat.findings()[-1] == ("emotion.day.uncomforted", "corrected", 90)
    assert [one.status for one in chat.alerts()][-2:] == [AlertStatus.FIRING, AlertStatus.RESOLVED]
    chat.say(100, "customer", "我生气")  # and the rule waits anew
    chat.tick(200)
    waits = [one[1:] for one in chat.findings() if one[0] == "emotion.day.uncomforted"]
    assert waits == [("raised", 90), ("corrected", 90), ("raised", 190)]
    assert chat.state.points["emotion.day.uncomforted"].points == -2


def test_an_unless_given_in_time_that_comes_after_the_next_event_corrects_too(chat: Chat) -> None:
    chat.say(0, "customer", "我生气")
    chat.say(5, "agent", "好的")
    chat.say(95, "agent", "请稍等")  # 90 fires first
    chat.say(80, "agent", "抱歉")
    raised = [one for one in chat.findings() if one[0] == "emotion.day.uncomforted"]
    assert raised == [("emotion.day.uncomforted", "raised", 90), ("emotion.day.uncomforted", "corrected", 90)]


def test_an_unless_from_before_the_wait_does_not_end_it(chat: Chat) -> None:
    chat.say(10, "customer", "我生气")
    chat.say(5, "agent", "抱歉")  # said before the anger, arrived after it
    chat.say(20, "agent", "好的")
    chat.tick(101)
    assert ("emotion.day.uncomforted", "raised", 100) in chat.findings()


def test_a_staged_rule_is_counted_and_never_told(chat: Chat) -> None:
    chat.say(0, "customer", "快点")
    chat.timer(20, "rule:emotion.day.quiet#1")
    assert chat.state.counts["staged:emotion.day.quiet"] == 1
    chat.say(20, "agent", "抱歉")
    assert "staged:emotion.day.quiet" not in chat.state.counts
    assert all(rule != "emotion.day.quiet" for rule, _, _ in chat.findings())


def test_a_repeat_neither_undoes_a_close_nor_moves_time(chat: Chat) -> None:
    chat.say(0, "customer", "你好", id_="m-x")
    chat.tick(1801)
    assert chat.state.close_inferred
    before = chat.state
    assert chat.say(0, "customer", "你好", id_="m-x").counted == {"duplicate": 1}
    skewed = received(day.message(NAME, "m-x", chat.at(1700), "customer", "你好"))
    chat.take(Received(skewed.event, skewed.t, (Flag.CLOCK_SKEW,)))
    after = chat.state
    assert after.counts.pop("duplicate") == 2
    assert after == before


def test_a_close_stops_what_waits_and_a_reopening_lets_it_wait_anew(chat: Chat) -> None:
    chat.say(0, "customer", "我生气")
    chat.say(5, "agent", "好的")
    chat.event(10, "conversation.closed")
    chat.say(20, "customer", "我生气")
    chat.tick(111)
    waits = [one for one in chat.findings() if one[0] == "emotion.day.uncomforted"]
    assert waits == [("emotion.day.uncomforted", "raised", 110)]


def test_a_close_that_a_timer_overtook_leaves_a_rule_free_to_fire_again(chat: Chat) -> None:
    chat.say(0, "customer", "快点")
    chat.timer(30, "rule:emotion.day.unhurried#1")
    chat.event(10, "conversation.closed")
    assert ("emotion.day.unhurried", "corrected", 30) in chat.findings()
    chat.say(15, "customer", "快点")  # once a conversation, and it has not been
    chat.tick(46)
    assert chat.findings()[-1] == ("emotion.day.unhurried", "raised", 45)


def test_what_a_late_word_sets_going_after_the_close_ends_with_the_memory(chat: Chat) -> None:
    chat.say(0, "customer", "你好")
    chat.say(5, "agent", "您好")
    chat.event(10, "conversation.closed")
    chat.say(8, "customer", "我生气")  # reopens: a customer's word
    chat.event(12, "conversation.closed")
    chat.tick(700)
    assert len(chat.conversations) == 0
    last = {
        one.alert_id: one.status for one in chat.alerts() if one.labels["rule_id"] != "script.day.farewell"
    }
    assert set(last.values()) == {AlertStatus.RESOLVED}


def test_a_person_settles_every_question_that_is_still_open(packs: Path) -> None:
    """An answer that the policy does not count ends the turn; the next that counts ends both clocks."""
    files = {
        **day.BEFORE,
        "ola/day.yaml": day.BEFORE["ola/day.yaml"].replace("counts: [human, assist]", "counts: [human]"),
    }
    chat = Chat(day.knowledge(files, packs / "human"))
    chat.say(0, "customer", "你好")
    chat.say(5, "agent", "您好", mode="assist")
    chat.say(8, "customer", "在吗")
    chat.say(15, "agent", "在的，再见", mode="human")
    assert [clock.state for clock in clocks.all_of(chat.state)] == [ClockState.ANSWERED, ClockState.ANSWERED]
    chat.tick(1000)
    assert chat.findings() == []


def test_an_automatic_reply_answers_nothing(chat: Chat) -> None:
    chat.say(0, "customer", "你好")
    chat.say(1, "agent", "您好，欢迎光临", mode="auto_welcome")
    chat.tick(61)
    assert [one[2] for one in chat.findings()] == [20, 60]


def test_an_inferred_close_that_proves_wrong_leaves_clocks_and_alerts_as_they_were(chat: Chat) -> None:
    chat.say(0, "customer", "我生气")
    chat.timer(1800, "idle")
    assert chat.state.closed_at == chat.at(1800)
    (fired,) = {one.alert_id for one in chat.alerts() if one.labels["rule_id"] == "emotion.day.angry"}
    chat.say(1700, "customer", "在吗")
    state = chat.state
    assert state.closed_at is None
    assert [clock.state for clock in clocks.all_of(state) if clock.stopped_at is None]
    assert chat.records[-1] != fired
    chat.event(1750, "conversation.closed")
    resolved = [one for one in chat.alerts() if one.alert_id == fired and one.status is AlertStatus.RESOLVED]
    assert [(one.ends_at or 0) - day.START for one in resolved] == [1800 * S, 1750 * S]


def test_a_changed_rule_forgets_and_its_clock_stops(chat: Chat, packs: Path) -> None:
    chat.say(0, "customer", "我生气")
    chat.say(5, "agent", "好的")
    chat.known = day.knowledge(day.AFTER, packs / "after")
    chat.say(10, "agent", "请稍等")
    assert "emotion.day.uncomforted" not in chat.state.rules
    chat.tick(200)
    assert all(rule != "emotion.day.uncomforted" for rule, _, _ in chat.findings())


def test_packs_that_change_give_a_clock_their_target_though_nothing_else_is_heard(
    chat: Chat, packs: Path
) -> None:
    chat.say(0, "customer", "你好")
    chat.known = day.knowledge(day.AFTER, packs / "after")
    chat.tick(61)
    assert [one[2] for one in chat.findings()] == [20, 30], "the target was 60"


def test_a_clock_whose_policy_left_says_nothing_and_is_counted(chat: Chat, packs: Path) -> None:
    chat.say(0, "customer", "你好")
    files = {name: text for name, text in day.BEFORE.items() if not name.startswith("ola/")}
    chat.known = day.knowledge(files, packs / "without")
    assert chat.tick(61).counted["clock_without_policy"] == 2
    assert chat.findings() == []


def test_time_belongs_to_no_conversation(known: Knowledge) -> None:
    with pytest.raises(ValueError, match="Tick"):
        engine.step(known.book, None, Received(Tick(at=1), 1))


def test_an_agents_status_without_a_conversation_is_counted(chat: Chat) -> None:
    status = {"type": "agent.status", "agent": "a-1", "status": "away", "at": chat.at(0)}
    assert chat.take(received(status)).counted == {"no_conversation": 1}


def test_an_alert_links_to_its_conversation_and_masks_what_was_said(chat: Chat) -> None:
    chat.say(0, "customer", "我生气，电话13800138000")
    (alert,) = chat.alerts()
    assert [(link.rel, link.href) for link in alert.links] == [
        ("conversation", f"https://desk.example/{NAME}")
    ]
    assert "13800138000" not in repr(alert)
    assert "我生气" in alert.body
