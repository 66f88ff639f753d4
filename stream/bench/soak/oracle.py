"""What the pure core makes of the log while it is being written: the alerts that people must be told of.

    python -m stream.bench.soak.oracle --config …

reads `chat.messages` beside the worker, lets time come with the records, and prints one line of JSON for
each alert that fires (`Expected`). A line on its standard input, a moment in epoch milliseconds, is the end:
it reads what is in the log, lets time come to that moment, prints `{"ended": true}` and goes. It holds open
conversations and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import aiokafka
import click
import msgspec

from alerts import policy
from alerts.config import AlertsConfig
from alerts.model import Alert, AlertStatus
from stream import settings, wire
from stream.bench.installation import PARTITIONS
from stream.bench.soak.hurry import hurry
from stream.core.events import Received, Tick
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.hours import parse_alerts
from stream.runtime.kafka.names import Names
from stream.runtime.knowledge import directories_of, limits_of, open_knowledge

POLL_MS: Final = 500
MOST: Final = 2_000
"""Records taken at once: the same order of size as the worker's batches."""
NICE: Final = 10
"""It costs half as much as the worker, and may take its time: nothing that is measured waits for it."""


class Expected(msgspec.Struct):
    """An alert that must come, or (``ended``) that there are no more; ``at`` is epoch milliseconds."""

    alert_id: str = ""
    conversation_id: str = ""
    at: int = 0
    ended: bool = False


class Oracle:
    """The core over one log, partition by partition."""

    def __init__(self, known: Knowledge, alerts: AlertsConfig) -> None:
        self._known = known
        self._alerts = alerts
        self._parts = {number: Conversations(source_partition=number) for number in range(PARTITIONS)}

    def take(self, number: int, records: Sequence[tuple[int, bytes]]) -> list[Expected]:
        """Apply records (offset, value) of a partition; return the alerts that fire."""
        received = [(offset, wire.decode(raw, received_at=None)) for offset, raw in records]
        fired = self._fired(number, [Input(one, offset=offset) for offset, one in received])
        # What was due before the last of them is told and forgotten: nothing earlier can come any more.
        return fired + [late for _, one in received[-1:] for late in self.advance(number, one.t)]

    def advance(self, number: int, until: int) -> list[Expected]:
        """Let time come to ``until`` (epoch milliseconds); return the alerts that fire."""
        return self._fired(number, [Input(Received(Tick(at=until), until))])

    def end(self, until: int) -> list[Expected]:
        """Let time come in every partition."""
        return [one for number in self._parts for one in self.advance(number, until)]

    def _fired(self, number: int, inputs: Sequence[Input]) -> list[Expected]:
        return [
            Expected(record.alert_id, record.conversation_id, record.starts_at)
            for record in self._parts[number].apply(self._known, inputs).records
            if isinstance(record, Alert) and record.status is AlertStatus.FIRING and self._is_told(record)
        ]

    def _is_told(self, alert: Alert) -> bool:
        """Whether the configuration has a receiver for it: the gentlest are told to nobody."""
        return bool(policy.plan(self._alerts, alert).notifications)


def _tell(expected: Iterable[Expected]) -> None:
    for one in expected:
        click.echo(msgspec.json.encode(one))


async def _run(config: Path) -> None:
    loaded = settings.load(config, env={})
    oracle = Oracle(open_knowledge(directories_of(loaded), limits=limits_of(loaded)), parse_alerts(loaded))
    topic = Names(loaded.kafka.topic_prefix).messages
    places = [aiokafka.TopicPartition(topic, number) for number in range(PARTITIONS)]
    # What was deleted before it was read would be alerts that nobody expects: better none at all.
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=loaded.kafka.bootstrap, auto_offset_reset="none", enable_auto_commit=False
    )
    consumer.assign(places)
    await consumer.start()
    for place in places:
        consumer.seek(place, 0)
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    try:
        while not ending.done():
            await _take(oracle, consumer)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            await _take(oracle, consumer)
        _tell([*oracle.end(int(ending.result() or 0)), Expected(ended=True)])
    finally:
        await consumer.stop()


async def _take(oracle: Oracle, consumer: Any) -> None:
    for place, records in (await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST)).items():
        _tell(oracle.take(place.partition, [(record.offset, record.value) for record in records]))


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True)
def main(config: Path) -> None:
    """Print the alerts that the core makes of the log."""
    os.nice(NICE)
    hurry()
    asyncio.run(_run(config))


if __name__ == "__main__":
    main()
