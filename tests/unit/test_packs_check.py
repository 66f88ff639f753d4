"""The tests inside packs: run through the real engine functions, told with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.models import build_annotator
from stream.packs import Options, try_open
from stream.packs import check as pack_check

HEAD = """\
pack: script.x
version: 1
title: x
terms: {angry: [气死], sorry: [抱歉], idle: [闲聊]}
rules:
"""
PLAIN = "  - {id: script.x.r, title: t, severity: low, role: customer, why: w, when: {any: angry}%s}\n"
WAIT = ", wait: 60s, unless: {any: sorry, role: agent}"
CLOSE = (PLAIN % ", window: conversation").replace("customer", "agent").replace("any: angry", "none: sorry")


def problems(tmp_path: Path, rules: str, *tests: str) -> list[str]:
    """Return what fails of the tests of one rule; each has a hit and a miss that pass besides."""
    path = tmp_path / "script" / "x.yaml"
    path.parent.mkdir()
    cases = "".join(f"  - {{rule: script.x.r, {test}}}\n" for test in tests)
    path.write_text(f"{HEAD}{rules}tests:\n{cases}", encoding="utf-8")
    book, packs, found = try_open([tmp_path], Options(drafts=True))
    assert [problem.message for problem in found if "no test that is" not in problem.message] == []
    failed = pack_check.run(book, build_annotator(book.terms, scorer="terms"), packs)
    return [f"{problem.line}: {problem.message}" for problem in failed]


def test_texts_that_fire_and_texts_that_do_not(tmp_path: Path):
    assert problems(tmp_path, PLAIN % "", "hit: [气死我了, 谢谢], miss: [你好, 真气死]") == [
        "8: script.x.r does not fire on '谢谢'",
        "8: script.x.r fires on '真气死'",
    ]


@pytest.mark.parametrize(
    ("dialogue", "fires"),
    [
        ("['customer: 气死', '+60s', 'agent: 抱歉']", "[]"),
        ("['customer: 气死', '+61s', 'agent: 抱歉']", "[2]"),
        ("['customer: 气死', 'agent: 查一下', '+2m']", "[3]"),
        ("['customer: 气死', '+59s']", "[]"),
        ("['customer: 气死', '+60s']", "[2]"),
        ("['customer: 气死', '+30s', 'customer: 抱歉', '+30s']", "[3]"),
    ],
)
def test_time_passes_in_a_dialogue_as_it_says(tmp_path: Path, dialogue: str, fires: str):
    assert problems(tmp_path, PLAIN % WAIT, f"dialogue: {dialogue}, hits_at: {fires}") == []


def test_one_text_and_nothing_after_it_lets_the_wait_end(tmp_path: Path):
    assert problems(tmp_path, PLAIN % WAIT, "hit: [气死], miss: [你好]") == []


def test_a_close_rule_is_judged_after_the_last_line(tmp_path: Path):
    told = problems(
        tmp_path,
        CLOSE,
        "dialogue: ['agent: 在'], hits_at: close",
        "dialogue: ['agent: 抱歉'], hits_at: [close]",
        "dialogue: ['customer: 在'], hits_at: []",
        "hit: [在], miss: [抱歉]",
    )
    assert told == ["9: script.x.r: fires at [], expected [close]"]


def test_a_case_stands_in_the_scope_of_its_rule_unless_it_says_otherwise(tmp_path: Path):
    told = problems(
        tmp_path, PLAIN % ", scope: {tier: [vip]}", "hit: [气死]", "miss: [气死], scope: {tier: other}"
    )
    assert told == []


def test_drafts_are_tested(tmp_path: Path):
    assert len(problems(tmp_path, PLAIN % ", status: draft", "hit: [你好]")) == 1


def test_a_list_that_nothing_reads_is_a_warning(tmp_path: Path):
    problems(tmp_path, PLAIN % WAIT, "hit: [气死], miss: [你好]")
    book, packs, _ = try_open([tmp_path])
    assert [str(problem) for problem in pack_check.unused_lists(book, packs)] == [
        f"{tmp_path}/script/x.yaml:4:35: warning: terms script.x.idle: no rule uses this list"
    ]
