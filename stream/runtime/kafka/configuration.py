"""The tail of `qa.config`: what every worker must know, read from the start by each of them.

The topic is compacted and belongs to no group, so a worker that starts reads everything, and is ready
only when it has. Records are JSON, told apart by `type`; the key says what a record replaces:

- key `packs`, `{"type": "packs.activate", "packs": {"emotion/shop.yaml": "<text>", …}}`: these packs lie
  over the configured ones, by rule id, in place of those activated before; an empty mapping takes them
  away. A set that does not load whole, or fails its own tests, leaves the old book in force.
- any key, `{"type": "packs.reload"}`: read the configured pack folders again.

Unknown types are skipped, so that an older worker outlives a newer command.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import msgspec
from aiokafka import TopicPartition

from stream.runtime.kafka import client, tail
from stream.runtime.kafka.feed import Record
from stream.settings import Kafka

logger = logging.getLogger(__name__)

POLL_MS = 1000
"""A fetch that finds nothing returns after this; a command takes hold within the broker's answer."""


class ActivatePacks(msgspec.Struct, frozen=True, tag_field="type", tag="packs.activate"):
    """Lay these packs over the configured ones."""

    packs: dict[str, str]


class ReloadPacks(msgspec.Struct, frozen=True, tag_field="type", tag="packs.reload"):
    """Read the pack folders again."""


Command = ActivatePacks | ReloadPacks


class Shelf(Protocol):
    """What can load packs anew; returns whether the new ones are in force."""

    def reload(self) -> bool:
        """Read everything again, swap where nothing is wrong. May take a second; runs in a thread."""
        ...


def lay_out(folder: Path, packs: Mapping[str, str]) -> None:
    """Make the folder hold these packs and nothing else.

    Raises:
        ValueError: A path would leave the folder or is no YAML file; nothing is changed.
    """
    for name in packs:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".yaml":
            raise ValueError("a pack's path must be relative and end in .yaml")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    for name, text in packs.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


class ConfigTail:
    """Follows the topic and applies its commands; `activated` is the folder of activated packs."""

    def __init__(
        self, kafka: Kafka, topic: str, shelf: Shelf, activated: Path, on_ready: Callable[[], None]
    ) -> None:
        self._kafka = kafka
        self._where = TopicPartition(topic, 0)
        self._shelf = shelf
        self._activated = activated
        self._on_ready = on_ready

    async def run(self) -> None:
        """Follow for ever.

        Raises:
            aiokafka.errors.KafkaError: The topic cannot be read.
        """
        consumer = client.reader(self._kafka)
        try:
            await consumer.start()
            consumer.assign([self._where])
            await consumer.seek_to_beginning(self._where)
            found: list[Record] = []
            await tail.read_until_end(consumer, self._where, found.extend)
            # Only the last record of each key counts, and only what it brings is worth loading.
            latest = {record.key: record for record in found}
            for record in latest.values():
                await self._apply(record)
            self._on_ready()
            while True:
                fetched = await consumer.getmany(self._where, timeout_ms=POLL_MS)
                for records in fetched.values():
                    for record in records:
                        await self._apply(record)
        finally:
            await consumer.stop()

    async def _apply(self, record: Any) -> None:
        try:
            command = msgspec.json.decode(record.value or b"", type=Command)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            logger.warning("skipped a record of %s at offset %d", self._where.topic, record.offset)
            return
        try:
            if isinstance(command, ActivatePacks):
                lay_out(self._activated, command.packs)
            in_force = await asyncio.to_thread(self._shelf.reload)
        except (OSError, ValueError) as error:
            logger.error("packs of offset %d not taken: %s", record.offset, type(error).__name__)  # noqa: TRY400
            return
        logger.info(
            "packs of offset %d: %s", record.offset, "in force" if in_force else "refused, old ones stay"
        )
