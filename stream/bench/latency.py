"""From a message to the webhook: open loop, a real HTTP receiver, the worker with all its roles.

A hundred, a thousand and three thousand messages a second, one after the other on one worker. The last may
be more than two shared cores can do: then its latencies are those of overload, and what counts is that
memory stays bounded and how soon all is as before.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

from stream.bench.figures import Budget, Figure, Row, at_most
from stream.bench.flow import Flow, Phase, arrived, flowing, latencies
from stream.bench.installation import Installation, Worker, WorkerFailedError
from stream.bench.session import Session
from stream.bench.webhooks import Receiver

PATIENCE_S: Final = 20.0
"""How long no alert may come before those that are due count as missing."""

SAMPLE_S: Final = 0.5


class Rate(NamedTuple):
    """Messages a second, for how long, and the figures: p50, p99, max."""

    rate: int
    seconds: int
    figures: tuple[Figure, Figure, Figure]


def _figures(rate: int, suffix: str, budget: Budget | None = None) -> tuple[Figure, Figure, Figure]:
    about = f"message to webhook at {rate:,}/s, open loop"
    return (
        Figure(f"latency.p50{suffix}", "ms", about),
        Figure(f"latency.p99{suffix}", "ms", about, budget),
        Figure(f"latency.max{suffix}", "ms", about),
    )


RATES: Final = (
    Rate(100, 30, _figures(100, "_100")),
    Rate(1_000, 30, _figures(1_000, "", at_most(250))),
    Rate(3_000, 20, _figures(3_000, "_3000")),
)
DONE = Figure("latency.done_3000", "messages/s", "worked off while 3,000/s came in")
MEMORY = Figure("latency.memory_3000", "MiB", "the worker's most, meanwhile and until all was worked off")
RECOVERED = Figure("latency.recovered_3000", "s", "from the end of 3,000/s until nothing waits any more")
FIGURES = (*(figure for rate in RATES for figure in rate.figures), DONE, MEMORY, RECOVERED)
_SHARES: Final = (0.5, 0.99, 1.0)


def measure(session: Session) -> list[Row]:
    """Return the latencies of one run of some length at each rate."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    try:
        return asyncio.run(_run(session))
    except WorkerFailedError as error:
        return [figure.unmeasured(str(error)) for figure in FIGURES]


async def _run(session: Session) -> list[Row]:
    receiver = Receiver()
    phases = [Phase(f"at-{one.rate}", one.rate, session.scale(one.seconds, 3)) for one in RATES]
    most = sum(phase.total for phase in phases)
    rows: list[Row] = []
    async with receiver.listening() as hook:
        installation = Installation(session, "latency.", hook)
        installation.make_topics()
        worker = installation.start()
        try:
            await asyncio.to_thread(worker.wait_ready)
            async with flowing(session, session.bootstrap, installation.names.messages, most) as flow:
                await flow.warm_up(receiver)
                for one, phase in zip(RATES, phases, strict=True):
                    session.tell(f"latency: {phase.seconds:g} s at {one.rate:,} messages/s")
                    watch = _Watch(installation, worker)
                    rows += await _phase(flow, receiver, one, phase, watch)
                rows += watch.rows()
            worker.check()
        finally:
            await asyncio.to_thread(worker.stop)
    return rows


async def _phase(flow: Flow, receiver: Receiver, one: Rate, phase: Phase, watch: _Watch) -> list[Row]:
    watching = asyncio.create_task(watch.run())
    try:
        await watch.begin()
        requests = receiver.requests
        planned = await flow.send(phase)
        await watch.load_ended()
        await arrived(receiver, planned, PATIENCE_S)
        await watch.until_worked_off()
    finally:
        watching.cancel()
    found = latencies(receiver, planned)
    how = (
        f"{len(planned):,} alerts timed, {found.missing} missing, "
        f"{receiver.requests - requests:,} webhooks, {watch.told()}"
    )
    return [figure.row(found.at(share), how) for figure, share in zip(one.figures, _SHARES, strict=True)]


class _Watch:
    """What the worker does and weighs during a phase and after."""

    def __init__(self, installation: Installation, worker: Worker) -> None:
        self._installation = installation
        self._worker = worker
        self._memory = 0.0
        self._begun = (0.0, 0)
        self._ended = (0.0, 0)
        self._recovered_s = 0.0

    async def run(self) -> None:
        """Weigh the worker all the while."""
        while True:
            self._memory = max(self._memory, self._worker.memory_mib())
            await asyncio.sleep(SAMPLE_S)

    async def begin(self) -> None:
        """Note where it begins."""
        self._begun = (time.monotonic(), await asyncio.to_thread(self._installation.done))

    async def load_ended(self) -> None:
        """Note how far it came while messages came in."""
        self._ended = (time.monotonic(), await asyncio.to_thread(self._installation.done))

    async def until_worked_off(self) -> None:
        """Wait until nothing moves any more: all that was sent is committed."""
        self._recovered_s = await self._installation.worked_off() - self._ended[0]

    def told(self) -> str:
        """Say how fast it was."""
        return f"{self._rate():,.0f} messages/s worked off meanwhile"

    def rows(self) -> list[Row]:
        """Return the figures of the last phase."""
        how = "more than it can do" if self._recovered_s > 2.0 else "it kept up"
        return [
            DONE.row(self._rate(), how),
            MEMORY.row(self._memory, "resident"),
            RECOVERED.row(self._recovered_s, "to the last commit of chat.messages; commits lie 0.5 s apart"),
        ]

    def _rate(self) -> float:
        (begun, before), (ended, after) = self._begun, self._ended
        return (after - before) / (ended - begun)
