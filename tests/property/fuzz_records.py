"""Any records through the Kafka runtime's own processor of a partition, with a broker that is a list.

Decoding, conversations, customers, outputs, dead letters, states and acknowledgements are the product's;
only the log, and its confirmations, are here. Every record must come out once: applied, or among the
dead letters, untouched, with the reason that decoding it alone gives.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import msgspec

from stream import wire
from stream.core import state as states
from stream.core.events import Timer
from stream.core.state import Source
from stream.runtime.conversations import Applied, Input, Knowledge
from stream.runtime.customers import Told
from stream.runtime.kafka.feed import RecordBatch
from stream.runtime.kafka.inbox import Fed, Inbox
from stream.runtime.kafka.membership import Heartbeats
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.partition import ConversationProcessor
from stream.runtime.kafka.publisher import Confirmation, Headers, Publisher, Row
from stream.runtime.kafka.shared import Shared
from stream.runtime.kafka.slices import Slices
from stream.settings import Kafka
from stream.wire import InvalidMessage
from tests.property.mutants import Mutants, dumped

BATCH = 64
BATCH_SECONDS = 20
"""Longest time for one batch before the run stops and says which: it takes some 20 ms on a quiet machine."""


class Hang(BaseException):
    """A batch took too long; no `except Exception` of the product may swallow this."""


class Raw(NamedTuple):
    """One record as the processor sees it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_type: int = 0


@dataclass
class Verdict:
    """What became of the records."""

    sent: int = 0
    accepted: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    expected_dead: Counter[str] = field(default_factory=Counter)
    untouched: bool = True
    outputs: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    logged: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    @property
    def accounted(self) -> bool:
        return self.accepted + self.dead.total() == self.sent == self.acknowledged

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.dead.most_common())
        made = ", ".join(f"{topic} {count:,}" for topic, count in self.outputs.most_common())
        return (
            f"{self.sent:,} records: {self.accepted:,} accepted + {self.dead.total():,} dead letters"
            f"; the slowest batch took {self.longest_s:.2f} s\n  dead: {reasons}\n  outputs: {made}"
        )


class _Log(Publisher):
    """Confirms at once whatever can be read back."""

    def __init__(self, names: Names, verdict: Verdict) -> None:
        super().__init__(None, names.dlq)
        self._binary = {names.state, names.customers}
        self._contacts = names.contacts
        self.made: deque[bytes] = deque(maxlen=100)
        """The latest contacts: they come back, changed, as they would from another partition."""
        self.raw: dict[tuple[str, int], bytes] = {}
        """The values of what is under way, by topic and offset."""
        self._verdict = verdict

    async def send(self, topic: str, partition: int, rows: Iterable[Row]) -> list[Confirmation]:
        return await self.send_singly(topic, rows)

    async def send_singly(
        self, topic: str, rows: Iterable[Row], partition: int | None = None
    ) -> list[Confirmation]:
        for row in rows:
            self._verdict.outputs[topic] += 1
            if topic not in self._binary and row.value is not None:
                msgspec.json.decode(row.value)
                if topic == self._contacts:
                    self.made.append(row.value)
        return [_confirmed()]

    async def dead_letter(
        self, record: Any, topic: str, partition: int, reason: str, extra: Headers = ()
    ) -> Confirmation:
        self._verdict.dead[f"{topic} {reason}"] += 1
        self._verdict.untouched &= record.value == self.raw[topic, record.offset]
        for _, value in extra:
            value.decode()
        return _confirmed()


def _confirmed() -> Confirmation:
    future: Confirmation = asyncio.get_running_loop().create_future()
    future.set_result(SimpleNamespace(topic="", offset=0))
    return future


class _Observer:
    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    def applied(self, inputs: Sequence[Input], applied: Applied, seconds: float) -> None:
        self._verdict.accepted += len(inputs)
        self._verdict.longest_s = max(self._verdict.longest_s, seconds)

    def told(self, told: Told) -> None:
        pass

    def dead(self, reason: Any) -> None:
        pass

    def confirmed(self, stage: str, seconds: float) -> None:
        pass

    def recovered(self, seconds: float) -> None:
        pass


class _Warnings(logging.Handler):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(logging.WARNING)
        self._verdict = verdict

    def emit(self, record: logging.LogRecord) -> None:
        self._verdict.logged.append(record.getMessage())


async def run(seed: int, count: int, knowledge: Knowledge) -> Verdict:
    """Put ``count`` records of a seed through a processor."""
    verdict = Verdict()
    handler = _Warnings(verdict)
    logging.getLogger("stream").addHandler(handler)
    try:
        await _Run(seed, verdict, knowledge).run(count)
    finally:
        logging.getLogger("stream").removeHandler(handler)
    return verdict


class _Run:
    def __init__(self, seed: int, verdict: Verdict, knowledge: Knowledge) -> None:
        self.seed = seed
        self.verdict = verdict
        self.names = Names("")
        self.log = _Log(self.names, verdict)
        self.mutants = Mutants(seed)
        self.offsets: Counter[str] = Counter()
        self.processor = ConversationProcessor(0, self._shared(knowledge), _inbox())
        self.failed: BaseException | None = None
        self.moved = asyncio.Event()
        """A batch was acknowledged, or all is over."""

    def _shared(self, knowledge: Knowledge) -> Shared:
        async def nothing(number: int, replay: Any) -> None:
            pass

        async def from_the_start(number: int) -> dict[Source, int]:
            return dict.fromkeys(Source, 0)

        return Shared(
            names=self.names,
            kafka=Kafka(poison_limit=2**31),  # a run of poison is what is sent here
            zone=UTC,
            live=True,
            publisher=self.log,
            knowledge=lambda: knowledge,
            heartbeats=Heartbeats(1e9),
            observer=_Observer(self.verdict),
            slices=Slices(lambda: knowledge),
            read_state=nothing,
            read_customers=nothing,
            start_offsets=from_the_start,
        )

    async def run(self, count: int) -> None:
        self.processor.start(self._fail)
        try:
            for begin in range(0, count, BATCH):
                with _hang_after(BATCH_SECONDS, f"seed {self.seed}, batch {begin // BATCH}"):
                    await self._batch(min(BATCH, count - begin))
        finally:
            await self.processor.close()

    def _fail(self, error: BaseException) -> None:
        self.failed = error
        self.moved.set()

    async def _batch(self, size: int) -> None:
        topic = self.mutants.random.choices(
            (self.names.messages, self.names.timers, self.names.contacts), (88, 6, 6)
        )[0]
        records = [self._record(topic) for _ in range(size)]
        self.verdict.sent += size
        self.moved.clear()
        batch = RecordBatch(topic, 0, cast("Any", records))

        def acknowledge() -> None:
            self.verdict.acknowledged += size
            self.moved.set()

        await self.processor.inbox.put(Fed(SimpleNamespace(value=batch, ack=acknowledge)))
        await self.moved.wait()
        if self.failed is not None:
            raise self.failed
        self.log.raw.clear()
        if self.mutants.random.random() < 0.01:
            for _, raw in self.processor.conversations.raw():
                states.decode(raw)

    def _record(self, topic: str) -> Raw:
        offset = self.offsets[topic]
        self.offsets[topic] += 1
        raw, key = self._value(topic)
        record = Raw(offset, self.mutants.now, key, raw)
        self.log.raw[topic, offset] = raw
        try:
            if topic == self.names.messages:
                wire.decode(raw, received_at=record.timestamp, key=key)
            elif topic == self.names.timers:
                wire.read(Timer, raw)
            else:
                wire.read_contact(raw)
                self.verdict.accepted += 1  # the observer is not told of these
        except InvalidMessage as problem:
            self.verdict.expected_dead[f"{topic} {problem.reason}"] += 1
        return record

    def _value(self, topic: str) -> tuple[bytes, bytes | None]:
        if topic == self.names.messages:
            return self.mutants.record()
        pick = self.mutants.random
        conversation = f"c-{pick.randrange(300)}"
        now = self.mutants.now
        if topic == self.names.timers:
            due = self.processor.take_due(now)
            timer = pick.choice(due) if due else Timer(conversation_id=conversation, clock_id="x", due=now)
            document: Any = msgspec.json.decode(wire.encode(timer, UTC))
        else:
            document = msgspec.json.decode(pick.choice(self.log.made)) if self.log.made else {}
        return (
            self.mutants.changed(document) if pick.random() < 0.7 else dumped(document)
        ), conversation.encode()


def _inbox() -> Inbox:
    return Inbox(lambda tp: None, lambda tp: None)


@contextmanager
def _hang_after(seconds: float, what: str) -> Iterator[None]:
    def late(*_: object) -> None:
        raise Hang(f"{what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
