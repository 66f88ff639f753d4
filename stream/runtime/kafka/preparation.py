"""What a worker needs before it can start: knowledge and its topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from stream.metrics import Metrics
from stream.packs import Options
from stream.packs.books import Books
from stream.runtime import cluster, topics
from stream.runtime.clock import WallClock
from stream.runtime.conversations import Knowledge
from stream.runtime.gauges import describe_packs
from stream.runtime.knowledge import directories_of, limits_of, of_book
from stream.runtime.topics import Topic
from stream.settings import Settings

logger = logging.getLogger(__name__)

ACTIVATED = "packs.activated"
"""Folder in the data directory for packs that came by `qa.config`."""


class Shelf:
    """The knowledge in force: from the packs, swapped whole, or fixed where `fixed` is given."""

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        metrics: Metrics,
        fixed: Callable[[], Knowledge] | None = None,
    ) -> None:
        self._metrics = metrics
        self._fixed = fixed
        self._books = None if fixed else open_books(settings, data_dir)
        self._tell(ok=True, seconds=0.0)

    def knowledge(self) -> Knowledge:
        """Return the knowledge in force; a batch keeps what it took."""
        if self._fixed is not None:
            return self._fixed()
        assert self._books is not None
        loaded = self._books.current
        return Knowledge(loaded.book, loaded.annotator)

    def reload(self) -> bool:
        """Read the packs anew; on any fault the old ones stay. Runs in a thread."""
        if self._books is None:
            return False
        result = self._books.reload()
        self._tell(ok=result.ok, seconds=result.seconds)
        for problem in result.problems:
            logger.log(logging.INFO if result.ok else logging.ERROR, "packs: %s", problem)
        return result.ok

    def _tell(self, *, ok: bool, seconds: float) -> None:
        now_ms = WallClock().now_ms()
        describe_packs(self._metrics, self.knowledge().book, ok=ok, seconds=seconds, now_ms=now_ms)


def open_books(settings: Settings, data_dir: Path) -> Books:
    """Return the configured packs, with room for those that come by `qa.config`.

    Raises:
        stream.packs.PackError: With every problem of every file.
    """
    activated = data_dir / ACTIVATED
    # What an earlier run was told is told again by the topic.
    activated.mkdir(parents=True, exist_ok=True)
    return Books(
        [*directories_of(settings), activated],
        Options(disable=settings.disable, limits=limits_of(settings)),
        build=lambda book: of_book(book, data_dir),
        monotonic=time.monotonic,
    )


def check_topics(settings: Settings, receivers: Iterable[str]) -> Mapping[str, Topic]:
    """Return the topics, if all are there with the right partitions. Blocks for a few round trips.

    Raises:
        stream.runtime.topics.TopicsError: Some are not; says which, and what to do.
        stream.runtime.cluster.UnreachableError: The broker cannot be asked.
    """
    with cluster.admin(settings.kafka) as admin:
        wanted = cluster.wanted_topics(settings.kafka, sorted(receivers))
        found = topics.describe(admin, [topic.name for topic in wanted])
    differences = topics.plan(wanted, found)
    topics.refuse_fatal(differences)
    missing = [difference.topic for difference in differences if difference.what == "topic"]
    if missing:
        raise topics.TopicsError(f"missing topics: {', '.join(missing)}. Make them: yanshao topics apply")
    return found
