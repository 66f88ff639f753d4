"""Operators against a reference that keeps every message and looks at the whole window each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.annotation import Annotation, Hit, Scores
from stream.core.outputs import FindingKind, Severity, Subject
from stream.core.rules import (
    Counts,
    Fire,
    Firing,
    Moment,
    Role,
    Rule,
    RuleMemory,
    RuleTable,
    Status,
    View,
    on_close,
    on_message,
)
from stream.core.rules.conditions import decidable_at_close, parse_condition
from stream.core.rules.context import Context
from stream.core.rules.model import WHOLE_CONVERSATION, Trigger
from stream.core.rules.source import Fields, Items, Mark, Node, Report, Text

LISTS = {"p.a": ("红", "绯"), "p.b": ("蓝", "靛")}
OWNER = {term: name for name, terms in LISTS.items() for term in terms}

Message = Annotation
Holds = Callable[[list[Message]], bool]


def node(value: object) -> Node:
    if isinstance(value, dict):
        return Fields({k: node(v) for k, v in value.items()}, {k: Mark(1, 1) for k in value})
    if isinstance(value, list):
        return Items(tuple(node(item) for item in value))
    return Text(str(value))


def rule(condition: object, window: int, *, closing: bool, firing: Firing = Firing.EVERY) -> Rule:
    report = Report("x")
    when = parse_condition(node(condition), Context(report, "p", "p.r", LISTS, window))
    assert when is not None, report.problems
    on = Moment.CLOSE if closing else Moment.MESSAGE
    return Rule(
        "p.r", "t", FindingKind.EMOTION, "p@1", Severity.LOW, Role.CUSTOMER, Subject.CUSTOMER,
        Status.ACTIVE, when, on, "w", 1, fire=Fire(firing),
    )  # fmt: skip


# One message: characters of which some are terms, each denied or not, and an anger score.
messages = st.lists(
    st.builds(
        lambda chars, denied, anger: Annotation(
            chars,
            chars,
            None,
            tuple(
                Hit(OWNER[c], c, i, i + 1, bool(denied >> i & 1)) for i, c in enumerate(chars) if c in OWNER
            ),
            (),
            Scores(anger=anger),
        ),
        st.text("红绯蓝靛白", max_size=6),
        st.integers(0, 63),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=12,
)

# A condition as written, beside the same as a function of all messages in the window.
leaves = st.one_of(
    st.builds(
        lambda name, n: (
            {"any": {"terms": name, "at_least": n}},
            lambda window: len({h.term for h in said(window, name)}) >= n,
        ),
        st.sampled_from("ab"),
        st.integers(1, 2),
    ),
    st.builds(
        lambda name: (
            {"all": {"terms": name}},
            lambda window: len({h.term for h in said(window, name)}) == len(LISTS[f"p.{name}"]),
        ),
        st.sampled_from("ab"),
    ),
    st.builds(lambda name: ({"none": name}, lambda window: not said(window, name)), st.sampled_from("ab")),
    st.builds(
        lambda name, k: (
            {"count": {"terms": name, "at_least": k}},
            lambda window: len(said(window, name)) >= k,
        ),
        st.sampled_from("ab"),
        st.integers(1, 5),
    ),
    st.builds(
        lambda d: (
            {"near": {"a": "a", "b": "b", "within": d}},
            lambda window: any(min(gaps([m]), default=99) <= d for m in window),
        ),
        st.integers(0, 4),
    ),
    st.builds(
        lambda d: (
            {"near": {"a": "a", "b": "b", "within": d, "outside": "yes"}},
            lambda window: any(min(gaps([m]), default=-1) > d for m in window),
        ),
        st.integers(0, 3),
    ),
    st.just(({"regex": "白红"}, lambda window: any("白红" in m.text for m in window))),
)


def said(window: list[Message], name: str) -> list[Hit]:
    return [h for m in window for h in m.hits if h.terms == f"p.{name}" and not h.negated]


def gaps(window: list[Message]) -> list[int]:
    return [max(x.start, y.start) - min(x.end, y.end) for x in said(window, "a") for y in said(window, "b")]


def joined(children):
    return st.one_of(
        st.builds(
            lambda parts: ({"and": [w for w, _ in parts]}, lambda window: all(h(window) for _, h in parts)),
            st.lists(children, min_size=1, max_size=3),
        ),
        st.builds(
            lambda parts: ({"or": [w for w, _ in parts]}, lambda window: any(h(window) for _, h in parts)),
            st.lists(children, min_size=1, max_size=3),
        ),
        st.builds(lambda part: ({"not": part[0]}, lambda window: not part[1](window)), children),
    )


conditions = st.recursive(leaves, joined, max_leaves=5).filter(lambda c: depth(c[0]) <= 5)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return max((depth(v) + (k in {"and", "or", "not"}) for k, v in value.items()), default=0)
    if isinstance(value, list):
        return max((depth(v) for v in value), default=0)
    return 1


def fed(table: RuleTable, chat: list[Message], split: int | None = None) -> list[int]:
    """Return at which messages the rule fires; at ``split`` the memory is written out and read back."""
    memory: dict[str, RuleMemory] = {}
    fired = []
    for number, annotation in enumerate(chat, start=1):
        if number == split:
            memory = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=dict[str, RuleMemory])
        view = View("customer", number, Counts(customer=number), annotation)
        fired += [number] * len(on_message(table, memory, view).hits)
    if on_close(table, memory, {}, len(chat), Counts(customer=len(chat))):
        fired.append(0)
    return fired


@settings(max_examples=400, deadline=None)
@given(conditions, messages, st.integers(1, 4))
def test_a_condition_holds_exactly_when_the_reference_says(condition, chat, window):
    written, holds = condition
    made = rule(written, window, closing=False)
    fired = fed(RuleTable([made]), chat)
    held = [n for n in range(1, len(chat) + 1) if holds(chat[max(0, n - window) : n])]
    if made.when.needs_fresh:
        # It fires only where the message adds something: never where it does not hold, and at the
        # first message of every stretch in which it does.
        assert set(fired) <= set(held)
        starts = [n for n in held if n - 1 not in held]
        assert all(n in fired for n in starts if not has_absence(written))
    else:
        assert fired == held


def has_absence(value: object) -> bool:
    """Whether a message can make it hold by what leaves the window, rather than by what it brings."""
    return any(word in str(value) for word in ("none", "not", "outside"))


@settings(max_examples=300, deadline=None)
@given(conditions, messages)
def test_at_close_the_whole_conversation_is_judged(condition, chat):
    written, holds = condition
    made = rule(written, WHOLE_CONVERSATION, closing=True)
    fired = fed(RuleTable([made]), chat)
    assert fired == ([0] if chat and holds(chat) else [])


@settings(max_examples=200, deadline=None)
@given(conditions, messages, st.sampled_from([1, 3, WHOLE_CONVERSATION]), st.integers(1, 12))
def test_memory_survives_being_written_at_any_point(condition, chat, window, split):
    made = rule(condition[0], window, closing=False, firing=Firing.ONCE)
    closing = window == WHOLE_CONVERSATION and decidable_at_close(made.when)
    table = RuleTable([rule(condition[0], window, closing=closing)])
    assert fed(table, chat, split) == fed(table, chat)


@settings(max_examples=200, deadline=None)
@given(messages, st.sampled_from([0.5, 1.0]), st.integers(1, 4))
def test_a_score_must_hold_in_each_of_the_last_messages(chat, least, n):
    made = rule({"score": {"of": "anger", "at_least": least, "messages": n}}, 1, closing=False)
    fired = fed(RuleTable([made]), chat)
    angry = [m.scores is not None and m.scores.anger >= least for m in chat]
    assert fired == [i for i in range(1, len(chat) + 1) if i >= n and all(angry[i - n : i])]


@settings(max_examples=200, deadline=None)
@given(conditions, messages, st.integers(1, 4))
def test_the_index_leaves_out_no_rule_that_would_fire(condition, chat, window):
    """The same rule, made to look at every message, fires at the same ones."""
    made = rule(condition[0], window, closing=False)
    looking = replace(made, when=replace(made.when, trigger=Trigger(always=True)))
    assert fed(RuleTable([made]), chat) == fed(RuleTable([looking]), chat)
