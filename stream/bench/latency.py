"""From a message to the webhook: open loop, a real HTTP receiver, the worker with all its roles.

A thousand messages a second of ordinary chats; one in fifty is a complaint in a conversation of its own,
and the time from the moment its sending was planned to the moment the receiver has its alert is the
latency (`openloop`). The other alerts, which the ordinary chats raise, go to the same receiver.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiokafka
import msgspec
from aiohttp import web

from stream.bench.figures import Figure, Row, at_most
from stream.bench.installation import Installation, WorkerFailedError, partition_of
from stream.bench.openloop import Latencies, Schedule
from stream.bench.session import Session
from stream.bench.workload import Pace, traffic
from stream.runtime.clock import WallClock

RATE: Final = 1_000
ALERTING: Final = 50
"""One message in so many is a complaint: 20 alerts a second beside those of the ordinary chats."""

COMPLAINT: Final = "再不处理我就打12315投诉你们"
STRAGGLERS_S: Final = 10.0
"""How long after the last message alerts may still come in; later ones count as missing."""

MEDIAN = Figure("latency.p50", "ms", f"message to webhook at {RATE:,}/s, open loop")
P99 = Figure("latency.p99", "ms", f"message to webhook at {RATE:,}/s, open loop", at_most(250))
LONGEST = Figure("latency.max", "ms", f"message to webhook at {RATE:,}/s, open loop")
FIGURES = (MEDIAN, P99, LONGEST)


class Receiver:
    """Takes webhooks and notes when each conversation's first alert came."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.requests = 0

    async def take(self, request: web.Request) -> web.Response:
        """Answer 200 and note the time."""
        body = await request.read()
        now = time.monotonic()
        self.requests += 1
        self.came.setdefault(msgspec.json.decode(body)["data"]["conversation_id"], now)
        return web.Response()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen on a free port of this machine; yield the address."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/hook", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()


def measure(session: Session) -> list[Row]:
    """Return the latencies of one run of some length."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    try:
        found, how = asyncio.run(_run(session, session.scale(30, 4)))
    except WorkerFailedError as error:
        return [figure.unmeasured(str(error)) for figure in FIGURES]
    return [
        figure.row(found.at(share), how) for figure, share in ((MEDIAN, 0.5), (P99, 0.99), (LONGEST, 1.0))
    ]


async def _run(session: Session, seconds: int) -> tuple[Latencies, str]:
    session.tell(f"latency: {seconds} s at {RATE:,} messages/s")
    total = RATE * seconds
    chats = traffic(session.day, total, concurrent=500, pace=Pace(WallClock().now_ms() - 60_000, 0.001))
    receiver = Receiver()
    async with receiver.listening() as hook:
        installation = Installation(session, "latency.", hook)
        installation.make_topics()
        worker = installation.start()
        try:
            await asyncio.to_thread(worker.wait_ready)
            producer = aiokafka.AIOKafkaProducer(bootstrap_servers=session.bootstrap)
            await producer.start()
            try:
                await _complain(producer, installation, receiver)
                ordinary = list(zip(chats.keys, chats.records, strict=True))
                planned = await _send(producer, installation.names.messages, ordinary, total)
            finally:
                await producer.stop()
            await _stragglers(receiver, planned)
            worker.check()
        finally:
            await asyncio.to_thread(worker.stop)
    seen = tuple(receiver.came[name] - at for name, at in planned.items() if name in receiver.came)
    found = Latencies(seen, len(planned) - len(seen))
    return found, f"{len(planned):,} alerts timed, {found.missing} missing, {receiver.requests:,} webhooks"


async def _complain(
    producer: aiokafka.AIOKafkaProducer, installation: Installation, receiver: Receiver
) -> None:
    """Warm the way up: one alert through every partition before anything is timed."""
    names = [f"warm-{number}" for number in range(40)]
    for name in names:
        topic, place = installation.names.messages, partition_of(name)
        await producer.send_and_wait(topic, _complaint(name), key=name.encode(), partition=place)
    await _stragglers(receiver, dict.fromkeys(names, 0.0))


async def _send(
    producer: aiokafka.AIOKafkaProducer, topic: str, ordinary: Sequence[tuple[str, bytes]], total: int
) -> dict[str, float]:
    """Send by the schedule; return when each complaint was to be sent."""
    schedule = Schedule(time.monotonic() + 0.5, RATE)
    planned: dict[str, float] = {}
    sent = 0
    futures: list[Any] = []
    while sent < total:
        for number in range(sent, min(total, sent + schedule.due(sent, time.monotonic()))):
            if number % ALERTING:
                key, raw = ordinary[number]
            else:
                key = f"complaint-{number}"
                raw = _complaint(key)
                planned[key] = schedule.moment(number)
            futures.append(await producer.send(topic, raw, key=key.encode(), partition=partition_of(key)))
            sent = number + 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*futures)
    return planned


async def _stragglers(receiver: Receiver, planned: dict[str, float]) -> None:
    """Wait until every planned alert has come, or for ``STRAGGLERS_S``."""
    for _ in range(int(STRAGGLERS_S / 0.05)):
        if planned.keys() <= receiver.came.keys():
            return
        await asyncio.sleep(0.05)


def _complaint(name: str) -> bytes:
    return msgspec.json.encode(
        {
            "type": "message",
            "conversation_id": name,
            "message_id": f"{name}/1",
            "sent_at": WallClock().now_ms(),
            "sender": {"role": "customer", "id": f"u-{name}"},
            "content": {"text": COMPLAINT},
            "shop_id": "s-1",
        }
    )
