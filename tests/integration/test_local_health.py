"""`/healthz` and `/readyz` of the embedded system say what its writer does, not that somebody answers."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from stream.core import state as states
from stream.runtime import pulse
from stream.runtime.http import Unavailable
from stream.runtime.store import FILE_NAME, Store
from stream.runtime.system import LocalSystem
from stream.testing import PATIENCE
from tests.contract import day
from tests.integration.localsystem import HEADERS, Up, config, message, query, running

BREAKING = """
import sys
from stream.cli import main
from stream.runtime.local import LocalRuntime

answer = LocalRuntime._answer

def breaking(self, jobs, done):
    if done.received:
        raise RuntimeError("a fault of ours")
    answer(self, jobs, done)

LocalRuntime._answer = breaking
main()
"""


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    return day.write_packs(day.BEFORE, tmp_path / "packs")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


class Side:
    """The answers of the side port."""

    def __init__(self, session: aiohttp.ClientSession, metrics: str) -> None:
        self._session = session
        self._metrics = metrics

    async def __call__(self, path: str) -> tuple[int, list[str]]:
        async with self._session.get(self._metrics.replace("/metrics", path)) as answer:
            return answer.status, (await answer.json())["missing"]

    async def becomes(self, path: str, status: int) -> list[str]:
        """Return what is missing once the answer has this status."""
        async with asyncio.timeout(PATIENCE):
            while (found := await self(path))[0] != status:  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.02)
        return found[1]

    async def ready(self) -> float:
        async with self._session.get(self._metrics) as answer:
            text = await answer.text()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith("yanshao_ready"))


def raw(number: int) -> bytes:
    return json.dumps(message("c-1", number, "你好")).encode()


def only_read(system: LocalSystem, *, on: bool) -> None:
    """Let the store refuse to write, as it does where the disk is full or the file system read-only."""
    store = system.runtime._transactions.store
    assert store is not None
    store.connection.execute(f"PRAGMA query_only={int(on)}").fetchone()


async def test_store_that_refuses_is_told_at_once_and_no_longer_once_it_writes_again(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(config(tmp_path, packs=packs)) as (system, addresses):
        side = Side(session, addresses.metrics)
        assert (await side("/readyz"), await side("/healthz")) == ((200, []), (200, []))
        only_read(system, on=True)
        with pytest.raises(Unavailable):
            await system.runtime.accept([raw(1)])
        assert "refused to write" in (await side("/readyz"))[1][0]
        assert (await side("/healthz"))[0] == 200, "it may be over in a moment"
        assert await side.ready() == 0
        monkeypatch.setattr(pulse, "STUCK_S", 0.2)
        assert "refused to write" in (await side.becomes("/healthz", 503))[0]
        only_read(system, on=False)
        # Nobody sends anything: it finds out by itself.
        await side.becomes("/readyz", 200)
        await side.becomes("/healthz", 200)
        assert await system.runtime.accept([raw(1)]) == [None]
        assert await side.ready() == 1


async def test_transaction_that_does_not_end_is_told(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "STUCK_S", 0.2)
    async with running(config(tmp_path, packs=packs)) as (system, addresses):
        side = Side(session, addresses.metrics)
        go_on = threading.Event()
        writing = asyncio.create_task(system.runtime.write(lambda _: go_on.wait(PATIENCE)))
        assert "under way" in (await side.becomes("/healthz", 503))[0]
        assert (await side("/readyz"))[0] == 503
        go_on.set()
        await writing
        await side.becomes("/healthz", 200)


async def test_writer_that_broke_is_told_and_keeps_nobody_waiting(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(config(tmp_path, packs=packs)) as (system, addresses):
        side = Side(session, addresses.metrics)

        def broken(*_: Any) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(system.runtime, "_answer", broken)
        async with asyncio.timeout(PATIENCE):
            for number in range(2):
                with pytest.raises(Unavailable):
                    await system.runtime.accept([raw(number)])
            await system.runtime.ended()
        for path in ("/healthz", "/readyz"):
            assert await side(path) == (503, ["the store's writer has ended"])


async def test_process_whose_writer_broke_ends_and_the_next_one_has_what_was_kept(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession
) -> None:
    path = config(tmp_path, packs=packs)
    up = Up(path, ("-c", BREAKING))
    address = await up.events()
    async with session.post(address, data=raw(1), headers=HEADERS) as answer:
        assert answer.status == 503
    assert await asyncio.to_thread(up.process.wait, PATIENCE) == 70
    assert "writer has ended" in up.log.read_text("utf-8")
    again = Up(path)
    async with session.post(await again.events(), data=raw(1), headers=HEADERS) as answer:
        assert answer.status == 202
    assert again.stop() == 0
    assert len(query(tmp_path / "data", "SELECT id FROM conversations")) == 1


def content(folder: Path) -> list[str]:
    """Everything that is in the store."""
    with closing(sqlite3.connect(folder / "data" / FILE_NAME)) as connection:
        return [*connection.iterdump(), str(connection.execute("PRAGMA user_version").fetchone())]


def newer_state(store: Store) -> None:
    store.put_conversations(
        [("c-9", msgspec.msgpack.encode([states.VERSION + 1, ["c-9", 0, 0, [1, -1, -1]]]))], []
    )


def newer_customer(store: Store) -> None:
    store.put_customers([("u-9", msgspec.msgpack.encode([99, ["u-9", 1]]))], [])


def newer_file(store: Store) -> None:
    store.connection.execute("PRAGMA user_version=99")


@pytest.mark.parametrize("write", [newer_state, newer_customer, newer_file])
async def test_file_that_a_newer_release_wrote_is_refused_whole_and_left_as_it_is(
    tmp_path: Path, packs: Path, write: Any
) -> None:
    path = config(tmp_path, packs=packs)
    async with running(path) as (system, _):
        await system.runtime.accept([raw(1)])
        await system.runtime.write(write)
    before = content(tmp_path)
    up = Up(path)
    assert await asyncio.to_thread(up.process.wait, PATIENCE) == 2
    told = up.log.read_text("utf-8")
    assert "this release" in told
    assert "Traceback" not in told
    assert content(tmp_path) == before
