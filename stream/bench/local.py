"""The embedded runtime behind its HTTP door: `yanshao up` as a process, events by POST, 202 once durable.

Eight senders, each waiting for its answer before it sends again, so nothing is lost in a queue that the
figure does not see. Two sizes of request: a gateway's, fifty events, and a simple hook's, one event.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import aiohttp
import yaml

from stream.bench.figures import Figure, Row, at_least
from stream.bench.session import Session, end
from stream.bench.statistics import Rounds
from stream.bench.workload import Pace, traffic
from stream.runtime.clock import WallClock

BATCHED = Figure(
    "local.events", "events/s", "local runtime over HTTP, durable, 50 a request", at_least(2_000)
)
SINGLE = Figure("local.events_single", "events/s", "the same with one event a request")
FIGURES = (BATCHED, SINGLE)

SENDERS: Final = 8
ROUNDS: Final = 3
START_PATIENCE_S: Final = 60.0


def measure(session: Session) -> list[Row]:
    """Return events a second, best of several rounds on one running system."""
    rounds = session.scale(ROUNDS, 1)
    batched: list[float] = []
    single: list[float] = []
    session.tell("local: starting")
    with _up(session) as (url, token):
        for number in range(rounds):
            session.tell(f"local: round {number + 1} of {rounds}")
            pace = Pace(WallClock().now_ms() - 30_000, 0.02)
            size = session.scale(24_000, 3_000)
            records = traffic(session.day, size, concurrent=500, pace=pace, seed=100 + number).records
            # Conversation names are a round's own: the same ones again would be duplicates.
            named = [raw.replace(b'"c-', f'"r{number}-'.encode()) for raw in records]
            few = session.scale(6_000, 600)
            single.append(asyncio.run(_post(url, token, [[raw] for raw in named[:few]])))
            rest = named[few:]
            batched.append(
                asyncio.run(_post(url, token, [rest[at : at + 50] for at in range(0, len(rest), 50)]))
            )
    return [
        BATCHED.row(max(batched), str(Rounds(tuple(batched)))),
        SINGLE.row(max(single), str(Rounds(tuple(single)))),
    ]


async def _post(url: str, token: str, requests: list[list[bytes]]) -> float:
    """Send the requests in order, ``SENDERS`` at a time; return events a second."""
    waiting = deque(b"\n".join(events) for events in requests)
    events = sum(map(len, requests))
    headers = {"Authorization": f"Bearer {token}"}

    async def sender(client: aiohttp.ClientSession) -> None:
        while waiting:
            async with client.post(url, data=waiting.popleft(), headers=headers) as answer:
                if answer.status != 202:
                    raise RuntimeError(f"the door answered {answer.status}")

    async with aiohttp.ClientSession() as client:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(sender(client))
        return events / (time.perf_counter() - begun)


@contextmanager
def _up(session: Session) -> Iterator[tuple[str, str]]:
    """Run `yanshao up` on a store of its own; yield where it takes events, and its token."""
    folder = session.folder / "local"
    folder.mkdir()
    config = folder / "yanshao.yaml"
    content = {
        "data_dir": str(folder / "data"),
        "listen": {"port": 0, "metrics_port": 0},
        "alerts": {"default_receivers": []},
    }
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    output = folder / "up.log"
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", "stream.cli", "--config", str(config), "up"],
            stdout=log,
            stderr=log,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("YANSHAO_")},
        )
    try:
        url = _address(output, process)
        yield url, (folder / "data" / "token").read_text(encoding="ascii").strip()
    finally:
        end(process)


def _address(output: Path, process: subprocess.Popen[str]) -> str:
    """Return the address that the banner names, as soon as it does."""
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        for line in output.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if words[:2] == ["events", "POST"]:
                return words[2]
        time.sleep(0.05)
    raise RuntimeError(f"`yanshao up` did not start: {output.read_text(encoding='utf-8')[-500:]}")
