"""A thread that ends the process when it stops getting anywhere.

It asks nothing of the event loop, which may be the very thing that stands still: it reads numbers that
the loop leaves behind, and ends the process at once, for an orderly stop needs a loop that runs. Nothing
is lost by that: whatever was not acknowledged is read again.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from stream.runtime.kafka.exits import Exit
from stream.settings import Kafka

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often it looks: small beside the limits, which are tens of seconds."""

LOOP_LIMIT_S = 20.0
"""A batch takes some 50 ms, a reload of packs runs in a thread: 20 s without a beat is no load any more.
It is below the rebalance time-out, at which the group would go on without us."""


@dataclass(slots=True)
class Progress:
    """One thing that must move while there is something to do. Times are `time.monotonic()`."""

    pending: int
    since: float


@dataclass(slots=True)
class Vitals:
    """What the event loop leaves behind for the watchdog. The loop writes, the thread reads."""

    beat_at: float
    moving: Mapping[str, Progress]
    recovering_since: float | None = None
    unassigned_since: float | None = None
    """Since when the group has not said what is ours; a worker may own nothing, which is an answer, too."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each may take, in seconds; `docs/operations.md` has the sums.

    `stall_s` is for records that wait, `recovery_s` for reading back, `assignment_s` for the group's word.
    """

    stall_s: float
    recovery_s: float
    assignment_s: float
    loop_s: float = LOOP_LIMIT_S

    @classmethod
    def of(cls, kafka: Kafka) -> Limits:
        """Return the limits of an installation."""
        # The group waits for the slowest of its workers, then gives the partitions out: twice that is no
        # rebalance any more.
        return cls(kafka.watchdog / 1000, kafka.recovery_timeout / 1000, 2 * kafka.rebalance_timeout / 1000)

    def told(self) -> Limits:
        """Return from when on `/healthz` tells: half of each, but for reading back, which takes its time."""
        return Limits(self.stall_s / 2, self.recovery_s, self.assignment_s / 2, self.loop_s / 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the process must end."""

    code: Exit
    reason: str


def judge(vitals: Vitals, now: float, limits: Limits) -> Iterator[Verdict]:
    """Yield all that is wrong at `now`, what lies deepest first. Pure."""
    if now - vitals.beat_at > limits.loop_s:
        yield Verdict(Exit.LOOP_BLOCKED, f"the event loop has stood still for {now - vitals.beat_at:.0f} s")
    if vitals.unassigned_since is not None and now - vitals.unassigned_since > limits.assignment_s:
        waited = now - vitals.unassigned_since
        yield Verdict(Exit.FENCED, f"the group has assigned nothing for {waited:.0f} s")
    if vitals.recovering_since is not None and now - vitals.recovering_since > limits.recovery_s:
        yield Verdict(Exit.RECOVERY, f"state not read back in {now - vitals.recovering_since:.0f} s")
    for name, progress in vitals.moving.items():
        if progress.pending > 0 and now - progress.since > limits.stall_s:
            yield Verdict(
                Exit.STALLED,
                f"{name}: {progress.pending} records wait, none done for {now - progress.since:.0f} s",
            )


def end_process(verdict: Verdict) -> None:
    """Say why, where every thread stands, and end at once."""
    logger.critical("watchdog: %s; exit code %d", verdict.reason, verdict.code)
    faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
    logging.shutdown()
    os._exit(verdict.code)


class Watchdog(threading.Thread):
    """Judges once a second until told to stop; `end` is called once, from this thread."""

    def __init__(
        self,
        vitals: Vitals,
        limits: Limits,
        *,
        end: Callable[[Verdict], None] = end_process,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._vitals = vitals
        self._limits = limits
        self._end = end
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Look until something is wrong or `stop` is called."""
        while not self._stop_asked.wait(LOOK_S):
            for verdict in judge(self._vitals, time.monotonic(), self._limits):
                self._end(verdict)
                return

    def stop(self) -> None:
        """Look no more."""
        self._stop_asked.set()
