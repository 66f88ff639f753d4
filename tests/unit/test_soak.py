"""What a soak computes: slopes against noise, the account of alerts, chats that come and go."""

from __future__ import annotations

import io
import os
import time
import xml.etree.ElementTree as ET
from collections import Counter
from random import Random

import pytest

from stream.bench.soak import chart, samples, verdict
from stream.bench.soak.accounts import Accounts
from stream.bench.soak.load import Churn, Event
from stream.bench.soak.samples import Table
from stream.bench.soak.trend import trend
from stream.bench.workload import Model
from stream.core.events import Message
from stream.wire import decode

MINUTE = 60.0
EVERY_S = 5.0
HOUR = [EVERY_S * n for n in range(720)]

DAY = [
    Model("customer", "你好，请问有货吗？", False),
    Model("customer", "怎么还不发货，我等了三天了！", True),
    Model("agent", "亲，有货的，今天下单明天发。", False),
    Model("agent", "催什么催。", True),
]


# Slopes


def _noise(size: float, seed: int = 1) -> list[float]:
    chance = Random(seed)
    return [chance.gauss(0, size) for _ in HOUR]


@pytest.mark.parametrize("seed", range(5))
def test_a_level_with_noise_is_flat(seed: int) -> None:
    assert trend(HOUR, [300 + one for one in _noise(3, seed)]).flat(grain=1)


def test_a_level_that_follows_the_minutes_of_the_load_is_flat() -> None:
    chance = Random(3)
    value, values = 300.0, []
    for _ in HOUR:
        value += 0.2 * (300 - value) + chance.gauss(0, 2)
        values.append(value)
    assert trend(HOUR, values).flat(grain=1)


def test_a_leak_of_thirty_mebibytes_an_hour_is_none() -> None:
    found = trend(HOUR, [300 + 30 * t / 3600 + one for t, one in zip(HOUR, _noise(3), strict=True)])
    assert not found.flat(grain=4)
    assert found.rise == pytest.approx(30, rel=0.05)
    assert found.low < 30 / 3600 < found.high


def test_one_task_every_two_minutes_is_no_level() -> None:
    assert not trend(HOUR, [40.0 + int(t / 120) for t in HOUR]).flat(grain=1)


def test_less_than_the_grain_is_no_rise() -> None:
    assert trend(HOUR, [40.0 + (t > 1800) for t in HOUR]).flat(grain=1)


def test_a_third_of_wild_values_does_not_move_the_slope() -> None:
    values = [300.0 + (500 if number % 4 == 0 else 0) for number in range(len(HOUR))]
    assert trend(HOUR, values).slope == 0


def test_the_slope_is_the_median_of_all_pairs() -> None:
    # By hand: (1-0)/1, (5-0)/2, (5-1)/1 = 1, 2.5, 4.
    assert trend([0, 1, 2], [0, 1, 5]).slope == 2.5


def test_two_samples_have_no_trend() -> None:
    with pytest.raises(ValueError, match="three"):
        trend([0, 1], [0, 1])


# Alerts


def test_an_alert_that_both_sides_name_is_matched_in_either_order() -> None:
    accounts = Accounts()
    accounts.expect("a", 1)
    accounts.receive("a", 1, firing=True)
    accounts.receive("b", 2, firing=True)
    accounts.expect("b", 2)
    assert (accounts.matched, accounts.missing(), accounts.unfounded(10)) == (2, [], [])


def test_an_alert_told_again_at_a_higher_step_is_not_a_second_one() -> None:
    accounts = Accounts()
    for _ in range(2):
        accounts.expect("a", 1)
        accounts.receive("a", 1, firing=True)
    accounts.receive("a", 1, firing=False)
    assert (accounts.matched, accounts.missing(), accounts.unfounded(10)) == (1, [], [])


def test_an_alert_that_never_came_is_missing() -> None:
    accounts = Accounts()
    accounts.expect("a", 1)
    accounts.receive("b", 1, firing=True)
    assert accounts.missing() == ["a"]


def test_an_end_alone_is_no_alert_received() -> None:
    accounts = Accounts()
    accounts.expect("a", 1)
    accounts.receive("a", 1, firing=False)
    assert accounts.missing() == ["a"]


def test_what_was_told_too_soon_is_forgiven_once_it_has_ended() -> None:
    accounts = Accounts()
    for name in ("goes on", "ended"):
        accounts.receive(name, 5, firing=True)
    accounts.receive("ended", 5, firing=False)
    accounts.receive("later than is judged", 20, firing=True)
    assert (accounts.unfounded(10), accounts.taken_back(10)) == (["goes on"], 1)


# Chats


def _sent(seconds: int, rate: int) -> tuple[Churn, list[tuple[float, Event]]]:
    churn = Churn(DAY, 5, pace=0.02)
    churn.begin_amid(0.0, rate)
    sent = [(n / rate, event) for n in range(seconds * rate) for event in churn.take(n / rate)]
    return churn, sent


def test_every_moment_of_the_schedule_has_one_message() -> None:
    _, sent = _sent(5, 100)
    assert Counter(moment for moment, event in sent if event.message) == {n / 100: 1 for n in range(500)}


def test_the_number_of_open_chats_stays_where_it_begins() -> None:
    churn, _ = _sent(60, 100)
    # 100 a second with a mean pause of 27.7 s * 0.02: 55 chats.
    assert 35 <= len(churn) <= 75


def test_what_is_sent_is_of_the_contract_and_chats_open_before_and_close_behind_their_messages() -> None:
    _, sent = _sent(20, 100)
    kinds: dict[str, list[str]] = {}
    for moment, event in sent:
        decoded = decode(event.raw(round(moment * 1000)), received_at=None, key=event.key.encode())
        kinds.setdefault(event.key, []).append("message" if isinstance(decoded.event, Message) else "other")
    closed = [course for course in kinds.values() if course[-1] == "other" and len(course) > 2]
    assert len(closed) > 20
    assert all(course[:2] == ["other"] * 2 and set(course[2:-1]) == {"message"} for course in closed)


# What is looked at


def test_a_process_is_looked_at() -> None:
    found = samples.process(os.getpid())
    assert found["rss"] > 10 * verdict.MIB
    assert 0 < found["pss"] <= found["rss"]
    assert found["fds"] >= 3
    assert found["threads"] >= 1
    assert abs(found["cpu_s"] - time.process_time()) < 5


def test_a_process_that_is_gone_gives_nothing() -> None:
    assert samples.process(2**22 + 1) == {}


def test_a_sample_that_lacks_something_is_a_line_all_the_same() -> None:
    file = io.StringIO()
    Table(file, ["second", "pss", "lag"]).add({"second": 5.0, "lag": 12.0})
    assert file.getvalue() == "second,pss,lag\n5,,12\n"


# The verdict


def _hour(**columns: float) -> list[samples.Sample]:
    still = {one.column: 100 * one.size for one in verdict.STEADY}
    return [{"second": t, "cpu_s": t / 4, **still, **columns} for t in HOUR]


GOOD = {"matched": 5, "missing": 0, "unfounded": 0, "told too soon and taken back": 0}


def _missed(found: list[samples.Sample], alerts: dict[str, int]) -> list[str]:
    lines = verdict.judge(found, 0.0, 10_000, alerts)
    return [line.text.partition(":")[0] for line in lines if line.held is False]


def test_an_hour_in_which_nothing_moves_holds() -> None:
    assert _missed(_hour(), GOOD) == []


@pytest.mark.parametrize("steady", verdict.STEADY, ids=lambda one: one.column)
def test_whatever_must_not_rise_is_seen_to(steady: verdict.Steady) -> None:
    hour = _hour()
    for sample in hour:
        sample[steady.column] += 10 * steady.grain * steady.size * sample["second"] / 3600
    assert _missed(hour, GOOD) == [steady.what]


@pytest.mark.parametrize("kind", ["missing", "unfounded"])
def test_one_alert_amiss_is_one_too_many(kind: str) -> None:
    assert _missed(_hour(), GOOD | {kind: 1}) == ["alerts"]


def test_an_hour_without_alerts_proves_nothing() -> None:
    assert _missed(_hour(), GOOD | {"matched": 0}) == ["alerts"]


def test_a_lag_beyond_its_limit_is_missed_although_it_goes_away() -> None:
    hour = _hour()
    hour[300]["lag"] = 10_001
    assert _missed(hour, GOOD) == ["largest lag"]


def test_minutes_are_too_short_to_judge_a_slope_by() -> None:
    hour = _hour()
    for sample in hour:
        sample["pss"] += verdict.MIB * sample["second"]
    lines = verdict.judge([one for one in hour if one["second"] < 4 * MINUTE], 0.0, 10_000, GOOD)
    assert lines[0].held is None
    assert "too short" in lines[0].text


def test_the_picture_is_well_formed_whatever_is_missing() -> None:
    panels = [chart.Panel("a & b", {"pss": "PSS", "nothing": "never read"})]
    for found in ([], _hour(), [{"second": 0.0}]):
        assert ET.fromstring(chart.draw(panels, found, 720)).tag.endswith("svg")
