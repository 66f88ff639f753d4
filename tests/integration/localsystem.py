"""The embedded system as a process of its own, or inside the test, and what a sender needs to talk to it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from rich.console import Console

from stream.runtime.clock import WallClock
from stream.runtime.hours import parse_alerts
from stream.runtime.store import FILE_NAME
from stream.runtime.system import Addresses, LocalSystem
from stream.settings import ensure_data_dir, load

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-these-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def message(
    conversation: str, number: int | str, text: str, *, role: str = "customer", at: int | None = None
) -> dict[str, Any]:
    """Return a message of now."""
    return {
        "type": "message",
        "conversation_id": conversation,
        "message_id": f"{conversation}-{number}",
        "sent_at": now_ms() if at is None else at,
        "sender": {"role": role, "id": f"{role}-1"},
        "content": {"text": text},
    }


def config(folder: Path, *, hook: str | None = None, packs: Path | None = None, **sections: Any) -> Path:
    """Write a configuration and return its path; ports are whatever is free."""
    alerts: dict[str, Any] = {"receivers": {}, "default_receivers": []}
    if hook is not None:
        retry = {"first_delay": "200ms", "longest_delay": "1s"}
        receiver = {"type": "webhook", "url": hook, "allow_private": True, "retry": retry}
        alerts = {"receivers": {"hook": receiver}, "default_receivers": ["hook"]}
    content = {
        "data_dir": str(folder / "data"),
        "token": TOKEN,
        "packs": [str(packs)] if packs is not None else ["shipped"],
        "listen": {"port": 0, "metrics_port": 0, **sections.pop("listen", {})},
        "alerts": alerts,
        **sections,
    }
    path = folder / "yanshao.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    return path


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[tuple[LocalSystem, Addresses]]:
    """Run the embedded system inside the test."""
    settings = load(path, env={})
    data = ensure_data_dir(settings)
    console = Console(file=io.StringIO())
    system = LocalSystem(settings, data, parse_alerts(settings), clock=WallClock(), console=console)
    async with system.running(TOKEN) as addresses:
        yield system, addresses


class Up:
    """`yanshao up` as a process; its output is `up.log` beside its configuration."""

    def __init__(self, path: Path, command: Sequence[str] = ("-m", "stream.cli")) -> None:
        self.log = path.with_name("up.log")
        with self.log.open("ab") as log:
            self._start = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, *command, "--config", str(path), "up"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "COLUMNS": "200"},
            )

    async def events(self, patience: float = 60.0) -> str:
        """Return the address of the HTTP door once it is open."""
        for _ in range(int(patience / 0.05)):
            text = self.log.read_bytes()[self._start :].decode("utf-8", "replace")
            for line in text.splitlines():
                if "POST http" in line:
                    return line.split("POST ", 1)[1].split()[0]
            assert self.process.poll() is None, text
            await asyncio.sleep(0.05)
        raise AssertionError("the process did not open its door")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def query(data: Path, sql: str) -> list[Any]:
    """Return rows of the store, read beside whoever writes it."""
    with closing(
        sqlite3.connect(f"{(data / FILE_NAME).absolute().as_uri()}?mode=ro", uri=True)
    ) as connection:
        return list(connection.execute(sql))


def records(data: Path, kind: str) -> list[dict[str, Any]]:
    """Return the records of one kind in the order written."""
    return [
        json.loads(body)
        for (body,) in query(data, f"SELECT body FROM records WHERE kind = '{kind}' ORDER BY seq")
    ]


def host_port(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or 0
