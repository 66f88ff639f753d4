"""A worker that has nothing to do: what does it cost to hold conversations in which nobody writes?

All roles, a broker, no message. Once with no conversation at all, once with 100,000 open ones, none of
which owes anything within the half hour. Timed is the process's own CPU, user and system.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from stream.bench.figures import Figure, Row, at_most
from stream.bench.installation import Installation, Worker, WorkerFailedError, fill
from stream.bench.session import Session
from stream.bench.soak.samples import process
from stream.bench.states import records_of, renamed
from stream.core import state as states
from stream.runtime.clock import WallClock

CONVERSATIONS: Final = 100_000
SECONDS: Final = 30
SETTLE_S: Final = 10
"""After it said that it is ready: customers are read back, the garbage of the start is collected."""

FULL = Figure("idle.cpu", "% of a core", "100,000 open conversations, nobody writes", at_most(2))
EMPTY = Figure("idle.cpu_empty", "% of a core", "no conversation, nobody writes", at_most(2))
FIGURES = (FULL, EMPTY)


def measure(session: Session) -> list[Row]:
    """Return what an idle worker costs, with conversations and without."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    try:
        return [
            _measure(session, EMPTY, "idle.empty.", 0),
            _measure(session, FULL, "idle.full.", session.scale(CONVERSATIONS, 5_000)),
        ]
    except WorkerFailedError as error:
        return [figure.unmeasured(str(error)) for figure in FIGURES]


def _measure(session: Session, figure: Figure, prefix: str, count: int) -> Row:
    installation = Installation(session, prefix)
    installation.make_topics()
    if count:
        session.tell(f"idle: writing {count:,} conversations to the changelog")
        _, sample = records_of(session, session.scale(2_000, 200))
        fill(session.bootstrap, installation.names.state, _open(sample, count))
    worker = installation.start()
    worker.wait_ready()
    seconds = session.scale(SECONDS, 4)
    session.tell(f"idle: {seconds} s with {count:,} conversations")
    time.sleep(session.scale(SETTLE_S, 2))
    begun, before = time.monotonic(), _cpu_s(worker)
    time.sleep(seconds)
    spent, whole = _cpu_s(worker) - before, time.monotonic() - begun
    worker.check()
    worker.stop()
    return figure.row(100 * spent / whole, f"{spent:.2f} s of CPU in {whole:.0f} s, {count:,} conversations")


def _open(sample: Sequence[bytes], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield the records of so many conversations of a moment ago in which nobody owes a word."""
    now = WallClock().now_ms()
    for number in range(count):
        name = f"idle-{number:08d}"
        state = states.decode(renamed(sample[number % len(sample)], name))
        state.opened_at = state.last_at = now
        state.running, state.paused = [], []
        state.applied = [-1, -1, -1]
        yield name, states.encode(state)


def _cpu_s(worker: Worker) -> float:
    found = process(worker.process.pid)
    if not found:
        raise WorkerFailedError("the worker has gone")
    return found["cpu_s"]
