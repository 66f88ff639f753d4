"""The embedded runtime over its real HTTP door: durable before 202, honest about what it cannot take."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alerts import config as alerts_config
from stream import wire
from stream.core import clocks, evidence, messages
from stream.core import state as states
from stream.core.annotation import Annotation
from stream.runtime import local
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.http import Overloaded, Unavailable
from stream.runtime.jobs import Queue
from stream.runtime.local import LocalRuntime
from stream.runtime.store import StoreInUseError
from stream.testing import ManualClock, eventually
from tests.contract import day
from tests.integration.kafkasystem import receiver
from tests.integration.localsystem import HEADERS, Up, config, host_port, message, query, records, running


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    return day.write_packs(day.BEFORE, tmp_path / "packs")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEADERS) as one:
        yield one


async def post(session: aiohttp.ClientSession, address: str, body: Any, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    async with session.post(address, data=data, headers=headers) as response:
        return response.status, await response.json()


def told(known: Knowledge, events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what the engine says of these events: the oracle of what a run must have kept."""
    items = [wire.decode(json.dumps(one).encode(), received_at=None) for one in events]
    records_ = Conversations().apply(known, [Input(item) for item in items]).records
    return sorted((type(one).__name__.lower(), getattr(one, "finding_id", "")) for one in records_)


# Durable before 202 -------------------------------------------------------------------------------------


async def test_what_was_answered_202_survives_kill_9_at_once(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession
) -> None:
    data = tmp_path / "data"
    with receiver() as hook:
        path = config(tmp_path, packs=packs, hook=hook.url)
        first = Up(path)
        said = [message("c-1", 1, "我生气"), message("c-2", 1, "快点")]
        assert await post(session, await first.events(), said) == (202, {"accepted": 2, "refused": []})
        first.kill()
        assert {name for (name,) in query(data, "SELECT id FROM conversations")} == {"c-1", "c-2"}
        second = Up(path)
        address = await second.events()
        # The sender did not hear the answer and sends again; then the talk goes on.
        assert (await post(session, address, [*said, message("c-1", 2, "在吗")]))[0] == 202
        await eventually(lambda: len(hook.alerts()) == 2, "both alerts")
        assert second.stop() == 0
    found = [(one["rule_id"], one["conversation_id"]) for one in records(data, "finding")]
    assert sorted(found) == [("emotion.day.angry", "c-1"), ("emotion.day.urging", "c-2")]
    assert [one["message_id"] for one in records(data, "score")] == ["c-1-1", "c-2-1", "c-1-2"]


async def test_a_restart_goes_on_where_the_last_run_ended(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession
) -> None:
    path = config(tmp_path, packs=packs)
    async with running(path) as (_, addresses):
        assert (await post(session, addresses.events, message("c-1", 1, "快点")))[0] == 202
    async with running(path) as (system, addresses):
        assert len(system.runtime.conversations) == 1
        assert (await post(session, addresses.events, message("c-1", 1, "快点")))[0] == 202
        assert (await post(session, addresses.events, message("c-1", 2, "抱歉", role="agent")))[0] == 202
    (raw,) = [record for (record,) in query(tmp_path / "data", "SELECT record FROM conversations")]
    state = states.decode(raw)
    assert (state.counts["customer"], state.counts["agent"], state.counts["duplicate"]) == (1, 1, 1)
    ended = clocks.all_of(state)
    assert [clock.state for clock in ended if clocks.kind_of(state.clock_id(clock)) != "rule"] == [
        states.ClockState.ANSWERED
    ]
    found = [one["rule_id"] for one in records(tmp_path / "data", "finding")]
    assert found == ["emotion.day.urging"]


async def test_an_orderly_stop_keeps_what_was_accepted_and_turns_the_rest_away(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession
) -> None:
    path = config(tmp_path, packs=packs)
    answers: list[int | None] = []

    async def talk(address: str, number: int) -> None:
        try:
            answers.append((await post(session, address, message(f"c-{number}", 1, "快点")))[0])
        except aiohttp.ClientError:
            answers.append(None)

    async with running(path) as (_, addresses):
        talks = [asyncio.create_task(talk(addresses.events, number)) for number in range(200)]
        await eventually(lambda: len(answers) > 20, "the first answers")
    await asyncio.gather(*talks)
    assert set(answers) <= {202, 429, 503, None}
    kept = query(tmp_path / "data", "SELECT count(*) FROM conversations")
    assert kept[0][0] >= answers.count(202) > 20


async def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path, packs: Path) -> None:
    path = config(tmp_path, packs=packs)
    async with running(path):
        with pytest.raises(StoreInUseError):
            async with running(path):
                pass
        second = Up(path)
        assert await asyncio.to_thread(second.process.wait, 60) == 2
        assert "another process" in second.log.read_text("utf-8")
    async with running(path):
        pass  # the lock went with the run


# The door -----------------------------------------------------------------------------------------------


@pytest.fixture
async def door(tmp_path: Path, packs: Path) -> AsyncIterator[str]:
    small = {"queue_events": 100, "max_request_events": 500}
    path = config(tmp_path, packs=packs, listen={"max_body_bytes": 65_536}, local=small)
    async with running(path) as (_, addresses):
        yield addresses.events


async def test_bad_events_are_named_by_index_and_their_neighbours_accepted(
    door: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    body = [
        message("c-1", 1, "你好"),
        {"type": "message", "conversation_id": "c-2"},
        message("c-3", 1, "你好"),
    ]
    status, answer = await post(session, door, body)
    assert (status, answer["accepted"]) == (400, 2)
    assert [(one["index"], one["reason"]) for one in answer["refused"]] == [(1, "missing_field")]
    assert {name for (name,) in query(tmp_path / "data", "SELECT id FROM conversations")} == {"c-1", "c-3"}
    assert query(tmp_path / "data", "SELECT count(*) FROM dlq") == [(0,)]  # the sender was told


@pytest.mark.parametrize(
    ("lines", "accepted", "bad"),
    [
        (["one", "two"], 2, []),
        (["nonsense", "one", "two"], 2, [0]),
        (["one", "[1, 2]", "", "two"], 2, [1]),
    ],
)
async def test_lines_are_taken_one_by_one(
    door: str, session: aiohttp.ClientSession, lines: list[str], accepted: int, bad: list[int]
) -> None:
    known = {name: json.dumps(message(name, 1, "你好")) for name in ("one", "two")}
    body = "\n".join(known.get(line, line) for line in lines).encode()
    status, answer = await post(session, door, body)
    assert (status, answer["accepted"]) == (400 if bad else 202, accepted)
    assert [one["index"] for one in answer["refused"]] == bad


async def test_one_event_may_be_written_over_several_lines(door: str, session: aiohttp.ClientSession) -> None:
    body = json.dumps(message("c-1", 1, "你好"), indent=2).encode()
    assert await post(session, door, body) == (202, {"accepted": 1, "refused": []})


@pytest.mark.parametrize("body", [b"", b"  \n ", b"[{]", b'[{"type"'])
async def test_what_is_no_request_is_refused_whole(
    door: str, session: aiohttp.ClientSession, body: bytes
) -> None:
    status, answer = await post(session, door, body)
    assert (status, answer["error"]) == (400, "bad_request")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong-token", "Basic YTpi", "Bearer 令牌"])
async def test_without_the_token_nothing_is_taken(door: str, header: str, tmp_path: Path) -> None:
    headers = {"Authorization": header} if header else {}
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.post(door, json=message("c-1", 1, "你好"), headers=headers) as response,
    ):
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert query(tmp_path / "data", "SELECT count(*) FROM conversations") == [(0,)]


async def test_a_body_over_the_limit_is_413(door: str, session: aiohttp.ClientSession) -> None:
    assert (await post(session, door, b" " * 70_000))[0] == 413


async def test_more_than_there_is_room_for_is_429_and_nothing_of_it_is_taken(
    door: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    many = [message(f"c-{number}", 1, "好") for number in range(101)]
    async with session.post(door, json=many) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) >= 1
    assert (await post(session, door, many[:100]))[0] == 202
    assert query(tmp_path / "data", "SELECT count(*) FROM conversations") == [(100,)]


async def test_a_slow_client_keeps_nobody_waiting(door: str, session: aiohttp.ClientSession) -> None:
    _, writer = await asyncio.open_connection(*host_port(door))
    token = HEADERS["Authorization"]
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 500\r\n\r\n["
    writer.write(head.encode())
    await writer.drain()
    for number in range(20):
        assert (await post(session, door, message(f"c-{number}", 1, "你好")))[0] == 202
    writer.close()


# The store ----------------------------------------------------------------------------------------------


async def test_a_full_disk_is_503_and_loses_and_doubles_nothing(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession
) -> None:
    known = day.knowledge(day.BEFORE, tmp_path / "oracle")
    said = [message(f"c-{number}", turn, "快点") for number in range(300) for turn in range(2)]
    async with running(config(tmp_path, packs=packs)) as (system, addresses):
        store = system.runtime

        def limit(pages: int) -> Any:
            return lambda one: one.connection.execute(f"PRAGMA max_page_count={pages}").fetchone()

        await store.write(limit(60))  # about 240 KiB: a part of what follows fits
        statuses = [
            (await post(session, addresses.events, said[start : start + 50]))[0]
            for start in range(0, len(said), 50)
        ]
        assert statuses[0] == 202
        assert statuses[-1] == 503
        assert set(statuses) == {202, 503}
        await store.write(limit(1_000_000))
        for start in range(0, len(said), 50):
            assert (await post(session, addresses.events, said[start : start + 50]))[0] == 202
    found = sorted(("finding", one["finding_id"]) for one in records(tmp_path / "data", "finding"))
    assert found == [one for one in told(known, said) if one[0] == "finding"]
    assert len(records(tmp_path / "data", "score")) == len(said)


async def test_a_failing_store_does_not_keep_the_system_from_stopping(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession
) -> None:
    async with running(config(tmp_path, packs=packs)) as (system, addresses):
        past = message("c-1", 1, "你好")
        past["sent_at"] -= 19_000  # a warning comes due within a second
        assert (await post(session, addresses.events, past))[0] == 202
        await system.runtime.write(lambda one: one.connection.execute("PRAGMA query_only=1").fetchone())
        assert (await post(session, addresses.events, message("c-1", 2, "在吗")))[0] == 503


async def test_after_the_end_nothing_is_taken_and_nobody_waits(tmp_path: Path) -> None:
    known = day.knowledge(day.BEFORE, tmp_path / "packs")
    runtime = LocalRuntime(
        tmp_path, lambda: known, alerts_config.parse({}, source="none", env={}), clock=ManualClock()
    )
    await runtime.start()
    await runtime.stop()
    with pytest.raises(Unavailable):
        await runtime.write(lambda store: store.tally())
    with pytest.raises(Overloaded):
        await runtime.accept([b"{}"])


async def test_an_answer_that_waits_for_its_transaction_stops_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    """A backlog of the store: the answer came at 50 s, the clock is looked at at 61 s."""
    monkeypatch.setattr(local, "TRANSACTION_EVENTS", 1)
    known = day.knowledge(day.BEFORE, tmp_path / "packs")
    runtime = LocalRuntime(
        tmp_path, lambda: known, alerts_config.parse({}, source="none", env={}), clock=clock, queue=Queue()
    )
    await runtime.start()

    def raw(number: int, role: str, conversation: str = "c-1") -> bytes:
        said = message(conversation, number, "您好", role=role, at=clock.now_ms())
        return json.dumps(said).encode()

    await runtime.accept([raw(1, "customer")])
    gate = threading.Event()
    held = asyncio.create_task(runtime.write(lambda _: gate.wait(30)))
    await eventually(lambda: not runtime._jobs, "a transaction that lasts")
    clock.advance(50_000)
    waiting = [
        asyncio.create_task(runtime.accept([one])) for one in (raw(9, "customer", "c-9"), raw(2, "agent"))
    ]
    await asyncio.sleep(0)
    clock.advance(11_000)
    gate.set()
    await asyncio.gather(held, *waiting)
    await runtime.settled()
    found = await runtime.write(lambda store: store.records("finding"))
    await runtime.stop()
    rules = [(one["rule_id"], one["severity"]) for one in map(json.loads, found)]
    assert rules == [("ola.day.first", "low")]  # the warning of 20 s; no breach at 60 s


async def test_an_event_that_breaks_the_engine_is_refused_and_its_neighbours_are_not(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours that one text brings out; nothing else is lost, and its text reaches no log."""
    whole = evidence.last_words

    def faulty(annotation: Annotation) -> str:
        if "崩" in annotation.text:
            raise KeyError(annotation.text)
        return whole(annotation)

    monkeypatch.setattr(messages, "last_words", faulty)
    async with running(config(tmp_path, packs=packs)) as (_, addresses):
        bad = message("c-2", 1, "崩13800138000")
        said = [message("c-1", 1, "快点"), bad, message("c-3", 1, "快点")]
        status, answer = await post(session, addresses.events, said)
        assert (status, answer["accepted"]) == (400, 2)
        assert answer["refused"] == [{"index": 1, "reason": "internal", "detail": "KeyError"}]
        assert (await post(session, addresses.events, message("c-2", 2, "快点")))[0] == 202
    assert len(records(tmp_path / "data", "finding")) == 3
    ((reason, raw),) = query(tmp_path / "data", "SELECT reason, raw FROM dlq")
    assert (reason, json.loads(raw)) == ("internal", bad)


async def test_a_clock_that_breaks_the_engine_does_not_stop_the_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    known = day.knowledge(day.BEFORE, tmp_path / "packs")
    nobody = alerts_config.parse({}, source="none", env={})
    runtime = LocalRuntime(tmp_path, lambda: known, nobody, clock=clock)
    await runtime.start()
    said = [json.dumps(message(f"c-{n}", 1, "你好", at=clock.now_ms())).encode() for n in range(2)]
    await runtime.accept(said[:1])
    whole = clocks.fire

    def faulty(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(clocks, "fire", faulty)
    clock.advance(21_000)
    await eventually(lambda: "the engine broke" in caplog.text, "the fault")
    assert await runtime.accept(said[1:]) == [None]
    monkeypatch.setattr(clocks, "fire", whole)
    clock.advance(61_000)
    await eventually(
        lambda: runtime.conversations.next_due() == clock.now_ms() - 82_000 + 1_800_000, "both clocks"
    )
    found = await runtime.write(lambda store: store.records("finding"))
    await runtime.stop()
    assert len(found) == 4  # warning and breach of two


# Knowledge and privacy ----------------------------------------------------------------------------------


async def test_a_changed_pack_takes_hold_and_a_broken_one_does_not(
    tmp_path: Path, packs: Path, session: aiohttp.ClientSession
) -> None:
    async with running(config(tmp_path, packs=packs)) as (system, addresses):
        await asyncio.sleep(0.2)  # the watcher must be watching before there is something to see
        old = system.knowledge().book.version
        day.write_packs(day.AFTER, packs)
        await eventually(lambda: system.knowledge().book.version != old, "the new packs")
        # The files are written one after the other: both must have been read.
        versions = lambda: {pack.version for pack in system.knowledge().book.packs}  # noqa: E731
        await eventually(lambda: versions() == {1, 2}, "all new packs")
        assert (await post(session, addresses.events, message("c-1", 1, "我生气")))[0] == 202
        new = system.knowledge().book.version
        (packs / "emotion" / "day.yaml").write_text("pack: [", "utf-8")
        await eventually(lambda: "yanshao_packs_last_load_successful 0" in page(system), "the refusal")
        assert system.knowledge().book.version == new
        assert (await post(session, addresses.events, message("c-2", 1, "我生气")))[0] == 202
    found = records(tmp_path / "data", "finding")
    assert {one["pack_version"] for one in found} == {"emotion.day@2"}
    assert {one["severity"] for one in found} == {"critical"}


def page(system: Any) -> str:
    from stream.metrics import render  # noqa: PLC0415

    return str(render(system.metrics, "")[0].decode())


PERSONAL = {
    "phone": "13912345678",
    "card": "11010119900101223X",
    "bank": "6222021000001234565",
    "mail": "wang.xiaoming@example.com",
    "address": "文三路199号",
}


async def test_asked_to_end_again_and_again_it_ends_in_order(tmp_path: Path) -> None:
    up = Up(config(tmp_path))
    await up.events()
    while up.process.poll() is None:
        up.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.01)  # far less than the interpreter's own end takes
    assert up.stop() == 0


async def test_personal_data_reaches_no_output_no_file_and_no_log(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    texts = [
        f"我生气了！电话{PERSONAL['phone']}，身份证{PERSONAL['card']}，再不处理我就打12315投诉你们",
        f"退到卡{PERSONAL['bank']}，邮箱{PERSONAL['mail']}，气死我了",
        f"地址是杭州市西湖区{PERSONAL['address']}，快点发货",
    ]
    with receiver() as hook:
        process = Up(config(tmp_path, hook=hook.url))
        address = await process.events()
        for number, text in enumerate(texts):
            assert (await post(session, address, message(f"c-{number}", 1, text)))[0] == 202
            bad = message(f"c-{number}", 2, text) | {"sender": {"role": text}}
            assert (await post(session, address, bad))[0] == 400
            closed = {
                "type": "conversation.closed",
                "conversation_id": f"c-{number}",
                "at": message("x", 0, "")["sent_at"],
            }
            assert (await post(session, address, closed))[0] == 202
        await eventually(lambda: bool(hook.alerts()), "an alert")
        assert process.stop() == 0
        sent = json.dumps(list(hook.bodies.values()), ensure_ascii=False).encode()
    files = {one.name: one.read_bytes() for one in (tmp_path / "data").iterdir() if one.name != "jieba.cache"}
    files["hook"] = sent
    files["log"] = process.log.read_bytes()
    assert "yanshao.db" in files
    leaks = [
        (name, kind)
        for name, content in files.items()
        for kind, value in PERSONAL.items()
        if value.encode() in content or json.dumps(value).strip('"').encode() in content
    ]
    assert leaks == []
    assert records(tmp_path / "data", "conversation")
