"""The embedded runtime's dead letters, sent back: in order, each once, on from where it was stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from stream.cli import main
from stream.runtime import refused
from stream.runtime.conversations import Conversations
from stream.runtime.send import SendError
from stream.runtime.send_http import HttpTarget
from stream.runtime.store import Store
from stream.runtime.system import Addresses
from stream.settings import load
from tests.contract import day
from tests.integration.localsystem import TOKEN, config, message, now_ms, query, records, running

HOUR_MS = 3_600_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return config(tmp_path, packs=day.write_packs(day.BEFORE, tmp_path / "packs"))


def raw(conversation: str, number: int) -> bytes:
    return json.dumps(message(conversation, number, "你好")).encode()


def forty(store: Store) -> None:
    """Put letters of two conversations in turn into the store; the first ten are two hours old."""
    now = now_ms()
    store.add_refused(
        ("internal" if n < 30 else "too_deep", "", now - (2 * HOUR_MS if n < 10 else 0), raw(f"c-{n % 2}", n))
        for n in range(40)
    )


async def replay(path: Path, addresses: Addresses, since: int = 0) -> tuple[int, int]:
    settings = load(path, env={})
    port = urlsplit(addresses.events).port
    listen = settings.listen.model_copy(update={"port": port})
    return await asyncio.to_thread(
        refused.replay, settings.data_dir, listen, TOKEN, wanted=lambda _, reason, at: at >= since
    )


def told(path: Path) -> list[str]:
    """The messages that took effect, in order."""
    return [one["message_id"] for one in records(path.parent / "data", "score")]


def letters(path: Path) -> int:
    ((count,),) = query(path.parent / "data", "SELECT count(*) FROM dlq")
    return int(count)


async def test_letters_take_effect_in_order_and_once_however_often_they_are_sent(path: Path) -> None:
    async with running(path) as (system, addresses):
        await system.runtime.write(forty)
        assert await replay(path, addresses, since=now_ms() - HOUR_MS) == (30, 0)
        assert await replay(path, addresses) == (10, 0)
        assert await replay(path, addresses) == (0, 0)
    ids = [f"c-{n % 2}-{n}" for n in range(40)]
    assert told(path) == ids[10:] + ids[:10]
    assert letters(path) == 0


async def test_replay_that_was_stopped_half_way_goes_on_where_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, count = HttpTarget.put, 0

    async def stopping(self: HttpTarget, event: Any) -> None:
        nonlocal count
        count += 1
        if count == 15:
            raise SendError("nothing answers")
        await put(self, event)

    async with running(path) as (system, addresses):
        await system.runtime.write(forty)
        monkeypatch.setattr(HttpTarget, "put", stopping)
        with pytest.raises(SendError):
            await replay(path, addresses)
        assert letters(path) == 26, "what was taken is no letter any more"
        assert await replay(path, addresses) == (26, 0)
    assert told(path) == [f"c-{n % 2}-{n}" for n in range(40)]


@pytest.fixture
def broken() -> Iterator[None]:
    """An engine that cannot bear one conversation."""
    apply = Conversations.apply

    def breaking(self: Conversations, knowledge: Any, inputs: Any) -> Any:
        if any(getattr(one.item.event, "conversation_id", "") == "c-9" for one in inputs):
            raise RuntimeError("a fault of ours")
        return apply(self, knowledge, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conversations, "apply", breaking)
        yield


@pytest.mark.usefixtures("broken")
async def test_letter_that_is_refused_again_is_kept_once(path: Path) -> None:
    async with running(path) as (system, addresses):
        (problem,) = await system.runtime.accept([raw("c-9", 1)])
        assert problem is not None
        for _ in range(3):
            assert await replay(path, addresses) == (0, 1)
    assert letters(path) == 1


async def test_command_lists_since_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(path) as (system, _):
        await system.runtime.write(forty)
    monkeypatch.setenv("YANSHAO_CONFIG", str(path))

    def listed(*arguments: str) -> int:
        result = CliRunner().invoke(main, ["dlq", "list", "--json", *arguments], catch_exceptions=False)
        return len(json.loads(result.stdout))

    assert (listed(), listed("--since", "1h"), listed("--since", "1h", "--reason", "too_deep")) == (
        40,
        30,
        10,
    )
    assert CliRunner().invoke(main, ["dlq", "list", "--since", "yesterday"]).exit_code == 2
