"""`yanshao send --to http` and `dlq replay` against real doors."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from stream.cli import main
from stream.runtime import send_http
from stream.runtime.send import Plan, Report, SendError, planned, send
from stream.runtime.send_http import HttpTarget
from stream.runtime.store import FILE_NAME, Store, connect
from stream.testing import PATIENCE, ManualClock

TOKEN = "a-token-of-sixteen-characters"
START = ManualClock().at


def _message(number: int, conversation: str = "c-1", text: str = "在吗") -> bytes:
    return json.dumps(
        {
            "type": "message",
            "conversation_id": conversation,
            "message_id": f"{conversation}/{number}",
            "sent_at": START + number,
            "sender": {"role": "customer"},
            "content": {"text": text},
        }
    ).encode()


class Door:
    """A door that answers as told, and keeps the lines of every request it took."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.taken: list[list[bytes]] = []
        self.requests = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.requests += 1
        body = await request.read()
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return web.json_response({"error": "unauthorized"}, status=401)
        if self.answers:
            return self.answers.pop(0)
        self.taken.append(body.splitlines())
        return web.json_response({"accepted": len(self.taken[-1]), "refused": []}, status=202)

    def lines(self) -> list[bytes]:
        return [line for request in self.taken for line in request]


@asynccontextmanager
async def served() -> AsyncIterator[Door]:
    door = Door()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/events", door.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    door.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/events"
    try:
        yield door
    finally:
        await runner.cleanup()


async def _send(door: Door, lines: list[bytes], token: str = TOKEN, **options: Any) -> Report:
    report = Report()
    plan = Plan("", recorded=True, **options)
    async with HttpTarget(door.url, token, report) as target:
        await send(planned(enumerate(lines, 1), plan, START), target, report)
    return report


async def test_everything_arrives_in_order_within_a_conversation() -> None:
    lines = [_message(number, f"c-{number % 7}") for number in range(5_000)]
    async with served() as door:
        report = await _send(door, lines)
        assert (report.read, report.sent, report.refused) == (5_000, 5_000, 0)
        arrived: dict[str, list[str]] = {}
        for line in door.lines():
            event = json.loads(line)
            arrived.setdefault(event["conversation_id"], []).append(event["message_id"])
        assert sum(map(len, arrived.values())) == 5_000
        for conversation, ids in arrived.items():
            assert ids == [
                f"{conversation}/{number}" for number in range(5_000) if f"c-{number % 7}" == conversation
            ]


@pytest.mark.parametrize("status", [429, 503])
async def test_turned_away_it_comes_again_when_told_to(status: int) -> None:
    async with served() as door:
        busy = {"error": "overloaded"}
        door.answers = [
            web.json_response(busy, status=status, headers={"Retry-After": "0"}) for _ in range(3)
        ]
        report = await _send(door, [_message(1)])
        assert (report.sent, door.requests, door.lines()) == (1, 4, [_message(1)])


async def test_retry_after_is_honoured() -> None:
    async with served() as door:
        door.answers = [web.json_response({}, status=429, headers={"Retry-After": "1"})]
        report = await _send(door, [_message(1)])
        assert report.seconds >= 1


async def test_refused_events_are_counted_by_reason() -> None:
    async with served() as door:
        refused = [{"index": 0, "reason": "bad_time", "detail": "…"}]
        door.answers = [web.json_response({"accepted": 2, "refused": refused}, status=400)]
        report = await _send(door, [_message(1), _message(2), _message(3)])
        assert (report.sent, report.refused, report.reasons) == (2, 1, {"bad_time": 1})


async def test_too_large_a_request_is_cut_in_two() -> None:
    async with served() as door:
        door.answers = [web.json_response({"error": "too_large"}, status=413)]
        report = await _send(door, [_message(number) for number in range(4)])
        assert (report.sent, [len(request) for request in door.taken]) == (4, [2, 2])


async def test_line_that_is_no_object_spoils_no_other() -> None:
    async with served() as door:
        await _send(door, [_message(1), b"[1, 2]", _message(2), b"nope", _message(3)])
        assert all(
            len(request) == 1 or all(line.startswith(b"{") for line in request) for request in door.taken
        )
        assert sorted(door.lines()) == sorted([_message(1), b"[1, 2]", _message(2), b"nope", _message(3)])


async def test_tick_is_overtaken_by_nothing_and_overtakes_nothing() -> None:
    before = [_message(number, f"c-{number}") for number in range(100)]
    after = [_message(number, f"c-{number}") for number in range(100, 200)]
    tick = b'{"type":"tick","at":1}'
    async with served() as door:
        await _send(door, [*before, tick, *after])
        place = door.lines().index(tick)
        assert set(door.lines()[:place]) == set(before)


async def test_wrong_token_ends_it_at_once_without_showing_the_token() -> None:
    async with served() as door:
        with pytest.raises(SendError, match="does not accept the token") as error:
            await _send(door, [_message(1)], token="another-secret-token")
        assert "another-secret" not in str(error.value)


async def test_nobody_there_ends_it_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_http, "FIRST_PATIENCE_SECONDS", 0.3)
    door = Door()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        door.url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/events"
    with pytest.raises(SendError, match="nothing answers at"):
        await _send(door, [_message(1)])


# With a running system ------------------------------------------------------------------------------------


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def installation(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, with the configuration that leads to it in the environment."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    monkeypatch.setenv("YANSHAO_DATA", str(data))
    monkeypatch.setenv("YANSHAO_LISTEN__PORT", str(free_port))
    monkeypatch.setenv("YANSHAO_LISTEN__METRICS_PORT", "0")
    return data


@pytest.fixture
def up(installation: Path, free_port: int) -> Iterator[Callable[[], None]]:
    """Starts `yanshao up` and returns when it answers; ended after the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "stream.cli", "up"]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ.copy()))
        for _ in range(int(PATIENCE / 0.1)):
            assert running[-1].poll() is None, "it ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", free_port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("it does not answer")

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_sent_chats_become_alerts_of_a_running_system(up: Callable[[], None], tmp_path: Path) -> None:
    day = tmp_path / "day.jsonl"
    texts = ["在吗", "再不发货我就去12315投诉你们", "气死我了"]
    day.write_bytes(
        b"\n".join(_message(number, "c-1", text) for number, text in enumerate(texts)) + b"\nnope\n"
    )
    up()
    result = CliRunner().invoke(main, ["send", str(day), "--to", "http", "--rate", "1000", "--json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["sent"], report["unusable"]) == (1, 3, 1), result.output
    alerts = json.loads(CliRunner().invoke(main, ["alerts", "list", "--json"]).stdout)
    assert {alert["conversation_id"] for alert in alerts} == {f"c-1{report['suffix']}"}


def test_dead_letters_leave_the_list_when_they_are_taken(installation: Path, up: Callable[[], None]) -> None:
    connection = connect(installation / FILE_NAME)
    store = Store(connection)
    store.begin()
    store.add_refused([("unknown_type", "", START, _message(1, text="再不发货我就去12315投诉你们"))])
    store.add_refused([("not_json", "", START, b"nope")])
    store.commit()
    connection.close()
    up()
    result = CliRunner().invoke(main, ["dlq", "replay", "--json"])
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"taken": 1, "refused again": 1}), (
        result.output
    )
    left = json.loads(CliRunner().invoke(main, ["dlq", "list", "--json"]).stdout)
    assert [letter["reason"] for letter in left] == ["not_json"]
    assert json.loads(CliRunner().invoke(main, ["alerts", "list", "--json"]).stdout)
