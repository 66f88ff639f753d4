"""A round on the Kafka runtime: workers, broker and network under fire, a sender that waits, the verdict."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

from aiokafka import AIOKafkaProducer
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from stream import wire
from stream.core.outputs import Finding
from stream.runtime.broker import LocalBroker
from stream.runtime.conversations import Knowledge
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.recovery import SNAPSHOTS
from stream.runtime.kafka.worker import Driver
from tests.chaos.driver.faults import Storm, Strike, settled, stand_still
from tests.chaos.driver.hook import IN_FLIGHT, Hook
from tests.chaos.driver.judge import CameOut, Oracle, Verdict, judge
from tests.chaos.driver.load import Load
from tests.chaos.driver.proxy import Proxy
from tests.chaos.test_kafka_chaos import Supervisor
from tests.integration.kafkasystem import RUN, Installation, now_ms

RUN_MUTATED = "from tests.chaos.driver.mutations import install\ninstall()\n" + RUN

FAULTS = ("hold and kill", "kill", "stop", "stop past the session", "broker", "join", "cut")

PARTITIONS = 6
"""Three for each of two workers, so that a third gets some: of four, Faust leaves two to each and it none."""

SESSION_S = 6
"""Of the workers' session: a round has time for one that runs out."""

PATIENCE_S = 90.0
"""How long nothing may move before what must still come is given up."""

DELAY_MS = 8
"""What is written is on its way so long at most: several batches are under way whenever a fault strikes."""

SNAPSHOTS_EVERY = "1s"
"""Of a worker: a fault finds a file that is new, old, or just being written."""

LOST_DISKS = 0.3
"""Of the kills."""

KILLED = -9
FORESEEN = {KILLED, Exit.STALLED, Exit.LOOP_BLOCKED, Exit.RECOVERY, Exit.FENCED, Exit.BROKER, Exit.OVERDUE}
"""Ways for a worker to end under fire; its supervisor starts it again."""

ZOMBIE_REPEATS = 60
"""What a worker that was stopped past its session may send again before it hears that others took over."""


class Sender(threading.Thread):
    """Sends a load at its moments, once; what a dead broker holds up goes out when it is back."""

    def __init__(self, system: Installation, load: Load) -> None:
        super().__init__(daemon=True)
        self.failed: BaseException | None = None
        self._system = system
        self._load = load

    def run(self) -> None:
        try:
            asyncio.run(self._send())
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            self.failed = error

    async def _send(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._system.bootstrap,
            request_timeout_ms=int(PATIENCE_S * 1_000),
            enable_idempotence=True,
            linger_ms=5,
        )
        await producer.start()
        confirmations = []
        for event in self._load.events:
            if (ahead := event.at + self._load.begun - now_ms()) > 0:
                await asyncio.sleep(ahead / 1_000)
            topic = self._system.names.messages
            confirmations.append(await producer.send(topic, event.raw(), key=event.key.encode()))
        await asyncio.gather(*confirmations)
        await producer.stop()


def installed(folder: Path, bootstrap: str, proxy: Proxy, hook: Hook) -> Installation:
    """Return an installation with its topics, whose workers connect by the proxy."""
    system = Installation(
        bootstrap,
        "mixed.",
        folder,
        partitions=PARTITIONS,
        hook=hook.url,
        kafka={
            "bootstrap": proxy.address,
            "session_timeout": f"{SESSION_S}s",
            "snapshot_interval": SNAPSHOTS_EVERY,
        },
        settings_of={"packs": [str(folder / "packs")]},
        run=RUN_MUTATED,
    )
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        system.make_topics(admin)
    return system


class KafkaRound:
    """One round on a broker behind a proxy; workers reach it through that, the test does not."""

    def __init__(
        self,
        system: Installation,
        broker: LocalBroker,
        proxy: Proxy,
        hook: Hook,
        seed: int,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._system = system
        self._broker = broker
        self._proxy = proxy
        self._hook = hook
        self._patience_s = patience_s
        self._chance = Random(f"moments {seed}")
        self._workers: list[Supervisor] = []
        self._watching: list[asyncio.Task[None]] = []
        self._zombies = 0
        self._rebalances = 0
        proxy.delay_s = self._chance.uniform(0, DELAY_MS) / 1_000

    @property
    def deaths(self) -> list[int]:
        """How each life of a worker ended that was not the last."""
        return [code for one in self._workers for code in one.codes]

    def _start_worker(self) -> Supervisor:
        worker = Supervisor(self._system, f"w{len(self._workers)}", Driver.WALL)
        self._workers.append(worker)
        self._watching.append(asyncio.create_task(worker.run()))
        return worker

    async def _hold_and_kill(self) -> None:
        """Let nothing through that is written; kill a worker when it has had the time to commit."""
        self._proxy.hold(2.0)
        await asyncio.sleep(self._chance.uniform(0.6, 1.2))
        self._victim().process.kill()

    async def _kill(self) -> None:
        """Kill a worker, now and then its disk with it."""
        victim = self._victim().process
        victim.kill()
        if self._chance.random() < LOST_DISKS:
            snapshots = self._system.directory / victim.name / SNAPSHOTS
            await asyncio.to_thread(shutil.rmtree, snapshots, ignore_errors=True)

    def _victim(self) -> Supervisor:
        return self._chance.choice(self._workers[:2])

    async def _stop(self, shortest: float, longest: float) -> None:
        victim = self._victim()
        await stand_still(victim.process.signal, self._chance.uniform(shortest, longest) * SESSION_S)

    async def _outlive_session(self) -> None:
        self._zombies += 1
        await self._stop(1.15, 1.5)

    async def _restart_broker(self) -> None:
        await asyncio.to_thread(self._broker.kill)
        await asyncio.to_thread(self._broker.start)

    async def _join(self) -> None:
        guest = self._start_worker()
        self._rebalances += 2
        owns = await settled(lambda: "recovered" in guest.process.text(), PATIENCE_S)
        assert owns, "the worker that joined got no partition"
        await asyncio.sleep(self._chance.uniform(0.5, 2))
        await asyncio.to_thread(guest.stop)

    async def _cut(self) -> None:
        self._proxy.cut()

    def storm(self) -> Storm:
        """What can happen to it."""
        does = {
            "hold and kill": self._hold_and_kill,
            "kill": self._kill,
            "stop": lambda: self._stop(0.1, 0.6),
            "stop past the session": self._outlive_session,
            "broker": self._restart_broker,
            "join": self._join,
            "cut": self._cut,
        }
        return Storm(self._hook, does)

    async def start(self) -> None:
        """Start two workers; both are ready when it returns."""
        for _ in range(2):
            self._start_worker()
        ready = await settled(
            lambda: all("recovered" in one.process.text() for one in self._workers), PATIENCE_S
        )
        assert ready, "the workers do not come up"

    async def run(self, known: Knowledge, load: Load, planned: Sequence[Strike]) -> Verdict:
        """Let the storm rage over the load; return the verdict once all is quiet or patience ends."""
        sender = Sender(self._system, load)
        sender.start()
        await asyncio.sleep(max(0.0, (load.begun - now_ms()) / 1_000))
        await self.storm().rage(planned)
        await asyncio.to_thread(sender.join, PATIENCE_S)
        assert sender.failed is None, sender.failed
        await asyncio.sleep(max(0.0, (load.settled_at - now_ms()) / 1_000))
        oracle = await asyncio.to_thread(self._oracle, known, load)
        await self._quiet(oracle)
        codes = [await asyncio.to_thread(one.stop) for one in self._workers]
        for task in self._watching:
            task.cancel()
        ends = len(self.deaths) + self._rebalances + 2 * self._zombies
        allowed = IN_FLIGHT * (ends + 1) + ZOMBIE_REPEATS * self._zombies
        verdict = await asyncio.to_thread(lambda: judge(load, oracle, self._came_out(), self._hook, allowed))
        # One that was killed last may be asked to end before it has come up, and one that was stopped past
        # its session before it has heard that others took over.
        fine = {Exit.OK, -signal.SIGTERM} | ({Exit.FENCED} if self._zombies else set())
        verdict.wrong("exit codes", set(codes) - fine)
        verdict.wrong("ways to end that nobody foresaw", set(self.deaths) - FORESEEN)
        return verdict

    def _oracle(self, known: Knowledge, load: Load) -> Oracle:
        log: dict[int | None, list[tuple[int, bytes]]] = defaultdict(list)
        for record in self._system.read(self._system.names.messages):
            log[record.partition].append((record.offset, record.value))
        return Oracle.of(known, log, load.settled_at)

    async def _quiet(self, oracle: Oracle) -> None:
        with KafkaAdminClient(bootstrap_servers=self._system.bootstrap) as admin:
            left = 0

            def read() -> bool:
                nonlocal left
                left = self._unread(admin)
                return left == 0

            def moves() -> object:
                return left, len(self._hook.ids)

            await settled(read, self._patience_s, moves)
            await settled(lambda: oracle.alerts <= self._hook.alerts(), self._patience_s, moves)
            await settled(read, self._patience_s, moves)

    def _unread(self, admin: KafkaAdminClient) -> int:
        """Return how many records that somebody must read are not committed yet."""
        names = self._system.names
        sources = (names.messages, names.timers, names.alerts)
        places = [TopicPartition(topic, n) for topic in sources for n in range(PARTITIONS)]
        places.append(TopicPartition(names.notify("hook"), 0))
        consumer = KafkaConsumer(bootstrap_servers=self._system.bootstrap)
        try:
            ends = consumer.end_offsets(places)
        finally:
            consumer.close()
        committed = self._system.committed(admin)
        return sum(end - committed.get((place.topic, place.partition), 0) for place, end in ends.items())

    def _came_out(self) -> CameOut:
        system, names = self._system, self._system.names
        dead = Counter(
            tuple(dict(record.headers)[name] for name in ("topic", "partition", "offset"))
            for record in system.read(names.dlq, 1)
        )
        return CameOut(
            findings=[wire.read(Finding, record.value) for record in system.read(names.findings)],
            alerts=[json.loads(record.value) for record in system.read(names.alerts)],
            summaries=[json.loads(record.value) for record in system.read(names.conversations)],
            states=system.states(),
            refused=len(dead),
        )
