"""What the watchdog ends a process for, and what it leaves alone."""

from __future__ import annotations

import threading

from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.watchdog import Progress, Verdict, Vitals, Watchdog, judge


def verdict(vitals: Vitals, now: float = 1000.0) -> Exit | None:
    found = judge(vitals, now, stall_s=60, recovery_s=600, loop_s=20)
    return found.code if found else None


def test_idle_worker_is_left_alone() -> None:
    assert verdict(Vitals(1000.0, {"chat.messages/0": Progress(pending=0, since=0.0)})) is None


def test_lag_that_shrinks_is_left_alone() -> None:
    assert verdict(Vitals(1000.0, {"chat.messages/0": Progress(pending=10**6, since=990.0)})) is None


def test_lag_without_progress_ends_the_process() -> None:
    vitals = Vitals(1000.0, {"a": Progress(5, 999.0), "chat.messages/3": Progress(5, 939.0)})
    assert verdict(vitals) is Exit.STALLED
    found = judge(vitals, 1000.0, stall_s=60, recovery_s=600)
    assert found is not None
    assert "chat.messages/3" in found.reason


def test_loop_that_stands_still_ends_the_process() -> None:
    assert verdict(Vitals(979.0, {})) is Exit.LOOP_BLOCKED
    assert verdict(Vitals(981.0, {})) is None


def test_recovery_without_end_ends_the_process() -> None:
    assert verdict(Vitals(1000.0, {}, recovering_since=399.0)) is Exit.RECOVERY
    assert verdict(Vitals(1000.0, {}, recovering_since=401.0)) is None


def test_thread_judges_although_nobody_else_runs() -> None:
    """The very loop that writes the vitals is the one that may stand still."""
    ended: list[Verdict] = []
    done = threading.Event()

    def end(found: Verdict) -> None:
        ended.append(found)
        done.set()

    Watchdog(Vitals(0.0, {}), stall_s=60, recovery_s=600, end=end).start()
    assert done.wait(30)
    assert [found.code for found in ended] == [Exit.LOOP_BLOCKED]


def test_exit_codes_differ_and_stand_above_those_of_shells() -> None:
    assert len({int(code) for code in Exit}) == len(Exit)
    assert all(code >= 70 for code in Exit if code is not Exit.OK)
