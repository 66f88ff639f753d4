"""One soak: everything is started, looked at every few seconds, ended, and judged."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from stream.bench.installation import Installation, Worker
from stream.bench.session import Session
from stream.bench.soak import chart, samples, verdict
from stream.bench.soak.accounts import Accounts, Receiver
from stream.bench.soak.load import Progress
from stream.bench.soak.oracle import Expected
from stream.bench.soak.samples import Lags, Sample, Table
from stream.bench.soak.verdict import Line
from stream.bench.statistics import percentile
from stream.runtime.clock import WallClock

RATE: Final = 1_000
SAMPLE_S: Final = 5.0

WARM_UP_S: Final = 720.0
"""The longest chat takes seven minutes at this pace, and is forgotten one later; the allocator settles."""
WARM_UP_SHARE: Final = 1 / 3
"""Of a soak too short for that, or ended early."""

LAG_S: Final = 10.0
"""How many seconds' records the group may be behind: what a compaction or another process's minute costs
on two cores."""

SETTLE_S: Final = 15.0
"""After the last message alerts of clocks go on; those that come due within this are waited for."""
PATIENCE_S: Final = 60.0
"""How long nothing may move, in oracle and worker both, before what was due by then is given up."""

LOOK_S: Final = 0.5

END_S: Final = 20.0
"""A process that was told to end has this long for it."""

TIMES: Final = {
    "idle_close": "60s",
    "keep_after_close": "20s",
    "keep_owed": "60s",
    "reopen_window": "60s",
}
"""Short, so that the level is reached in minutes. Longer than any pause of a chat here (15 s)."""

RETENTION: Final = {"retention_ms": "1800000", "segment_bytes": "67108864"}
"""Half an hour of the log: the oracle reads along, and an hour's would be gigabytes."""

PANELS: Final = (
    chart.Panel("memory of the worker, MiB", {"pss": "PSS", "rss": "RSS"}, verdict.MIB),
    chart.Panel("records not committed, whole group", {"lag": "lag"}),
    chart.Panel(
        "tasks, descriptors, threads", {"tasks": "tasks", "fds": "descriptors", "threads": "threads"}
    ),
    chart.Panel("held", {"conversations": "conversations", "customers": "customers"}),
    chart.Panel(
        "bytes of records held, MiB",
        {"state_bytes": "conversations", "customer_bytes": "customers"},
        verdict.MIB,
    ),
    chart.Panel("an alert's age when it came, seconds", {"late_p50_s": "p50", "late_p99_s": "p99"}),
    chart.Panel("memory beside it, MiB", {"load_rss": "sender", "observer_rss": "observer"}, verdict.MIB),
)


@dataclass
class Soak:
    """One soak of so many seconds of load. ``stopping`` ends it early; what was found is judged then."""

    session: Session
    folder: Path
    seconds: float
    rate: int = RATE
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    samples: list[Sample] = field(default_factory=list)
    accounts: Accounts = field(default_factory=Accounts)
    _progress: Progress = field(default_factory=lambda: Progress(0, 0, 0, 0.0, 0))
    _sent: asyncio.Event = field(default_factory=asyncio.Event)
    _expected: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def warm_s(self) -> float:
        """How much of the beginning is not judged."""
        seen = self.samples[-1]["second"] if self.samples else 0.0
        return min(WARM_UP_S, seen * WARM_UP_SHARE)

    async def run(self) -> list[Line]:
        """Do it; leave `soak.csv`, `soak.svg` and `soak.md` in the folder; return the verdict.

        Raises:
            stream.bench.installation.WorkerFailedError: The worker ended by itself.
        """
        receiver = Receiver(self.accounts)
        async with receiver.listening() as hook:
            installation = await asyncio.to_thread(self._install, hook)
            worker = installation.start()
            try:
                await asyncio.to_thread(worker.wait_ready)
                async with self._oracle(installation) as oracle:
                    async with self._load(installation) as load:
                        await self._watch(installation, worker, receiver, load.pid)
                        if self.stopping.is_set():
                            load.terminate()
                    until = WallClock().now_ms() + round(SETTLE_S * 1000)
                    await self._settle(oracle, until)
                worker.check()
            finally:
                await asyncio.to_thread(worker.stop)
        return self._judge(until)

    def _install(self, hook: str) -> Installation:
        installation = Installation(
            self.session,
            "soak.",
            hook,
            program="stream.bench.soak.worker",
            sections={"conversation": TIMES},
        )
        installation.make_topics(**RETENTION)
        return installation

    @asynccontextmanager
    async def _child(
        self, module: str, *arguments: str, hear: Callable[[bytes], None]
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a module beside, in a group of its own; ``hear`` gets each line it prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        reading = asyncio.create_task(_lines(process, hear))
        try:
            yield process
            async with asyncio.timeout(END_S):
                await reading
                await process.wait()
        except TimeoutError:
            pass  # it is ended below
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            reading.cancel()

    def _load(self, installation: Installation) -> Any:
        def hear(line: bytes) -> None:
            self._progress = msgspec.json.decode(line, type=Progress)
            if self._progress.ended:
                self._sent.set()

        options = {
            "bootstrap": installation.bootstrap,
            "topic": installation.names.messages,
            "rate": self.rate,
            "seconds": self.seconds,
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        return self._child("stream.bench.soak.load", *arguments, hear=hear)

    def _oracle(self, installation: Installation) -> Any:
        def hear(line: bytes) -> None:
            one = msgspec.json.decode(line, type=Expected)
            if one.ended:
                self._expected.set()
            else:
                self.accounts.expect(one.alert_id, one.at)

        return self._child("stream.bench.soak.oracle", "--config", str(installation.config()), hear=hear)

    # Watching -----------------------------------------------------------------------------------------------

    async def _watch(self, installation: Installation, worker: Worker, receiver: Receiver, load: int) -> None:
        """Look every few seconds until all is sent, or somebody asks to stop."""
        topics = {one.name: one.partitions for one in installation.topics() if _is_read(one.name)}
        lags = await asyncio.to_thread(Lags, installation.bootstrap, installation.group, topics)
        begun = time.monotonic()
        try:
            with (self.folder / "soak.csv").open("w", encoding="utf-8") as file:
                table = Table(file, [*samples.OWN, *lags.columns])
                while not (self._sent.is_set() or self.stopping.is_set()):
                    await self._pause(begun + SAMPLE_S * len(self.samples))
                    worker.check()
                    sample = {"second": time.monotonic() - begun}
                    sample |= await asyncio.to_thread(_look, installation.metrics_port, worker, lags)
                    sample |= self._own(receiver, load)
                    self.samples.append(sample)
                    table.add(sample)
                    self._tell(sample)
        finally:
            await asyncio.to_thread(lags.close)

    async def _pause(self, until: float) -> None:
        """Wait for a moment, for the end of the load, or for being stopped."""
        waiting = [asyncio.create_task(one.wait()) for one in (self._sent, self.stopping)]
        await asyncio.wait(
            waiting, timeout=max(0.0, until - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
        )
        for one in waiting:
            one.cancel()

    def _own(self, receiver: Receiver, load: int) -> Sample:
        """What is known without asking anybody else."""
        late = receiver.take_lateness()
        progress, accounts = self._progress, self.accounts
        sample = {
            "messages": float(progress.messages),
            "behind_s": progress.behind_s,
            "alerts_due": float(len(accounts.expected)),
            "alerts_matched": float(accounts.matched),
        }
        if late:
            sample |= {"late_p50_s": percentile(late, 0.5), "late_p99_s": percentile(late, 0.99)}
        for column, pid in (("load_rss", load), ("observer_rss", os.getpid())):
            if (of_process := samples.process(pid)) and "rss" in of_process:
                sample[column] = of_process["rss"]
        return sample

    def _tell(self, sample: Sample) -> None:
        self.session.tell(
            f"soak: {sample['second'] / 60:.1f} min, {sample['messages']:,.0f} messages, "
            f"{sample.get('pss', 0) / verdict.MIB:.0f} MiB, lag {sample.get('lag', -1):,.0f}, "
            f"{sample['alerts_matched']:,.0f} alerts, {sample.get('conversations', 0):,.0f} conversations"
        )

    # The end ------------------------------------------------------------------------------------------------

    async def _settle(self, oracle: asyncio.subprocess.Process, until: int) -> None:
        """Wait until all that was due by ``until`` was named and received, or nothing moves any more."""
        self.session.tell("soak: waiting for the last alerts")
        await asyncio.sleep(max(0.0, until - WallClock().now_ms()) / 1000)
        assert oracle.stdin is not None
        oracle.stdin.write(f"{until}\n".encode())
        await oracle.stdin.drain()
        seen, moved_at = (-1, -1), time.monotonic()
        while time.monotonic() - moved_at < PATIENCE_S:
            await asyncio.sleep(LOOK_S)
            if self._expected.is_set() and not self.accounts.expected:
                return
            now = self.accounts.matched, len(self.accounts.expected)
            if now != seen:
                seen, moved_at = now, time.monotonic()

    def _judge(self, until: int) -> list[Line]:
        accounts = self.accounts
        alerts = {
            "matched": accounts.matched,
            "missing": len(accounts.expected),
            "unfounded": len(accounts.unfounded(until)),
            "told too soon and taken back": accounts.taken_back(until),
        }
        lines = verdict.judge(self.samples, self.warm_s, LAG_S * self.rate, alerts)
        if not self._expected.is_set():
            lines.append(Line(False, "the core did not get to the end of the log"))
        if self._progress.failed:
            lines.append(Line(False, f"{self._progress.failed} records were not taken by the broker"))
        (self.folder / "soak.svg").write_text(chart.draw(PANELS, self.samples, self.warm_s), "utf-8")
        (self.folder / "soak.md").write_text(self._text(lines), "utf-8")
        return lines

    def _text(self, lines: list[Line]) -> str:
        minutes = self.samples[-1]["second"] / 60 if self.samples else 0.0
        early = ", ended early" if self.stopping.is_set() else ""
        marks = {True: "held", False: "MISSED", None: "–"}
        return "\n".join(
            [
                f"# A soak of {minutes:.1f} minutes at {self.rate:,} messages/s{early}",
                "",
                f"Judged is what was seen after the first {self.warm_s / 60:.1f} minutes.",
                "",
                *(f"- {marks[line.held]}: {line.text}" for line in lines),
                "",
            ]
        )


def _is_read(topic: str) -> bool:
    """Whether the group reads this topic; the others have no lag."""
    read = (".messages", ".timers", ".control", ".contacts", ".alerts")
    return topic.endswith(read) or ".notify." in topic


def _look(port: int, worker: Worker, lags: Lags) -> Sample:
    return samples.process(worker.process.pid) | samples.account(port) | lags.read()


async def _lines(process: asyncio.subprocess.Process, hear: Callable[[bytes], None]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        hear(line)
