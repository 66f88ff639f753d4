"""The judged alarms of `docs/detection-sheet.csv`: enough of them right, none named that does not exist."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stream.core.book import RuleBook
from stream.core.outputs import Severity
from stream.packs import open_book

SHEET = Path(__file__).resolve().parents[2] / "docs" / "detection-sheet.csv"

RIGHT = 0.8
"""The share of alarms that a supervisor must agree with."""


@pytest.fixture(scope="module")
def sheet() -> list[dict[str, str]]:
    with SHEET.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_enough_alarms_are_right(sheet: list[dict[str, str]]) -> None:
    assert {row["judgement"] for row in sheet} == {"right", "wrong"}
    assert sum(row["judgement"] == "right" for row in sheet) >= RIGHT * len(sheet)


def severity_of(book: RuleBook, alarm: str) -> Severity:
    rule = book.rules.get(alarm)
    if rule is not None:
        return rule.severity
    clock = book.clock_policy_by_id(alarm)
    assert clock is not None, alarm
    return clock.severity["breach"]


def test_sheet_is_about_rules_that_alarm(sheet: list[dict[str, str]]) -> None:
    book = open_book()
    for row in sheet:
        severity = severity_of(book, row["rule"])
        assert severity.rank >= Severity.MEDIUM.rank
        assert row["severity"] == severity


def test_sheet_holds_ids_and_words_of_ours_only(sheet: list[dict[str, str]]) -> None:
    for row in sheet:
        assert all(value.isascii() for value in row.values())
        assert row["reason"].isalpha()


COMFORT = SHEET.with_name("ola-sheet-comfort.csv")

RIGHT_CLOCKS = 0.85
"""The share of breaches that a reader of the whole conversation must agree with."""


def test_enough_breaches_of_comfort_are_right() -> None:
    with COMFORT.open(encoding="utf-8", newline="") as file:
        judged = [row["judgement"] for row in csv.DictReader(file)]
    assert set(judged) == {"right", "wrong"}
    assert judged.count("right") >= RIGHT_CLOCKS * len(judged)
