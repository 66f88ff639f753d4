"""The changelog as this worker reads it back and keeps it: a snapshot of its own, then the log's tail.

What a file may be trusted for is said in `stream/runtime/kafka/snapshots.py`; where there is none, or it is
refused, the whole changelog is read. Files are written one partition after another, each from a copy of
references that takes a millisecond, at a moment when nothing of the partition is under way.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from stream.core.limits import Limits
from stream.runtime.kafka import snapshots, tail
from stream.runtime.kafka.changelog import Coverage, Replay, adds_nothing
from stream.runtime.kafka.exits import describe
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.snapshots import Image, RefusedError, Wanted
from stream.settings import Kafka

logger = logging.getLogger(__name__)

SNAPSHOTS: Final = "snapshots"
"""Folder in the data directory; below it one for each worker that keeps its data there."""

MARGIN_MS: Final = 3_600_000
"""A snapshot is given up so long before the log may drop a deletion: clocks differ, reading takes time."""

LOOK_S: Final = 1.0
"""How often the keeper looks whose turn it is; at most one partition is written at each look."""

PURGE_S: Final = 3_600.0
"""How often files too old to be of use are looked for: of partitions that others have by now."""

QUIET_S: Final = 10.0
"""How long to wait until nothing is under way: batches take some 50 ms, and wait while it is waited for."""

TELL_S: Final = 5.0
"""A reading that takes longer says how far it is, this often."""

FINISH_S: Final = 8.0
"""Time for the files of an orderly stop: 100,000 conversations take about one second."""


class Partition(Protocol):
    """What the keeper asks of a partition's processor."""

    number: int
    covered: Coverage

    @property
    def running(self) -> bool:
        """Whether the partition is ours, recovered, and not being handed over."""
        ...

    async def image(self) -> tuple[Image, int] | None:
        """Return a copy of what is held when nothing is under way, and where the log ends by then.

        None where nothing is held any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Which changelog this is: `topic_id` is another where it was deleted and made again.

    `retention_ms` is how long it keeps deletions.
    """

    topic: str
    topic_id: str
    retention_ms: int


@dataclass(slots=True)
class _Written:
    """What was last written, or read, of a partition; `covered` tells its memory from an earlier one."""

    covered: Coverage
    end: int
    at: float


class StateLog:
    """Reads the partitions of the changelog back, and writes their snapshots; for one worker.

    `limits` are those in force, `now_ms` is the system's time; `failed` hears of each file not written.
    """

    def __init__(
        self,
        kafka: Kafka,
        origin: Origin,
        folder: Path,
        *,
        limits: Callable[[], Limits],
        now_ms: Callable[[], int],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._failed = failed
        self._kafka = kafka
        self._origin = origin
        self._folder = folder
        self._limits = limits
        self._now = now_ms
        self._interval_s = kafka.snapshot_interval / 1000
        self._written: dict[int, _Written] = {}
        self._reading: dict[int, tuple[int, int]] = {}
        self._tried: dict[int, float] = {}
        self._writing = asyncio.Lock()
        self._ended = threading.Event()

    @property
    def _usable(self) -> bool:
        return self._interval_s > 0 and bool(self._origin.topic_id)

    def _not_before(self) -> int:
        return self._now() - max(0, self._origin.retention_ms - MARGIN_MS)

    def progress(self) -> list[str]:
        """Return how far each reading is, for those who wait for it."""
        return [
            f"partition {number}: {done:,} of {whole:,} records read"
            for number, (done, whole) in self._reading.items()
        ]

    # Reading ------------------------------------------------------------------------------------------------

    async def read(self, number: int, replay: Replay) -> None:
        """Give the replay what the partition holds, and where its log ended.

        Raises:
            aiokafka.errors.KafkaError: The partition cannot be read.
            msgspec.MsgspecError: A record is no state.
        """
        self._written.pop(number, None)
        loading = asyncio.create_task(asyncio.to_thread(self._load, number))
        async with self._opened(number, loading) as log:
            now = self._now()
            image = self._fitting(number, await loading, log)
            begin = log.first
            if image is not None:
                replay.begin_with(image)
                begin = image.offset
            reached = await log.read(begin, _taker(replay), told=self._teller(number, begin, log.end))
        replay.covered.reach(reached, now)
        if image is not None:
            self._written[number] = _Written(replay.covered, reached, time.monotonic())

    @asynccontextmanager
    async def _opened(self, number: int, loading: asyncio.Task[Image | None]) -> AsyncIterator[tail.Log]:
        try:
            async with tail.opened(self._kafka, self._origin.topic, number) as log:
                yield log
        finally:
            self._reading.pop(number, None)
            loading.cancel()

    def _load(self, number: int) -> Image | None:
        if not self._usable:
            return None
        now = self._now()
        wanted = Wanted(
            self._origin.topic,
            self._origin.topic_id,
            number,
            snapshots.derived_by(self._limits()),
            not_before=self._not_before(),
            not_after=now + MARGIN_MS,
        )
        try:
            return snapshots.read(snapshots.path_of(self._folder, number), wanted)
        except FileNotFoundError:
            logger.info("partition %d has no snapshot: its whole changelog is read", number)
        except RefusedError as error:
            logger.warning("partition %d: the whole changelog is read, not the snapshot: %s", number, error)
        return None

    @staticmethod
    def _fitting(number: int, image: Image | None, log: tail.Log) -> Image | None:
        """Return the image if what followed it is still there."""
        if image is None or log.first <= image.offset <= log.end:
            return image
        # Below: what came between, deletions too, has been deleted. Above: the log has lost its end.
        logger.warning(
            "partition %d: the whole changelog is read, not the snapshot up to %d: the log has %d to %d",
            number, image.offset, log.first, log.end,
        )  # fmt: skip
        return None

    def _teller(self, number: int, begin: int, end: int) -> Callable[[int], None]:
        self._reading[number] = (0, end - begin)
        due = time.monotonic() + TELL_S

        def told(position: int) -> None:
            nonlocal due
            self._reading[number] = (position - begin, end - begin)
            if time.monotonic() >= due:
                due = time.monotonic() + TELL_S
                logger.info("partition %d: %d of %d records read", number, position - begin, end - begin)

        return told

    # Keeping ------------------------------------------------------------------------------------------------

    async def keep(self, partitions: Callable[[], Collection[Partition]]) -> None:
        """Write snapshots when they are due; for ever."""
        if not self._usable:
            logger.info("no snapshots are kept: recovery reads the whole changelog")
            return
        purge_at = 0.0
        while True:
            if time.monotonic() >= purge_at:
                async with self._writing:
                    await asyncio.to_thread(self._purge)
                purge_at = time.monotonic() + PURGE_S
            await asyncio.sleep(LOOK_S)
            waiting = [one for one in partitions() if one.running and self._due(one)]
            if waiting:
                # Whoever was tried last comes last: one that is never quiet keeps nobody waiting.
                first = min(waiting, key=lambda one: self._tried.get(one.number, 0.0))
                async with self._writing:
                    await self._write(first)

    def _due(self, part: Partition) -> bool:
        """Say whether there is something new to write, and the time has come."""
        written = self._written.get(part.number)
        if written is None or written.covered is not part.covered:
            return True  # the whole changelog was read: not again
        return written.end != part.covered.end and time.monotonic() - written.at >= self._interval_s

    async def finish(self, partitions: Iterable[Partition]) -> None:
        """Write what is new of partitions that have stopped, as far as the time allows."""
        if not self._usable:
            return
        timer = threading.Timer(FINISH_S, self._ended.set)
        timer.daemon = True
        timer.start()
        try:
            async with asyncio.timeout(FINISH_S), self._writing:
                for part in partitions:
                    written = self._written.get(part.number)
                    if written is None or written.end != part.covered.end:
                        await self._write(part)
        except TimeoutError:
            logger.warning("no time to write all snapshots")
        finally:
            timer.cancel()

    def end(self) -> None:
        """Let a writing that is under way come to its end."""
        self._ended.set()

    async def _write(self, part: Partition) -> None:
        self._tried[part.number] = time.monotonic()
        try:
            async with asyncio.timeout(QUIET_S):
                found = await part.image()
        except TimeoutError:
            return  # the broker confirms nothing, or the partition was taken: another time
        if found is None:
            return
        image, end = found
        begun = time.perf_counter()
        # What fails here costs time at the next start, and nothing else.
        try:
            if not part.covered.sound and await self._same(part.number, image, end):
                part.covered.looked_at(end)
                image.offset, image.at = part.covered.offset, part.covered.at
            size = await asyncio.to_thread(self._put, part.number, image)
        except snapshots.Interrupted:
            return
        except Exception as error:  # noqa: BLE001 - whatever the disk or the broker has
            self._failed()
            logger.warning("partition %d: no snapshot: %s", part.number, describe(error))
            size = 0
        self._written[part.number] = _Written(part.covered, end, time.monotonic())
        logger.debug(
            "partition %d: snapshot of %d conversations up to offset %d, %d bytes in %.2f s",
            part.number, len(image.held), image.offset, size, time.perf_counter() - begun,
        )  # fmt: skip

    def _put(self, number: int, image: Image) -> int:
        return snapshots.write(
            snapshots.path_of(self._folder, number),
            image,
            topic=self._origin.topic,
            topic_id=self._origin.topic_id,
            partition=number,
            derived=snapshots.derived_by(self._limits()),
            go_on=lambda: not self._ended.is_set(),
        )

    async def _same(self, number: int, image: Image, end: int) -> bool:
        """Say whether nothing in the log before `end` is newer than the image, by whomever it was written."""
        rows: list[tuple[bytes | None, bytes | None]] = []

        def take(records: Sequence[Record]) -> None:
            rows.extend((record.key, record.value) for record in records if record.offset < end)

        async with tail.opened(self._kafka, self._origin.topic, number) as log:
            if log.first > image.offset:
                return False
            await log.read(image.offset, take, end=end)
        same = adds_nothing(image, rows)
        logger.info(
            "partition %d: others wrote to its changelog before offset %d%s",
            number, end, ", nothing newer than ours" if same else ": it is read again from there at a start",
        )  # fmt: skip
        return same

    def _purge(self) -> None:
        try:
            snapshots.purge(self._folder, self._not_before())
        except OSError as error:
            logger.warning("old snapshots stay where they are: %s", type(error).__name__)


def _taker(replay: Replay) -> tail.Take:
    return lambda records: replay.take((record.key, record.value) for record in records)
