"""A TCP proxy between workers and their broker: it delays, holds up what is written, and cuts.

What was read from a worker and not yet passed on when its connection breaks is lost, as it is where a
router dies.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from stream.runtime.broker import HOST, LocalBroker

PRODUCE = b"\0\0"
"""The first request key of Kafka's protocol; it stands behind the four bytes of a request's size."""

FETCH = b"\0\1"
"""The second: what consumers ask for records with."""

CHUNK = 1 << 16

HELD_LOOK_S = 0.02
"""How soon what was held up goes on."""


class Proxy:
    """Passes everything on to `upstream`, a port of this machine, until told otherwise."""

    def __init__(self, upstream: int) -> None:
        self.delay_s = 0.0
        """How long a chunk of what workers write to topics is on its way."""
        self.upstream = upstream
        self._open: set[asyncio.StreamWriter] = set()
        self._held_until = {PRODUCE: 0.0, FETCH: 0.0}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.start_server(self._link, HOST, 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        """Where workers connect to."""
        return f"{HOST}:{self.port}"

    def cut(self) -> None:
        """Break every connection, both ways, whatever is on its way."""

        def abort() -> None:
            for writer in list(self._open):
                writer.transport.abort()

        self._call(abort)

    def hold(self, seconds: float, request: bytes = PRODUCE) -> None:
        """Pass nothing on for so long of those connections that make such requests; others are not concerned.

        By default those that write to topics. Called again it counts anew: with 0 it is over.
        """

        def begin() -> None:
            self._held_until[request] = self._loop.time() + seconds

        self._call(begin)

    def close(self) -> None:
        """End it with all its connections."""
        self._call(self._server.close)
        self.cut()
        self._call(self._loop.stop)
        self._thread.join(10)

    def _call(self, action: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(action)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(HOST, self.upstream)
        except OSError:  # the broker is dead: so is the connection
            writer.transport.abort()
            return
        ends = {writer, back}
        self._open |= ends
        try:
            # Whichever way ends first, neither goes on.
            ways = [asyncio.create_task(self._up(reader, back)), asyncio.create_task(_pass(there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        makes: set[bytes] = set()
        while data := await reader.read(CHUNK):
            # Clients send a request at once; a chunk that begins in the midst of one can only be taken
            # for a write by chance, and is late then: no harm.
            makes |= {data[4:6]} & self._held_until.keys()
            if PRODUCE in makes:
                await asyncio.sleep(self.delay_s)
            while any(self._held_until[one] > self._loop.time() for one in makes):  # noqa: ASYNC110 - time ends it
                await asyncio.sleep(HELD_LOOK_S)
            writer.write(data)
            await writer.drain()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


class ProxiedBroker(LocalBroker):
    """A broker with a second listener, which tells its clients to connect by a proxy."""

    def __init__(self, home: Path, data_dir: Path, proxy: Proxy) -> None:
        super().__init__(home, data_dir)
        self._proxy = proxy

    def _configure(self, ports: object) -> None:
        super()._configure(ports)  # type: ignore[arg-type]
        lines = []
        for line in self._settings.read_text("utf-8").splitlines():
            name, _, _ = line.partition("=")
            more = {
                "listeners": f",PROXIED://{HOST}:{self._proxy.upstream}",
                "advertised.listeners": f",PROXIED://{HOST}:{self._proxy.port}",
                "listener.security.protocol.map": ",PROXIED:PLAINTEXT",
            }
            lines.append(line + more.get(name, ""))
        self._settings.write_text("\n".join(lines) + "\n", "utf-8")
