"""The platforms' metrics against a sheet that was worked by hand (platforms/sheet.yaml)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.core.platforms import (
    DEFINITIONS,
    Contribution,
    Conversation,
    Line,
    contributions_of,
    explain,
    figures_of,
)

SHEET = yaml.load((Path(__file__).parent / "platforms" / "sheet.yaml").read_text("utf-8"), yaml.BaseLoader)
# Midnight in Beijing of 11 November 2026.
MIDNIGHT = 1_794_326_400_000

every_definition = pytest.mark.parametrize("name", DEFINITIONS)


def at(clock: str) -> int:
    """Hours past 24 are the next day's."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return MIDNIGHT + ((hours * 60 + minutes) * 60 + seconds) * 1_000


def line(written: str) -> Line:
    clock, who = written.split(" ")
    who, _, account = who.partition("@")
    role, _, mode = who.partition("/")
    return Line(at(clock), role, mode or "human", account)


def conversation(written: dict[str, Any]) -> Conversation:
    lines = tuple(map(line, written["lines"]))
    left = written.get("left_message") == "yes"
    return Conversation(written["id"], written["customer"], lines, at(written["closed"]), left)


CONVERSATIONS = {written["id"]: conversation(written) for written in SHEET["conversations"]}


def told(one: Contribution) -> str:
    seconds = "-" if one.ms is None else f"{one.ms / 1000:g}"
    return f"{'' if one.opens_turn else '~'}{one.opened_by} {one.verdict} {seconds}"


def contributions(name: str) -> list[Contribution]:
    return [one for each in CONVERSATIONS.values() for one in contributions_of(DEFINITIONS[name], each)]


def test_the_sheet_is_large_enough():
    assert sum(len(written["expect"]["plain"]) for written in SHEET["conversations"]) >= 40
    assert SHEET["figures"].keys() == DEFINITIONS.keys()


@every_definition
@pytest.mark.parametrize("written", SHEET["conversations"], ids=lambda written: written["id"])
def test_every_unit_is_as_worked(name: str, written: dict[str, Any]):
    found = contributions_of(DEFINITIONS[name], CONVERSATIONS[written["id"]])
    assert [told(one) for one in found] == written["expect"][name]


def test_sessions_are_joined_as_worked():
    merged = DEFINITIONS["jd_v1"].merge(contributions("jd_v1"))
    assert {one.conversation: told(one) for one in merged if one.customer == "u10"} == SHEET["joined"]


@every_definition
def test_figures_are_as_worked(name: str):
    found = figures_of(DEFINITIONS[name], contributions(name))
    expected = {key: [float(one) for one in value] for key, value in SHEET["figures"][name].items()}
    assert {key: [value.numerator, value.denominator] for key, value in found.items()} == expected


@every_definition
def test_figures_do_not_depend_on_the_order_of_arrival(name: str):
    shuffled = contributions(name)
    expected = figures_of(DEFINITIONS[name], shuffled)
    for seed in range(20):
        random.Random(seed).shuffle(shuffled)
        assert figures_of(DEFINITIONS[name], shuffled) == expected


@every_definition
def test_every_unit_is_told_in_a_sentence(name: str):
    found = contributions(name)
    assert len(explain(DEFINITIONS[name], found)) == len(found)


def test_a_sentence_says_what_opened_it_what_closed_it_and_why():
    tmall, jd = DEFINITIONS["tmall_v1"], DEFINITIONS["jd_v1"]
    assert explain(tmall, contributions_of(tmall, CONVERSATIONS["C2"]))[0] == (
        "C2：10:00:00 第1句 → 10:10:01 第2句回复，等了 601 秒：超过上限，按上限计，计 600 秒"
    )
    assert explain(jd, contributions_of(jd, CONVERSATIONS["C4"])) == (
        "C4：12:00:00 第1句（12:01:00 起等人工） → 12:01:25 第7句回复，等了 25 秒：计入，计 25 秒",
    )


@every_definition
def test_of_nothing_there_is_no_figure(name: str):
    assert {figure.value for figure in figures_of(DEFINITIONS[name], ()).values()} == {None}
