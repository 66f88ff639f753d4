"""Bugs put back on purpose are seen: each within so many rounds, by the same storm and the same verdict.

A round that sees one ends early: nothing is waited for that cannot come any more. The bugs stand in
`driver.mutations`; only child processes of these tests know them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stream.runtime.broker import HOST
from stream.testing import cache_home
from tests.chaos.driver import kafkaround, localround
from tests.chaos.driver.faults import Strike, strikes
from tests.chaos.driver.hook import Hook, Illness
from tests.chaos.driver.judge import Verdict
from tests.chaos.driver.kafkaround import KafkaRound
from tests.chaos.driver.load import PACKS, SECONDS, load
from tests.chaos.driver.localround import LocalRound
from tests.chaos.driver.mutations import KAFKA, LOCAL, VARIABLE
from tests.chaos.driver.proxy import ProxiedBroker, Proxy
from tests.contract import day
from tests.integration.localsystem import now_ms

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3_600)]

MOST_ROUNDS = 20

STRIKES = 3

PATIENCE_S = 8.0
"""When nothing has moved for so long, what has not come is lost: a receiver is tried again after a second."""

SHORT_SECONDS = 12
LEAD_MS = 1_000

A_SURE_HIT = [
    Strike("kill amid", Illness.BROKEN, 2.0, 1.5, 0.2),
    Strike("kill amid", Illness.BROKEN, 1.0, 1.0, 0.2),
]
"""Kills amid requests while alerts wait for a receiver that fails."""


def folder_of(parent: Path, seed: int) -> Path:
    folder = parent / str(seed)
    folder.mkdir()
    return folder


async def local_round(folder: Path, seed: int, planned: list[Strike], seconds: int = SECONDS) -> Verdict:
    hook = Hook()
    try:
        known = day.knowledge(PACKS, folder / "packs")
        fire = LocalRound(folder, hook, folder / "packs", seed, patience_s=PATIENCE_S)
        await fire.start()
        return await fire.run(known, load(seed, now_ms() + LEAD_MS, seconds), planned)
    finally:
        hook.close()


async def kafka_round(folder: Path, seed: int, planned: list[Strike]) -> Verdict:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    hook, proxy = Hook(), Proxy(port)
    broker = ProxiedBroker(cache_home(os.environ) / "kafka", folder / "broker", proxy)
    system = None
    try:
        known = day.knowledge(PACKS, folder / "packs")
        system = kafkaround.installed(folder, broker.start(), proxy, hook)
        fire = KafkaRound(system, broker, proxy, hook, seed, patience_s=PATIENCE_S)
        await fire.start()
        return await fire.run(known, load(seed, now_ms() + LEAD_MS), planned)
    finally:
        if system is not None:
            system.end()
        broker.kill()
        proxy.close()
        hook.close()


async def rounds_until_seen(
    a_round: Callable[[int], Awaitable[Verdict]], first: int, most: int
) -> tuple[int, list[str]]:
    """Return how many rounds it took and what was seen; nothing seen means that all of them were good."""
    for number in range(most):
        verdict = await a_round(first + number)
        if verdict.problems:
            return number + 1, verdict.problems
    return most, []


@pytest.mark.parametrize("mutation", LOCAL)
async def test_a_bug_put_back_into_the_embedded_runtime_is_seen(
    mutation: str,
    tmp_path: Path,
    chaos_is_long: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, mutation)

    async def mixed(seed: int) -> Verdict:
        planned = strikes(seed, localround.FAULTS, "kill amid", STRIKES, SECONDS)
        return await local_round(folder_of(tmp_path, seed), seed, planned)

    async def sure(seed: int) -> Verdict:
        return await local_round(folder_of(tmp_path, seed), seed, A_SURE_HIT, SHORT_SECONDS)

    took, seen = await rounds_until_seen(*((mixed, 0, MOST_ROUNDS) if chaos_is_long else (sure, 0, 3)))
    with capsys.disabled():
        print(f"\n{mutation}: round {took}: {'; '.join(seen)}", end="")
    assert seen


@pytest.mark.kafka
@pytest.mark.parametrize("mutation", KAFKA)
async def test_a_bug_put_back_into_the_kafka_runtime_is_seen(
    mutation: str,
    tmp_path: Path,
    chaos_is_long: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not chaos_is_long:
        pytest.skip("in the long form: a round on Kafka takes a minute")
    monkeypatch.setenv(VARIABLE, mutation)

    async def mixed(seed: int) -> Verdict:
        planned = strikes(seed, kafkaround.FAULTS, "hold and kill", STRIKES, SECONDS)
        return await kafka_round(folder_of(tmp_path, seed), seed, planned)

    took, seen = await rounds_until_seen(mixed, 0, MOST_ROUNDS)
    with capsys.disabled():
        print(f"\n{mutation}: round {took}: {'; '.join(seen)}", end="")
    assert seen
