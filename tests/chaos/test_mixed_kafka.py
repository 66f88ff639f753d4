"""The Kafka runtime under every fault at once: nothing lost, nothing under a second id, no clock amiss.

A round's faults and its load follow from its seed: `--chaos-seed N` repeats it. What is promised and how it
is checked stands in docs/reliability.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.testing import cache_home
from tests.chaos.driver.faults import strikes
from tests.chaos.driver.hook import Hook
from tests.chaos.driver.kafkaround import FAULTS, KafkaRound, installed
from tests.chaos.driver.load import PACKS, SECONDS, load
from tests.chaos.driver.proxy import ProxiedBroker, Proxy
from tests.chaos.driver.report import Round, Table
from tests.contract import day
from tests.integration.kafkasystem import now_ms

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(900)]

STRIKES = 3

LEAD_MS = 1_500


@pytest.fixture
def broker(tmp_path: Path, proxy: Proxy) -> Iterator[ProxiedBroker]:
    one = ProxiedBroker(cache_home(os.environ) / "kafka", tmp_path / "broker", proxy)
    yield one
    one.kill()


async def test_mixed_faults_on_kafka_lose_and_double_nothing(
    broker: ProxiedBroker,
    proxy: Proxy,
    tmp_path: Path,
    chaos_seed: int,
    chaos_table: Table,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = time.monotonic()
    hook = Hook()
    known = day.knowledge(PACKS, tmp_path / "packs")
    system = installed(tmp_path, broker.start(), proxy, hook)
    planned = strikes(chaos_seed, FAULTS, "hold and kill", STRIKES, SECONDS)
    try:
        fire = KafkaRound(system, broker, proxy, hook, chaos_seed)
        await fire.start()
        made = load(chaos_seed, now_ms() + LEAD_MS)
        verdict = await fire.run(known, made, planned)
    finally:
        system.end()
        hook.close()
    took = time.monotonic() - begun
    told = Round.of("kafka", made, planned, verdict, hook, len(fire.deaths), took)
    chaos_table.add(told)
    with capsys.disabled():
        print(f"\n{told.line()}; workers ended {fire.deaths}", end="")
    assert verdict.problems == []
