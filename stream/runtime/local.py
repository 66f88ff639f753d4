"""The embedded runtime: one process, one file, exactly once.

Theory of operation. Events wait in a queue; one thread takes all that is there (at most
``TRANSACTION_EVENTS``), applies it with the clocks that came due, and commits states, records,
refused events and notifications in one SQLite transaction. Only then are the senders answered and
the notifications handed to the dispatcher. While one transaction commits, the next gathers, so a
busy store shares each commit among many requests and a quiet one adds no wait. A transaction that
fails leaves nothing behind: memory is read back from the file, and its senders are told to come
again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from alerts.config import AlertsConfig
from alerts.dispatcher import Dispatcher
from stream import wire
from stream.runtime.clock import Clock
from stream.runtime.conversations import Conversations, Knowledge
from stream.runtime.customers import Customers
from stream.runtime.http import Overloaded, Unavailable
from stream.runtime.jobs import DEFAULT_QUEUE, Done, Events, Queue, Write, refuse
from stream.runtime.pulse import PROBE_S, Pulse
from stream.runtime.store import Store
from stream.runtime.transactions import Transactions
from stream.wire import InvalidMessage, Reason

logger = logging.getLogger(__name__)

# About 100 ms of engine work: long enough to share a commit widely, short enough that no sender
# waits noticeably for those before it.
TRANSACTION_EVENTS = 2_000
# How often the clocks are looked at when no event comes; lateness stays well under a second.
TICK_SECONDS = 0.2
# A clock that breaks the engine would break every transaction; after so long all are tried again.
CLOCKS_REST_MS = 60_000

# Faults of the disk and the file, not of what was to be written.
_MEDIUM = (sqlite3.Error, OSError)


class LocalRuntime:
    """Takes events, keeps conversations, raises alerts; everything durable before it is answered.

    ``knowledge`` is asked anew for every transaction, so a reload takes hold at the next one.
    ``observe`` is told every committed transaction, on the event loop (metrics).
    """

    def __init__(
        self,
        data_dir: Path,
        knowledge: Callable[[], Knowledge],
        alerts_config: AlertsConfig,
        *,
        clock: Clock,
        zone: tzinfo = wire.DEFAULT_ZONE,
        queue: Queue = DEFAULT_QUEUE,
        conversation_url: str | None = None,
        observe: Callable[[Done], None] | None = None,
    ) -> None:
        self._transactions = Transactions(
            data_dir, knowledge, alerts_config, clock=clock, zone=zone, conversation_url=conversation_url
        )
        self._clock = clock
        self._queue = queue
        self._observe = observe
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._jobs: deque[Events | Write] = deque()
        self._taken: Sequence[Events | Write] = ()
        self._queued_events = 0
        self._queued_bytes = 0
        self._wakeup = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopping = False
        self._clocks_rest_until = 0
        self._writer: asyncio.Task[None] | None = None
        self._pulse = Pulse()
        self._probe_at = 0.0
        self._dispatcher: Dispatcher | None = None

    # Life -------------------------------------------------------------------------------------------

    async def start(self, dispatcher: Dispatcher | None = None) -> None:
        """Open the store, take up where it stands, and begin.

        Raises:
            stream.runtime.store.StoreInUseError: Another process runs on the same file.
            stream.runtime.store.StoreVersionError: A newer release made the file.
            stream.core.state.UnsupportedVersionError: A newer release wrote a record.
            sqlite3.Error: The file cannot be used.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._transactions.open)
        self._dispatcher = dispatcher
        self._writer = asyncio.create_task(self._write_loop(), name="store writer")
        self._writer.add_done_callback(self._writer_ended)
        if dispatcher is not None:
            await dispatcher.restore()

    async def stop(self) -> None:
        """Commit what waits, then close the store. Senders that come later are turned away."""
        self._stopping = True
        self._wakeup.set()
        await self.ended()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._transactions.close)
        self._thread.shutdown()

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        """Turn away whoever still waits: nobody will answer them any more, and to send again is safe."""
        if not writer.cancelled() and (error := writer.exception()) is not None:
            logger.critical("the store's writer has ended: %s", _place(error))
        for job in (*self._taken, *self._jobs):
            refuse(job, Unavailable())
        self._jobs.clear()

    async def ended(self) -> None:
        """Return once nothing is written any more: after `stop`, or because the writer broke."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    # What others ask ----------------------------------------------------------------------------------

    @property
    def conversations(self) -> Conversations:
        """Those held now; read back anew where a transaction failed."""
        return self._transactions.conversations

    @property
    def customers(self) -> Customers:
        """Those held now, likewise."""
        return self._transactions.customers

    @property
    def queued_events(self) -> int:
        """Events that wait for their transaction."""
        return self._queued_events

    def unready(self) -> list[str]:
        """Return why events would not be taken now; empty where they would."""
        if self._stopping or self._writer is None:
            return ["the store is not open"]
        if self._writer.done():
            return ["the store's writer has ended"]
        return self._pulse.unready(time.monotonic())

    def unhealthy(self) -> list[str]:
        """Return what does not get on and will not by itself."""
        if self._writer is not None and self._writer.done() and not self._stopping:
            return ["the store's writer has ended"]
        return self._pulse.unhealthy(time.monotonic())

    async def accept(
        self, events: Sequence[bytes], *, keep_refused: bool = False, stamped: bool = True
    ) -> list[InvalidMessage | None]:
        """Apply events and return once they are durable: why each was refused, or None.

        ``keep_refused`` puts refused ones into the store's dead letters (where nobody hears the
        answer). Without ``stamped`` events have no moment of receipt (a recorded day), and none is
        clamped.

        Raises:
            Overloaded: The queue is full, or the runtime is stopping; nothing was taken.
            Unavailable: The store failed; nothing was taken.
        """
        if self._writer is not None and self._writer.done() and not self._stopping:
            raise Unavailable
        size = sum(map(len, events))
        over = self._queued_events + len(events) > self._queue.events
        if self._stopping or over or self._queued_bytes + size > self._queue.size:
            raise Overloaded
        answer: asyncio.Future[list[InvalidMessage | None]] = asyncio.get_running_loop().create_future()
        # On the `stream` driver the present stands at 0: there is no receipt to judge times by.
        received_at = (self._clock.now_ms() or None) if stamped else None
        self._queued_events += len(events)
        self._queued_bytes += size
        self._jobs.append(Events(events, received_at, keep_refused, answer))
        self._wakeup.set()
        try:
            return await answer
        finally:
            self._queued_events -= len(events)
            self._queued_bytes -= size

    async def write(self, work: Callable[[Store], Any]) -> Any:
        """Do ``work`` on the store within the next transaction; return its result once durable.

        Raises:
            Unavailable: The store failed, or is closed; nothing was written.
        """
        if self._writer is None or self._writer.done():
            raise Unavailable
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.append(Write(work, answer))
        self._wakeup.set()
        return await answer

    async def settled(self) -> None:
        """Return when nothing waits and no transaction is open."""
        while self._jobs or not self._idle.is_set():
            await asyncio.sleep(0)
            await self._idle.wait()

    # The writer ---------------------------------------------------------------------------------------

    async def _write_loop(self) -> None:
        while True:
            self._wakeup.clear()
            jobs = self._take_jobs()
            due = self._transactions.next_due()
            if not jobs and self._stopping:
                return  # what comes due from here on is told at the next start
            if not jobs and (due is None or due >= self._heard_until()) and not self._must_probe():
                self._idle.set()
                await self._sleep()
                continue
            self._idle.clear()
            self._taken = jobs
            await self._commit(jobs)
            self._taken = ()

    def _must_probe(self) -> bool:
        """Whether the store, which has refused to write, is to be asked again though nothing else is."""
        return self._pulse.refused_at is not None and time.monotonic() >= self._probe_at

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            return

    def _take_jobs(self) -> list[Events | Write]:
        jobs: list[Events | Write] = []
        events = 0
        while self._jobs and events < TRANSACTION_EVENTS:
            job = self._jobs.popleft()
            events += len(job.raws) if isinstance(job, Events) else 0
            jobs.append(job)
        return jobs

    def _heard_until(self) -> int:
        """Return up to when clocks may come due: an answer that waits for its transaction stops them."""
        now = self._clock.now_ms()
        if now < self._clocks_rest_until:
            return 0
        stamped = (job.received_at for job in self._jobs if isinstance(job, Events) and job.received_at)
        return min(now, next(stamped, now))  # they wait in the order of their receipt

    def _answer(self, jobs: Sequence[Events | Write], done: Done) -> None:
        for job, outcome in zip(jobs, done.outcomes, strict=True):
            if not job.answer.done():  # its sender may have gone
                job.answer.set_result(outcome)
        if self._dispatcher is not None:
            self._dispatcher.adopt(done.notifications)
        if self._observe is not None:
            try:
                self._observe(done)
            except Exception as error:  # noqa: BLE001 - what watches must not stop what works
                logger.error("transaction not counted: %s", type(error).__name__)  # noqa: TRY400

    async def _commit(self, jobs: Sequence[Events | Write]) -> None:
        """Do the jobs in one transaction and answer them."""
        try:
            done = await self._attempt(jobs, self._heard_until())
        except _MEDIUM as error:
            # The type and no more: a text of SQLite may quote what was to be written.
            logger.error("transaction failed, nothing of it was kept: %s", type(error).__name__)  # noqa: TRY400
            for job in jobs:
                refuse(job, Unavailable())
            self._pulse.refused(time.monotonic())
            self._probe_at = time.monotonic() + PROBE_S
            await asyncio.sleep(TICK_SECONDS)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one event must not hold up the others
            logger.error("the engine broke, each event is tried by itself: %s", _place(error))  # noqa: TRY400
            if not jobs:
                self._clocks_rest_until = self._clock.now_ms() + CLOCKS_REST_MS
            for job in jobs:
                await self._commit_alone(job)
        else:
            self._answer(jobs, done)

    async def _commit_alone(self, job: Events | Write) -> None:
        """Do one job without the clocks, event by event; an event that breaks the engine is refused."""
        try:
            if isinstance(job, Write):
                self._answer([job], await self._attempt([job], 0))
                return
            outcomes = [await self._apply_alone(raw, job) for raw in job.raws]
        except _MEDIUM:
            refuse(job, Unavailable())
        except Exception as error:  # noqa: BLE001 - a piece of work on the store is its caller's own
            refuse(job, error)
        else:
            if not job.answer.done():
                job.answer.set_result(outcomes)

    async def _apply_alone(self, raw: bytes, job: Events) -> InvalidMessage | None:
        answer: asyncio.Future[list[InvalidMessage | None]] = asyncio.get_running_loop().create_future()
        one = Events([raw], job.received_at, job.keep_refused, answer)
        try:
            self._answer([one], await self._attempt([one], 0))
        except _MEDIUM:
            raise
        except Exception as error:  # noqa: BLE001 - kept with its reason, as on Kafka
            logger.error("event refused, the engine broke: %s", _place(error))  # noqa: TRY400
            problem = InvalidMessage(Reason.INTERNAL, type(error).__name__)
            row = (problem.reason, problem.detail, self._clock.now_ms(), raw)
            bury = Write(lambda store: store.add_refused([row]), asyncio.get_running_loop().create_future())
            done = await self._attempt([bury], 0)
            done.refused.append((problem.reason, True))
            self._answer([bury], done)
            return problem
        return answer.result()[0]

    async def _attempt(self, jobs: Sequence[Events | Write], until: int) -> Done:
        """Do jobs in one transaction; where it fails, nothing of it stays in memory either."""
        loop = asyncio.get_running_loop()
        work = partial(self._transactions.do, jobs, until, touch=self._pulse.refused_at is not None)
        self._pulse.begin(time.monotonic())
        try:
            done = await loop.run_in_executor(self._thread, work)
        except Exception:
            while True:
                try:
                    await loop.run_in_executor(self._thread, self._transactions.read_back)
                    break
                except sqlite3.Error as again:
                    logger.error("the store cannot be read: %s", type(again).__name__)  # noqa: TRY400
                    await asyncio.sleep(1)
            raise
        else:
            self._pulse.wrote()
            return done
        finally:
            self._pulse.end()


def _place(error: BaseException) -> str:
    """Return what broke and where; the text of an exception may quote a message."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
