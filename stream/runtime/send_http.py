"""Sends events to the HTTP door, in batches, in order within a conversation."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, Self
from zlib import crc32

import aiohttp
import msgspec

from stream.runtime.send import Planned, Report, SendError
from stream.settings import Listen

LANES: Final = 4
"""Requests under way at once. A conversation stays in one lane, so its order is kept; more lanes than
this gain nothing, for the embedded runtime shares one commit among all requests that wait."""

BATCH_EVENTS: Final = 500
BATCH_BYTES: Final = 1024 * 1024
"""A request is a tenth of what the door takes (``local.max_request_events``, ``listen.max_body_bytes``)."""

LANE_EVENTS: Final = 2_000
"""What may wait in one lane before reading stops: four batches."""

PATIENCE_SECONDS: Final = 60.0
"""How long a system that has answered may be away (a restart takes seconds) before the sender gives up."""

FIRST_PATIENCE_SECONDS: Final = 10.0
"""How long to wait for the first answer: enough to start both at once, short for who forgot to."""

LONGEST_WAIT_SECONDS: Final = 10.0
"""However long the system asks us to stay away, look again after this."""

FIRST_WAIT_SECONDS: Final = 0.2

REQUEST_SECONDS: Final = 30.0

_RETRIED: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class _Refused(msgspec.Struct):
    index: int
    reason: str


class _Answer(msgspec.Struct):
    accepted: int = 0
    refused: list[_Refused] = []
    error: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


def door(listen: Listen) -> str:
    """Return the address at which a process of this configuration takes events.

    Raises:
        SendError: It listens on any free port, which only it knows.
    """
    if not listen.port:
        raise SendError("listen.port is 0, any free port: say where with --url")
    # What listens everywhere is reached here.
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listen.host, listen.host)  # noqa: S104 - not bound
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{listen.port}/v1/events"


class HttpTarget:
    """``POST /v1/events``; repeats what was not taken, which is safe: doubles are known by their id.

    Used in ``async with``.
    """

    def __init__(self, url: str, token: str, report: Report) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
        self._report = report
        self._lanes = [_Lane() for _ in range(LANES)]
        self._session: aiohttp.ClientSession | None = None
        self._answered = False
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        # No proxy and no environment: events go where the command says.
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        self._workers = [asyncio.create_task(self._run(lane)) for lane in self._lanes]
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def put(self, event: Planned) -> None:
        """Queue an event in its conversation's lane."""
        lane = self._lanes[crc32((event.key or "").encode("utf-8", "surrogatepass")) % LANES]
        if event.broadcast:
            # It concerns every conversation, so it may overtake none and be overtaken by none.
            await self.drain()
            await lane.add(event.raw, self._failed)
            await self.drain()
        else:
            await lane.add(event.raw, self._failed)

    async def drain(self) -> None:
        """Wait until every lane is empty and every request answered."""
        for lane in self._lanes:
            await lane.settled(self._failed)

    def _failed(self) -> None:
        for worker in self._workers:
            if worker.done() and not worker.cancelled():
                error = worker.exception()
                if error is not None:
                    raise error

    async def _run(self, lane: _Lane) -> None:
        try:
            while True:
                await self._deliver(await lane.take())
                lane.answered()
        finally:
            lane.wake()

    async def _deliver(self, events: Sequence[bytes]) -> None:
        """Post events until they are taken or refused. Raises SendError."""
        away_since = time.monotonic()
        wait = FIRST_WAIT_SECONDS
        while True:
            status, body, pause = await self._post(events)
            self._answered = self._answered or status is not None
            if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(events) > 1:
                half = len(events) // 2
                await self._deliver(events[:half])
                await self._deliver(events[half:])
                return
            if status is not None and status not in _RETRIED:
                self._account(status, body, len(events))
                return
            if pause is not None:
                away_since = time.monotonic()  # it is there, and only asks for time
            elif time.monotonic() - away_since > self._patience:
                raise SendError(
                    f"nothing answers at {self._url} (`yanshao up` or `yanshao ingest` serves it)"
                )
            await asyncio.sleep(min(LONGEST_WAIT_SECONDS, wait if pause is None else pause))
            wait *= 2

    @property
    def _patience(self) -> float:
        return PATIENCE_SECONDS if self._answered else FIRST_PATIENCE_SECONDS

    async def _post(self, events: Sequence[bytes]) -> tuple[int | None, bytes, float | None]:
        """Return status, body, and how long the system asks us to wait; no status where none answered."""
        assert self._session is not None
        try:
            async with self._session.post(
                self._url, data=b"\n".join(events), allow_redirects=False
            ) as answer:
                body = await answer.read()
                return answer.status, body, _seconds(answer.headers.get("Retry-After"), answer.status)
        except (aiohttp.ClientError, TimeoutError):
            return None, b"", None

    def _account(self, status: int, body: bytes, count: int) -> None:
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise SendError(
                f"{self._url} does not accept the token (token, or the data directory's `token` file)"
            )
        try:
            answer = _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise SendError(f"{self._url} answers {status}: it is no door for events") from None
        if status == HTTPStatus.ACCEPTED or (status == HTTPStatus.BAD_REQUEST and not answer.error):
            for refused in answer.refused:
                self._report.refuse(refused.reason)
            self._report.sent += count - len(answer.refused)
        elif status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
            self._report.refuse(answer.error, count)
        else:
            raise SendError(f"{self._url} answers {status}")


class _Lane:
    """Events that wait for the one request of their lane."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._under_way = 0
        self._changed = asyncio.Event()

    async def add(self, raw: bytes, check: Callable[[], None]) -> None:
        while len(self._waiting) >= LANE_EVENTS:
            await self._change(check)
        self._waiting.append(raw)
        self.wake()

    async def settled(self, check: Callable[[], None]) -> None:
        while self._waiting or self._under_way:
            await self._change(check)

    async def take(self) -> list[bytes]:
        """Return the next batch: all that waits, within the bounds of a request."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        batch = [self._waiting.popleft()]
        size = len(batch[0])
        while self._waiting and _goes_with(batch[0]) and _goes_with(self._waiting[0]):
            size += len(self._waiting[0])
            if len(batch) >= BATCH_EVENTS or size > BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        self._under_way = len(batch)
        return batch

    def answered(self) -> None:
        self._under_way = 0
        self.wake()

    def wake(self) -> None:
        self._changed.set()

    async def _change(self, check: Callable[[], None]) -> None:
        check()
        self._changed.clear()
        await self._changed.wait()
        check()


def _goes_with(raw: bytes) -> bool:
    """Return whether a line may share a request: one that is no object would spoil how the rest is read."""
    return raw.lstrip().startswith(b"{")


def _seconds(retry_after: str | None, status: int) -> float | None:
    """Return Retry-After in seconds; its other form, a date, is taken for the shortest wait."""
    if status not in _RETRIED:
        return None
    return float(retry_after) if retry_after is not None and retry_after.isdigit() else FIRST_WAIT_SECONDS
