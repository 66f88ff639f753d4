"""`yanshao ola open` on a store that the embedded runtime wrote, and the board behind it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from alerts.config import AlertsConfig
from stream.cli import main
from stream.commands import ola
from stream.runtime.knowledge import open_knowledge
from stream.runtime.local import LocalRuntime
from stream.runtime.store import FILE_NAME, connect
from stream.testing import PATIENCE, ManualClock

Run = Callable[..., Result]

PACKS = Path(__file__).parents[1] / "golden" / "ola" / "packs"
NINE = ManualClock().at  # 09:00 of a Wednesday, +08:00
SECOND, MINUTE = 1_000, 60_000
SEEN_AT = NINE + 20 * MINUTE


def message(conversation: str, at: int, **sender: str) -> dict[str, Any]:
    return {
        "type": "message",
        "conversation_id": conversation,
        "message_id": f"{conversation}/{at}",
        "sent_at": NINE + at,
        "sender": sender,
        "content": {"text": "在吗"},
    }


def event(kind: str, conversation: str, at: int, **fields: str) -> dict[str, Any]:
    return {"type": kind, "conversation_id": conversation, "at": NINE + at, **fields}


# Targets: 60 s for a first response; 30 min for 仓库; 30 min of the desk's time, 9:00 to 18:00, for 财务.
MORNING = (
    # Due 9:30: 10 min left at 9:20.
    event("issue.handed_off", "c-leg", 0, issue_id="i-1", to="仓库"),
    # Due 9:35, stands still since 9:10 with 25 min left.
    event("issue.handed_off", "c-still", 5 * MINUTE, issue_id="i-2", to="财务"),
    event("issue.paused", "c-still", 10 * MINUTE, issue_id="i-2"),
    message("c-done", 10 * MINUTE, role="customer"),
    message("c-done", 10 * MINUTE + SECOND, role="agent", id="a-2"),
    # Due 9:45: 25 min left, a row after c-still's by its name.
    event("issue.handed_off", "c-work", 15 * MINUTE, issue_id="i-3", to="财务"),
    # Due 9:19: a minute over.
    message("c-late", 18 * MINUTE, role="customer"),
    # Due 9:20:30: 30 s left.
    event("conversation.assigned", "c-wait", 19 * MINUTE, agent="a-1"),
    message("c-wait", 19 * MINUTE + 30 * SECOND, role="customer"),
)


def accept(data_dir: Path, *events: dict[str, Any]) -> None:
    knowledge = open_knowledge([PACKS])

    async def fill() -> None:
        runtime = LocalRuntime(data_dir, lambda: knowledge, AlertsConfig(), clock=ManualClock(SEEN_AT))
        await runtime.start()
        await runtime.accept([json.dumps(one, ensure_ascii=False).encode() for one in events])
        await runtime.stop()

    asyncio.run(fill())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    accept(path, *MORNING)
    return path


@pytest.fixture
def run(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YANSHAO_DATA", str(data_dir))
    (tmp_path / "yanshao.yaml").write_text(f"packs: ['{PACKS}']\n", encoding="utf-8")
    monkeypatch.setattr(ola, "_now_ms", lambda: SEEN_AT)
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


def listed(run: Run, *options: str) -> list[tuple[str, str, float]]:
    shown = json.loads(run("ola", "open", "--json", *options).stdout)
    return [(one["conversation_id"], one["state"], one["left_seconds"]) for one in shown]


def test_what_is_owed_stands_by_the_time_that_is_left(run: Run) -> None:
    assert listed(run) == [
        ("c-late", "breached", -60.0),
        ("c-wait", "running", 30.0),
        ("c-leg", "running", 600.0),
        ("c-still", "paused", 1500.0),
        ("c-work", "running", 1500.0),
    ]


def test_who_owes_is_an_agent_or_a_department(run: Run) -> None:
    shown = {one["conversation_id"]: one for one in json.loads(run("ola", "open", "--json").stdout)}
    assert {name: one["owes"] for name, one in shown.items()} == {
        "c-late": "agent",
        "c-wait": "a-1",
        "c-leg": "仓库",
        "c-still": "财务",
        "c-work": "财务",
    }
    assert shown["c-still"] == {
        "conversation_id": "c-still",
        "clock_id": "leg#1",
        "kind": "leg",
        "policy": "ola.t.finance",
        "state": "paused",
        "owes": "财务",
        "issue_id": "i-2",
        "started_at": "2026-11-11T09:05:00.000+08:00",
        "due": "2026-11-11T09:35:00.000+08:00",
        "paused_at": "2026-11-11T09:10:00.000+08:00",
        "left_seconds": 1500.0,
    }


def test_time_runs_in_the_policys_own_hours_and_not_in_a_pause(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 19:00 the desk has been late from 9:45 until it closed at 18:00, 仓库 since 9:30."""
    monkeypatch.setattr(ola, "_now_ms", lambda: NINE + 600 * MINUTE)
    assert listed(run, "--kind", "leg") == [
        ("c-leg", "breached", -570 * 60.0),
        ("c-work", "breached", -495 * 60.0),
        ("c-still", "paused", 1500.0),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--kind", "leg"), ["c-leg", "c-still", "c-work"]),
        (("--owing", "仓库", "--owing", "a-1"), ["c-wait", "c-leg"]),
        (("--policy", "ola.t.finance"), ["c-still", "c-work"]),
        (("--policy", "ola.t"), ["c-late", "c-wait", "c-leg", "c-still", "c-work"]),
        (("--policy", "ola.t.fin"), []),
        (("--limit", "2"), ["c-late", "c-wait"]),
    ],
)
def test_what_is_shown_can_be_narrowed(run: Run, options: tuple[str, ...], expected: list[str]) -> None:
    assert [name for name, _, _ in listed(run, *options)] == expected


def test_table_tells_how_much_time_is_left_and_what_is_not_shown(run: Run) -> None:
    lines = run("ola", "open", "--limit", "2").stdout.splitlines()
    assert lines[0].strip() == "5 open, 1 breached, 1 paused, 2 shown; 11-11 09:20:00"
    rows = [line.split() for line in lines if line.lstrip().startswith(("-0:", "0:"))]
    assert [row[:4] for row in rows] == [
        ["-0:01:00", "breached", "first_response", "agent"],
        ["0:00:30", "running", "first_response", "a-1"],
    ]


def test_answer_takes_a_clock_off_the_list(run: Run, data_dir: Path) -> None:
    accept(data_dir, message("c-late", 19 * MINUTE, role="agent", id="a-3"))
    assert "c-late" not in {name for name, _, _ in listed(run)}


def test_wrong_use_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("ola", "open", "--watch", "--json").exit_code == 2
    assert "needs a terminal" in run("ola", "open", "--watch").stderr
    monkeypatch.setenv("YANSHAO_DATA", str(tmp_path / "nothing"))
    assert "nothing has run there yet" in run("ola", "open").stderr
    monkeypatch.setenv("YANSHAO_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    assert "nothing listens" in run("ola", "open", "--kafka").stderr


def test_store_of_a_newer_release_is_told_and_not_guessed_at(run: Run, data_dir: Path) -> None:
    with connect(data_dir / FILE_NAME) as connection:
        connection.execute("UPDATE conversations SET record = ? WHERE id = 'c-leg'", (b"\x92\x63\x90",))
    shown = run("ola", "open")
    assert (shown.exit_code, "version 99" in shown.stderr) == (2, True)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self._master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", *command],
            cwd=cwd,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def await_text(self, wanted: str) -> None:
        """Read until the text was printed; fails after the suite's patience."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.text:
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} was not printed: {self.text[-2000:]!r}"
            self.text += os.read(self._master, 65536).decode("utf-8", "replace")

    def interrupt(self) -> int:
        """Do what Ctrl-C does, and read on: a terminal takes a few kilobytes; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            ready, _, _ = select.select([self._master], [], [], 0.05)
            with suppress(OSError):  # nobody has the other end open any more
                self.text += os.read(self._master, 65536).decode("utf-8", "replace") if ready else ""
        return self.process.wait(0)


def test_live_view_follows_the_store_until_it_is_interrupted(
    run: Run, data_dir: Path, tmp_path: Path
) -> None:
    assert run is not None  # its files and environment
    terminal = Terminal("ola", "open", "--watch", cwd=tmp_path)
    try:
        terminal.await_text("c-leg")
        accept(data_dir, event("issue.handed_off", "c-new", 20 * MINUTE, issue_id="i-9", to="仓库"))
        terminal.await_text("c-new")
        assert terminal.interrupt() == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
