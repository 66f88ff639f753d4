"""A worker that stands still ends by itself, with a code that says how, and the next one loses nothing.

Each freeze is real: the process runs on a real broker and lives on; only what it is for does not get on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.monitor import LAG_S
from stream.runtime.kafka.watchdog import LOOP_LIMIT_S
from stream.testing import cache_home
from tests.chaos.driver.proxy import FETCH, PRODUCE, ProxiedBroker, Proxy
from tests.integration.kafkasystem import (
    COMPLAINT,
    RUN,
    Installation,
    Process,
    Receiver,
    is_complaint,
    message,
    until,
)

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

WATCHDOG_S = 8.0

SLACK_S = 8.0
"""What a look of the watchdog, the end of the process and a busy machine add."""

RUN_FREEZING = f"""
import asyncio, signal, time
from stream.runtime.kafka.partition import ConversationProcessor

stuck = []
process = ConversationProcessor._process

async def sticking(self, fed):
    if stuck and self.number == 1:
        await asyncio.Event().wait()
    await process(self, fed)

ConversationProcessor._process = sticking
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))
signal.signal(signal.SIGUSR2, lambda *_: stuck.append(1))
{RUN}"""
"""A worker whose loop stands still at one signal, and one of whose partitions does at another."""


@pytest.fixture
def system(tmp_path: Path, proxy: Proxy, hook: Receiver) -> Iterator[Installation]:
    broker = ProxiedBroker(cache_home(os.environ) / "kafka", tmp_path / "broker", proxy)
    kafka = {"bootstrap": proxy.address, "watchdog": f"{WATCHDOG_S:.0f}s"}
    one = Installation(broker.start(), "frozen.", tmp_path, hook=hook.url, kafka=kafka, run=RUN_FREEZING)
    with KafkaAdminClient(bootstrap_servers=one.bootstrap) as admin:
        one.make_topics(admin)
    yield one
    one.end()
    broker.kill()


def health(process: Process, path: str) -> tuple[int, list[str]]:
    """What a worker says of itself; 0 where it does not answer."""
    (port,) = re.findall(r"metrics and health on port (\d+)", process.text())
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=1) as answer:
            return answer.status, json.load(answer)["missing"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["missing"]
    except OSError:
        return 0, []


Freeze = Callable[[Process, Proxy], None]

FREEZES: dict[str, tuple[Freeze, Exit, float, str]] = {
    "event loop": (lambda one, _: one.signal(signal.SIGUSR1), Exit.LOOP_BLOCKED, LOOP_LIMIT_S, ""),
    "producer": (
        lambda _, proxy: proxy.hold(600, PRODUCE),
        Exit.STALLED,
        WATCHDOG_S + LAG_S,
        "chat.messages",
    ),
    "consumer": (lambda _, proxy: proxy.hold(600, FETCH), Exit.STALLED, WATCHDOG_S + LAG_S, "chat.messages"),
    "one partition": (
        lambda one, _: one.signal(signal.SIGUSR2),
        Exit.STALLED,
        WATCHDOG_S + LAG_S,
        "chat.messages/1",
    ),
}


@pytest.mark.parametrize("part", FREEZES)
async def test_worker_whose_part_stands_still_ends_within_its_bound_and_loses_nothing(
    part: str, system: Installation, proxy: Proxy, hook: Receiver
) -> None:
    freeze, code, bound_s, named = FREEZES[part]
    frozen = system.process()
    system.send(message(f"c-{n}", 1, COMPLAINT) for n in range(50))
    await until(lambda: len(hook.complaints()) == 50, "the first alerts")
    await until(lambda: health(frozen, "healthz")[0] == health(frozen, "readyz")[0] == 200, "health")

    freeze(frozen, proxy)
    system.send(message(f"d-{n}", 1, COMPLAINT) for n in range(50))
    begun = time.monotonic()
    told: set[str] = set()
    unready = False

    def ended() -> bool:
        if frozen.running:
            status, missing = health(frozen, "healthz")
            told.update(missing if status == 503 else ())
            told.update([] if status else ["no answer"])
            nonlocal unready
            unready = unready or health(frozen, "readyz")[0] != 200
        return not frozen.running

    await until(ended, "the end", patience=bound_s + SLACK_S + 60)
    took = time.monotonic() - begun
    assert frozen.wait() == code, frozen.text()[-2000:]
    assert took <= bound_s + SLACK_S
    assert any(named in one for one in told), "health told before the end"
    assert unready

    proxy.hold(0, PRODUCE)
    proxy.hold(0, FETCH)
    again = system.process()
    await until(lambda: len(hook.complaints()) == 100, "all alerts")
    await until(lambda: len(system.states()) == 100, "all states")
    assert again.stop() == Exit.OK
    assert len({one["alert_id"] for one in system.json(system.names.alerts) if is_complaint(one)}) == 100
