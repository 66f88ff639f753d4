"""One worker of the Kafka runtime, from its settings to its exit code.

    code = await Worker(settings, ALL_ROLES).run()

What runs where: Faust's consumer has a thread of its own (fetching, heartbeats); everything else shares
the event loop, except the watchdog, which must outlive it, and the loading of packs. Faust's agent hands
record batches to `Ownership`, which knows the processor of each partition; those talk to the broker
through one producer. Any exception in any of them ends the process with an exit code: state is in the
changelog, so a fresh start is the one way of repair that is always right.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from typing import Any

from alerts import policy
from alerts.clock import WallClock as DeliveryClock
from alerts.model import Alert, Notification
from stream import metrics as m
from stream.core.events import Timer
from stream.metrics import DeliveryCounts, Metrics
from stream.runtime import cluster, topics
from stream.runtime.clock import Clock, WallClock
from stream.runtime.conversations import Knowledge
from stream.runtime.gauges import describe_process, watch_delivery
from stream.runtime.health import health_site
from stream.runtime.hours import in_force, parse_alerts
from stream.runtime.kafka import client, tail
from stream.runtime.kafka.app import create_app
from stream.runtime.kafka.changelog import Replay
from stream.runtime.kafka.configuration import ConfigTail
from stream.runtime.kafka.counts import Counts
from stream.runtime.kafka.customers import CustomerReplay
from stream.runtime.kafka.delivery import Delivery
from stream.runtime.kafka.exits import Exit, WorkerExit, to_exit
from stream.runtime.kafka.inbox import Inbox
from stream.runtime.kafka.membership import Heartbeats
from stream.runtime.kafka.monitor import Broker, Monitor, outage_survived
from stream.runtime.kafka.names import ALL_ROLES, Names, Role
from stream.runtime.kafka.ownership import Ownership
from stream.runtime.kafka.planning import AlertProcessor
from stream.runtime.kafka.poison import buried_before
from stream.runtime.kafka.preparation import ACTIVATED, Shelf, check_topics
from stream.runtime.kafka.pressure import Pressure
from stream.runtime.kafka.publisher import Publisher, Row, confirm
from stream.runtime.kafka.recovery import SNAPSHOTS, Origin, StateLog
from stream.runtime.kafka.shared import Shared
from stream.runtime.kafka.slices import Slices
from stream.runtime.kafka.timers import ClockDriver
from stream.runtime.kafka.versions import readable
from stream.runtime.kafka.watchdog import Limits, Watchdog, judge
from stream.runtime.listening import Listening
from stream.settings import Settings, ensure_data_dir
from stream.wire import encode

logger = logging.getLogger(__name__)

CUSTOMERS_S = 1.0
"""How often customers are looked at: their days end, and nobody waits for that to the second."""

CUSTOMERS_AT_ONCE = 10
"""Of how many a day is settled before the loop may turn to other work: about 15 ms."""

CUSTOMERS_PAUSE_S = 0.05
"""Between two such pieces: all customers of a day are due at the same moment, and messages go before them."""

FAUST_STOP_S = 10.0
"""Faust's part of a stop takes under a second; it commits once and closes its connections."""


class Driver(StrEnum):
    """Where time comes from: the system's clock, or only the records themselves."""

    WALL = "wall"
    STREAM = "stream"


class Worker:
    """All parts of one worker. `run` returns its exit code; `stop` asks for an orderly end."""

    def __init__(
        self,
        settings: Settings,
        roles: Iterable[Role] = ALL_ROLES,
        *,
        driver: Driver = Driver.WALL,
        clock: Clock | None = None,
        knowledge: Callable[[], Knowledge] | None = None,
    ) -> None:
        self.settings = settings
        self.roles = frozenset(roles)
        self.metrics = Metrics()
        self.names = Names(settings.kafka.topic_prefix)
        self.site: Listening | None = None
        self._driver = driver
        self._clock = clock or WallClock()
        self._data_dir = ensure_data_dir(settings)
        alerts = parse_alerts(settings)
        describe_process(self.metrics, "kafka", alerts.receivers)
        self._shelf = Shelf(settings, self._data_dir, self.metrics, knowledge)
        self._alerts = in_force(alerts, lambda: self._shelf.knowledge().book.calendars)
        self._counts = Counts(self.metrics)
        self._heartbeats = Heartbeats(settings.kafka.session_timeout / 1000)
        self._configured = asyncio.Event()
        self._ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._ownership: Ownership | None = None
        self._delivery: Delivery | None = None
        self._monitor: Monitor | None = None

    # Ending -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask for an orderly end; safe to call again."""
        if not self._ending.done():
            self._ending.set_result(None)

    def failed(self, error: BaseException) -> None:
        """End because of this; the first one counts."""
        if not self._ending.done():
            self._ending.set_exception(error)

    async def ending(self) -> None:
        """Return once the worker ends or is told to, whatever the reason."""
        await asyncio.wait([self._ending])

    def _spawn(self, work: Awaitable[None], name: str) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever it is, the process ends with it
                self.failed(error)

        self._tasks.append(asyncio.create_task(guarded(), name=name))

    # Running ------------------------------------------------------------------------------------------------

    async def run(self) -> Exit:
        """Run until told to stop or until something fails; returns the exit code."""
        code = await to_exit(self._run())
        self.stop()
        return code

    async def _run(self) -> None:
        async with self._running():
            await self._ending

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            origin = await self._check_topics()
            kafka = self.settings.kafka
            self._state_log = StateLog(
                kafka,
                origin,
                self._data_dir / SNAPSHOTS / self.settings.worker_name,
                limits=lambda: self._shelf.knowledge().book.limits,
                now_ms=WallClock().now_ms,
                failed=self._counts.snapshot_failed,
            )
            stack.callback(self._state_log.end)
            producer, reader, admin = client.producer(kafka), client.reader(kafka), client.admin(kafka)
            await _started(stack, producer, producer.start, producer.stop)
            await _started(stack, reader, reader.start, reader.stop)
            await _started(stack, admin, admin.start, admin.close)
            publisher = Publisher(producer, self.names.dlq)
            broker = Broker(reader, admin, kafka.app_id, self.names)
            app = self._assemble(publisher, broker)
            await self._serve(stack)
            stack.callback(self._end_tasks)
            self._start_tasks()
            stack.push_async_callback(self._end_app, app)
            await app.start()
            self._spawn(self._until_app_ends(app), "faust")
            yield

    async def _check_topics(self) -> Origin:
        try:
            found = await asyncio.to_thread(check_topics, self.settings, self._alerts.receivers)
        except topics.TopicsError as error:
            raise WorkerExit(Exit.TOPICS, str(error)) from error
        except cluster.UnreachableError as error:
            raise WorkerExit(Exit.BROKER, str(error)) from error
        state = found[self.names.state]
        return Origin(state.name, state.topic_id, int(state.settings["delete.retention.ms"]))

    def _assemble(self, publisher: Publisher, broker: Broker) -> Any:
        kafka, names = self.settings.kafka, self.names
        wanted = names.read_by(self.roles, sorted(self._alerts.receivers))
        app = create_app(self.settings, wanted, self._take)

        def inbox() -> Inbox:
            return Inbox(app.consumer.on_buffer_full, app.consumer.on_buffer_drop)

        shared = Shared(
            names=names,
            kafka=kafka,
            zone=self.settings.tzinfo,
            live=self._driver is Driver.WALL,
            publisher=publisher,
            knowledge=self._shelf.knowledge,
            heartbeats=self._heartbeats,
            observer=self._counts,
            slices=Slices(self._shelf.knowledge),
            read_state=self._read_state,
            read_customers=self._read_customers,
            start_offsets=broker.start_offsets,
            conversation_url=self.settings.conversation.url,
            route=self._route if Role.ALERTS in self.roles else None,
            buried_before=lambda number, offset: buried_before(kafka, names, number, offset),
        )
        planner = None
        if Role.ALERTS in self.roles:
            planner = AlertProcessor(
                names,
                publisher,
                lambda: self._alerts,
                inbox(),
                poison_limit=kafka.poison_limit,
                dead=self._counts.dead,
            )
            self._spawn(planner.run(), "planner")
        if Role.DELIVERY in self.roles:
            self._delivery = Delivery(
                kafka,
                names,
                publisher,
                self._alerts,
                inbox(),
                clock=DeliveryClock(),
                metrics=DeliveryCounts(self.metrics),
                dead=self._counts.dead,
            )
            watch_delivery(self.metrics, self._delivery.pending_s, self._delivery.held)
        self._clocks = ClockDriver(
            self._clock,
            broker.end_offsets,
            lambda number, timers: self._write_timers(publisher, number, timers),
            self._counts.clock,
            longest_ms=kafka.timer_wait,
        )
        self._ownership = Ownership(
            names,
            shared,
            planner,
            self._delivery,
            counts=self._counts,
            heartbeats=self._heartbeats,
            hand_over_s=kafka.rebalance_timeout / 2000,
            failed=self.failed,
            forget=self._clocks.forget,
        )
        inboxes = {one.name: one.inbox for one in (planner, self._delivery) if one is not None}
        self._monitor = monitor = Monitor(broker, self._ownership, names, self.metrics, inboxes)
        self._pressure = Pressure(
            kafka.in_flight,
            self._ownership.processors.values,
            lambda: monitor.lag,
            inboxes,
            lambda: {} if self._delivery is None else self._delivery.busy(),
            self._counts.hottest,
        )
        self._pressure.watch(self.metrics)
        self.metrics.watch(m.CLOCKS_WAITING, lambda: self._clocks.waiting)
        self.metrics.watch(m.READY, lambda: not self.unready())
        self.metrics.watch(m.TASKS, lambda: len(asyncio.all_tasks()))
        self._follow_rebalances(app, self._ownership)
        return app

    def _follow_rebalances(self, app: Any, ownership: Ownership) -> None:
        async def revoked(_app: Any, revoked: Iterable[Any], **_: Any) -> None:
            await ownership.revoked(app, revoked)

        async def assigned(_app: Any, assigned: Iterable[Any], **_: Any) -> None:
            try:
                await ownership.given(app, assigned)
            except WorkerExit as error:
                self.failed(error)

        async def complete(_app: Any, **_: Any) -> None:
            # Faust sends `assigned` and resumes its flow side by side; it waits for this one first.
            await ownership.settled()

        app.on_partitions_revoked.connect(revoked, weak=False)
        app.on_partitions_assigned.connect(assigned, weak=False)
        app.on_rebalance_complete.connect(complete, weak=False)

    def _route(self, alert: Alert) -> Sequence[Notification]:
        return policy.plan(self._alerts, alert).notifications

    async def _take(self, event: Any) -> None:
        assert self._ownership is not None
        await self._ownership.take(event)

    def _start_tasks(self) -> None:
        assert self._monitor is not None
        assert self._ownership is not None
        kafka = self.settings.kafka
        config = ConfigTail(
            kafka, self.names.config, self._shelf, self._data_dir / ACTIVATED, self._configured.set
        )
        self._spawn(config.run(), "configuration")
        self._spawn(self._monitor.beat(), "beat")
        self._spawn(self._monitor.measure(), "lag")
        self._spawn(self._monitor.let_go(), "let go")
        self._spawn(self._pressure.run(), "pressure")
        if Role.CONVERSATIONS in self.roles:
            self._spawn(self._state_log.keep(self._ownership.processors.values), "snapshots")
        if self._driver is Driver.WALL and Role.CONVERSATIONS in self.roles:
            self._spawn(self._watch_clocks(), "clocks")
            self._spawn(self._watch_customers(), "customers")
        self._watchdog = Watchdog(self._monitor.vitals, Limits.of(kafka))
        self._watchdog.start()

    async def _watch_clocks(self) -> None:
        assert self._ownership is not None
        while True:
            await asyncio.sleep(self._clocks.pause_s)
            if self._ownership.assigned:
                with outage_survived("clocks wait"):
                    await self._clocks.tick(list(self._ownership.processors.values()))

    async def _watch_customers(self) -> None:
        assert self._ownership is not None
        while True:
            await asyncio.sleep(CUSTOMERS_S)
            for processor in list(self._ownership.processors.values()):
                more = True
                while more:
                    more = await processor.advance_customers(self._clock.now_ms(), CUSTOMERS_AT_ONCE)
                    if more:
                        await asyncio.sleep(CUSTOMERS_PAUSE_S)

    async def _write_timers(self, publisher: Publisher, number: int, timers: Sequence[Timer]) -> None:
        await self._heartbeats.sure()
        rows = [Row(timer.conversation_id.encode(), encode(timer, self.settings.tzinfo)) for timer in timers]
        await confirm(await publisher.send(self.names.timers, number, rows))

    async def _read_state(self, number: int, replay: Replay) -> None:
        await self._configured.wait()
        with readable(f"{self.names.state}/{number}"):
            await self._state_log.read(number, replay)

    async def _read_customers(self, number: int, replay: CustomerReplay) -> None:
        await self._configured.wait()
        await tail.read_all(
            self.settings.kafka,
            self.names.customers,
            number,
            lambda records: replay.take((record.key, record.value) for record in records),
        )

    async def _until_app_ends(self, app: Any) -> None:
        await app.wait_until_stopped()
        if app.crashed:
            reason = app.crash_reason
            raise (
                reason
                if isinstance(reason, WorkerExit)
                else WorkerExit(Exit.CRASHED, f"Faust ended: {type(reason).__name__}")
            )

    # Health -------------------------------------------------------------------------------------------------

    async def _serve(self, stack: AsyncExitStack) -> None:
        listen = self.settings.listen
        self.site = health_site(self.metrics, listen, unhealthy=self.unhealthy, unready=self.unready)
        await self.site.start()
        stack.push_async_callback(self.site.stop)
        logger.info("metrics and health on port %d", self.site.port)

    def unready(self) -> list[str]:
        """Return what this worker still waits for."""
        missing = []
        if not self._configured.is_set():
            missing.append("qa.config is being read")
        if self._ownership is None or not self._ownership.assigned:
            missing.append("no partitions assigned yet")
        elif recovering := self._ownership.recovering():
            missing.append(f"{recovering} partitions are being recovered")
            missing += self._state_log.progress()
        if self._delivery is not None and not self._delivery.ready:
            missing.append("the ledger is being read")
        return missing + self.unhealthy()

    def unhealthy(self) -> list[str]:
        """Return what does not get on, from half the time on after which the watchdog ends the process."""
        if self._monitor is None:
            return []
        limits = Limits.of(self.settings.kafka).told()
        return [verdict.reason for verdict in judge(self._monitor.vitals, time.monotonic(), limits)]

    # The end ------------------------------------------------------------------------------------------------

    async def _end_app(self, app: Any) -> None:
        """Finish what is under way, commit, leave the group's partitions to a restart."""
        assert self._ownership is not None
        self._watchdog.stop()
        orderly = self._ending.done() and self._ending.exception() is None
        if orderly and self._ownership.assigned:
            app.consumer.stop_flow()
            await self._ownership.stop(app, self._state_log.finish)
        else:
            await self._ownership.abandon()
            if self._delivery is not None:
                await self._delivery.stop()
        try:
            async with asyncio.timeout(FAUST_STOP_S):
                await app.stop()
        except (TimeoutError, asyncio.CancelledError):
            # Seen where the broker is gone: Faust waits for a thread of its consumer that has died.
            logger.error("Faust did not stop in %.0f s; what is ours was finished before", FAUST_STOP_S)  # noqa: TRY400

    def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _started(
    stack: AsyncExitStack, _: Any, start: Callable[[], Awaitable[Any]], stop: Callable[[], Awaitable[Any]]
) -> None:
    await start()
    stack.push_async_callback(stop)
