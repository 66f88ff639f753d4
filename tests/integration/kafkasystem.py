"""An installation of the Kafka runtime inside a test: topics, workers (here or as processes), a receiver."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError

from stream.runtime import topics
from stream.runtime.hours import parse_alerts
from stream.runtime.kafka.changelog import Replay
from stream.runtime.kafka.names import ALL_ROLES, Names, Role
from stream.runtime.kafka.worker import Driver, Worker
from stream.settings import Settings, load
from stream.testing import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]

RUN = """
import logging, sys
from stream.runtime.kafka.names import Role
from stream.runtime.kafka.process import run_worker
from stream.runtime.kafka.worker import Driver
from stream.settings import load
logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
roles = [Role(name) for name in sys.argv[3].split(",")]
sys.exit(run_worker(load(sys.argv[1], env={}), roles, driver=Driver(sys.argv[2])))
"""


class Receiver:
    """An HTTP receiver: keeps the id of every notification it was sent, in order, and answers `status`."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    name = self.headers["webhook-id"]
                    receiver.ids.append(name)
                    receiver.bodies[name] = json.loads(body)
                else:
                    receiver.refused += 1
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def alerts(self) -> set[str]:
        """The ids of the alerts told as firing."""
        return {
            body["data"]["alert_id"]
            for body in list(self.bodies.values())
            if body["data"]["status"] == "firing"
        }

    def complaints(self) -> set[str]:
        """Those of them that `COMPLAINT` raises; on a busy machine clocks come due beside them."""
        return {
            body["data"]["alert_id"]
            for body in list(self.bodies.values())
            if body["data"]["status"] == "firing" and is_complaint(body["data"])
        }

    def repeats(self) -> int:
        """How many notifications came more than once."""
        return sum(count - 1 for count in Counter(self.ids).values())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Installation:
    """One prefix on a broker, with all its topics, and what a test does with it."""

    bootstrap: str
    prefix: str
    directory: Path
    partitions: int = 2
    hook: str | None = None
    kafka: dict[str, Any] = field(default_factory=dict)
    settings_of: dict[str, Any] = field(default_factory=dict)
    run: str = RUN
    processes: list[Process] = field(default_factory=list)

    @property
    def names(self) -> Names:
        return Names(self.prefix)

    def config(self, worker: str = "w0", **kafka: Any) -> Path:
        """Write the configuration of one worker and return its path."""
        section = {
            "bootstrap": self.bootstrap,
            "topic_prefix": self.prefix,
            "app_id": f"{self.prefix}app",
            "worker_name": worker,
            "partitions": self.partitions,
            "session_timeout": "10s",
            "heartbeat_interval": "1s",
            "commit_interval": "300ms",
        }
        alerts: dict[str, Any] = {"default_receivers": []}
        if self.hook is not None:
            retry = {"first_delay": "200ms", "longest_delay": "1s"}
            hook = {"type": "webhook", "url": self.hook, "allow_private": True, "retry": retry}
            alerts = {"receivers": {"hook": hook}, "default_receivers": ["hook"]}
        content = {
            "data_dir": str(self.directory / worker),
            "listen": {"metrics_port": 0, "port": 0},
            "kafka": section | self.kafka | kafka,
            "alerts": alerts,
            **self.settings_of,
        }
        path = self.directory / f"{worker}.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    def settings(self, worker: str = "w0", **kafka: Any) -> Settings:
        return load(self.config(worker, **kafka), env={})

    def make_topics(self, admin: KafkaAdminClient) -> None:
        receivers = sorted(parse_alerts(self.settings()).receivers)
        topics.apply(
            admin,
            topics.wanted(
                topics.shipped(),
                partitions=self.partitions,
                replication_factor=1,
                receivers=receivers,
                prefix=self.prefix,
            ),
        )

    # Records --------------------------------------------------------------------------------------------

    def producer(self) -> KafkaProducer:
        return KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=5)

    def send(self, events: Iterable[dict[str, Any] | bytes], topic: str | None = None) -> None:
        """Write events to `chat.messages`, keyed by conversation; bytes go as they are, keyed `k`."""
        producer = self.producer()
        futures = []
        for event in events:
            raw = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
            key = b"k" if isinstance(event, bytes) else event["conversation_id"].encode()
            futures.append(producer.send(topic or self.names.messages, key=key, value=raw))
        for future in futures:
            future.get(timeout=PATIENCE)
        producer.close()

    def tick(self, at: int) -> None:
        """Let time come to `at` in every partition."""
        producer = self.producer()
        raw = json.dumps({"type": "tick", "at": at}).encode()
        for number in range(self.partitions):
            producer.send(self.names.messages, key=b"tick", value=raw, partition=number).get(PATIENCE)
        producer.close()

    def read(self, topic: str, partitions: int | None = None) -> list[Any]:
        """Return every record of a topic as it is now."""
        count = self.partitions if partitions is None else partitions
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        tps = [TopicPartition(topic, number) for number in range(count)]
        consumer.assign(tps)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(tps)
        found: list[Any] = []
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for records in consumer.poll(timeout_ms=200).values():
                found += records
        consumer.close()
        return found

    def json(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in self.read(topic)]

    def states(self) -> dict[str, bytes]:
        """Return the state of every conversation as recovery would find it."""
        replay = Replay()
        replay.take((record.key, record.value) for record in self.read(self.names.state))
        return dict(replay.states())

    def committed(self, admin: KafkaAdminClient) -> dict[tuple[str, int], int]:
        group = f"{self.prefix}app"
        try:
            found = admin.list_group_offsets({group: None})[group]
        except (CoordinatorLoadInProgressError, CoordinatorNotAvailableError):
            return {}
        return {(tp.topic, tp.partition): value.offset for tp, value in found.items()}

    def contacts_taken(self, admin: KafkaAdminClient) -> bool:
        """Whether every contact written so far was applied to its customer and committed."""
        topic = self.names.contacts
        committed = sum(n for (name, _), n in self.committed(admin).items() if name == topic)
        return committed >= len(self.read(topic))

    # Workers --------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def worker(
        self,
        name: str = "w0",
        *,
        roles: Iterable[Role] = ALL_ROLES,
        driver: Driver = Driver.WALL,
        ready: bool = True,
        **kafka: Any,
    ) -> AsyncIterator[Worker]:
        """Run a worker inside the test until the end of the block; it must end in order."""
        worker = Worker(self.settings(name, **kafka), roles, driver=driver)
        task = asyncio.create_task(worker.run())
        test = asyncio.current_task()
        assert test is not None

        def ended(_: object) -> None:
            test.cancel()

        task.add_done_callback(ended)
        try:
            if ready:
                await eventually(lambda: not worker.unready(), "a ready worker")
            yield worker
        except asyncio.CancelledError:
            assert not task.done(), f"the worker ended by itself: {task.result()!r}"
            raise
        finally:
            task.remove_done_callback(ended)
            worker.stop()
            async with asyncio.timeout(PATIENCE):
                await task

    def process(
        self,
        name: str = "w0",
        *,
        driver: Driver = Driver.WALL,
        roles: Iterable[Role] = ALL_ROLES,
        **kafka: Any,
    ) -> Process:
        """Start a worker as a process of its own."""
        process = Process(self.config(name, **kafka), name, driver, roles, self.run)
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill what a failed test left behind."""
        for process in self.processes:
            if process.running:
                process.kill()


class Process:
    """A worker process; its log is `<worker>.log` beside its configuration."""

    def __init__(
        self, config: Path, name: str, driver: Driver, roles: Iterable[Role], run: str = RUN
    ) -> None:
        self.log = config.with_suffix(".log")
        arguments = [sys.executable, "-c", run, str(config), driver, ",".join(roles)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments, cwd=ROOT, stderr=log, stdout=log, env=dict(os.environ)
            )
        self.name = name

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> int:
        """Ask for an orderly end and return the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    try:
        yield one
    finally:
        one.close()


# Chats ------------------------------------------------------------------------------------------------------


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message(
    conversation: str, number: int, text: str, *, role: str = "customer", at: int | None = None
) -> dict[str, Any]:
    return {
        "type": "message",
        "conversation_id": conversation,
        "message_id": f"{conversation}-{number}",
        "sent_at": now_ms() if at is None else at,
        "sender": {"role": role, "id": f"{role}-{conversation}"},
        "content": {"text": text},
        "shop_id": "s-1",
    }


COMPLAINT = "再不处理我就打12315投诉你们"


def is_complaint(alert: dict[str, Any]) -> bool:
    """Whether an alert is what `COMPLAINT` raises."""
    return str(alert["dedup_key"]).endswith(":complaint")


CALM = "你好，请问这个什么时候发货"


async def until(condition: Callable[[], bool], what: str, *, patience: float = PATIENCE) -> None:
    """As `eventually`, for conditions that take a while themselves (they run in a thread)."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {patience:g} s in vain for {what}")
