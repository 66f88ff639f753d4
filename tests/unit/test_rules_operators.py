"""Each operator: holds, just does not, and what it remembers."""

from __future__ import annotations

import pytest

from stream.core.annotation import EMPTY, Annotation, Hit, Scores
from stream.core.rules.conditions import decidable_at_close, parse_condition
from stream.core.rules.context import Context
from stream.core.rules.evaluate import _decide
from stream.core.rules.model import WHOLE_CONVERSATION, Condition, Look
from stream.core.rules.operators import OPERATORS
from stream.core.rules.source import Fields, Items, Mark, Node, Report, Text

LISTS = {"p.a": ("红", "大红", "绯"), "p.b": ("蓝", "靛"), "other.c": ("白",)}


def node(value: object) -> Node:
    if isinstance(value, dict):
        return Fields({k: node(v) for k, v in value.items()}, {k: Mark(1, 1) for k in value})
    if isinstance(value, list):
        return Items(tuple(node(item) for item in value))
    return Text(str(value))


def condition(value: object, window: int = 1) -> Condition:
    report = Report("x.yaml")
    parsed = parse_condition(node(value), Context(report, "p", "p.rule", LISTS, window))
    assert not report.problems
    assert parsed is not None
    return parsed


def problems(value: object) -> list[str]:
    report = Report("x.yaml")
    parse_condition(node(value), Context(report, "p", "p.rule", LISTS))
    return [problem.message for problem in report.problems]


def hit(terms: str, term: str, start: int = 0, *, negated: bool = False) -> Hit:
    return Hit(terms, term, start, start + len(term), negated)


class Chat:
    """Feeds messages of one role to a condition, as the evaluator does."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.states: list[tuple[int, ...]] = []
        self.ordinal = 0

    def say(self, *hits: Hit, text: str = "", scores: Scores | None = None):
        self.ordinal += 1
        by_list: dict[str, list[Hit]] = {}
        for one in hits:
            by_list.setdefault(one.terms, []).append(one)
        look = Look(self.ordinal, Annotation(text, text, None, hits, (), scores), by_list)
        return _decide(self.condition, self.states, look)

    def close(self):
        return _decide(self.condition, self.states, Look(self.ordinal, EMPTY, {}))


A, B = hit("p.a", "红"), hit("p.b", "蓝", 5)


def test_any_holds_of_one_term_and_says_where():
    found = Chat(condition({"any": "a"})).say(hit("p.a", "红", 3))
    assert found is not None
    assert (found.spans, found.terms, found.amount, found.fresh) == (((3, 4),), ("红",), 1, True)


def test_any_ignores_a_denied_term_unless_asked():
    denied = hit("p.a", "红", negated=True)
    assert Chat(condition({"any": "a"})).say(denied) is None
    assert Chat(condition({"any": {"terms": "a", "negated": "any"}})).say(denied)
    assert Chat(condition({"any": {"terms": "a", "negated": "only"}})).say(denied)
    assert Chat(condition({"any": {"terms": "a", "negated": "only"}})).say(A) is None


def test_any_counts_distinct_terms_not_occurrences():
    asked = {"any": {"terms": ["a", "b"], "at_least": 2}}
    assert Chat(condition(asked)).say(A, hit("p.a", "红", 9)) is None
    assert Chat(condition(asked)).say(A, B)


def test_any_remembers_terms_within_its_window_and_no_longer():
    chat = Chat(condition({"any": {"terms": "a", "at_least": 2}}, window=3))
    assert chat.say(A) is None
    assert chat.say() is None
    found = chat.say(hit("p.a", "绯"))
    assert found is not None
    assert set(found.terms) == {"红", "绯"}
    chat = Chat(condition({"any": {"terms": "a", "at_least": 2}}, window=3))
    for hits in ((A,), (), ()):
        chat.say(*hits)
    assert chat.say(hit("p.a", "绯")) is None


def test_all_of_terms_written_in_place():
    chat = Chat(condition({"all": ["发货", "快递"]}))
    assert chat.say(hit("p.rule#1", "发货")) is None
    assert chat.say(hit("p.rule#1", "发货"), hit("p.rule#1", "快递", 4))


def test_all_of_a_list_over_the_whole_conversation():
    chat = Chat(condition({"all": {"terms": "b"}}, window=WHOLE_CONVERSATION))
    assert chat.say(B) is None
    for _ in range(200):
        chat.say()
    assert chat.say(hit("p.b", "靛"))


def test_none_holds_until_a_term_occurs_and_again_when_it_has_left_the_window():
    chat = Chat(condition({"none": "a"}, window=2))
    assert chat.say()
    assert chat.say(A) is None
    assert chat.say() is None
    assert chat.say()


def test_none_over_the_whole_conversation_is_decided_at_close():
    asked = condition({"none": "a"}, window=WHOLE_CONVERSATION)
    assert decidable_at_close(asked)
    silent, spoken = Chat(asked), Chat(asked)
    silent.say()
    spoken.say(A)
    spoken.say()
    assert silent.close()
    assert spoken.close() is None


def test_count_sums_occurrences_over_its_window():
    chat = Chat(condition({"count": {"terms": "a", "at_least": 3}}, window=2))
    assert chat.say(A, hit("p.a", "红", 4)) is None
    found = chat.say(A)
    assert found is not None
    assert found.amount == 3
    assert chat.say(A) is None


@pytest.mark.parametrize(
    ("start", "within", "holds"), [(1, 0, True), (4, 3, True), (5, 3, False), (0, 0, True)]
)
def test_near_measures_the_characters_between(start: int, within: int, holds: bool):
    asked = {"near": {"a": "a", "b": "b", "within": within}}
    assert bool(Chat(condition(asked)).say(A, hit("p.b", "蓝", start + (start == 0)))) is holds


def test_near_outside_needs_both_and_no_pair_within():
    asked = condition({"near": {"a": "a", "b": "b", "within": 3, "outside": "yes"}})
    assert Chat(asked).say(A, hit("p.b", "蓝", 9))
    assert Chat(asked).say(A, hit("p.b", "蓝", 2), hit("p.b", "蓝", 9)) is None
    assert Chat(asked).say(A) is None


def test_near_takes_no_occurrence_for_a_pair_of_its_own():
    asked = condition({"near": {"a": "a", "b": "a", "within": 9}})
    assert Chat(asked).say(A) is None
    assert Chat(asked).say(A, hit("p.a", "红", 4))


def test_regex_gives_the_span_in_the_original_text():
    asked = condition({"regex": "退.款"})
    by_list: dict[str, list[Hit]] = {}
    annotation = Annotation("我退-_款", "我退-款", (0, 1, 2, 4, 5))
    found = _decide(asked, [], Look(1, annotation, by_list))
    assert found is not None
    assert found.spans == ((1, 5),)


def test_regex_ignores_case_and_respects_not_regex():
    asked = {"regex": "refund", "not_regex": "no refund"}
    assert Chat(condition(asked)).say(text="REFUND please")
    assert Chat(condition(asked)).say(text="No refund") is None
    assert Chat(condition({"regex": asked})).say(text="refund")


def test_cue_must_be_there_and_is_what_sets_the_rule_off():
    asked = condition({"regex": {"regex": "money.{0,9}back", "cue": "refund|return"}})
    assert asked.trigger.expressions == {"refund|return"}
    found = Chat(asked).say(text="money please back, a refund")
    assert found is not None
    assert found.spans == ((0, 17),)
    assert Chat(asked).say(text="money back") is None
    assert Chat(asked).say(text="a refund") is None


def test_score_must_hold_in_each_of_the_last_messages():
    chat = Chat(condition({"score": {"of": "anger", "at_least": "0.5", "messages": 2}}))
    high, low = Scores(anger=0.5), Scores(anger=0.49)
    assert chat.say(scores=high) is None
    assert chat.say(scores=low) is None
    assert chat.say(scores=high) is None
    found = chat.say(scores=high)
    assert found is not None
    assert found.score == 0.5
    assert chat.say() is None


def test_logic_nests():
    asked = {"and": [{"any": "a"}, {"not": {"or": [{"any": "b"}, {"any": "other.c"}]}}]}
    assert Chat(condition(asked)).say(A)
    assert Chat(condition(asked)).say(A, B) is None
    assert Chat(condition(asked)).say(A, hit("other.c", "白")) is None


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_starts_from_nothing_and_remembers_only_integers(name: str):
    arguments: dict[str, object] = {
        "regex": "红",
        "count": {"terms": "a", "at_least": 2},
        "near": {"a": "a", "b": "b", "within": 9},
        "score": {"of": "anger", "at_least": "0.5", "messages": 2},
    }
    chat = Chat(condition({name: arguments.get(name, "a")}, window=3))
    for _ in range(10):
        chat.say(A, B, text="红", scores=Scores(anger=1.0))
    assert all(isinstance(part, int) for state in chat.states for part in state)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"any": "d"}, "unknown term list 'd'"),
        ({"any": "other.cc"}, "unknown term list 'other.cc'; did you mean 'other.c'?"),
        ({"anny": "a"}, "unknown operator 'anny'; did you mean 'any'?"),
        ({"regex": "(a"}, "regex: missing ): (a"),
        ({"regex": "a*"}, "regex: matches the empty text, so it would match every message"),
        ({"count": {"terms": "a"}}, "count: missing 'at_least'"),
        ({"count": {"terms": "a", "at_least": "x"}}, "at_least: expected a whole number, got 'x'"),
        ({"any": {"terms": "a", "at_lest": 1}}, "any: unknown key 'at_lest'; did you mean 'at_least'?"),
        ({"any": {"terms": "b", "at_least": 3}}, "any: at_least 3, but the lists hold 2 terms"),
        (
            {"score": {"of": "angr", "at_least": "0.5"}},
            "of: expected one of dissatisfaction, anger, abuse, got 'angr'; did you mean 'anger'?",
        ),
        ({"any": "a", "none": "b"}, "condition: one operator only; combine several with and / or"),
        ({"and": []}, "and: expected at least 1 item"),
    ],
)
def test_a_wrong_condition_is_told_plainly(value: object, message: str):
    assert message in problems(value)


def test_depth_and_number_of_operators_are_bounded():
    deep: object = {"any": "a"}
    for _ in range(6):
        deep = {"not": deep}
    assert problems(deep) == ["condition: nested deeper than 5"]
    assert problems({"and": [{"any": "a"}] * 60}) == ["condition: more than 50 operators"]
