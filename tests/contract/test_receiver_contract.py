"""What every receiver must do, against a real HTTP server; parametrised from the registry."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from alerts.config import ReceiverConfig, ReceiverType, Secret
from alerts.http import ANSWER_LIMIT, HttpSender
from alerts.model import AlertStatus, Reason, Severity
from alerts.net import AllowPrivate
from alerts.receivers import RECEIVERS
from alerts.retry import Answer, Verdict
from alerts.testing import NOW_MS, sample_alert, sample_notification
from alerts.wire import DEFAULT_ZONE

TOKEN = "token-0123456789abcdef"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SUCCESS: dict[ReceiverType, bytes] = {
    ReceiverType.DINGTALK: b'{"errcode":0,"errmsg":"ok"}',
    ReceiverType.FEISHU: b'{"code":0,"msg":"success","data":{}}',
    ReceiverType.WEBHOOK: b"",
    ReceiverType.WECOM: b'{"errcode":0,"errmsg":"ok"}',
}
ROBOTS = [type_ for type_ in RECEIVERS if type_ is not ReceiverType.WEBHOOK]
every_receiver = pytest.mark.parametrize("type_", list(RECEIVERS), ids=str)
every_robot = pytest.mark.parametrize("type_", ROBOTS, ids=str)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def config(type_: ReceiverType, url: str, **changes: Any) -> ReceiverConfig:
    secrets = () if type_ is ReceiverType.WECOM else (Secret(KEY),)
    given: dict[str, Any] = {
        "name": "r",
        "type": type_,
        "url": Secret(url),
        "secrets": secrets,
        "timeout_s": 5.0,
        "allow_private": AllowPrivate(everything=True),
    }
    return ReceiverConfig(**given | changes)


@asynccontextmanager
async def sender(type_: ReceiverType, url: str, **changes: Any) -> AsyncIterator[HttpSender]:
    chosen = config(type_, url, **changes)
    opened = HttpSender(chosen, RECEIVERS[type_](chosen, DEFAULT_ZONE))
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A real server on an ephemeral port; its URL."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/hook/{TOKEN}?access_token={TOKEN}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(answer: bytes, *, then_hang: bool = False) -> AsyncIterator[str]:
    """A server that writes raw bytes after the request's head and then hangs or closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)  # the head of the request, or a TLS client's hello
        writer.write(answer)
        await writer.drain()
        if then_hang:
            await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{TOKEN}"
    finally:
        server.close()


async def attempt(type_: ReceiverType, url: str, **changes: Any) -> Verdict:
    async with sender(type_, url, **changes) as opened:
        return await opened.send(sample_notification(), NOW_MS)


async def answered(
    type_: ReceiverType, status: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> Verdict:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    async with serving(handler) as url:
        return await attempt(type_, url)


@every_receiver
async def test_success_is_accepted(type_: ReceiverType) -> None:
    verdict = await answered(type_, 200, SUCCESS[type_])
    assert verdict.answer is Answer.ACCEPTED


STATUSES = {
    301: (Answer.PERMANENT, Reason.REDIRECTED),
    302: (Answer.PERMANENT, Reason.REDIRECTED),
    304: (Answer.PERMANENT, Reason.REDIRECTED),
    307: (Answer.PERMANENT, Reason.REDIRECTED),
    400: (Answer.PERMANENT, Reason.REJECTED),
    401: (Answer.PERMANENT, Reason.UNAUTHORIZED),
    403: (Answer.PERMANENT, Reason.UNAUTHORIZED),
    404: (Answer.PERMANENT, Reason.REJECTED),
    405: (Answer.PERMANENT, Reason.REJECTED),
    408: (Answer.RETRY, Reason.UNAVAILABLE),
    409: (Answer.PERMANENT, Reason.REJECTED),
    410: (Answer.GONE, Reason.GONE),
    413: (Answer.PERMANENT, Reason.REJECTED),
    422: (Answer.PERMANENT, Reason.REJECTED),
    425: (Answer.PERMANENT, Reason.REJECTED),
    429: (Answer.THROTTLED, Reason.THROTTLED),
    500: (Answer.RETRY, Reason.UNAVAILABLE),
    501: (Answer.RETRY, Reason.UNAVAILABLE),
    502: (Answer.RETRY, Reason.UNAVAILABLE),
    503: (Answer.RETRY, Reason.UNAVAILABLE),
    504: (Answer.RETRY, Reason.UNAVAILABLE),
    599: (Answer.RETRY, Reason.UNAVAILABLE),
}


@every_receiver
@pytest.mark.parametrize("status", STATUSES)
async def test_each_status_has_its_meaning(type_: ReceiverType, status: int) -> None:
    verdict = await answered(type_, status)
    assert (verdict.answer, verdict.reason, verdict.code) == (*STATUSES[status], status)


@every_receiver
@pytest.mark.parametrize("status", [200, 500])
async def test_the_platforms_success_code_counts_only_with_a_2xx(type_: ReceiverType, status: int) -> None:
    verdict = await answered(type_, status, SUCCESS[type_])
    assert (verdict.answer is Answer.ACCEPTED) == (status == 200)


@every_receiver
async def test_retry_after_is_heard(type_: ReceiverType) -> None:
    seconds = await answered(type_, 429, b"{}", {"Retry-After": "17"})
    assert (seconds.answer, seconds.retry_after_ms) == (Answer.THROTTLED, 17_000)
    date = await answered(type_, 503, b"{}", {"Retry-After": "Wed, 11 Nov 2026 12:01:00 GMT"})
    assert (date.answer, date.retry_at) == (Answer.THROTTLED, 1_794_398_460_000)


@every_receiver
async def test_a_redirect_is_not_followed(type_: ReceiverType) -> None:
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with serving(handler) as url:
        await attempt(type_, url)
    assert len(asked) == 1


@every_receiver
async def test_a_hanging_receiver_costs_its_timeout(type_: ReceiverType) -> None:
    async with speaking(b"", then_hang=True) as url:
        begun = time.monotonic()
        verdict = await attempt(type_, url, timeout_s=0.2)
    assert (verdict.answer, verdict.reason) == (Answer.UNREACHABLE, Reason.TIMEOUT)
    assert time.monotonic() - begun < 2


@every_receiver
async def test_an_answer_that_never_ends_costs_its_timeout(type_: ReceiverType) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + SUCCESS[type_]
    async with speaking(answer, then_hang=True) as url:
        begun = time.monotonic()
        verdict = await attempt(type_, url, timeout_s=0.2)
    # The status and, for robots, the whole object had come: the message was taken.
    assert verdict.answer is Answer.ACCEPTED
    assert time.monotonic() - begun < 2


@every_receiver
async def test_a_connection_closed_before_the_answer_is_retried(type_: ReceiverType) -> None:
    async with speaking(b"") as url:
        verdict = await attempt(type_, url)
    assert (verdict.answer, verdict.reason) == (Answer.UNREACHABLE, Reason.DISCONNECTED)


@every_robot
async def test_an_answer_broken_half_way_is_no_success_of_a_robot(type_: ReceiverType) -> None:
    async with speaking(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"errco') as url:
        verdict = await attempt(type_, url)
    assert (verdict.answer, verdict.reason) == (Answer.RETRY, Reason.BAD_RESPONSE)


@every_receiver
async def test_rubbish_instead_of_http_is_retried(type_: ReceiverType) -> None:
    async with speaking(b"SSH-2.0-OpenSSH_9.6\r\n\r\n") as url:
        verdict = await attempt(type_, url)
    assert verdict.answer is Answer.UNREACHABLE


@every_receiver
async def test_nobody_listening_is_retried(type_: ReceiverType) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        verdict = await attempt(type_, f"http://127.0.0.1:{port}/{TOKEN}")
    assert (verdict.answer, verdict.reason) == (Answer.UNREACHABLE, Reason.CONNECT)


@every_receiver
async def test_tls_to_a_plain_server_is_retried(type_: ReceiverType) -> None:
    async with speaking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        verdict = await attempt(type_, url.replace("http:", "https:"))
    assert (verdict.answer, verdict.reason) == (Answer.UNREACHABLE, Reason.TLS)


@every_receiver
async def test_an_endless_answer_is_read_only_to_the_limit(type_: ReceiverType) -> None:
    written = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while written < 1000 * ANSWER_LIMIT:
            await response.write(b"x" * ANSWER_LIMIT)
            written += ANSWER_LIMIT
        return response

    async with serving(handler) as url:
        verdict = await attempt(type_, url)
    expected = Answer.ACCEPTED if type_ is ReceiverType.WEBHOOK else Answer.RETRY
    assert verdict.answer is expected
    assert written < 1000 * ANSWER_LIMIT


@every_robot
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>please log in</html>",
        b"[]",
        b"{}",
        b'{"errcode":"0","code":"0"}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
async def test_a_robots_200_without_its_code_is_no_success(type_: ReceiverType, body: bytes) -> None:
    verdict = await answered(type_, 200, body)
    assert (verdict.answer, verdict.reason) == (Answer.RETRY, Reason.BAD_RESPONSE)


CODES = {
    ReceiverType.DINGTALK: {
        130101: (Answer.THROTTLED, Reason.THROTTLED),
        410100: (Answer.THROTTLED, Reason.THROTTLED),
        310000: (Answer.PERMANENT, Reason.UNAUTHORIZED),
        300001: (Answer.PERMANENT, Reason.UNAUTHORIZED),
        400102: (Answer.PERMANENT, Reason.REJECTED),
        -1: (Answer.RETRY, Reason.UNAVAILABLE),
    },
    ReceiverType.WECOM: {
        45009: (Answer.THROTTLED, Reason.THROTTLED),
        93000: (Answer.PERMANENT, Reason.UNAUTHORIZED),
        40058: (Answer.PERMANENT, Reason.REJECTED),
        -1: (Answer.RETRY, Reason.UNAVAILABLE),
    },
    ReceiverType.FEISHU: {
        11232: (Answer.THROTTLED, Reason.THROTTLED),
        19021: (Answer.PERMANENT, Reason.UNAUTHORIZED),
        9499: (Answer.THROTTLED, Reason.THROTTLED),
        19001: (Answer.PERMANENT, Reason.REJECTED),
    },
}


@pytest.mark.parametrize(
    ("type_", "code"), [(type_, code) for type_, codes in CODES.items() for code in codes]
)
async def test_each_platform_code_has_its_meaning(type_: ReceiverType, code: int) -> None:
    field = "code" if type_ is ReceiverType.FEISHU else "errcode"
    verdict = await answered(type_, 200, msgspec.json.encode({field: code, "msg": "…"}))
    assert (verdict.answer, verdict.reason, verdict.code) == (*CODES[type_][code], code)


@every_receiver
async def test_what_arrives_is_the_payload_byte_for_byte(type_: ReceiverType) -> None:
    arrived: list[tuple[str, bytes, str]] = []

    async def handler(request: web.Request) -> web.Response:
        arrived.append((request.method, await request.read(), request.raw_path))
        return web.Response(body=SUCCESS[type_])

    entry = sample_notification()
    async with serving(handler) as url:
        await attempt(type_, url)
        request = RECEIVERS[type_](config(type_, url), DEFAULT_ZONE).payload(entry, NOW_MS)
    path = request.url.split("/", 3)[3]
    assert arrived == [("POST", request.body, f"/{path}")]


@every_receiver
def test_the_same_notification_gives_the_same_bytes(type_: ReceiverType) -> None:
    url = f"https://hooks.example.com/{TOKEN}"
    entry = sample_notification()
    first = RECEIVERS[type_](config(type_, url), DEFAULT_ZONE).payload(entry, NOW_MS)
    second = RECEIVERS[type_](config(type_, url), DEFAULT_ZONE).payload(entry, NOW_MS)
    assert first == second
    msgspec.json.decode(first.body)


@every_receiver
@pytest.mark.parametrize("status", list(AlertStatus))
@pytest.mark.parametrize("severity", list(Severity))
def test_every_alert_says_what_a_reader_needs(
    type_: ReceiverType, status: AlertStatus, severity: Severity
) -> None:
    ends_at = NOW_MS + 90_000 if status is AlertStatus.RESOLVED else None
    alert = sample_alert(status=status, severity=severity, ends_at=ends_at)
    receiver = RECEIVERS[type_](config(type_, "https://hooks.example.com/x"), DEFAULT_ZONE)
    text = receiver.payload(sample_notification(alert), NOW_MS).body.decode()
    for needed in (alert.title, alert.body, alert.findings[0].evidence, "c-8", "售后一组"):
        assert needed in text
    if status is AlertStatus.FIRING:
        assert alert.findings[0].advice in text


@every_receiver
async def test_no_secret_is_in_a_verdict_a_repr_or_a_log(
    type_: ReceiverType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[object] = []
    async with speaking(b"") as url:
        shown.append(await attempt(type_, url))
    shown.append(await attempt(type_, f"http:///{TOKEN}"))
    shown.append(await attempt(type_, f"http://127.0.0.1:1/{TOKEN}", allow_private=AllowPrivate()))
    chosen = config(type_, f"http://127.0.0.1:1/{TOKEN}")
    shown += [chosen, RECEIVERS[type_](chosen, DEFAULT_ZONE).payload(sample_notification(), NOW_MS)]
    everything = "\n".join([*map(repr, shown), *map(str, shown), caplog.text])
    assert TOKEN not in everything
    assert KEY not in everything
    assert KEY.removeprefix("whsec_") not in everything
