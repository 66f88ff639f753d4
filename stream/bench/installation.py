"""An installation of the Kafka runtime to measure: topics under a prefix, records in them, a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiokafka
import yaml
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from alerts import config as alerts_config
from stream import settings
from stream.bench.session import Session, end
from stream.runtime import cluster, topics
from stream.runtime.kafka.names import Names

PARTITIONS: Final = 4
"""Few enough for two cores, enough that batches of several partitions are in flight at once."""

READY_PATIENCE_S: Final = 120.0

QUIET_S: Final = 2.0
"""Without a commit for so long, nothing is left to do: commits lie half a second apart."""


class WorkerFailedError(RuntimeError):
    """A process that was to be measured ended by itself, or never began to work."""


def partition_of(key: str) -> int:
    """Return the partition of a key; any settled function will do, as long as everybody has the same."""
    return zlib.crc32(key.encode()) % PARTITIONS


@dataclass
class Installation:
    """One prefix on the bench's broker."""

    session: Session
    prefix: str
    hook: str | None = None
    commit_ms: int = 500  # the setting's default
    program: str = "stream.cli"  # the module that is the worker
    sections: Mapping[str, Any] = field(default_factory=dict)  # of the settings, beside those of `config`

    def __post_init__(self) -> None:
        self.bootstrap = self.session.bootstrap
        self.names = Names(self.prefix)
        self.group = f"{self.prefix}app"
        self.folder = self.session.folder / self.prefix
        self.folder.mkdir()
        self.metrics_port = _free_port()

    def config(self) -> Path:
        """Write the worker's configuration and return its path."""
        alerts: dict[str, Any] = {"default_receivers": []}
        if self.hook is not None:
            hook = {"type": "webhook", "url": self.hook, "allow_private": True, "max_in_flight": 8}
            alerts = {"receivers": {"hook": hook}, "default_receivers": ["hook"]}
        path = self.folder / "yanshao.yaml"
        content = {
            "data_dir": str(self.folder / "data"),
            "listen": {"metrics_port": self.metrics_port, "port": 0},
            "kafka": {
                "bootstrap": self.bootstrap,
                "topic_prefix": self.prefix,
                "app_id": self.group,
                "worker_name": "bench",
                "partitions": PARTITIONS,
                "commit_interval": f"{self.commit_ms}ms",
                "heartbeat_interval": "1s",
            },
            "alerts": alerts,
            **self.sections,
        }
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def make_topics(self, **retained: str) -> None:
        """Make every topic that the worker wants; those that are not compacted with these settings too."""
        with cluster.admin(settings.load(self.config(), env={}).kafka) as admin:
            topics.apply(admin, self.topics(**retained))

    def topics(self, **retained: str) -> list[topics.Topic]:
        """Return the topics that `make_topics` makes; in names of settings, ``_`` stands for the point."""
        loaded = settings.load(self.config(), env={})
        receivers = sorted(alerts_config.parse(loaded.alerts, source=loaded.source).receivers)
        more = {name.replace("_", "."): value for name, value in retained.items()}
        return [
            one
            if one.settings.get("cleanup.policy") == "compact"
            else replace(one, settings={**one.settings, **more})
            for one in cluster.wanted_topics(loaded.kafka, receivers)
        ]

    def done(self, partition: int | None = None) -> int:
        """Return how many records of `chat.messages` the worker has committed, of one partition or in all."""
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            return committed(admin, self.group, self.names.messages, partition)

    async def worked_off(self) -> float:
        """Return when the worker last committed (monotonic seconds), once it commits no more."""
        done, moved_at = -1, time.monotonic()
        while time.monotonic() - moved_at < QUIET_S:
            now = await asyncio.to_thread(self.done)
            if now != done:
                done, moved_at = now, time.monotonic()
            await asyncio.sleep(0.1)
        return moved_at

    def start(self, *roles: str, profile: Path | None = None) -> Worker:
        """Start a worker of these roles (all, where none is named)."""
        arguments = [option for role in roles for option in ("--role", role)]
        return Worker(self, ["--config", str(self.config()), "worker", *arguments], profile)


class Worker:
    """A worker process; ``begun`` is when it was started, in seconds of the monotonic clock."""

    def __init__(self, installation: Installation, arguments: Sequence[str], profile: Path | None) -> None:
        under = ["-m", "cProfile", "-o", str(profile), "-m"] if profile else ["-m"]
        self._log = installation.folder / "worker.log"
        self._ready = f"http://127.0.0.1:{installation.metrics_port}/readyz"
        self.begun = time.monotonic()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                [sys.executable, *under, installation.program, *arguments],
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the bench, which then ends it in order
                env={name: value for name, value in os.environ.items() if not name.startswith("YANSHAO_")},
            )
        installation.session.on_exit(end, self.process)

    def wait_ready(self) -> float:
        """Return after how many seconds the worker said that it is ready."""
        while time.monotonic() - self.begun < READY_PATIENCE_S:
            self.check()
            try:
                with urllib.request.urlopen(self._ready, timeout=1):  # noqa: S310 - loopback
                    return time.monotonic() - self.begun
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
        raise WorkerFailedError(f"not ready after {READY_PATIENCE_S:g} s")

    def check(self) -> None:
        """Raise WorkerFailedError where the process has ended."""
        code = self.process.poll()
        if code is not None:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise WorkerFailedError(f"the worker ended with code {code}: {' | '.join(lines[-3:])}")

    def memory_mib(self) -> float:
        """Return the memory it holds, in MiB."""
        return resident_mib(self.process.pid)

    def kill(self) -> None:
        """End it as a power failure would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        end(self.process)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process, in MiB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise WorkerFailedError(f"no memory figure of process {pid}")


def fill(
    bootstrap: str,
    topic: str,
    rows: Iterable[tuple[str, bytes]],
    place: Callable[[str], int] = partition_of,
) -> list[int]:
    """Write records to their partitions, as fast as it goes; return how many each got."""
    partitions: list[list[tuple[bytes, bytes]]] = [[] for _ in range(PARTITIONS)]
    for key, raw in rows:
        partitions[place(key)].append((key.encode(), raw))
    asyncio.run(_fill(bootstrap, topic, partitions))
    return list(map(len, partitions))


async def _fill(bootstrap: str, topic: str, partitions: Sequence[Sequence[tuple[bytes, bytes]]]) -> None:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=256 * 1024)
    await producer.start()
    try:
        for number, rows in enumerate(partitions):
            if not rows:
                continue
            batch = producer.create_batch()
            for key, raw in rows:
                if batch.append(key=key, value=raw, timestamp=None) is None:
                    await producer.send_batch(batch, topic, partition=number)
                    batch = producer.create_batch()
                    batch.append(key=key, value=raw, timestamp=None)
            await producer.send_batch(batch, topic, partition=number)
        await producer.flush()
    finally:
        await producer.stop()


def committed(admin: KafkaAdminClient, group: str, topic: str, partition: int | None = None) -> int:
    """Return how many records of a topic (or of one partition) a group has done with, by its commits."""
    try:
        found: Mapping[Any, Any] = admin.list_group_offsets({group: None}).get(group, {})
    except KafkaError as error:
        if not error.retriable:
            raise
        return 0  # a young broker has yet to make the topic of the groups
    return sum(
        max(0, value.offset)
        for place, value in found.items()
        if place.topic == topic and partition in (None, place.partition)
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
