"""Any HTTP requests over real sockets to a real `yanshao up`, and what became of each.

A connection carries well-formed requests one behind the other: each must be answered, in order, and every
event in it be accepted or refused by index. Now and then the last thing on a connection is a request whose
own bytes are broken: it must be answered or its connection ended, and never hold anything up.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import msgspec

from tests.integration.localsystem import TOKEN, host_port
from tests.property.mutants import Mutants

LANES = 24
PIPELINED = 10
ANSWER_SECONDS = 20.0
"""Longest wait for the answer to a well-formed request before it counts as hung; usually milliseconds."""

BROKEN_SECONDS = 0.05
"""How long to listen after a broken request: what is incomplete waits for its rest, and need not here."""

GOOD = f"Authorization: Bearer {TOKEN}\r\n".encode()
BAD = (
    b"",
    b"Authorization: Bearer wrong\r\n",
    b"Authorization: Basic eA==\r\n",
    b"Authorization: Bearer \r\n",
)
PATHS = (b"/", b"/v1/events", b"/v1/../etc/passwd", b"/%00", b"/v1/events/", b"//x", b"/?a=%")
DAMAGES = (
    b"\r\n\r\n", b"\x00", b"\r", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"\xff" * 9,
    b"Expect: 100-continue\r\n", b"Content-Length: 99999999999999999999\r\n", b"A: " + b"b" * 9_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """A request, how many events it holds that the door must account for, and the statuses it may get."""

    raw: bytes
    events: int | None
    statuses: frozenset[int]


@dataclass
class Verdict:
    """What became of the requests."""

    sent: int = 0
    broken: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    broken_ends: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    refused: int = 0
    hung: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    @property
    def accounted(self) -> bool:
        whole = self.sent - self.broken
        return self.answers.total() == whole and self.broken_ends.total() == self.broken

    def __str__(self) -> str:
        answers = ", ".join(f"{status} {count:,}" for status, count in sorted(self.answers.items()))
        broken = ", ".join(f"{end} {count:,}" for end, count in sorted(self.broken_ends.items()))
        return (
            f"{self.sent:,} requests, {self.broken:,} of them broken; hung {len(self.hung)}\n"
            f"  answers: {answers}; events {self.accepted:,} accepted + {self.refused:,} refused"
            f"; the slowest answer {self.longest_s:.2f} s\n  broken: {broken}"
        )


def _is_one(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class Requests:
    """An endless supply of requests, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._mutants = Mutants(seed, start=time.time_ns() // 1_000_000)

    def well_formed(self) -> Request:
        """Return a request that is HTTP, whatever it says."""
        pick = self.random
        way = pick.random()
        if way < 0.75:
            body, count = self._body()
            return Request(self._post(GOOD, body), count, frozenset({202, 400}))
        if way < 0.85:
            body, _ = self._body()
            return Request(self._post(pick.choice(BAD), body), None, frozenset({401}))
        if way < 0.92:
            method = pick.choice((b"GET", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PURGE"))
            path = pick.choice(
                (b"/", b"/v1/events", b"/v1/../etc/passwd", b"/%00", b"/v1/events/", b"//x", b"/?a=%")
            )
            raw = method + b" " + path + b" HTTP/1.1\r\nHost: x\r\n" + GOOD + b"\r\n"
            return Request(raw, None, frozenset({404, 405}))
        body, count = self._body()
        return Request(self._packed(body), count, frozenset({202, 400}))

    def broken(self) -> bytes:
        """Return a request that is no HTTP, or is cut off; it may be taken for several."""
        pick = self.random
        raw = self.well_formed().raw
        for _ in range(pick.choice((1, 1, 2, 4))):
            way = pick.random()
            if way < 0.3:
                raw = raw[: pick.randrange(len(raw) + 1)]
            elif way < 0.6:
                place = pick.randrange(len(raw) + 1)
                raw = raw[:place] + pick.choice(DAMAGES) + raw[place:]
            else:
                raw = self._mutants.damaged(raw)
        return raw

    def _body(self) -> tuple[bytes, int | None]:
        """Return a body and how many events must be accounted for; None where it is no list of events."""
        pick = self.random
        way = pick.random()
        if way < 0.55:
            lines = [self._line() for _ in range(pick.choice((1, 1, 1, 2, 5)))]
            body = b"\n".join(lines)
            # Broken lines may make one value together, and one event may be written over several lines.
            return body, 1 if _is_one(body) else len(lines)
        if way < 0.65:
            events = [self._mutants.event() for _ in range(pick.choice((0, 1, 3)))]
            return json.dumps(events).encode(), len(events)
        if way < 0.97:
            return self._mutants.changed(self._mutants.event()), None
        return pick.choice((b"", b" ", b"[", b"[]]", b"\x00", b"[" * 5_000, b"\n" * 100)), None

    def _line(self) -> bytes:
        raw = self._mutants.changed(self._mutants.event())
        # What splits a line in two, or is none, would make the count another one.
        return b"7" if raw.lstrip()[:1] != b"{" or len(raw.splitlines()) != 1 else raw

    def _post(self, token: bytes, body: bytes) -> bytes:
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + token
        if self.random.random() < 0.8:
            return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(self._chunks(body)) + b"0\r\n\r\n"

    def _chunks(self, body: bytes) -> Iterator[bytes]:
        while body:
            size = self.random.choice((1, 7, 100, 65_536))
            piece, body = body[:size], body[size:]
            yield b"%x\r\n" % len(piece) + piece + b"\r\n"

    def _packed(self, body: bytes) -> bytes:
        packed = gzip.compress(body, 1)
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + GOOD + b"Content-Encoding: gzip\r\n"
        return head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed


async def run(seed: int, count: int, address: str) -> Verdict:
    """Send ``count`` requests of a seed to the door at an address."""
    verdict = Verdict()
    requests = Requests(seed)

    async def lane() -> None:
        while verdict.sent < count:
            await _connection(verdict, requests, address)

    await asyncio.gather(*(lane() for _ in range(LANES)))
    return verdict


async def _connection(verdict: Verdict, requests: Requests, address: str) -> None:
    batch = [requests.well_formed() for _ in range(PIPELINED)]
    broken = requests.broken()
    verdict.sent += PIPELINED + 1
    verdict.broken += 1
    reader, writer = await asyncio.open_connection(*host_port(address), limit=1 << 20)
    try:
        for request in batch:
            writer.write(request.raw)
        begun = time.monotonic()
        for request in batch:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, body = await _answer(reader)
            _judge(verdict, request, status, body)
        verdict.longest_s = max(verdict.longest_s, time.monotonic() - begun)
        verdict.broken_ends[await _end(reader, writer, broken)] += 1
    except TimeoutError:
        verdict.hung.append(repr(batch))
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        verdict.wrong.append(f"{type(error).__name__} after well-formed requests: {batch!r}")
    finally:
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length[15:]))


def _judge(verdict: Verdict, request: Request, status: int, body: bytes) -> None:
    verdict.answers[status] += 1
    if status not in request.statuses:
        verdict.wrong.append(f"{status} for {request.raw!r}")
        return
    answer = json.loads(body) if body.startswith(b"{") else {}
    if "accepted" not in answer:
        return
    taken, turned = answer["accepted"], len(answer["refused"])
    verdict.accepted += taken
    verdict.refused += turned
    if request.events is not None and taken + turned != request.events:
        verdict.wrong.append(f"{taken} + {turned} of {request.events}: {request.raw!r}")


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> str:
    """Send a broken request; returns what its connection came to: an answer, its end, or a wait for more."""
    writer.write(raw)
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(BROKEN_SECONDS):
            first = await reader.readline()
            return first.split(b" ")[1].decode() if first else "closed"
    return "closed" if reader.at_eof() else "waits"
