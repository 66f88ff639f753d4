"""The sentence of a finding: durations as people say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.rules import spoken
from stream.core.rules.why import CLOCK_PLACES, RULE_PLACES, render_why

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0 秒"),
        (-5 * SECOND, "0 秒"),
        (999, "0 秒"),
        (45 * SECOND, "45 秒"),
        (MINUTE, "1 分"),
        (3 * MINUTE + 20 * SECOND, "3 分 20 秒"),
        (HOUR, "1 小时"),
        (HOUR + 59 * SECOND, "1 小时"),
        (2 * HOUR + 5 * MINUTE, "2 小时 5 分"),
        (24 * HOUR, "24 小时"),
        (48 * HOUR - 1, "47 小时 59 分"),
        (2 * DAY, "2 天"),
        (3 * DAY + 3 * HOUR + 59 * MINUTE, "3 天 3 小时"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(ms: int, said: str) -> None:
    assert spoken(ms) == said


@given(st.integers(0, 400 * DAY))
def test_what_is_said_is_never_more_than_it_was_and_less_by_under_the_smaller_unit(ms: int) -> None:
    sizes = {"秒": SECOND, "分": MINUTE, "小时": HOUR, "天": DAY}
    words = spoken(ms).split()
    said = sum(int(count) * sizes[unit] for count, unit in zip(words[::2], words[1::2], strict=True))
    smaller = {"秒": SECOND, "分": SECOND, "小时": MINUTE, "天": HOUR}[words[1]]
    assert said <= ms < said + smaller


def test_every_place_of_a_clock_is_filled_and_a_value_with_braces_stays() -> None:
    values = {name: f"<{name}>" for name in (*RULE_PLACES, *CLOCK_PLACES)} | {"evidence": "{over}"}
    assert render_why("{waited} {limit} {over} {evidence}", values) == "<waited> <limit> <over> {over}"
