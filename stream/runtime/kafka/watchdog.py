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
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stream.runtime.kafka.exits import Exit

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the process must end."""

    code: Exit
    reason: str


def judge(
    vitals: Vitals, now: float, *, stall_s: float, recovery_s: float, loop_s: float = LOOP_LIMIT_S
) -> Verdict | None:
    """Return what is wrong at `now`, None where nothing is. Pure."""
    if now - vitals.beat_at > loop_s:
        return Verdict(Exit.LOOP_BLOCKED, f"the event loop has stood still for {now - vitals.beat_at:.0f} s")
    if vitals.recovering_since is not None and now - vitals.recovering_since > recovery_s:
        return Verdict(Exit.RECOVERY, f"state not read back in {recovery_s:.0f} s")
    for name, progress in vitals.moving.items():
        if progress.pending > 0 and now - progress.since > stall_s:
            return Verdict(
                Exit.STALLED,
                f"{name}: {progress.pending} records wait, none done for {now - progress.since:.0f} s",
            )
    return None


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
        *,
        stall_s: float,
        recovery_s: float,
        end: Callable[[Verdict], None] = end_process,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._vitals = vitals
        self._stall = stall_s
        self._recovery = recovery_s
        self._end = end
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Look until something is wrong or `stop` is called."""
        while not self._stop_asked.wait(LOOK_S):
            verdict = judge(self._vitals, time.monotonic(), stall_s=self._stall, recovery_s=self._recovery)
            if verdict is not None:
                self._end(verdict)
                return

    def stop(self) -> None:
        """Look no more."""
        self._stop_asked.set()
