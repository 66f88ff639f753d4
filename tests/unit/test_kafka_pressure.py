"""What holds a worker up: shares of every brake, and of the hottest conversation its share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream import metrics as m
from stream.metrics import Metrics, render
from stream.runtime.kafka.hottest import COUNTERS, FEWEST, WINDOW_S, Hottest
from stream.runtime.kafka.inbox import HIGH
from stream.runtime.kafka.pressure import FEWEST_BEHIND, Pressure

WINDOW = 4


def _filled(hottest: Hottest, names: list[str], now: float = 0.0) -> float:
    for begin in range(0, len(names), 100):
        hottest.note(names[begin : begin + 100], now)
    return hottest.share(now + WINDOW_S)


def test_one_conversation_in_ten_is_a_share_of_a_tenth() -> None:
    names = [f"c-{number}" if number % 10 else "hot" for number in range(10 * FEWEST)]
    assert _filled(Hottest(), names) == pytest.approx(0.1, abs=0.01)


def test_without_a_hot_one_the_share_is_next_to_nothing() -> None:
    assert _filled(Hottest(), [f"c-{number}" for number in range(10 * FEWEST)]) < 0.01


def test_three_lines_at_night_are_no_storm() -> None:
    assert _filled(Hottest(), ["c"] * (FEWEST - 1)) == 0


def test_a_share_is_told_of_the_last_whole_window_and_then_forgotten() -> None:
    hottest = Hottest()
    hottest.note(["hot"] * FEWEST, 0.0)
    assert hottest.share(WINDOW_S - 1) == 0
    assert hottest.share(WINDOW_S) == 1
    assert hottest.share(2 * WINDOW_S) == 0


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_the_largest_count_is_too_small_by_one_in_every_counters_at_most(seed: int, most: int) -> None:
    chance = Random(seed)
    names = [f"c-{int(chance.paretovariate(1)) % most}" for _ in range(2 * FEWEST)]
    true = max(Counter(names).values()) / len(names)
    found = _filled(Hottest(), names)
    assert true - 1 / COUNTERS - 1e-9 <= found <= true + 1e-9


def _pressure(
    partitions: list[Any], lag: Mapping[TP, int] | None = None, busy: Mapping[str, float] | None = None
) -> Pressure:
    return Pressure(WINDOW, lambda: partitions, lambda: lag or {}, {}, lambda: busy or {}, Hottest())


def _partition(under_way: int = 0, waiting: int = 0) -> Any:
    return SimpleNamespace(under_way=under_way, inbox=[None] * waiting)


def _after(pressure: Pressure, samples: int = 100) -> dict[str, float]:
    for _ in range(samples):
        pressure.sample()
    return {cause: round(share, 2) for (cause,), share in pressure.causes().items()}


def test_the_worst_partition_says_how_slow_the_broker_is() -> None:
    found = _after(_pressure([_partition(under_way=1), _partition(under_way=WINDOW)]))
    assert (found["broker"], found["work"]) == (1, 0)


def test_a_full_inbox_says_that_the_work_is_slow() -> None:
    assert _after(_pressure([_partition(waiting=HIGH), _partition()]))["work"] == 1


def test_one_busy_look_is_not_yet_a_brake() -> None:
    partition = _partition(under_way=WINDOW)
    pressure = _pressure([partition])
    pressure.sample()
    assert pressure.causes()["broker",] <= 0.1
    partition.under_way = 0
    assert _after(pressure)["broker"] == 0


@pytest.mark.parametrize(
    ("lag", "share"),
    [
        ({0: FEWEST_BEHIND, 1: 0, 2: 0, 3: 0}, 1.0),
        ({0: FEWEST_BEHIND, 1: FEWEST_BEHIND, 2: FEWEST_BEHIND, 3: FEWEST_BEHIND}, 0.25),
        ({0: FEWEST_BEHIND - 1, 1: 0}, 0.0),
        ({0: 10 * FEWEST_BEHIND}, 0.0),
        ({}, 0.0),
    ],
    ids=["one is behind", "all are", "none is", "there is but one", "none is ours"],
)
def test_a_partition_behind_is_told_from_all_being_behind(lag: dict[int, int], share: float) -> None:
    found = _after(_pressure([], {TP("chat.messages", number): count for number, count in lag.items()}))
    assert found["partition"] == share


def test_each_receiver_is_told_by_name_and_one_that_left_is_not() -> None:
    busy = {"slow": 1.0, "quick": 0.0}
    metrics = Metrics()
    pressure = _pressure([], busy=busy)
    pressure.watch(metrics)
    _after(pressure)
    assert _lines(metrics) == {"slow": 1.0, "quick": 0.0}
    del busy["slow"]
    pressure.sample()
    assert _lines(metrics) == {"quick": 0.0}


def _lines(metrics: Metrics) -> dict[str, float]:
    text = render(metrics)[0].decode()
    rows = (line.split(" ") for line in text.splitlines() if line.startswith(m.RECEIVER_BUSY.name + "{"))
    return {name.split('"')[1]: round(float(value), 2) for name, value in rows}
