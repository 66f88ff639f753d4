"""Load with alerts in it that are timed: ordinary chats by schedule, and complaints in chats of their own.

The time from the moment a complaint's sending was planned to the moment a receiver has its alert is the
latency (`openloop`). Twenty complaints a second at any rate, so that a second counts the same everywhere.

Load and worker share the machine, so whatever can be done beforehand is: records are written but for their
time, and what is due of a partition goes out as one batch. The wait for that is part of the latency.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, cycle, islice
from typing import Any, Final, NamedTuple

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
LOOK_S: Final = 0.005
"""How often the schedule is looked at: a producer of Kafka 4 lingers as long by default. At 1,000 messages a
second, a look each millisecond cost load and broker twice as much of what they share with the worker."""

BATCH_BYTES: Final = 256 * 1024
"""More than is ever due at once, so that a load held up for a while catches up with one batch."""

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


class Written(NamedTuple):
    """A record but for its time, whose place is at the end of ``head``."""

    key: str
    head: bytes
    timed: bool

    def at(self, moment_ms: int) -> bytes:
        """Return the record as of a moment (epoch milliseconds)."""
        return b"%b%d}" % (self.head, moment_ms)


class Lane:
    """Writes records to one partition: those that come while a batch is on its way go with the next."""

    def __init__(self, producer: aiokafka.AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._due: deque[tuple[bytes, bytes]] = deque()
        self._writing: asyncio.Task[None] | None = None

    def add(self, key: str, raw: bytes) -> None:
        """Write a record as soon as may be; raises what the broker answered to an earlier one."""
        self._due.append((key.encode(), raw))
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def written(self) -> None:
        """Return when the broker has confirmed everything; raises what it answered instead."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._due:
            batch = self._producer.create_batch()
            while self._due:
                key, raw = self._due[0]
                if batch.append(key=key, value=raw, timestamp=None) is None:
                    break
                self._due.popleft()
            await (await self._producer.send_batch(batch, self._topic, partition=self._partition))


class Flow:
    """Sends phases of load to a topic."""

    def __init__(self, session: Session, producer: aiokafka.AIOKafkaProducer, topic: str, most: int) -> None:
        """``most``: how many messages there will be in all, hardly more than memory has room for."""
        self._lanes = [Lane(producer, topic, number) for number in range(PARTITIONS)]
        chats = traffic(session.day, most, concurrent=CONCURRENT, pace=Pace(0, 0.001))
        self._chats = zip(chats.keys, chats.records, strict=True)
        # The last chats of all never end; a hot one is fed with the day's own sentences over and over.
        self._said = cycle([model for model in session.day if model.text])

    async def warm_up(self, receiver: Receiver) -> None:
        """Send complaints into every partition and wait for their alerts."""
        names = [f"warm-{number}" for number in range(WARM)]
        for name in names:
            self._lane(name).add(name, _complaint(name).at(WallClock().now_ms()))
        await self._written()
        await arrived(receiver, dict.fromkeys(names, 0.0))

    async def send(self, phase: Phase) -> dict[str, float]:
        """Send by the schedule; return when each complaint was to be sent (monotonic seconds)."""
        records = list(islice(self._records(phase), phase.total))
        lanes = [self._lane(record.key) for record in records]
        schedule = Schedule(time.monotonic() + 0.1, phase.rate)
        epoch = WallClock().now_ms() - round(time.monotonic() * 1000)
        sent = 0
        while sent < phase.total:
            for number in range(sent, min(phase.total, sent + schedule.due(sent, time.monotonic()))):
                record = records[number]
                at = epoch + round(schedule.moment(number) * 1000)
                lanes[number].add(record.key, record.at(at))
                sent = number + 1
            await asyncio.sleep(LOOK_S)
        await self._written()
        return {record.key: schedule.moment(n) for n, record in enumerate(records) if record.timed}

    def _lane(self, key: str) -> Lane:
        return self._lanes[partition_of(key)]

    async def _written(self) -> None:
        for lane in self._lanes:
            await lane.written()

    def _records(self, phase: Phase) -> Iterator[Written]:
        """Yield what is to be sent."""
        every = max(1, phase.rate // COMPLAINTS)
        hot = round(1 / phase.hot) if phase.hot else 0
        for number in count():
            if number % every == 0:
                yield _complaint(_named(f"{phase.name}-{number}", phase.places))
            elif hot and number % hot == 1:
                yield self._hot_message(f"{phase.name}-{number}")
            else:
                key, raw = next(one for one in self._chats if partition_of(one[0]) in phase.places)
                yield _timeless(key, msgspec.json.decode(raw))

    def _hot_message(self, name: str) -> Written:
        said = next(self._said)
        return _message(HOT, f"{HOT}/{name}", said.role, said.text)


@asynccontextmanager
async def flowing(session: Session, bootstrap: str, topic: str, most: int) -> AsyncIterator[Flow]:
    """Yield a flow with a producer of its own."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES)
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


def _complaint(name: str) -> Written:
    return _message(name, f"{name}/1", "customer", COMPLAINT, timed=True)


def _message(conversation: str, message: str, role: str, text: str, *, timed: bool = False) -> Written:
    document = {
        "type": "message",
        "conversation_id": conversation,
        "message_id": message,
        "sender": {"role": role, "id": f"{role}-{conversation}"},
        "content": {"text": text},
        "shop_id": "s-1",
    }
    return _timeless(conversation, document, timed=timed)


def _timeless(key: str, document: dict[str, Any], *, timed: bool = False) -> Written:
    field = "sent_at" if document["type"] == "message" else "at"
    document.pop(field, None)
    return Written(key, b'%b,"%b":' % (msgspec.json.encode(document)[:-1], field.encode()), timed)
