"""When rules fire: messages, waits, close, fire policies, scope, changed rules."""

from __future__ import annotations

import msgspec
import pytest

from stream.core.annotation import Annotation, Hit, Scores
from stream.core.rules import (
    Arm,
    Counts,
    Disarm,
    Moment,
    Rule,
    RuleMemory,
    RuleTable,
    View,
    forget_changed,
    forget_firing,
    on_close,
    on_due,
    on_message,
    render_why,
)
from stream.core.rules.source import Report
from stream.packs.compile import compile_packs
from stream.packs.loader import parse_pack

TERMS = {"红": "emotion.x.a", "蓝": "emotion.x.b", "歉": "emotion.x.sorry"}

HEAD = """
pack: emotion.x
version: 1
title: x
terms: {a: [红], b: [蓝], sorry: [歉]}
rules:
"""
DEFAULTS = {"title": "t", "severity": "low", "role": "customer", "why": "w"}


def table(*rules: str) -> RuleTable:
    """Return the table of rules written as flow mappings without the fields that do not matter here."""
    text, tests = HEAD, "tests:\n"
    for number, written in enumerate(rules):
        rule_id = f"emotion.x.r{number}"
        own = written.split("unless:")[0]
        rest = "".join(f", {k}: {v}" for k, v in DEFAULTS.items() if f"{k}: " not in own)
        text += f"  - {{id: {rule_id}{rest}, {written}}}\n"
        tests += f"  - {{rule: {rule_id}, hit: [红], miss: [白]}}\n"
    report = Report("emotion/x.yaml")
    pack = parse_pack(report, (text + tests).encode(), ("emotion", "x.yaml"))
    assert pack is not None, report.problems
    book, problems = compile_packs([pack])
    assert [*report.problems, *problems] == []
    return book.rules


class Chat:
    """One conversation: messages in, ids of fired rules out. Memory is written out after each call."""

    def __init__(self, rules: RuleTable, **scope: str | None) -> None:
        self.rules = rules
        self.scope = scope
        self.memory: dict[str, RuleMemory] = {}
        self.counts = Counts()
        self.t = 0

    def say(self, text: str, role: str = "customer", after: int = 1_000, scores: Scores | None = None):
        self.t += after
        self.counts = self.counts.plus(role)
        hits = tuple(Hit(TERMS[c], c, i, i + 1) for i, c in enumerate(text) if c in TERMS)
        annotation = Annotation(text, text, None, hits, (), scores)
        view = View(role, self.t, self.counts, annotation, "human", self.scope)
        outcome = on_message(self.rules, self.memory, view)
        self.memory = msgspec.msgpack.decode(msgspec.msgpack.encode(self.memory), type=dict[str, RuleMemory])
        return outcome

    def fired(self, text: str, role: str = "customer", after: int = 1_000) -> bool:
        return bool(self.say(text, role, after).hits)

    def close(self):
        return on_close(self.rules, self.memory, self.scope, self.t, self.counts)


def only(rules: RuleTable) -> Rule:
    (rule,) = rules
    return rule


def test_once_fires_once_and_says_which_firing():
    chat = Chat(table("when: {any: a}"))
    (hit,) = chat.say("大红").hits
    assert (hit.at, hit.ordinal, hit.spans, hit.terms) == (1_000, 1, ((1, 2),), ("红",))
    assert not chat.fired("红")


def test_every_fires_at_each_message_that_brings_a_term_and_numbers_them():
    chat = Chat(table("when: {any: a}, window: 5, fire: every"))
    assert [chat.fired(text) for text in ("红", "白", "红")] == [True, False, True]
    assert chat.memory["emotion.x.r0"].fired == 2


def test_cooldown_counts_from_the_last_firing_and_ends_exactly():
    chat = Chat(table("when: {any: a}, fire: {cooldown: 10s}"))
    assert [chat.fired("红", after=ms) for ms in (0, 9_999, 1, 10_000)] == [True, False, True, True]


def test_an_earlier_message_in_the_window_completes_a_condition():
    chat = Chat(table("when: {and: [{any: a}, {any: b}]}, window: 2"))
    assert [chat.fired(text) for text in ("蓝", "白", "红", "蓝")] == [False, False, False, True]


def test_what_forbids_is_remembered_though_it_fires_nothing():
    chat = Chat(table("when: {and: [{any: a}, {none: b}]}, window: 2"))
    assert [chat.fired(text) for text in ("蓝", "红", "红")] == [False, False, True]


def test_absence_alone_is_judged_at_every_message_of_the_role():
    chat = Chat(table("when: {none: a}, role: agent, fire: every"))
    assert [chat.fired("白", "agent"), chat.fired("红", "agent"), chat.fired("白")] == [True, False, False]


def test_service_is_agent_and_bot_counted_together():
    chat = Chat(table("when: {and: [{any: a}, {any: b}]}, window: 2, role: service"))
    assert [chat.fired("红", "bot"), chat.fired("红"), chat.fired("蓝", "agent")] == [False, False, True]


def test_scope_must_hold():
    rules = table("when: {any: a}, scope: {channel: [taobao, jd], tier: [vip]}")
    assert Chat(rules, channel="jd", tier="vip").fired("红")
    assert not Chat(rules, channel="jd", tier=None).fired("红")
    assert not Chat(rules, tier="vip").fired("红")


def test_never_said_is_decided_at_close_and_only_of_who_was_there():
    rules = table("when: {none: a}, role: agent, window: conversation")
    assert only(rules).on is Moment.CLOSE
    silent, absent, said = Chat(rules), Chat(rules), Chat(rules)
    silent.say("白", "agent")
    absent.say("白")
    said.say("红", "agent")
    assert [len(chat.close()) for chat in (silent, absent, said)] == [1, 0, 0]
    assert silent.close() == []


def test_a_close_that_was_undone_may_be_judged_again():
    chat = Chat(table("when: {none: a}, role: agent, window: conversation"))
    chat.say("白", "agent")
    assert len(chat.close()) == 1
    forget_firing(chat.memory, "emotion.x.r0")
    assert chat.close()[0].ordinal == 1
    forget_firing(chat.memory, "emotion.x.r0")
    chat.say("红", "agent")
    assert chat.close() == []


WAIT = "when: {any: a}, wait: 60s, unless: {any: sorry, role: agent}"


def test_a_wait_arms_a_clock_and_fires_at_its_due_time():
    chat = Chat(table(WAIT))
    outcome = chat.say("红")
    assert outcome == ((), (Arm("emotion.x.r0", 61_000),), ())
    assert on_due(chat.rules, chat.memory, "emotion.x.r0", 60_999) is None
    hit = on_due(chat.rules, chat.memory, "emotion.x.r0", 70_000)
    assert hit is not None
    assert (hit.at, hit.ordinal, hit.terms) == (61_000, 1, ("红",))
    assert on_due(chat.rules, chat.memory, "emotion.x.r0", 70_000) is None


def test_what_was_waited_for_disarms_and_a_customer_saying_it_does_not():
    chat = Chat(table(WAIT))
    chat.say("红")
    assert chat.say("歉").disarms == ()
    assert chat.say("歉", "agent").disarms == (Disarm("emotion.x.r0", 61_000),)
    assert on_due(chat.rules, chat.memory, "emotion.x.r0", 99_000) is None


def test_the_first_reason_to_wait_sets_the_clock_and_after_an_answer_the_next_does():
    chat = Chat(table(WAIT))
    assert len(chat.say("红").arms) == 1
    assert chat.say("红").arms == ()
    chat.say("歉", "agent")
    assert chat.say("红").arms == (Arm("emotion.x.r0", 64_000),)


def test_unless_may_need_several_messages_and_begins_anew_with_each_wait():
    unless = "unless: {count: {terms: sorry, at_least: 2}, role: agent}"
    chat = Chat(table(f"when: {{any: a}}, wait: 60s, {unless}"))
    chat.say("歉", "agent")
    chat.say("红")
    assert chat.say("歉", "agent").disarms == ()
    assert chat.say("歉", "agent").disarms
    chat.say("红")
    assert chat.say("歉", "agent").disarms == ()


def test_expressions_and_scores_set_rules_off():
    rules = table("when: {regex: '白.'}", "when: {score: {of: anger, at_least: 0.5}}")
    chat = Chat(rules)
    assert [hit.rule.id for hit in chat.say("白天").hits] == ["emotion.x.r0"]
    assert [hit.rule.id for hit in chat.say("黑", scores=Scores(anger=0.5)).hits] == ["emotion.x.r1"]


def test_a_message_that_no_rule_asks_about_leaves_no_trace():
    chat = Chat(table("when: {any: a}, window: 9", WAIT))
    chat.say("白")
    assert chat.memory == {}


def test_memory_of_a_changed_rule_is_dropped_and_its_clock_stopped():
    chat = Chat(table(WAIT))
    chat.say("红")
    chat.rules = table(WAIT.replace("60s", "61s"))
    assert on_due(chat.rules, chat.memory, "emotion.x.r0", 99_000) is None
    assert forget_changed(chat.rules, chat.memory) == [Disarm("emotion.x.r0", 61_000)]
    assert chat.memory == {}


def test_wording_and_severity_change_under_a_rule_without_touching_its_memory():
    chat = Chat(table("when: {any: a}"))
    chat.say("红")
    chat.rules = table("when: {any: a}, severity: high, why: 另一句")
    assert forget_changed(chat.rules, chat.memory) == []
    assert not chat.fired("红")


def test_staged_rules_are_marked_and_drafts_are_not_loaded():
    rules = table("when: {any: a}, status: staged", "when: {any: a}, status: draft")
    (hit,) = Chat(rules).say("红").hits
    assert hit.rule.staged


@pytest.mark.parametrize(
    ("values", "sentence"),
    [({"evidence": "{count}"}, "说了「{count}」次"), ({}, "说了「」次"), ({"evidence": 3}, "说了「3」次")],
)
def test_a_sentence_is_filled_once(values: dict[str, object], sentence: str):
    assert render_why("说了「{evidence}」次", values) == sentence
