"""What the bench computes from what it measures, and that its cheap groups run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from stream import wire
from stream.bench import contest, core
from stream.bench.contest import Seen, rate
from stream.bench.figures import Figure, at_least, at_most
from stream.bench.installation import PARTITIONS, partition_of
from stream.bench.openloop import Latencies, Schedule
from stream.bench.registry import BENCHES
from stream.bench.session import Session
from stream.bench.statistics import Rounds, percentile
from stream.bench.workload import LENGTHS, Mix, Model, Pace, traffic
from stream.cli import main
from stream.core.events import Message

SPEED = Figure("a.speed", "messages/s", "how fast", at_least(100))
WAIT = Figure("a.wait", "s", "how long", at_most(3))


# Rows


@pytest.mark.parametrize(
    ("figure", "value", "held"),
    [(SPEED, 100, True), (SPEED, 99.9, False), (WAIT, 3, True), (WAIT, 3.1, False)],
)
def test_the_limit_itself_is_allowed(figure: Figure, value: float, held: bool) -> None:
    assert figure.row(value).held is held


def test_a_figure_without_a_budget_is_not_judged_and_says_so() -> None:
    document = Figure("a.size", "MiB", "how large").row(12.345678).document()
    assert document == {
        "name": "a.size",
        "value": 12.35,
        "unit": "MiB",
        "budget": None,
        "held": None,
        "why": "no budget: shown for comparison",
    }


def test_a_figure_that_cannot_be_measured_says_why() -> None:
    document = SPEED.unmeasured("no Java").document()
    assert document["value"] is document["held"] is None
    assert (document["budget"], document["why"]) == (100, "no Java")


def test_a_held_row_has_the_five_keys_of_the_contract() -> None:
    assert list(SPEED.row(200, "best of 3").document()) == ["name", "value", "unit", "budget", "held"]


def test_a_missed_row_says_what_it_rests_on() -> None:
    assert SPEED.row(50, "best of 3").document()["why"] == "best of 3"


def test_a_quick_row_is_not_judged() -> None:
    row = SPEED.row(50).unjudged("too small")
    assert (row.value, row.held, row.why) == (50, None, "too small")


def test_every_figure_has_a_name_of_its_own() -> None:
    names = [figure.name for bench in BENCHES.values() for figure in bench.figures]
    assert len(names) == len(set(names))


# Percentiles


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    smaller = [value for value in values if value < found]
    assert not smaller or sum(value <= max(smaller) for value in values) < share * len(values)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_lies_between_0_and_1(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], share)


def test_rounds_show_their_spread() -> None:
    rounds = Rounds((10, 30, 20))
    assert (rounds.best, rounds.middle, str(rounds)) == (30, 20, "min/median/max of 3: 10 / 20 / 30")


# Open loop


@given(st.floats(1, 5_000), st.lists(st.floats(0, 2), max_size=30))
def test_the_schedule_sends_every_message_at_its_moment_or_at_the_next_look(
    per_second: float, looks: list[float]
) -> None:
    schedule = Schedule(10.0, per_second)
    sent, now = 0, 10.0
    for step in looks:
        now += step
        sent += schedule.due(sent, now)
        assert schedule.moment(sent) > now - 1e-6
        assert sent == 0 or schedule.moment(sent - 1) <= now + 1e-6


def test_nothing_is_due_before_the_schedule_begins() -> None:
    assert Schedule(10.0, 1_000).due(0, 9.9) == 0


def test_what_was_held_up_is_sent_at_once_and_counts_from_its_moment() -> None:
    schedule = Schedule(0.0, 100)
    assert schedule.due(0, 1.0) == 101
    assert schedule.moment(50) == 0.5


@pytest.mark.parametrize(
    ("missing", "share", "expected"),
    [(0, 0.5, 20), (0, 1.0, 40), (1, 0.5, 30), (1, 1.0, float("inf")), (4, 0.5, 40), (5, 0.5, float("inf"))],
)
def test_what_never_came_counts_as_slower_than_all(missing: int, share: float, expected: float) -> None:
    assert Latencies((0.04, 0.01, 0.03, 0.02), missing).at(share) == pytest.approx(expected)


# Contests


def test_a_rate_runs_from_the_first_commit_after_the_warm_up_to_the_last() -> None:
    course = [Seen(0, 0), Seen(5, 100), Seen(6, 1_100), Seen(8, 3_100)]
    assert rate(course, 200, 10_000) == 1_000


def test_the_commit_that_ends_it_all_is_left_out_where_two_others_remain() -> None:
    course = [Seen(6, 1_000), Seen(7, 2_000), Seen(8, 2_100)]
    assert rate(course, 200, 2_100) == 1_000
    assert rate(course[1:], 200, 2_100) == 100


@pytest.mark.parametrize("course", [[Seen(0, 0)], [Seen(0, 0), Seen(5, 1_000)]])
def test_one_commit_gives_no_rate(course: list[Seen]) -> None:
    with pytest.raises(ValueError, match="two commits"):
        rate(course, 200, 10_000)


def test_watching_ends_when_all_is_done() -> None:
    steps = iter([0, 0, 40, 40, 100])
    course = contest.watch(lambda: next(steps), lambda: None, 100, lambda: 1.0)
    assert [seen.done for seen in course] == [0, 40, 100]


def test_watching_gives_up_on_who_never_starts() -> None:
    clock = iter(range(0, 1_000, 10))
    course = contest.watch(lambda: 0, lambda: None, 100, lambda: float(next(clock)))
    assert [seen.done for seen in course] == [0]


def test_a_key_keeps_its_partition() -> None:
    places = [partition_of(f"c-{number}") for number in range(100)]
    assert places == [partition_of(f"c-{number}") for number in range(100)]
    assert set(places) == set(range(PARTITIONS))


# Chats


DAY = [
    Model("customer", "你好，请问有货吗？", False),
    Model("customer", "怎么还不发货，我等了三天了！", True),
    Model("agent", "亲，有货的，今天下单明天发。", False),
    Model("agent", "催什么催。", True),
]


def _messages(records: Sequence[bytes]) -> list[Message]:
    events = [wire.decode(raw, received_at=None).event for raw in records]
    return [event for event in events if isinstance(event, Message)]


def test_the_same_seed_gives_the_same_chats() -> None:
    one, other = (traffic(DAY, 200, concurrent=5) for _ in range(2))
    assert (one.keys, one.records) == (other.keys, other.records)


def test_every_record_is_of_the_contract_and_keyed_by_its_conversation() -> None:
    chats = traffic(DAY, 300, concurrent=7)
    for key, raw in zip(chats.keys, chats.records, strict=True):
        wire.decode(raw, received_at=None, key=key.encode())
    messages = _messages(chats.records)
    assert len(messages) == chats.messages == 300
    assert chats.characters == sum(len(message.content.text) for message in messages) / 300
    assert len({message.message_id for message in messages}) == 300


def test_each_chats_own_times_ascend() -> None:
    last: dict[str, int] = {}
    for key, raw in zip(*_columns(traffic(DAY, 300, concurrent=7, pace=Pace(1_000, 0.1))), strict=True):
        t = wire.decode(raw, received_at=None).t
        assert t >= last.get(key, 1_000)
        last[key] = t


def _columns(chats: object) -> tuple[list[str], list[bytes]]:
    return chats.keys, chats.records  # type: ignore[attr-defined]


def test_the_mix_settles_how_many_messages_are_eventful() -> None:
    calm = _messages(traffic(DAY, 300, concurrent=7, mix=Mix(0.0, 0.0)).records)
    wild = _messages(traffic(DAY, 300, concurrent=7, mix=Mix(1.0, 1.0)).records)
    assert not any("发货，我等" in message.content.text for message in calm)
    assert {message.content.text for message in wild} == {model.text for model in DAY if model.eventful}


def test_chats_are_as_long_as_jds() -> None:
    chats = traffic(DAY, 9_000, concurrent=20)
    lengths = sorted(chats.keys.count(key) - 3 for key in set(chats.keys[2_000:-2_000]))
    whole = [length for length in lengths if length >= LENGTHS[0]]
    assert abs(percentile(whole, 0.5) - LENGTHS[10]) <= 6
    assert max(whole) <= LENGTHS[-1]


# The command


def test_the_core_is_measured_and_profiled() -> None:
    shown: list[str] = []
    with Session(quick=True, profile=True, show=shown.append) as session:
        chats = traffic(session.day, 3_000, concurrent=50)
        course = core.run(session.knowledge, chats.inputs())
        assert 0 < course.messages < 3_000
        assert course.rate > 0
        assert "conversations.py" in core.profile(session.knowledge, chats.inputs())


def test_a_quick_run_writes_every_figure_and_judges_none(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    result = CliRunner().invoke(main, ["bench", "state", "--quick", "--json", str(file)])
    assert result.exit_code == 0, result.output
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [row["name"] for row in rows] == [figure.name for figure in BENCHES["state"].figures]
    assert all(row["held"] is None and row["why"] for row in rows)
    assert rows[0]["value"] > 0
    assert "state.median" in result.output


def test_an_unknown_group_is_wrong_use() -> None:
    result = CliRunner().invoke(main, ["bench", "cores"])
    assert result.exit_code == 2
    assert "cores" in result.output
