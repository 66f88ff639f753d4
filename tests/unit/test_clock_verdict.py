"""The sum by hand that judges a round of clocks finds what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from stream.core.outputs import Finding, FindingKind, FindingStatus, Severity, Subject
from tests.chaos.openclocks import POLICY, SHARES, TARGET_MS, Fate, Leg, Told, add_up, legs

DUE = 10 * TARGET_MS
MADE = [
    Leg(0, Fate.SILENT, DUE),
    Leg(1, Fate.IN_TIME, DUE, DUE - 1, DUE - 1),
    Leg(2, Fate.ON_THE_DOT, DUE, DUE, DUE),
    Leg(3, Fate.TOLD_LATE, DUE, DUE - 5, DUE + 1_000),
    Leg(4, Fate.OVERDUE, DUE, DUE + 1, DUE + 1),
    Leg(5, Fate.WAITING, DUE + TARGET_MS),
]


def told(leg: int, at: int = DUE + 300, name: str = "", due: int = DUE) -> Told:
    finding = Finding(
        finding_id=name or f"f-{leg}",
        kind=FindingKind.OLA,
        rule_id=POLICY,
        pack_version="1",
        severity=Severity.HIGH,
        conversation_id=MADE[leg].name,
        subject=Subject.DEPARTMENT,
        at=due,
        why="",
    )
    return Told(finding, at)


def taken_back(one: Told, at: int) -> Told:
    return Told(replace(one.finding, status=FindingStatus.CORRECTED), at)


RIGHT = [told(0), told(3, DUE + 200), taken_back(told(3), DUE + 1_100), told(4, DUE + 900)]


def test_a_right_round_adds_up() -> None:
    found = add_up(MADE, [*RIGHT, told(0, DUE + 5_000)])
    assert list(found.lateness) == [300, 900]
    assert (found.taken_back, found.repeats) == (1, 1)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda: RIGHT[1:], "lost"),
        (lambda: [*RIGHT, taken_back(told(0), DUE + 2_000)], "lost"),
        (lambda: [*RIGHT, told(0, name="f-other")], "second id"),
        (lambda: [*RIGHT[:2], RIGHT[3]], "stand that do not breach"),
        (lambda: [*RIGHT, told(2)], "stand that do not breach"),
        (lambda: [*RIGHT, told(5)], "stand that do not breach"),
        (lambda: [told(0, due=DUE + 1), *RIGHT[1:]], "another moment"),
    ],
)
def test_a_wrong_round_does_not(spoil: Callable[[], list[Told]], what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        add_up(MADE, spoil())


def test_clocks_are_made_as_their_fate_says() -> None:
    now, since, until = 9 * TARGET_MS, 9 * TARGET_MS + 60_000, 9 * TARGET_MS + 120_000
    made = legs(3, 1_000, 400, since, until, now)
    assert made == legs(3, 1_000, 400, since, until, now)
    assert {leg.fate for leg in made} == {*SHARES, Fate.WAITING}
    for leg in made:
        assert leg.handed_at <= now
        answered_late = leg.answered_at is not None and leg.answered_at > leg.due
        assert leg.breaches is (leg.fate is Fate.SILENT or answered_late)
        assert (leg.fate is Fate.WAITING) is (leg.due >= now + TARGET_MS - 600_000)
        assert leg.fate is Fate.WAITING or since <= leg.due < until
