"""What the linter of terms warns of."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream import models, packs
from stream.packs.lint import benign, lint
from stream.spelling import spellings

PACK = """
pack: sensitive.tried
version: 1
title: 试
terms:
  tried:
{terms}
rules:
  - id: sensitive.tried.rule
    title: 试
    severity: {severity}
    role: customer
    when: {{any: tried}}
    why: 「{{evidence}}」
tests:
  - {{rule: sensitive.tried.rule, hit: [{hit}], miss: [好的]}}
"""


def warnings(directory: Path, *terms: str, hit: str, severity: str = "medium") -> list[str]:
    (directory / "sensitive").mkdir()
    written = PACK.format(terms="\n".join(f"    - {term}" for term in terms), hit=hit, severity=severity)
    (directory / "sensitive" / "tried.yaml").write_text(written, "utf-8")
    book, read, problems = packs.try_open([directory])
    assert problems == []
    annotator = models.build_annotator(book.terms)
    found = lint(book, annotator, read, models.normaliser(), spellings(), models.word_counts())
    assert {problem.severity for problem in found} <= {"warning"}
    return [problem.message for problem in found]


def test_a_weighty_rule_must_not_fire_on_ordinary_sentences(tmp_path: Path) -> None:
    (message,) = warnings(tmp_path, "硬盘坏了", hit="硬盘坏了")
    assert message == "sensitive.tried.rule fires on the ordinary sentence '硬盘坏了数据能恢复吗'"


def test_a_light_rule_may(tmp_path: Path) -> None:
    assert warnings(tmp_path, "硬盘坏了", hit="硬盘坏了", severity="low") == []


def test_a_disguise_must_not_be_read_out_of_ordinary_sentences(tmp_path: Path) -> None:
    messages = warnings(tmp_path, "{term: 签名斑, evasions: [homophone]}", hit="签名斑")
    assert (
        "terms sensitive.tried.tried: '签名斑' is read out of the ordinary sentence '有没有签名版'"
        in messages
    )


def test_a_term_that_a_shorter_one_makes_useless_is_told(tmp_path: Path) -> None:
    (message,) = warnings(tmp_path, "破店", "什么破店", hit="破店")
    assert message == "terms sensitive.tried.tried: '什么破店' adds nothing to '破店', which it holds"


@pytest.mark.parametrize(
    "shorter", ["{term: 破店, not_in: [打破店规]}", "{term: 破店, degree: 2}", "{term: 破店, evasions: none}"]
)
def test_a_shorter_term_with_other_options_makes_none_useless(tmp_path: Path, shorter: str) -> None:
    assert warnings(tmp_path, shorter, "什么破店", hit="破店") == []


def test_pinyin_of_a_more_frequent_word_is_told(tmp_path: Path) -> None:
    (message,) = warnings(tmp_path, "{term: 畜生, evasions: all}", hit="畜生")
    assert "'畜生' in pinyin is also the more frequent '出生'" in message


def test_the_shipped_packs_give_no_warning() -> None:
    book, read, _ = packs.try_open()
    annotator = models.build_annotator(book.terms)
    assert lint(book, annotator, read, models.normaliser(), spellings(), models.word_counts()) == []


def test_the_benign_corpus_is_large_and_of_both_sides() -> None:
    said = benign()
    assert len(said) >= 390
    assert {role for role, _ in said} == {"customer", "agent"}
