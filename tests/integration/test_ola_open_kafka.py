"""`yanshao ola open --kafka`: the board of open clocks, read from `qa.state` beside a real worker."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stream.cli import main
from stream.runtime.kafka.follow import following
from tests.integration.kafkasystem import Installation, now_ms, until

pytestmark = pytest.mark.kafka


def event(kind: str, conversation: str, **fields: str) -> dict[str, Any]:
    return {"type": kind, "conversation_id": conversation, "issue_id": "i", "at": now_ms(), **fields}


async def test_open_clocks_are_read_beside_the_workers_and_followed(system: Installation) -> None:
    async with system.worker():
        system.send([event("issue.handed_off", f"c-{number}", to="仓库") for number in range(5)])
        await until(lambda: len(system.states()) == 5, "states")
        shown = await asyncio.to_thread(
            CliRunner().invoke,
            main,
            ["--config", str(system.config()), "ola", "open", "--kafka", "--json", "--kind", "leg"],
        )
        clocks = json.loads(shown.stdout)
        assert {one["conversation_id"] for one in clocks} == {f"c-{number}" for number in range(5)}
        # The shipped policy gives a department half an hour.
        assert all(one["owes"] == "仓库" and 1700 < one["left_seconds"] <= 1800 for one in clocks)

        held: dict[str, bytes | None] = {}
        with following(system.settings().kafka) as follower:
            read: list[int] = []
            follower.read(held.__setitem__, read.append)
            assert held == system.states()
            assert sum(read) == follower.records
            system.send([event("issue.answered", "c-3", by="仓库"), event("issue.opened", "c-9")])

            async def seen() -> bool:
                await asyncio.to_thread(follower.follow, held.__setitem__)
                return "c-9" in held and held == system.states()

            for _ in range(60):  # half a second each at most
                if await seen():
                    break
            assert held == system.states()
            assert "c-9" in held


def test_topics_that_are_not_there_are_told(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    config = Installation(kafka, topic_prefix, tmp_path).config()
    shown = CliRunner().invoke(main, ["--config", str(config), "ola", "open", "--kafka"])
    assert (shown.exit_code, "yanshao topics apply" in shown.stderr) == (2, True)
