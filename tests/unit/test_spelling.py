"""The tables of spelling tricks are well formed, and those that are made can be made again."""

from __future__ import annotations

from importlib import resources

import pytest

from stream import spelling
from stream.core.lexicon import Evasion
from stream.core.rules.source import Report
from stream.models import normaliser
from stream.packs.loader import parse_pack
from stream.resources.spelling import build


def test_tables_are_of_single_characters() -> None:
    tables = spelling.spellings()
    assert all(len(char) == 1 for table in (tables.pictures, tables.shapes, tables.splits) for char in table)
    assert all(len(char) == 1 for char in tables.pictures.values())
    assert all(char not in looks for char, looks in tables.shapes.items())
    assert all(len(way) > 1 for ways in tables.splits.values() for way in ways)


def test_faces_and_emoticons_say_the_same_words() -> None:
    words = set(spelling.faces().values())
    assert all(1 <= len(word) <= 2 for word in words | set(spelling.emoticons().values()))
    assert normaliser().text("😡[怒]/::@👿") == "[发怒]" * 4
    assert normaliser().text("[发怒]") == "[发怒]"


def test_made_tables_are_those_of_the_packages() -> None:
    pytest.importorskip("pypinyin")
    words = build.frequencies()
    folder = resources.files("stream.resources") / "spelling"
    assert (folder / "words.txt").read_text("utf-8").splitlines() == list(build.everyday(words))
    assert (folder / "readings.txt").read_text("utf-8").splitlines() == list(build.readings(words))


@pytest.mark.parametrize(
    ("written", "tricks"),
    [
        ("骗子", {Evasion.SEPARATORS, Evasion.SHAPE, Evasion.SPLIT}),
        ("{term: 骗子, evasions: none}", set()),
        ("{term: 骗子, evasions: all}", set(Evasion) - {Evasion.INITIALS}),
        ("{term: 骗子, evasions: [all, initials]}", set(Evasion)),
        ("{term: 骗子, evasions: pinyin}", {Evasion.PINYIN}),
    ],
)
def test_a_pack_says_which_tricks_a_term_is_found_in(written: str, tricks: set[Evasion]) -> None:
    text = f"pack: sensitive.a\nversion: 1\ntitle: 甲\nterms:\n  b:\n    - {written}\n"
    report = Report("sensitive/a.yaml")
    pack = parse_pack(report, text.encode(), ("sensitive", "a.yaml"))
    assert pack is not None
    assert report.problems == []
    assert pack.lists[0].terms[0].evasions == tricks


@pytest.mark.parametrize("written", ["{term: 骗子, evasions: [sound]}", "{term: 骗, evasions: all}"])
def test_unknown_tricks_and_terms_of_one_character_are_refused(written: str) -> None:
    text = f"pack: sensitive.a\nversion: 1\ntitle: 甲\nterms:\n  b:\n    - {written}\n"
    report = Report("sensitive/a.yaml")
    parse_pack(report, text.encode(), ("sensitive", "a.yaml"))
    assert [problem.severity for problem in report.problems] == ["error"]
