"""Any requests at all: each is answered or its connection ended, and the door goes on.

`make fuzz` makes a million of them, in ten rounds with a seed each.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import aiohttp
import pytest

from tests.contract import day
from tests.integration import fuzz_requests
from tests.integration.localsystem import HEADERS, Up, config, message, query

SHORT, LONG = 3_000, 100_000


@pytest.mark.timeout(4 * 3600)
async def test_every_request_is_accounted_for(tmp_path: Path, fuzz_is_long: bool, fuzz_seed: int) -> None:
    packs = day.write_packs(day.BEFORE, tmp_path / "packs")
    # Without the bounds that are there to turn such clients away.
    listen = {
        "max_requests_per_second": 10**6,
        "max_connections": 1_000,
        "max_connections_per_address": 1_000,
    }
    up = Up(config(tmp_path, packs=packs, listen=listen))
    try:
        address = await up.events()
        begun = time.monotonic()
        verdict = await fuzz_requests.run(fuzz_seed, LONG if fuzz_is_long else SHORT, address)
        print(f"\nseed {fuzz_seed}, {time.monotonic() - begun:.0f} s: {verdict}")
        assert verdict.hung == []
        assert verdict.wrong == []
        assert verdict.accounted, str(verdict)
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            last = json.dumps(message("c-last", 1, "在吗"))
            async with session.post(address, data=last) as response:
                assert response.status == 202
        assert up.process.poll() is None
        # What was answered 202 is there.
        assert query(tmp_path / "data", "SELECT id FROM conversations WHERE id = 'c-last'") == [("c-last",)]
    finally:
        up.stop()
    log = up.log.read_text("utf-8", "replace")
    assert "Traceback" not in log
    assert not [line for line in log.splitlines() if "ERROR" in line or "WARNING" in line]
