"""The embedded runtime under every fault at once: nothing lost, nothing under a second id, no clock amiss.

A round's faults and its load follow from its seed: `--chaos-seed N` repeats it. What is promised and how it
is checked stands in docs/reliability.md.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.driver.faults import strikes
from tests.chaos.driver.hook import Hook
from tests.chaos.driver.load import PACKS, SECONDS, load
from tests.chaos.driver.localround import FAULTS, LocalRound
from tests.chaos.driver.report import Round, Table
from tests.contract import day
from tests.integration.localsystem import now_ms

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STRIKES = 3

LEAD_MS = 300
"""From making a load to its first event: making it takes some 100 ms."""


async def test_mixed_faults_on_the_embedded_runtime_lose_and_double_nothing(
    tmp_path: Path, chaos_seed: int, chaos_table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    hook = Hook()
    known = day.knowledge(PACKS, tmp_path / "packs")
    planned = strikes(chaos_seed, FAULTS, "kill amid", STRIKES, SECONDS)
    fire = LocalRound(tmp_path, hook, tmp_path / "packs", chaos_seed)
    try:
        await fire.start()
        made = load(chaos_seed, now_ms() + LEAD_MS)
        verdict = await fire.run(known, made, planned)
    finally:
        hook.close()
    told = Round.of("local", made, planned, verdict, hook, fire.deaths, time.monotonic() - begun)
    chaos_table.add(told)
    with capsys.disabled():
        print(f"\n{told.line()}", end="")
    assert verdict.problems == []
