"""The HTTP door: ``POST /v1/events``, the same for the embedded runtime and for ``ingest``.

A request holds one event, a JSON array of them, or one a line. What is usable is accepted even
where its neighbours are not: the answer names each bad one by its index in the request, and a
repeated event is recognised by its ``message_id``, so sending again is always safe.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiohttp import web

from stream.settings import Settings
from stream.wire import InvalidMessage

# How long a client that is turned away should wait: about what a full queue takes to drain.
RETRY_AFTER_S = 1

_any = msgspec.json.Decoder(msgspec.Raw)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_JSON_SPACE = b" \t\r\n"


class Overloaded(Exception):  # noqa: N818 - a state of affairs the client must wait out, not a fault
    """The queue is full; nothing of the request was taken."""


class Unavailable(Exception):  # noqa: N818
    """The store or the broker cannot make events durable now; nothing of the request was taken."""


class Door(Protocol):
    """Where accepted events go."""

    async def accept(self, events: Sequence[bytes]) -> list[InvalidMessage | None]:
        """Make the usable events durable, then return one entry an event: why it was refused, or None.

        Raises:
            Overloaded: There is no room now.
            Unavailable: Durability cannot be had now.
        """
        ...


def split(body: bytes, limit: int) -> list[bytes]:
    """Return the raw events of a request body.

    Raises:
        ValueError: The body is empty, no JSON array where it begins as one, or has over ``limit`` events.
    """
    text = body.strip(_JSON_SPACE)
    if not text:
        raise ValueError("empty body")
    if text.startswith(b"["):
        try:
            events = [bytes(raw) for raw in _array.decode(text)]
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError("not a JSON array of events") from error
    else:
        events = [line for line in text.splitlines() if line.strip(_JSON_SPACE)]
        if len(events) > 1 and _is_one(text):
            events = [text]  # one event, written over several lines
    if len(events) > limit:
        raise ValueError(f"more than {limit} events in one request")
    return events


def _is_one(text: bytes) -> bool:
    try:
        _any.decode(text)
    except (msgspec.DecodeError, RecursionError):  # of several values the first ends too early
        return False
    return True


class Room:
    """How many bytes of bodies may be in the reading at once; beyond it senders are turned away."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold so much room for a while.

        Raises:
            Overloaded: There is none. A body too large for all of it is read when nothing else is.
        """
        if self._taken and self._taken + size > self._size:
            raise Overloaded
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost: events, bytes, and seconds for its body to arrive; ``room`` is for all."""

    events: int
    size: int
    body_s: float
    room: Room


def limits_of(settings: Settings) -> Limits:
    """Return the configured limits, with room for as many bytes as may wait to be applied."""
    return Limits(
        events=settings.local.max_request_events,
        size=settings.listen.max_body_bytes,
        body_s=settings.listen.body_timeout / 1000,
        room=Room(settings.local.queue_bytes),
    )


def events_handler(
    door: Door, token: str, limits: Limits, answered: Callable[[int], None]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of ``POST /v1/events``; ``answered`` is told every status, for the metrics."""

    async def handle(request: web.Request) -> web.Response:
        response = await _handle(request, door, token, limits)
        answered(response.status)
        return response

    return handle


async def _handle(request: web.Request, door: Door, token: str, limits: Limits) -> web.Response:
    if not authorised(request, token):
        return web.json_response(
            {"error": "unauthorized"}, status=401, headers={"WWW-Authenticate": "Bearer"}
        )
    body = await _body(request, limits)
    if isinstance(body, web.Response):
        return body
    try:
        events = split(body, limits.events)
    except ValueError as error:
        return web.json_response({"error": "bad_request", "detail": str(error)}, status=400)
    try:
        outcomes = await door.accept(events)
    except Overloaded:
        return _later(429, "overloaded")
    except Unavailable:
        return _later(503, "unavailable")
    refused = [
        {"index": index, "reason": problem.reason, "detail": problem.detail}
        for index, problem in enumerate(outcomes)
        if problem is not None
    ]
    answer = {"accepted": len(events) - len(refused), "refused": refused}
    return web.json_response(answer, status=400 if refused else 202)


async def _body(request: web.Request, limits: Limits) -> bytes | web.Response:
    """Return a request's body, or the answer that refuses it."""
    # What is compressed, or sent in pieces, says its size only when it is here.
    plain = request.content_length if "Content-Encoding" not in request.headers else None
    if plain is not None and plain > limits.size:
        return _refused("too_large", 413)
    try:
        with limits.room.taken(limits.size if plain is None else plain):
            async with asyncio.timeout(limits.body_s):
                return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return _refused("too_large", 413)
    except TimeoutError:
        return _refused("too_slow", 408)
    except web.RequestPayloadError:
        return _refused("bad_encoding", 400)
    except Overloaded:
        return _later(429, "overloaded")


def _refused(error: str, status: int) -> web.Response:
    """Answer a request whose body is not read to its end: nothing else can follow on its connection."""
    return web.json_response({"error": error}, status=status, headers={"Connection": "close"})


def authorised(request: web.Request, token: str) -> bool:
    """Return whether the request carries the bearer token; compared in constant time."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())
    return scheme.lower() == "bearer" and same


def _later(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status, headers={"Retry-After": str(RETRY_AFTER_S)})
