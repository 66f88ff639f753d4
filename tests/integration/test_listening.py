"""What listens cannot be held up, filled up or made to talk, by bytes on real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stream import metrics as m
from stream.metrics import CUT
from stream.runtime.listening import HEADERS, LINE_BYTES, SIDE_CONNECTIONS, Cut
from stream.runtime.system import LocalSystem
from tests.contract import day
from tests.integration.localsystem import TOKEN, config, host_port, message, running

BEARER = f"Authorization: Bearer {TOKEN}\r\n".encode()
# Long against a loop's turn, short against a person's patience.
SHORT = {"head_timeout": "300ms", "body_timeout": "400ms", "idle_timeout": "600ms"}


class Client:
    """A socket that sends what it is told, byte by byte if need be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, address: str) -> AsyncIterator[Client]:
        client = cls(*await asyncio.open_connection(*host_port(address)))
        try:
            yield client
        finally:
            client.writer.close()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def ask(self, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(raw)
        return await self.answer()

    async def ended(self, within: float = 5.0) -> bytes:
        """Read until the other side ends; returns what came."""
        async with asyncio.timeout(within):
            try:
                return await self.reader.read(-1)
            except ConnectionResetError:
                return b""


def post(body: bytes, *headers: bytes) -> bytes:
    more = b"".join(one + b"\r\n" for one in headers)
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + BEARER + length + more + b"\r\n" + body


def event(number: int) -> bytes:
    return json.dumps(message("c-1", number, "在吗")).encode()


@asynccontextmanager
async def opened(folder: Path, **listen: Any) -> AsyncIterator[tuple[LocalSystem, Any]]:
    packs = day.write_packs(day.BEFORE, folder / "packs")
    async with running(config(folder, packs=packs, listen=listen)) as (system, addresses):
        yield system, addresses


def cut(system: LocalSystem, reason: Cut) -> float:
    return system.metrics.counter(m.HTTP_CUT, reason).value


def test_every_reason_to_cut_is_a_label() -> None:
    assert CUT.values == tuple(Cut)


# Too many, too often ------------------------------------------------------------------------------------


async def test_connections_beyond_the_bound_are_answered_503_and_room_comes_back(tmp_path: Path) -> None:
    async with opened(tmp_path, max_connections=2, max_connections_per_address=2) as (system, at):
        async with Client.to(at.events) as one, Client.to(at.events) as two, Client.to(at.events) as three:
            for number, client in enumerate((one, two)):
                assert (await client.ask(post(event(number))))[0] == 202
            assert (await three.ended()).startswith(b"HTTP/1.1 503 ")
        assert cut(system, Cut.TOO_MANY) == 1
        for _ in range(100):
            async with Client.to(at.events) as again:
                status = (await again.ask(post(event(9))))[0]
            if status == 202:
                break
            await asyncio.sleep(0.01)
        assert status == 202


async def test_one_address_cannot_take_every_connection(tmp_path: Path) -> None:
    async with opened(tmp_path, max_connections=10, max_connections_per_address=1) as (system, at):
        async with Client.to(at.events) as one:
            assert (await one.ask(post(event(1))))[0] == 202
            async with Client.to(at.events) as two:
                assert (await two.ended()).startswith(b"HTTP/1.1 503 ")
        assert cut(system, Cut.TOO_MANY_OF_ADDRESS) == 1


async def test_metrics_have_a_bound_of_their_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as (system, at):
        clients = [
            Client(*await asyncio.open_connection(*host_port(at.metrics)))
            for _ in range(SIDE_CONNECTIONS + 1)
        ]
        assert (await clients[-1].ended()).startswith(b"HTTP/1.1 503 ")
        for client in clients:
            client.writer.close()
        async with Client.to(at.events) as door:
            assert (await door.ask(post(event(1))))[0] == 202
        assert cut(system, Cut.TOO_MANY_OF_ADDRESS) + cut(system, Cut.TOO_MANY) == 1


async def test_an_address_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with opened(tmp_path, max_requests_per_second=1) as (system, at), Client.to(at.events) as client:
        found = [await client.ask(post(event(number))) for number in range(3)]
        assert [status for status, _, _ in found] == [202, 202, 429]
        assert found[-1][1]["retry-after"] == "1"
        # Whoever holds no token is held to the same.
        assert (await client.ask(b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 429
        assert system.metrics.counter(m.HTTP_REQUESTS, "events", "429").value == 2


# Too slow -----------------------------------------------------------------------------------------------


async def test_a_head_that_comes_byte_by_byte_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path, **SHORT) as (system, at), Client.to(at.events) as client:

        async def drip() -> None:
            for byte in post(event(1)):
                client.writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await client.ended() == b""
        dripping.cancel()
        assert cut(system, Cut.SLOW_HEAD) == 1


async def test_a_second_head_that_comes_byte_by_byte_is_cut_too(tmp_path: Path) -> None:
    async with (
        opened(tmp_path, **SHORT | {"idle_timeout": "60s"}) as (system, at),
        Client.to(at.events) as client,
    ):
        assert (await client.ask(post(event(1))))[0] == 202
        client.writer.write(b"POST /v1/ev")
        assert await client.ended() == b""
        assert cut(system, Cut.SLOW_HEAD) == 1


async def test_a_client_that_says_nothing_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path, **SHORT) as (system, at), Client.to(at.events) as client:
        assert await client.ended() == b""
        assert cut(system, Cut.SLOW_HEAD) == 1


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path, **SHORT) as (_, at), Client.to(at.events) as client:
        assert (await client.ask(post(event(1))))[0] == 202
        assert await client.ended() == b""


async def test_a_body_that_comes_byte_by_byte_is_answered_408(tmp_path: Path) -> None:
    async with opened(tmp_path, **SHORT) as (_, at), Client.to(at.events) as client:
        head, _, body = post(event(1)).partition(b"\r\n\r\n")
        client.writer.write(head + b"\r\n\r\n" + body[:5])
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert await client.ended() == b""


async def test_a_body_of_a_stranger_is_not_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, at), Client.to(at.events) as client:
        client.writer.write(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert (await client.answer())[0] == 401
        assert await client.ended() == b""


async def test_a_client_that_takes_no_answers_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path, **SHORT) as (system, at), Client.to(at.metrics) as client:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
        for _ in range(500):
            if cut(system, Cut.NOT_READING):
                break
            await asyncio.sleep(0.02)
        assert cut(system, Cut.NOT_READING) == 1


async def test_a_client_that_reads_its_answers_is_not_cut_however_many_there_are(tmp_path: Path) -> None:
    async with opened(tmp_path, **SHORT) as (system, at), Client.to(at.metrics) as client:
        client.writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
        found = [await client.answer() for _ in range(60)]
        assert {status for status, _, _ in found} == {200}
        assert not any(cut(system, reason) for reason in Cut)


# Too large ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"POST /" + b"x" * LINE_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nA: " + b"x" * (LINE_BYTES + 1) + b"\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\n" + b"".join(b"A%d: 1\r\n" % n for n in range(HEADERS + 1)) + b"\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + b"A" * 100_000,
    ],
    ids=["line", "header", "headers", "a name without end"],
)
async def test_a_head_beyond_its_bounds_ends_the_connection(tmp_path: Path, head: bytes) -> None:
    async with opened(tmp_path) as (system, at), Client.to(at.events) as client:
        client.writer.write(head)
        assert (await client.ended())[9:12] in (b"400", b"")
        assert cut(system, Cut.MALFORMED) == 1


async def test_bodies_beyond_the_bound_are_refused_however_they_come(tmp_path: Path) -> None:
    size = 65_536
    large = b" " * (size + 1)
    packed = gzip.compress(b" " * 50_000_000)
    assert len(packed) < size
    chunked = b"%x\r\n" % len(large) + large + b"\r\n0\r\n\r\n"
    chunked_head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + BEARER + b"Transfer-Encoding: chunked\r\n\r\n"
    async with opened(tmp_path, max_body_bytes=size) as (_, at):
        for raw in (post(large), post(packed, b"Content-Encoding: gzip"), chunked_head + chunked):
            async with Client.to(at.events) as client:
                status, headers, _ = await client.ask(raw)
                assert (status, headers["connection"]) == (413, "close")


async def test_a_compressed_body_is_read_and_a_broken_one_is_the_clients_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as (_, at):
        async with Client.to(at.events) as client:
            good = post(gzip.compress(event(1)), b"Content-Encoding: gzip")
            assert (await client.ask(good))[0] == 202
        for coding, body in ((b"gzip", b"abcdef"), (b"deflate", zlib.compress(event(1))[:-9] + b"x" * 9)):
            async with Client.to(at.events) as client:
                status, _, _ = await client.ask(post(body, b"Content-Encoding: " + coding))
                assert status == 400
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_bodies_in_the_reading_are_bounded_together(tmp_path: Path) -> None:
    """A million bytes are promised and held back; a second such promise is turned away meanwhile."""
    packs = day.write_packs(day.BEFORE, tmp_path / "packs")
    path = config(tmp_path, packs=packs, local={"queue_bytes": 1_048_576})
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + BEARER
    async with running(path) as (_, at), Client.to(at.events) as first, Client.to(at.events) as second:
        first.writer.write(head + b"Content-Length: 1000000\r\n\r\n[")
        for _ in range(200):
            status = (await second.ask(post(b" " * 60_000)))[0]
            if status == 429:
                break
            await asyncio.sleep(0.005)
        assert status == 429
        first.writer.write(b" " * 999_998 + b"]")
        assert (await first.answer())[0] == 202
        async with Client.to(at.events) as third:
            assert (await third.ask(post(event(1))))[0] == 202


# Nothing told -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer MARKED\x01\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer MARKED\r\n\r\n",
        b"POST /v1/events?token=MARKED HTTP/9.9\r\n\r\n",
        b"MARKED\r\n\r\n",
        b"\x16\x03\x01MARKED",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + BEARER + b"\r\nMARKED\r\n",
    ],
)
async def test_what_is_no_http_is_counted_and_never_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, raw: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(tmp_path) as (system, at), Client.to(at.events) as client:
        client.writer.write(raw)
        client.writer.write_eof()
        await client.ended()
        assert cut(system, Cut.MALFORMED) >= 1
    assert "MARKED" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_client_that_goes_away_amid_its_body_is_no_fault_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as (_, at):
        async with Client.to(at.events) as client:
            client.writer.write(post(event(1))[:-9])
            await client.writer.drain()
            await asyncio.sleep(0.05)  # until its head is read
            client.writer.transport.abort()
        async with Client.to(at.events) as client:
            assert (await client.ask(post(event(1))))[0] == 202
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_upgrade_is_not_taken_and_ends_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, at), Client.to(at.events) as client:
        upgrade = b"GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        assert (await client.ask(upgrade))[0] == 405


async def test_a_token_is_asked_for_before_anything_else(tmp_path: Path) -> None:
    wrong = [b"", b"Authorization: Bearer\r\n", b"Authorization: Basic %s\r\n" % TOKEN.encode()]
    wrong += [BEARER[:-3] + b"\r\n", BEARER[:-2] + b"x\r\n", "Authorization: Bearer ｔoken\r\n".encode()]
    async with opened(tmp_path) as (_, at), Client.to(at.events) as client:
        for header in wrong:
            raw = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + header + b"\r\n"
            assert (await client.ask(raw))[0] == 401, header


async def test_nothing_but_the_loopback_address_is_listened_on_by_default(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, at):
        assert {host_port(address)[0] for address in (at.events, at.metrics)} == {"127.0.0.1"}
