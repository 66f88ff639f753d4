"""Does one who is slow hold up the others? A conversation everybody writes in, a dead receiver, a backlog.

Each is measured by turns on one worker with all its roles: a stretch without, a stretch with, and again; the
figure is the 99th percentile of the others with it, over that without.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from stream.bench.figures import Figure, Row, at_most
from stream.bench.flow import EVERYWHERE, Flow, Phase, arrived, flowing, latencies
from stream.bench.installation import (
    PARTITIONS,
    Installation,
    Worker,
    WorkerFailedError,
    fill,
    partition_of,
)
from stream.bench.openloop import Latencies
from stream.bench.session import Session
from stream.bench.webhooks import Receiver
from stream.bench.workload import Pace, traffic
from stream.runtime.clock import WallClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RATE: Final = 1_000
SECONDS: Final = 10
TURNS: Final = 3
HOT_SHARE: Final = 0.1
BACKLOG: Final = 50_000
BEHIND: Final = 0
"""The partition that is far behind."""
PATIENCE_S: Final = 20.0
SAMPLE_S: Final = 0.2

RETRY: Final = {"first_delay": "200ms", "longest_delay": "1s"}
"""So that what was owed to a sick receiver is told soon after it is well, and the next turn begins clean."""

HOT = Figure("isolation.hot_key", "×", "others' p99, 10% of all traffic in one conversation", at_most(2))
HANGS = Figure("isolation.receiver_hangs", "×", "one receiver's p99 while another hangs", at_most(2))
REFUSES = Figure("isolation.receiver_refuses", "×", "one receiver's p99 while another refuses", at_most(2))
LATE = Figure("isolation.behind", "×", "others' p99, one partition 50,000 records behind")
CATCHING_UP = Figure("isolation.behind_seconds", "s", "until those 50,000 records are worked off")
MEMORY = Figure("isolation.behind_memory", "MiB", "what the worker grows by meanwhile", at_most(200))
FIGURES = (HOT, HANGS, REFUSES, LATE, CATCHING_UP, MEMORY)


def measure(session: Session) -> list[Row]:
    """Return how much worse the others fare."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    rows: list[Row] = []
    parts: Sequence[tuple[Callable[[Session], Awaitable[list[Row]]], Sequence[Figure]]] = (
        (_hot_key, (HOT,)),
        (_sick_receiver, (HANGS, REFUSES)),
        (_behind, (LATE, CATCHING_UP, MEMORY)),
    )
    for part, figures in parts:
        try:
            rows += asyncio.run(part(session))  # type: ignore[arg-type]
        except WorkerFailedError as error:
            rows += [figure.unmeasured(str(error)) for figure in figures]
    return rows


@asynccontextmanager
async def _running(
    session: Session, prefix: str, receivers: dict[str, Receiver], most: int
) -> AsyncIterator[tuple[Installation, Worker, Flow]]:
    """Yield a worker that tells every alert to each of the receivers, and a flow into its topic."""
    async with AsyncExitStack() as stack:
        hooks = {name: await stack.enter_async_context(one.listening()) for name, one in receivers.items()}
        installation = Installation(session, prefix, sections={"alerts": _alerts(hooks)})
        installation.make_topics()
        worker = installation.start()
        stack.push_async_callback(asyncio.to_thread, worker.stop)
        await asyncio.to_thread(worker.wait_ready)
        topic = installation.names.messages
        flow = await stack.enter_async_context(flowing(session, session.bootstrap, topic, most))
        yield installation, worker, flow
        worker.check()


def _alerts(hooks: dict[str, str]) -> dict[str, Any]:
    common = {"type": "webhook", "allow_private": True, "max_in_flight": 8, "retry": RETRY}
    return {
        "receivers": {name: {**common, "url": url} for name, url in hooks.items()},
        "default_receivers": sorted(hooks),
    }


async def _stretch(flow: Flow, phase: Phase, receiver: Receiver, installation: Installation) -> Latencies:
    """Send a stretch of load; return the latencies once all is worked off, so that the next begins clean."""
    planned = await flow.send(phase)
    await arrived(receiver, planned, PATIENCE_S)
    await installation.worked_off()
    return latencies(receiver, planned)


# A hot conversation ---------------------------------------------------------------------------------------


async def _hot_key(session: Session) -> list[Row]:
    receiver = Receiver()
    seconds, turns = session.scale(SECONDS, 2), session.scale(TURNS, 1)
    calm: list[Latencies] = []
    hot: list[Latencies] = []
    async with _running(session, "isolation.hot.", {"hook": receiver}, RATE * seconds * turns * 2) as run:
        installation, _, flow = run
        await flow.warm_up(receiver)
        for turn in range(turns):
            session.tell(f"isolation: a hot conversation, turn {turn + 1}")
            for found, share in ((calm, 0.0), (hot, HOT_SHARE)):
                phase = Phase(f"hot-{turn}-{share:g}", RATE, seconds, hot=share)
                found.append(await _stretch(flow, phase, receiver, installation))
    return [ratio(HOT, calm, hot)]


# A dead receiver ------------------------------------------------------------------------------------------


async def _sick_receiver(session: Session) -> list[Row]:
    well, sick = Receiver(), Receiver()
    seconds, turns = session.scale(SECONDS, 2), session.scale(TURNS, 1)
    calm: list[Latencies] = []
    found: dict[str, list[Latencies]] = {"hangs": [], "refuses": []}
    fall = {"hangs": sick.hang, "refuses": sick.refuse}
    most = RATE * seconds * turns * 3
    async with _running(session, "isolation.sick.", {"sick": sick, "well": well}, most) as run:
        installation, _, flow = run
        await flow.warm_up(well)
        for turn in range(turns):
            session.tell(f"isolation: a sick receiver, turn {turn + 1}")
            phase = Phase(f"well-{turn}", RATE, seconds)
            calm.append(await _stretch(flow, phase, well, installation))
            for illness, begin in fall.items():
                await begin()
                phase = Phase(f"{illness}-{turn}", RATE, seconds)
                found[illness].append(await _stretch(flow, phase, well, installation))
                await sick.heal()
                # What the sick one is owed must not burden the next stretch.
                await arrived(sick, dict.fromkeys(well.came, 0.0), 2 * PATIENCE_S)
    return [ratio(HANGS, calm, found["hangs"]), ratio(REFUSES, calm, found["refuses"])]


# A partition far behind -----------------------------------------------------------------------------------


async def _behind(session: Session) -> list[Row]:
    backlog, seconds = session.scale(BACKLOG, 3_000), session.scale(SECONDS * TURNS, 3)
    session.tell(f"isolation: a partition {backlog:,} records behind")
    receiver = Receiver()
    others = EVERYWHERE - {BEHIND}
    async with _running(session, "isolation.behind.", {"hook": receiver}, RATE // 2 * seconds * 3) as run:
        installation, worker, flow = run
        await flow.warm_up(receiver)
        before = worker.memory_mib()
        await asyncio.to_thread(_fall_behind, session, installation, backlog)
        watching = asyncio.create_task(_until_caught_up(installation, worker, backlog))
        # Half the rate: what is left of the worker is to work the backlog off.
        late, calm = [
            await _stretch(flow, Phase(name, RATE // 2, seconds, places=others), receiver, installation)
            for name in ("behind", "caught-up")
        ]
        caught_up_s, most = await watching
    overlap = f"behind for {min(caught_up_s, seconds):.0f} of {seconds} s"
    return [
        ratio(LATE, [calm], [late], overlap),
        CATCHING_UP.row(caught_up_s, f"{backlog:,} records, {RATE // 2:,} messages/s beside them"),
        MEMORY.row(most - before, f"{before:.0f} MiB before, {most:.0f} at the most"),
    ]


def _fall_behind(session: Session, installation: Installation, count: int) -> None:
    """Write so many records of chats to one partition at once."""
    pace = Pace(WallClock().now_ms() - 60_000, 0.001)
    # One conversation in four belongs there; the flow writes in none of those.
    chats = traffic(session.day, PARTITIONS * count, concurrent=500, pace=pace, seed=23)
    rows = [row for row in zip(chats.keys, chats.records, strict=True) if partition_of(row[0]) == BEHIND]
    fill(session.bootstrap, installation.names.messages, rows[:count])


async def _until_caught_up(installation: Installation, worker: Worker, backlog: int) -> tuple[float, float]:
    """Return after how many seconds so many records were worked off, and the worker's most memory, in MiB."""
    begun, most, done = time.monotonic(), 0.0, 0
    while done < backlog and time.monotonic() - begun < 10 * PATIENCE_S:
        most = max(most, worker.memory_mib())
        done = await asyncio.to_thread(installation.done, BEHIND)
        await asyncio.sleep(SAMPLE_S)
    return time.monotonic() - begun, most


# Sums -----------------------------------------------------------------------------------------------------


def ratio(figure: Figure, without: Sequence[Latencies], beside: Sequence[Latencies], more: str = "") -> Row:
    """Return how much worse the others fared, by the 99th percentile of all turns together."""
    calm, worse = _pooled(without), _pooled(beside)
    how = (
        f"p99 {worse.at(0.99):,.0f} ms beside {calm.at(0.99):,.0f} without; p50 {worse.at(0.5):,.0f} and "
        f"{calm.at(0.5):,.0f}; {len(without)} turns, {calm.missing + worse.missing} alerts missing"
    )
    if math.isinf(calm.at(0.99)):
        return figure.unmeasured(f"the load was too much already without it: {how}")
    return figure.row(worse.at(0.99) / calm.at(0.99), f"{how}; {more}" if more else how)


def _pooled(turns: Sequence[Latencies]) -> Latencies:
    seconds = tuple(second for one in turns for second in one.seconds)
    return Latencies(seconds, sum(one.missing for one in turns))
