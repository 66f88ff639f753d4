"""A round on the embedded runtime: its process under fire, a sender that comes again, the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp

from stream import wire
from stream.core.outputs import Finding
from stream.runtime.conversations import Knowledge
from tests.chaos.driver.faults import Storm, Strike, fill_disk, settled, stand_still
from tests.chaos.driver.hook import IN_FLIGHT, Hook
from tests.chaos.driver.judge import CameOut, Oracle, Verdict, judge
from tests.chaos.driver.load import Event, Load
from tests.integration.localsystem import HEADERS, Up, config, now_ms, query, records

FAULTS = ("kill", "kill amid", "kill again", "stop", "disk full")

MOST = 50
"""Events a request."""

AMID_S = 1.0
"""Within this a request begins, while there is anything to send: there are twenty a second."""

PATIENCE_S = 90.0
"""How long nothing may move before what must still come is given up."""


@dataclass
class Sender:
    """Sends a load at its moments, one request after another; what was not taken is sent again."""

    address: str | None = None
    accepted: list[bytes] = field(default_factory=list)
    refused: int = 0
    repeats: int = 0
    under_way: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, load: Load) -> None:
        waiting = load.events
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            while waiting:
                now = now_ms() - load.begun
                ready = next((n for n, one in enumerate(waiting) if one.at > now), len(waiting))
                if not ready:
                    await asyncio.sleep(0.01)
                    continue
                batch, waiting = waiting[: min(ready, MOST)], waiting[min(ready, MOST) :]
                while (refused := await self._post(session, batch)) is None:
                    self.repeats += 1
                    await asyncio.sleep(0.05)
                self.refused += len(refused)
                self.accepted += [one.raw() for n, one in enumerate(batch) if n not in refused]

    async def _post(self, session: aiohttp.ClientSession, batch: Sequence[Event]) -> set[int] | None:
        """Return the places of what was refused for good, or None where all of it must be sent again."""
        if self.address is None:
            return None
        body = b"\n".join(one.raw() for one in batch)
        self.under_way.set()
        try:
            async with session.post(self.address, data=body) as response:
                if response.status not in (202, 400):
                    return None
                return {one["index"] for one in (await response.json())["refused"]}
        except (aiohttp.ClientError, TimeoutError):
            return None
        finally:
            self.under_way.clear()


class LocalRound:
    """One round in a folder of its own."""

    def __init__(
        self, folder: Path, hook: Hook, packs: Path, seed: int, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._path = config(folder, hook=hook.url, packs=packs)
        self._data = folder / "data"
        self._hook = hook
        self._sender = Sender()
        self._chance = Random(f"moments {seed}")
        self._patience_s = patience_s
        self._up = self._start()
        self.deaths = 0

    def _start(self) -> Up:
        return Up(self._path, ("-m", "tests.chaos.driver.child"))

    async def _kill(self, amid: bool) -> None:
        """Kill it, and start it again; amid a request where `amid`."""
        if amid:
            with suppress(TimeoutError):  # all may have been sent on a machine that is slow to start it
                async with asyncio.timeout(AMID_S):
                    await self._sender.under_way.wait()
            await asyncio.sleep(self._chance.uniform(0.0, 0.012))
        self._sender.address = None
        self._up.kill()
        self.deaths += 1
        self._up = self._start()
        self._sender.address = await self._up.events()

    async def _kill_twice(self) -> None:
        """Kill it while it takes up what it left."""
        await self._kill(amid=True)
        await asyncio.sleep(self._chance.uniform(0.0, 0.5))
        await self._kill(amid=False)

    def storm(self) -> Storm:
        """What can happen to it."""
        chance = self._chance
        return Storm(
            self._hook,
            {
                "kill": lambda: self._kill(amid=False),
                "kill amid": lambda: self._kill(amid=True),
                "kill again": self._kill_twice,
                "stop": lambda: stand_still(self._up.process.send_signal, chance.uniform(0.5, 3)),
                "disk full": lambda: fill_disk(self._up.process.pid, self._data, chance.uniform(1, 3)),
            },
        )

    async def start(self) -> None:
        """Return once it can be sent to."""
        self._sender.address = await self._up.events()

    async def run(self, known: Knowledge, load: Load, planned: Sequence[Strike]) -> Verdict:
        """Let the storm rage over the load; return the verdict once all is quiet or patience ends."""
        storm = self.storm()
        sending: asyncio.Task[None] | None = None
        try:
            sending = asyncio.create_task(self._sender.run(load))
            await storm.rage(planned)
            async with asyncio.timeout(PATIENCE_S):
                await sending
            await asyncio.sleep(max(0.0, (load.settled_at - now_ms()) / 1_000))
            log: dict[int | None, list[tuple[int, bytes]]] = {
                None: [(-1, raw) for raw in self._sender.accepted]
            }
            oracle = await asyncio.to_thread(Oracle.of, known, log, load.settled_at)
            await settled(
                lambda: oracle.alerts <= self._hook.alerts(), self._patience_s, lambda: len(self._hook.ids)
            )
            code = self._up.stop()
        finally:
            if sending is not None:
                sending.cancel()
            if self._up.process.poll() is None:
                self._up.kill()
        verdict = judge(load, oracle, self._came_out(), self._hook, IN_FLIGHT * self.deaths)
        if code:
            verdict.problems.append(f"exit code {code}")
        return verdict

    def _came_out(self) -> CameOut:
        bodies = query(self._data, "SELECT body FROM records WHERE kind = 'finding' ORDER BY seq")
        return CameOut(
            findings=[wire.read(Finding, body) for (body,) in bodies],
            alerts=records(self._data, "alert"),
            summaries=records(self._data, "conversation"),
            states=dict(query(self._data, "SELECT id, record FROM conversations")),
            refused=self._sender.refused,
        )
