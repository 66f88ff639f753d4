"""Workers that are restarted one after the other, under load, and stops that nothing may hold up."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from stream.runtime.broker import LocalBroker
from stream.runtime.kafka.delivery import GRACE_S
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.process import STOP_S
from tests.integration.kafkasystem import (
    CALM,
    COMPLAINT,
    Installation,
    Process,
    Receiver,
    is_complaint,
    message,
    until,
)

pytestmark = pytest.mark.kafka

SLACK_S = 10.0
"""What the interpreter's end and a busy machine add."""


class Load(threading.Thread):
    """Some two hundred messages a second until told to stop; every tenth is a complaint of its own."""

    def __init__(self, system: Installation) -> None:
        super().__init__(daemon=True)
        self.complaints = 0
        self.sent = 0
        self._system = system
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            batch = [
                message(f"a-{n}", 1, COMPLAINT) if n % 10 == 0 else message(f"c-{n % 40}", n, CALM)
                for n in range(self.sent, self.sent + 20)
            ]
            self._system.send(batch)
            self.sent += len(batch)
            self.complaints += 2
            time.sleep(0.1)

    def end(self) -> None:
        self._over.set()
        self.join(60)


def owned(worker: Process) -> list[tuple[int, list[int]]]:
    """What a worker said it was given, with the generation, in all its lives."""
    found = re.findall(r"generation (\d+): partitions \[([\d, ]*)\]", worker.text())
    return [(int(number), [int(one) for one in given.split(",") if one.strip()]) for number, given in found]


def recoveries(*workers: Process) -> Counter[int]:
    """How often each partition was read back."""
    return Counter(
        int(one) for worker in workers for one in re.findall(r"partition (\d+) recovered", worker.text())
    )


async def test_rolling_restart_under_load_hands_each_partition_over_once_and_to_nobody_else(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path, hook: Receiver
) -> None:
    # Beside other tests a start may take longer than the default session.
    system = Installation(
        kafka, topic_prefix, tmp_path, partitions=6, hook=hook.url, kafka={"session_timeout": "45s"}
    )
    system.make_topics(kafka_admin)
    names = ("w0", "w1", "w2")
    workers = {name: system.process(name) for name in names}
    try:
        await until(lambda: len(recoveries(*workers.values())) == 6, "all partitions")
        await until(
            lambda: all(given and given[-1][1] for given in map(owned, workers.values())), "a share each"
        )
        await asyncio.sleep(2)  # the last to come may have made the others' generation anew
        generations = {name: owned(worker)[-1] for name, worker in workers.items()}
        assert len({number for number, _ in generations.values()}) == 1
        before = recoveries(*workers.values())
        load = Load(system)
        load.start()
        for name in names:
            lives = len(owned(workers[name]))
            assert workers[name].stop() == Exit.OK
            workers[name] = system.process(name)
            await until(lambda name=name, lives=lives: len(owned(workers[name])) > lives, "its return")  # type: ignore[misc]
            mine = generations[name][1]
            await until(
                lambda mine=mine: all(recoveries(*workers.values())[n] > before[n] for n in mine),  # type: ignore[misc]
                "its partitions",
            )
        load.end()
        again = recoveries(*workers.values())
        assert {n: again[n] - before[n] for n in before} == dict.fromkeys(range(6), 1), "one hand-over each"
        assert {name: owned(worker)[-1] for name, worker in workers.items()} == generations, "no rebalance"
        await until(lambda: len(hook.complaints()) == load.complaints, "all alerts")
        topic = system.names.messages
        await until(
            lambda: (
                sum(n for (name, _), n in system.committed(kafka_admin).items() if name == topic) == load.sent
            ),
            "commits",
        )
        assert [worker.stop() for worker in workers.values()] == [Exit.OK] * 3
        assert len(system.states()) == load.complaints + 36
        assert (
            len({one["alert_id"] for one in system.json(system.names.alerts) if is_complaint(one)})
            == load.complaints
        )
    finally:
        system.end()


async def test_stop_is_over_in_time_while_the_broker_is_away(
    own_broker: LocalBroker, tmp_path: Path, hook: Receiver
) -> None:
    system = Installation(own_broker.start(), "away.", tmp_path, hook=hook.url)
    with KafkaAdminClient(bootstrap_servers=system.bootstrap) as admin:
        system.make_topics(admin)
    worker = system.process()
    try:
        await until(lambda: len(recoveries(worker)) == 2, "a ready worker")
        system.send(message(f"c-{n}", 1, COMPLAINT) for n in range(20))
        await until(lambda: len(hook.complaints()) == 20, "alerts")
        own_broker.kill()
        await asyncio.sleep(1)
        begun = time.monotonic()
        code = await asyncio.to_thread(worker.stop)
        assert time.monotonic() - begun < STOP_S + SLACK_S
        assert code in (Exit.OK, Exit.OVERDUE, Exit.BROKER)
        own_broker.start()
        system.send([message("d-1", 1, COMPLAINT)])
        again = system.process()
        await until(lambda: len(hook.complaints()) == 21, "what came since")
        assert again.stop() == Exit.OK
        assert len({one["alert_id"] for one in system.json(system.names.alerts) if is_complaint(one)}) == 21
    finally:
        system.end()


async def test_stop_is_over_in_time_while_a_receiver_hangs(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path, hook: Receiver
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections, and never answers
        port = deaf.getsockname()[1]
        system = Installation(kafka, topic_prefix, tmp_path, hook=f"http://127.0.0.1:{port}/hook")
        system.make_topics(kafka_admin)
        worker = system.process()
        try:
            system.send(message(f"c-{n}", 1, COMPLAINT) for n in range(20))
            await until(lambda: len(system.read(system.names.ledger, 1)) >= 20, "the ledger's entries")
            begun = time.monotonic()
            assert await asyncio.to_thread(worker.stop) == Exit.OK
            assert time.monotonic() - begun < GRACE_S + SLACK_S
            system.hook = hook.url
            again = system.process()
            await until(lambda: len(hook.complaints()) == 20, "all alerts, to the receiver that answers")
            assert again.stop() == Exit.OK
        finally:
            system.end()
