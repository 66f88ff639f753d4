"""Load with alerts in it that are timed: ordinary chats by schedule, and complaints in chats of their own.

The time from the moment a complaint's sending was planned to the moment a receiver has its alert is the
latency (`openloop`). Twenty complaints a second at any rate, so that a second counts the same everywhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import aiokafka
import msgspec

from stream.bench.installation import PARTITIONS, partition_of
from stream.bench.openloop import Latencies, Schedule
from stream.bench.session import Session
from stream.bench.webhooks import Receiver
from stream.bench.workload import Pace, traffic
from stream.runtime.clock import WallClock

COMPLAINTS: Final = 20
"""A second, beside the alerts of the ordinary chats."""

COMPLAINT: Final = "再不处理我就打12315投诉你们"
CONCURRENT: Final = 500
LOOK_S: Final = 0.001
WARM: Final = 40
"""Complaints that warm the way up before anything is timed: some through every partition."""

HOT: Final = "hot"
"""The conversation that everybody writes in, where there is one."""

EVERYWHERE: Final = frozenset(range(PARTITIONS))


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of load: its name (part of its complaints' keys), messages a second, how long.

    ``hot`` is the share of all messages that are written in one conversation; ``places`` the partitions
    that anything is sent to.
    """

    name: str
    rate: int
    seconds: float
    hot: float = 0.0
    places: Collection[int] = EVERYWHERE

    @property
    def total(self) -> int:
        """How many messages that is."""
        return round(self.rate * self.seconds)


class Flow:
    """Sends phases of load to a topic."""

    def __init__(self, session: Session, producer: aiokafka.AIOKafkaProducer, topic: str, most: int) -> None:
        """``most``: how many messages there will be in all, hardly more than memory has room for."""
        self._producer = producer
        self._topic = topic
        chats = traffic(session.day, most, concurrent=CONCURRENT, pace=Pace(0, 0.001))
        self._chats = zip(chats.keys, map(_document, chats.records), strict=True)
        # The last chats of all never end; a hot one is fed with the day's own sentences over and over.
        self._said = cycle([model for model in session.day if model.text])

    async def warm_up(self, receiver: Receiver) -> None:
        """Send complaints into every partition and wait for their alerts."""
        names = [f"warm-{number}" for number in range(WARM)]
        for name in names:
            await self._send(name, _complaint(name), WallClock().now_ms())
        await arrived(receiver, dict.fromkeys(names, 0.0))

    async def send(self, phase: Phase) -> dict[str, float]:
        """Send by the schedule; return when each complaint was to be sent (monotonic seconds)."""
        schedule = Schedule(time.monotonic() + 0.1, phase.rate)
        epoch = WallClock().now_ms() - round(time.monotonic() * 1000)
        planned: dict[str, float] = {}
        futures: list[Any] = []
        documents = self._documents(phase)
        sent = 0
        while sent < phase.total:
            for number in range(sent, min(phase.total, sent + schedule.due(sent, time.monotonic()))):
                moment = schedule.moment(number)
                key, document, timed = next(documents)
                futures.append(await self._send(key, document, epoch + round(moment * 1000)))
                if timed:
                    planned[key] = moment
                sent = number + 1
            await asyncio.sleep(LOOK_S)
        await asyncio.gather(*futures)
        return planned

    def _documents(self, phase: Phase) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Yield key, event, and whether its alert is timed."""
        every = max(1, phase.rate // COMPLAINTS)
        hot = round(1 / phase.hot) if phase.hot else 0
        number = 0
        while True:
            if number % every == 0:
                key = _named(f"{phase.name}-{number}", phase.places)
                yield key, _complaint(key), True
            elif hot and number % hot == 1:
                yield HOT, self._hot_message(f"{phase.name}-{number}"), False
            else:
                yield *next(one for one in self._chats if partition_of(one[0]) in phase.places), False
            number += 1

    def _hot_message(self, name: str) -> dict[str, Any]:
        said = next(self._said)
        return _message(HOT, f"{HOT}/{name}", said.role, said.text)

    async def _send(self, key: str, document: dict[str, Any], at: int) -> Any:
        document["sent_at" if document["type"] == "message" else "at"] = at
        raw = msgspec.json.encode(document)
        return await self._producer.send(self._topic, raw, key=key.encode(), partition=partition_of(key))


@asynccontextmanager
async def flowing(session: Session, bootstrap: str, topic: str, most: int) -> AsyncIterator[Flow]:
    """Yield a flow with a producer of its own."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        yield Flow(session, producer, topic, most)
    finally:
        await producer.stop()


async def arrived(receiver: Receiver, planned: Mapping[str, float], patience_s: float = 10.0) -> None:
    """Return when every planned alert has come, or when none has come for so long."""
    seen, moved_at = -1, time.monotonic()
    while time.monotonic() - moved_at < patience_s:
        came = len(planned.keys() & receiver.came.keys())
        if came == len(planned):
            return
        if came != seen:
            seen, moved_at = came, time.monotonic()
        await asyncio.sleep(0.05)


def latencies(receiver: Receiver, planned: Mapping[str, float]) -> Latencies:
    """Return how long each alert took, and how many never came."""
    seen = tuple(receiver.came[name] - at for name, at in planned.items() if name in receiver.came)
    return Latencies(seen, len(planned) - len(seen))


def _named(name: str, places: Collection[int]) -> str:
    """Return the name, with something behind it that leads it to one of the partitions."""
    return next(key for n in range(1_000) if partition_of(key := f"{name}-{n}") in places)


def _document(raw: bytes) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(raw)
    return document


def _complaint(name: str) -> dict[str, Any]:
    return _message(name, f"{name}/1", "customer", COMPLAINT)


def _message(conversation: str, message: str, role: str, text: str) -> dict[str, Any]:
    return {
        "type": "message",
        "conversation_id": conversation,
        "message_id": message,
        "sender": {"role": role, "id": f"{role}-{conversation}"},
        "content": {"text": text},
        "shop_id": "s-1",
    }
