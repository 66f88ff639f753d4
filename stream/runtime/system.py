"""The embedded system in one process: store, engine, delivery, HTTP door, metrics, hot reload."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from aiohttp import web
from rich.console import Console
from watchfiles import awatch

from alerts.clock import WallClock as DeliveryClock
from alerts.config import AlertsConfig
from alerts.dispatcher import Dispatcher
from alerts.senders import close_senders, open_senders
from stream import metrics as m
from stream.metrics import DeliveryCounts, Metrics
from stream.packs import SHIPPED, Options
from stream.packs.books import Books
from stream.runtime.clock import Clock
from stream.runtime.conversations import Knowledge
from stream.runtime.counting import Counting
from stream.runtime.gauges import (
    describe_packs,
    describe_process,
    watch_conversations,
    watch_customers,
    watch_delivery,
)
from stream.runtime.health import create_health_app
from stream.runtime.hours import in_force
from stream.runtime.http import events_handler
from stream.runtime.http import limits_of as limits_of_requests
from stream.runtime.jobs import Done, Queue
from stream.runtime.knowledge import directories_of, limits_of, of_book
from stream.runtime.listening import SIDE_CONNECTIONS, Bounds, Listening, bounds_of
from stream.runtime.local import LocalRuntime
from stream.runtime.local_ledger import LocalLedger
from stream.settings import Settings

logger = logging.getLogger(__name__)

# In-flight webhooks get this long to end when the system stops; what is cut off is sent again.
STOP_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the system listens."""

    events: str
    metrics: str


class LocalSystem:
    """All parts of ``yanshao up``; open it with ``running``."""

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        alerts_config: AlertsConfig,
        *,
        clock: Clock,
        console: Console | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._alerts_config = in_force(alerts_config, lambda: self.books.current.book.calendars)
        self._console = console
        self._counting = Counting(self.metrics)
        # No log is between the clock and the store: with and without backlog are the same here.
        self._lateness = [self.metrics.histogram(m.CLOCK_LATENESS, one) for one in m.BACKLOG.values]
        self._commit = self.metrics.histogram(m.COMMIT_SECONDS)
        self.source = "http"
        self.directories = directories_of(settings)
        begun = time.monotonic()
        self.books = Books(
            self.directories,
            Options(disable=settings.disable, limits=limits_of(settings)),
            build=lambda book: of_book(book, data_dir),
            monotonic=time.monotonic,
        )
        self.runtime = LocalRuntime(
            data_dir,
            self.knowledge,
            self._alerts_config,
            clock=clock,
            zone=settings.tzinfo,
            queue=Queue(settings.local.queue_events, settings.local.queue_bytes),
            conversation_url=settings.conversation.url,
            observe=self._observe,
        )
        self._tell_packs(ok=True, seconds=time.monotonic() - begun)
        describe_process(self.metrics, "local", alerts_config.receivers)
        watch_conversations(self.metrics, lambda: [self.runtime.conversations], clock.now_ms)
        watch_customers(self.metrics, lambda: [self.runtime.customers])
        self.metrics.watch(m.QUEUE_DEPTH, lambda: {("ingest",): self.runtime.queued_events})

    def knowledge(self) -> Knowledge:
        """Return the knowledge in force."""
        loaded = self.books.current
        return Knowledge(loaded.book, loaded.annotator)

    def _observe(self, done: Done) -> None:
        self._counting.received(done.received, self.source)
        for reason, dead_letter in done.refused:
            self._counting.refused(reason, dead_letter=dead_letter)
        self._counting.applied(done.applied)
        self._counting.told(done.told)
        self._commit.observe(done.commit_seconds)
        for lateness in done.lateness_ms:
            for histogram in self._lateness:
                histogram.observe(lateness / 1000)

    # Packs --------------------------------------------------------------------------------------------

    def reload(self) -> bool:
        """Read the packs anew; on any error the old ones stay, and the problems are logged."""
        result = self.books.reload()
        self._tell_packs(ok=result.ok, seconds=result.seconds)
        if result.ok:
            logger.info("packs %s in force after %.2f s", result.version, result.seconds)
        else:
            for problem in result.problems:
                logger.error("packs not changed: %s", problem)
        return result.ok

    def _tell_packs(self, *, ok: bool, seconds: float) -> None:
        now_ms = DeliveryClock().now_ms()
        describe_packs(self.metrics, self.books.current.book, ok=ok, seconds=seconds, now_ms=now_ms)

    async def _watch_packs(self) -> None:
        folders = [folder for folder in self.directories if folder != SHIPPED]
        if folders:
            async for _ in awatch(*folders):
                await asyncio.to_thread(self.reload)

    # Running ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self, token: str) -> AsyncIterator[Addresses]:
        """Run every part; on leaving, commit what waits and let go in the right order."""
        senders = open_senders(self._alerts_config, console=self._console)
        dispatcher = Dispatcher(
            self._alerts_config,
            LocalLedger(self.runtime),
            senders,
            clock=DeliveryClock(),
            metrics=DeliveryCounts(self.metrics),
            rng=SystemRandom(),
        )
        watch_delivery(self.metrics, dispatcher.pending_s, dispatcher.held)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close_senders, senders.values())
            stack.push_async_callback(self.runtime.stop)
            await self.runtime.start(dispatcher)
            stack.push_async_callback(dispatcher.stop, STOP_GRACE_SECONDS)
            addresses = await self._listen(stack, token)
            watcher = asyncio.create_task(self._watch_packs(), name="pack watcher")
            stack.push_async_callback(_cancelled, watcher)
            self.metrics.watch(m.READY, lambda: not self.runtime.unready())
            self.dispatcher = dispatcher
            yield addresses

    async def _listen(self, stack: AsyncExitStack, token: str) -> Addresses:
        listen = self.settings.listen
        door = web.Application(client_max_size=listen.max_body_bytes)
        handler = events_handler(
            self.runtime,
            token,
            limits_of_requests(self.settings),
            self._answered,
        )
        door.router.add_post("/v1/events", handler)
        events = await self._serve(stack, door, listen.host, listen.port, bounds_of(listen))
        runtime = self.runtime
        side = create_health_app(self.metrics, unhealthy=runtime.unhealthy, unready=runtime.unready)
        few = bounds_of(listen, connections=SIDE_CONNECTIONS)
        metrics = await self._serve(stack, side, listen.metrics_host, listen.metrics_port, few)
        return Addresses(f"{events}/v1/events", f"{metrics}/metrics")

    def _answered(self, status: int) -> None:
        self.metrics.inc(m.HTTP_REQUESTS, "events", str(status))

    async def _serve(
        self, stack: AsyncExitStack, app: web.Application, host: str, port: int, bounds: Bounds
    ) -> str:
        listening = Listening(
            app,
            host,
            port,
            bounds,
            cut=lambda reason: self.metrics.inc(m.HTTP_CUT, reason),
            answered=self._answered,
            stop_s=STOP_GRACE_SECONDS,
        )
        await listening.start()
        stack.push_async_callback(listening.stop)
        return listening.address


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
