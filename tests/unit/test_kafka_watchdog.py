"""What the watchdog ends a process for, and what it leaves alone."""

from __future__ import annotations

import threading

from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.watchdog import Limits, Progress, Verdict, Vitals, Watchdog, judge
from stream.settings import Kafka

LIMITS = Limits(stall_s=60, recovery_s=600, assignment_s=120, loop_s=20)


def verdict(vitals: Vitals, now: float = 1000.0) -> Exit | None:
    return next((found.code for found in judge(vitals, now, LIMITS)), None)


def test_idle_worker_is_left_alone() -> None:
    assert verdict(Vitals(1000.0, {"chat.messages/0": Progress(pending=0, since=0.0)})) is None


def test_lag_that_shrinks_is_left_alone() -> None:
    assert verdict(Vitals(1000.0, {"chat.messages/0": Progress(pending=10**6, since=990.0)})) is None


def test_lag_without_progress_ends_the_process() -> None:
    vitals = Vitals(1000.0, {"a": Progress(5, 999.0), "chat.messages/3": Progress(5, 939.0)})
    assert verdict(vitals) is Exit.STALLED
    (found,) = judge(vitals, 1000.0, LIMITS)
    assert "chat.messages/3" in found.reason


def test_loop_that_stands_still_ends_the_process() -> None:
    assert verdict(Vitals(979.0, {})) is Exit.LOOP_BLOCKED
    assert verdict(Vitals(981.0, {})) is None


def test_recovery_without_end_ends_the_process() -> None:
    assert verdict(Vitals(1000.0, {}, recovering_since=399.0)) is Exit.RECOVERY
    assert verdict(Vitals(1000.0, {}, recovering_since=401.0)) is None


def test_group_that_gives_no_word_ends_the_process() -> None:
    """While partitions are handed over none is looked at: a rebalance without end would stand for ever."""
    assert verdict(Vitals(1000.0, {}, unassigned_since=879.0)) is Exit.FENCED
    assert verdict(Vitals(1000.0, {}, unassigned_since=881.0)) is None


def test_limits_leave_time_for_what_they_bound() -> None:
    kafka = Kafka()
    limits = Limits.of(kafka)
    assert limits.assignment_s * 1000 >= kafka.rebalance_timeout + kafka.session_timeout
    assert limits.loop_s * 1000 < kafka.rebalance_timeout
    assert limits.told().stall_s == limits.stall_s / 2
    assert limits.told().recovery_s == limits.recovery_s


def test_thread_judges_although_nobody_else_runs() -> None:
    """The very loop that writes the vitals is the one that may stand still."""
    ended: list[Verdict] = []
    done = threading.Event()

    def end(found: Verdict) -> None:
        ended.append(found)
        done.set()

    Watchdog(Vitals(0.0, {}), LIMITS, end=end).start()
    assert done.wait(30)
    assert [found.code for found in ended] == [Exit.LOOP_BLOCKED]


def test_exit_codes_differ_and_stand_above_those_of_shells() -> None:
    assert len({int(code) for code in Exit}) == len(Exit)
    assert all(code >= 70 for code in Exit if code is not Exit.OK)
