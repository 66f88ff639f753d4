"""Everything that listens: an aiohttp application behind bounds that no client can talk it out of.

Theory of operation. aiohttp parses, answers, bounds one request and closes what is idle. What it does
not bound is put round it: each connection's protocol is wrapped in one of ours, which knows since when
a request's head is awaited and since when an answer is not being taken. One sweep a second looks at all
connections of a listener; a connection beyond its time is cut, and counted by reason. A middleware
tells the wrapper when a request's head is complete, and turns an address away that asks too often.
aiohttp's own log would quote what was sent, tokens too, so it gets a logger that names only types.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError

from stream.runtime.buckets import Buckets, owner_of
from stream.settings import Listen

logger = logging.getLogger(__name__)

SIDE_CONNECTIONS: Final = 32
"""Connections to `/metrics` and the health answers: some scrapers and probes, and a person or two."""

LINE_BYTES: Final = 4 * 1024
"""Request line, and each header: a bearer token and what proxies add are a few hundred bytes."""

HEADERS: Final = 64
"""Headers of a request; with their size, 256 KiB of a connection's memory at most. Proxies add ten."""

LINGER_SECONDS: Final = 1.0
"""How long the rest of a body that nobody reads is taken, so that the sender sees the answer."""

SWEEP_SECONDS: Final = 1.0
"""How often connections are looked at: exact enough for bounds of many seconds, 0.1 ms for 256 of them."""

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Cut(StrEnum):
    """Why a connection was cut, or not taken."""

    TOO_MANY = "too_many"
    TOO_MANY_OF_ADDRESS = "too_many_of_address"
    SLOW_HEAD = "slow_head"
    NOT_READING = "not_reading"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one listener bears. Times are in seconds."""

    connections: int
    connections_per_address: int
    requests_per_second: int
    head_s: float
    answer_s: float
    idle_s: float


def bounds_of(listen: Listen, *, connections: int | None = None) -> Bounds:
    """Return the configured bounds; ``connections`` lowers how many there may be."""
    most = listen.max_connections if connections is None else min(connections, listen.max_connections)
    return Bounds(
        connections=most,
        connections_per_address=min(most, listen.max_connections_per_address),
        requests_per_second=listen.max_requests_per_second,
        head_s=listen.head_timeout / 1000,
        answer_s=listen.body_timeout / 1000,
        idle_s=listen.idle_timeout / 1000,
    )


class Listening:
    """An application that listens within bounds; ``port`` is the real one where 0 was asked for.

    ``cut`` is told of every connection that was cut, ``answered`` of every request that was turned away
    before the application saw it.
    """

    def __init__(
        self,
        app: web.Application,
        host: str,
        port: int,
        bounds: Bounds,
        *,
        cut: Callable[[Cut], None],
        answered: Callable[[int], None] | None = None,
        stop_s: float = 5.0,
    ) -> None:
        app.middlewares.insert(0, self._admit())
        self._runner = web.AppRunner(
            app,
            # Scrapes are not worth a log line each, and a query string may hold anything.
            access_log=None,
            logger=cast("logging.Logger", _PeersLog(lambda: cut(Cut.MALFORMED))),
            shutdown_timeout=stop_s,
            keepalive_timeout=bounds.idle_s,
            lingering_time=LINGER_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
        )
        self._host = host
        self._bounds = bounds
        self._cut = cut
        self._answered = answered
        self._buckets = Buckets(bounds.requests_per_second)
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._of_address: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self.port = port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address is taken or not ours.
        """
        await self._runner.setup()
        self._loop = asyncio.get_running_loop()
        try:
            self._server = await self._loop.create_server(lambda: _Connection(self), self._host, self.port)
        except OSError:
            await self._runner.cleanup()
            raise
        self._bound = self._server.sockets[0].getsockname()
        self.port = self._bound[1]

    async def stop(self) -> None:
        """Stop listening, let requests that are under way end, close the connections."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        if self._sweep is not None:
            self._sweep.cancel()

    @property
    def address(self) -> str:
        """Where it listens, as the beginning of a URL."""
        host = self._bound[0]
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def _admit(self) -> Any:
        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = self._open.get(cast("asyncio.BaseTransport", request.transport))
            if connection is None:  # gone already, nobody hears the answer
                return await handler(request)
            connection.began()
            try:
                wait = self._buckets.take(connection.address, self._loop.time())
                if wait:
                    if self._answered is not None:
                        self._answered(429)
                    headers = {"Retry-After": str(math.ceil(wait))}
                    return web.json_response({"error": "too_often"}, status=429, headers=headers)
                return await handler(request)
            finally:
                connection.ended()

        return admit

    # What connections ask ------------------------------------------------------------------------------

    def take(self, connection: _Connection) -> asyncio.Protocol | None:
        """Return aiohttp's side of a new connection, or None where there are too many."""
        bounds = self._bounds
        if len(self._open) >= bounds.connections:
            self._cut(Cut.TOO_MANY)
            return None
        if self._of_address[connection.address] >= bounds.connections_per_address:
            self._cut(Cut.TOO_MANY_OF_ADDRESS)
            return None
        server = self._runner.server
        if server is None:  # it is being stopped
            return None
        self._open[connection.transport] = connection
        self._of_address[connection.address] += 1
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._pause_s, self._look)
        return server()

    def forget(self, connection: _Connection) -> None:
        """A connection that was taken is gone."""
        del self._open[connection.transport]
        self._of_address[connection.address] -= 1
        if not self._of_address[connection.address]:
            del self._of_address[connection.address]

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    @property
    def _pause_s(self) -> float:
        return min(SWEEP_SECONDS, self._bounds.head_s / 4)

    def _look(self) -> None:
        """Cut what is beyond its time; come again while there are connections."""
        now = self._loop.time()
        for connection in list(self._open.values()):
            reason = connection.overdue(now, self._bounds)
            if reason is not None:
                self._cut(reason)
                connection.transport.abort()
        self._sweep = self._loop.call_later(self._pause_s, self._look) if self._open else None


class _Connection(asyncio.Protocol):
    """One connection: passes everything on, and remembers since when its client owes something."""

    __slots__ = (
        "_answering",
        "_awaited_since",
        "_inner",
        "_listening",
        "_served",
        "_stalled",
        "address",
        "transport",
    )

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._inner: asyncio.Protocol | None = None
        self._answering = False
        self._served = 0
        self._stalled = (0, 0.0)
        """Up to which request, and when, the client was last seen to take its answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = owner_of(str(peer[0])) if peer else ""
        now = self._listening.now()
        self._awaited_since: float | None = now
        self._stalled = (0, now)
        self._inner = self._listening.take(self)
        if self._inner is None:
            self.transport.write(_BUSY)
            self.transport.close()
        else:
            self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inner is not None:
            self._listening.forget(self)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            if self._awaited_since is None and not self._answering:
                self._awaited_since = self._listening.now()
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def began(self) -> None:
        """The head of a request is complete."""
        self._answering = True
        self._awaited_since = None
        self._served += 1

    def ended(self) -> None:
        """The application has its answer. A head that came half with the last one falls under `idle_s`."""
        self._answering = False

    def overdue(self, now: float, bounds: Bounds) -> Cut | None:
        """Return why this connection must be cut, if so.

        An answer counts as taken when nothing of it waits, or when the next request is being answered:
        for that most of the last one must have left.
        """
        if self._awaited_since is not None and now - self._awaited_since > bounds.head_s:
            return Cut.SLOW_HEAD
        served, since = self._stalled
        if self.transport.get_write_buffer_size() == 0 or served != self._served:
            self._stalled = (self._served, now)
        elif now - since > bounds.answer_s:
            return Cut.NOT_READING
        return None


class _PeersLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp has to say, without what a client sent."""

    def __init__(self, malformed: Callable[[], None]) -> None:
        super().__init__(logger)
        self._malformed = malformed

    def exception(self, msg: object, *args: object, exc_info: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Count what is the client's fault; name the place of what is ours."""
        if isinstance(exc_info, HttpProcessingError | web.RequestPayloadError):
            self._malformed()
        elif isinstance(exc_info, ConnectionError):
            logger.debug("a client went away: %s", type(exc_info).__name__)
        else:
            logger.error("a request broke what answers it: %s", _place(exc_info))

    def debug(self, msg: object, *args: object, exc_info: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Count bytes that are no HTTP at all; everything else here is of no interest."""
        if isinstance(exc_info, HttpProcessingError):
            self._malformed()


def _place(error: Any) -> str:
    """Return what broke and where; the text of an exception may quote what was sent."""
    if not isinstance(error, BaseException) or error.__traceback__ is None:
        return "no exception"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
