"""Sends chats without end by an open-loop schedule: they open, take their course, close, and others come.

A thousand messages a second means that every millisecond has its message, whatever the system answers. Who
writes it is the chat that has waited longest for its turn; where nobody is due, the next customer comes. So
the rate is exact, and the number of open chats settles by itself at the rate times the mean gap.

    python -m stream.bench.soak.load --bootstrap … --topic … --rate 1000 --seconds 3600

prints one line of JSON a second (`Progress`) and holds nothing that grows: chats end, confirmed records are
forgotten.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple

import aiokafka
import click
import msgspec

from stream.bench.installation import partition_of
from stream.bench.openloop import Schedule
from stream.bench.workload import GAP_S, Mix, Model, Phrases, chat, length, models
from stream.runtime.clock import WallClock
from stream.runtime.knowledge import open_knowledge

PACE: Final = 0.2
"""Of a real chat's pauses: some five minutes for a whole one, so that the level is reached in a few."""

SILENT: Final = 0.03
"""Share of chats that end in a question nobody answers and nobody closes: clocks breach, silence closes."""

KEPT: Final = 0.9
"""Share of the others in which the agent tells at the end that all was done. In every second chat something
is promised; were all of it broken, alerts would take a worker more time than messages do."""

DONE: Final = "刚才给您打电话了，已经发货了，也已经退款了，您的问题处理好了。"
"""What keeps promises of every kind (docs/ola.md)."""

RETURNING: Final = 0.1
"""Share of chats by a customer who was here a moment ago."""

REMEMBERED: Final = 1_000
"""Of so many chats back is the customer who returns."""

LOOK_S: Final = 0.01
"""Between two looks at the schedule: records of so long go out together, as they do from a busy door."""

REPORT_S: Final = 1.0


class Event(NamedTuple):
    """A record of a chat but for its time: ``message`` says that its time is ``sent_at``."""

    key: str
    body: dict[str, Any]
    message: bool

    def raw(self, at: int) -> bytes:
        """Return the bytes on the wire, as of ``at`` (epoch milliseconds)."""
        return msgspec.json.encode({**self.body, "sent_at" if self.message else "at": at})


class Progress(msgspec.Struct):
    """What the sender says of itself: messages and records sent, chats open, seconds behind its schedule."""

    messages: int
    records: int
    chats: int
    behind_s: float
    failed: int
    ended: bool = False


class Churn:
    """Chats that come and go; the same seed gives the same ones. Times are seconds of any one clock."""

    def __init__(self, day: list[Model], seed: int, *, pace: float = PACE) -> None:
        self._random = Random(seed)  # noqa: S311 - the same chats for the same seed, no secret
        self._phrases = Phrases(day, Mix(), seed + 1)
        self._pace = pace
        self._begun = self._waits = 0
        self._due: list[tuple[float, int, Iterator[Event]]] = []

    def __len__(self) -> int:
        return len(self._due)

    def begin_amid(self, t: float, rate: float) -> None:
        """Let as many chats be under way at ``t`` as there are at that rate, each somewhere in its course."""
        mean_s = self._pace * sum(GAP_S) / len(GAP_S)
        for _ in range(round(rate * mean_s)):
            left = self._random.randint(1, length(self._random))
            self._wait(t + self._random.random() * mean_s, self._course(left))

    def take(self, t: float) -> Iterator[Event]:
        """Yield the message of the moment ``t``, and what opens and closes around it."""
        while True:
            if self._due and self._due[0][0] <= t:
                _, _, course = heapq.heappop(self._due)
            else:
                course = self._course(length(self._random))
            for event in course:
                yield event
                if event.message:
                    gap_s = self._random.choice(GAP_S) * self._pace
                    self._wait(t + gap_s, course)
                    return

    def _wait(self, until: float, course: Iterator[Event]) -> None:
        self._waits += 1  # the heap compares no courses
        heapq.heappush(self._due, (until, self._waits, course))

    def _course(self, messages: int) -> Iterator[Event]:
        random = self._random
        self._begun += 1
        number = self._begun
        key = f"c-{number}"
        back = random.randint(1, REMEMBERED) if random.random() < RETURNING else 0
        customer = f"u-{max(1, number - back)}"
        agent = f"a-{random.randrange(400)}"
        silent = random.random() < SILENT
        kept = not silent and random.random() < KEPT
        common = {
            "conversation_id": key,
            "shop_id": f"s-{random.randrange(20)}",
            "channel": "taobao",
            "group": "aftersales",
        }
        opened = {"type": "conversation.opened", **common, "customer": {"id": customer, "tier": "normal"}}
        yield Event(key, opened, False)
        yield Event(key, {"type": "conversation.assigned", **common, "agent": agent}, False)
        for place, said in enumerate(chat(self._phrases, random, messages)):
            last = place == messages - 1
            role = "customer" if last and silent else "agent" if last and kept else said.role
            message = {
                "type": "message",
                **common,
                "message_id": f"{key}/{place}",
                "sender": {"role": role, "id": customer if role == "customer" else agent},
                "content": {"kind": "text", "text": DONE if last and kept else said.text},
            }
            yield Event(key, message, True)
        if not silent:
            yield Event(key, {"type": "conversation.closed", **common, "by": "agent"}, False)


class Sender:
    """Sends a churn by its schedule."""

    def __init__(self, producer: aiokafka.AIOKafkaProducer, topic: str, churn: Churn) -> None:
        self._producer = producer
        self._topic = topic
        self._churn = churn
        self._progress = Progress(0, 0, 0, 0.0, 0)

    async def send(self, rate: float, seconds: float) -> None:
        """Send for so long, and wait until all was confirmed."""
        schedule = Schedule(time.monotonic(), rate)
        epoch = WallClock().now_ms() - round(schedule.begun * 1000)
        self._churn.begin_amid(schedule.begun, rate)
        total = round(rate * seconds)
        report_at = schedule.begun + REPORT_S
        sent = 0
        while sent < total:
            for number in range(sent, min(total, sent + schedule.due(sent, time.monotonic()))):
                await self._send_one(schedule.moment(number), epoch)
                sent = number + 1
                if time.monotonic() >= report_at:
                    report_at = time.monotonic() + REPORT_S
                    self._report(sent, time.monotonic() - schedule.moment(sent))
            await asyncio.sleep(LOOK_S)
        await self._producer.flush()
        self._progress.ended = True
        self._report(sent, 0.0)

    async def _send_one(self, moment: float, epoch: int) -> None:
        at = epoch + round(moment * 1000)
        for event in self._churn.take(moment):
            place = partition_of(event.key)
            key = event.key.encode()
            future = await self._producer.send(self._topic, event.raw(at), key=key, partition=place)
            future.add_done_callback(self._confirmed)
            self._progress.records += 1

    def _confirmed(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._progress.failed += 1

    def _report(self, sent: int, behind_s: float) -> None:
        self._progress.messages = sent
        self._progress.chats = len(self._churn)
        self._progress.behind_s = max(0.0, behind_s)
        click.echo(msgspec.json.encode(self._progress))


async def _run(bootstrap: str, topic: str, rate: float, seconds: float, seed: int) -> None:
    churn = Churn(models(open_knowledge()), seed)
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, linger_ms=5)
    await producer.start()
    try:
        await Sender(producer, topic, churn).send(rate, seconds)
    finally:
        await producer.stop()


@click.command()
@click.option("--bootstrap", required=True)
@click.option("--topic", required=True)
@click.option("--rate", type=float, required=True)
@click.option("--seconds", type=float, required=True)
@click.option("--seed", type=int, default=11)
def main(bootstrap: str, topic: str, rate: float, seconds: float, seed: int) -> None:
    """Send chats; one line of JSON a second says how far."""
    asyncio.run(_run(bootstrap, topic, rate, seconds, seed))


if __name__ == "__main__":
    main()
