"""What a worker asks the broker about itself: ends of logs, committed offsets; and what follows.

Lag is measured against the broker's word and not against what the consumer last heard, for a consumer
that has stopped hearing is one of the faults to find.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from stream import metrics as m
from stream.core.state import Source
from stream.metrics import Metrics
from stream.runtime.clock import WallClock
from stream.runtime.gauges import watch_conversations, watch_customers
from stream.runtime.kafka.inbox import Inbox
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.ownership import Ownership, source_offsets
from stream.runtime.kafka.watchdog import Progress, Vitals

logger = logging.getLogger(__name__)

LAG_S = 5.0
"""How often lag is measured: a third of Prometheus's usual scrape interval."""

LET_GO_S = 30.0
"""How often the keys of forgotten conversations are deleted; they weigh some 60 bytes each until then."""

RETRY_S = 0.5
"""Between questions to a broker that does not answer; the watchdog bounds how long."""

BEAT_S = 0.5
"""How often the event loop shows the watchdog that it turns."""


class Broker:
    """Questions to the broker, through one group-less consumer and one admin client, both started."""

    def __init__(self, reader: Any, admin: Any, group: str, names: Names) -> None:
        self._reader = reader
        self._admin = admin
        self._group = group
        self._names = names

    async def end_offsets(self, numbers: Iterable[int]) -> dict[int, int]:
        """Return where the log of `chat.messages` ends now, for each partition number."""
        found = await self.ends(TP(self._names.messages, number) for number in numbers)
        return {tp.partition: offset for tp, offset in found.items()}

    async def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Return where the log of each partition ends now."""
        found = await self._reader.end_offsets([TopicPartition(*tp) for tp in tps])
        return {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def committed(self) -> dict[TP, int]:
        """Return the group's committed offsets."""
        found = await self._admin.list_consumer_group_offsets(self._group)
        return {TP(tp.topic, tp.partition): value.offset for tp, value in found.items() if value.offset >= 0}

    async def start_offsets(self, number: int) -> dict[Source, int]:
        """Return where reading of a partition number begins, by source; asks until it is answered."""
        found: dict[Source, int] = {}
        while not found:
            with outage_survived("recovery waits"):
                found = await self._start_offsets(number)
            if not found:
                await asyncio.sleep(RETRY_S)
        return found

    async def _start_offsets(self, number: int) -> dict[Source, int]:
        committed = source_offsets(self._names, await self.committed(), number)
        tps = {source: TopicPartition(topic, number) for topic, source in self._names.sources().items()}
        first = await self._reader.beginning_offsets(list(tps.values()))
        # Committed offsets may lie before what retention has left.
        return {source: max(committed.get(source, 0), first[tp]) for source, tp in tps.items()}


@contextmanager
def outage_survived(consequence: str) -> Iterator[None]:
    """Let a question to the broker fail: it is asked again before long.

    Whether an outage ends the process is decided where something must be written, and by the watchdog.
    """
    try:
        yield
    except (KafkaError, OSError) as error:
        logger.warning("the broker does not answer, %s: %s", consequence, type(error).__name__)


def _since(before: float | None, now: float, *, holds: bool) -> float | None:
    """Return since when something holds, None where it does not."""
    if not holds:
        return None
    return now if before is None else before


class Monitor:
    """Keeps lag, progress and forgotten keys in order while the worker runs.

    `inboxes` are those beside the conversation processors', by what the watchdog calls them.
    """

    def __init__(
        self,
        broker: Broker,
        ownership: Ownership,
        names: Names,
        metrics: Metrics,
        inboxes: Mapping[str, Inbox],
    ) -> None:
        self.lag: Mapping[TP, int] = {}
        self.vitals = Vitals(time.monotonic(), {})
        self._broker = broker
        self._ownership = ownership
        self._names = names
        self._inboxes = inboxes
        self._watch(metrics)

    def _watch(self, metrics: Metrics) -> None:
        processors = self._ownership.processors
        names = self._names
        watch_conversations(
            metrics, lambda: [one.conversations for one in processors.values()], WallClock().now_ms
        )
        watch_customers(metrics, lambda: [one.side.customers for one in processors.values()])
        metrics.watch(m.BATCHES_IN_FLIGHT, lambda: sum(one.under_way for one in processors.values()))
        metrics.watch(m.PARTITIONS_RECOVERING, self._ownership.recovering)
        metrics.watch(m.PARTITIONS_ASSIGNED, lambda: {(names.messages,): len(processors)})
        metrics.watch(
            m.PARTITION_LAG,
            lambda: {(tp.topic, str(tp.partition)): lag for tp, lag in self.lag.items()},
        )
        metrics.watch(m.PROGRESS_AGE, self._progress_ages)

    def _progress_ages(self) -> dict[tuple[str, ...], float]:
        now = time.monotonic()
        ages: dict[tuple[str, ...], float] = {}
        for tp, lag in self.lag.items():
            processor = self._ownership.processors.get(tp.partition)
            if processor is not None:
                ages[tp.topic, str(tp.partition)] = now - processor.progress_at if lag else 0.0
        return ages

    async def beat(self) -> None:
        """Show the watchdog that the loop turns, and what moves; for ever."""
        while True:
            now = time.monotonic()
            self.vitals.beat_at = now
            self.vitals.moving = self._moving()
            vitals = self.vitals
            vitals.recovering_since = _since(
                vitals.recovering_since, now, holds=self._ownership.reading_back()
            )
            vitals.unassigned_since = _since(vitals.unassigned_since, now, holds=not self._ownership.assigned)
            await asyncio.sleep(BEAT_S)

    def _moving(self) -> dict[str, Progress]:
        moving: dict[str, Progress] = {}
        for tp, lag in self.lag.items():
            processor = self._ownership.processors.get(tp.partition)
            if processor is not None and processor.running:
                moving[f"{tp.topic}/{tp.partition}"] = Progress(lag, processor.progress_at)
        for name, inbox in self._inboxes.items():
            moving[name] = Progress(inbox.records, inbox.taken_at)
        return moving

    async def measure(self) -> None:
        """Measure the lag of every partition owned; for ever."""
        while True:
            done = self._ownership.done()
            with outage_survived("lag is not measured"):
                ends = await self._broker.ends(done) if done else {}
                self._note_lag({tp: max(0, end - done[tp]) for tp, end in ends.items()})
            await asyncio.sleep(LAG_S)

    def _note_lag(self, lag: dict[TP, int]) -> None:
        # Without lag there is no progress to make: its age begins when something arrives.
        now = time.monotonic()
        for number, processor in self._ownership.processors.items():
            if not any(lag.get(TP(topic, number), 0) for topic in self._names.sources()):
                processor.progress_at = now
        self.lag = lag

    async def let_go(self) -> None:
        """Delete the keys of conversations that are gone for good; for ever."""
        while True:
            await asyncio.sleep(LET_GO_S)
            committed: dict[TP, int] = {}
            with outage_survived("forgotten keys are kept"):
                committed = await self._broker.committed()
            for number, processor in list(self._ownership.processors.items()):
                if processor.running:
                    await processor.let_go(source_offsets(self._names, committed, number))
