"""One transaction of the embedded runtime: events, clocks and customers in, everything durable out.

The file, and what of it is in memory, belong together: a transaction that fails must leave nothing behind in
either. All of this is called from one thread, the store's; only ``next_due`` is asked from another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO

from alerts import hours, policy
from alerts.config import AlertsConfig
from alerts.model import Alert
from stream import wire
from stream.runtime.clock import Clock, WallClock
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.customers import Customers, contacted, last_tick
from stream.runtime.jobs import Done, Events, Write
from stream.runtime.rows import row_of
from stream.runtime.store import FILE_NAME, Store, connect, lock
from stream.wire import InvalidMessage

# Of how many customers a day is settled in one transaction, all being due at the same moment: 30 ms of work,
# for which senders wait.
CUSTOMERS_AT_ONCE = 20


class Transactions:
    """The store, and the conversations and customers that it holds."""

    def __init__(
        self,
        data_dir: Path,
        knowledge: Callable[[], Knowledge],
        alerts_config: AlertsConfig,
        *,
        clock: Clock,
        zone: tzinfo,
        conversation_url: str | None,
    ) -> None:
        self._path = data_dir / FILE_NAME
        self._knowledge = knowledge
        self._alerts = alerts_config
        self._clock = clock
        self._zone = zone
        self._conversation_url = conversation_url
        self._lock: BinaryIO | None = None
        self.store: Store | None = None
        self.conversations = Conversations(conversation_url=conversation_url)
        self.customers = Customers()

    def open(self) -> None:
        """Take the file, and read it.

        Raises:
            stream.runtime.store.StoreInUseError: Another process runs on the same file.
            stream.runtime.store.StoreVersionError: A newer release made the file.
            stream.core.state.UnsupportedVersionError: A newer release wrote a record.
            sqlite3.Error: The file cannot be used.
        """
        self._lock = lock(self._path.parent)
        self.store = Store(connect(self._path))
        self.read_back()

    def close(self) -> None:
        """Let the file go."""
        if self.store is not None:
            self.store.connection.close()
            self.store = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read_back(self) -> None:
        """Make memory what the file says. Raises sqlite3.Error."""
        assert self.store is not None
        conversations = Conversations(conversation_url=self._conversation_url)
        knowledge = self._knowledge()
        for conversation_id, raw in self.store.conversations():
            conversations.load(knowledge, conversation_id, raw)
        customers = Customers()
        for key, raw in self.store.customers():
            customers.load(knowledge.book.limits, key, raw)
        self.conversations, self.customers = conversations, customers

    def next_due(self) -> int | None:
        """Return when the next clock, or customer, comes due."""
        dues = (self.conversations.next_due(), self.customers.next_due())
        return min((due for due in dues if due is not None), default=None)

    def do(self, jobs: Sequence[Events | Write], until: int, *, touch: bool) -> Done:
        """Do everything in one transaction, clocks that are due before ``until`` last.

        With ``touch`` it writes even where there is nothing to be written: whether the store takes it is
        to be seen. Where it fails, memory has to be read back.

        Raises:
            sqlite3.Error, OSError: The disk or the file is at fault.
            Exception: The engine, or a job.
        """
        store = self.store
        assert store is not None
        done = Done()
        store.begin()
        try:
            for job in jobs:
                if isinstance(job, Write):
                    done.outcomes.append(job.work(store))
                else:
                    done.outcomes.append(self._decode(store, job, done))
            inputs = [Input(item) for item in done.received]
            done.applied = self.conversations.apply(self._knowledge(), inputs)
            self._apply_due(done, until)
            self._apply_contacts(done, inputs, until)
            self._keep(store, done)
            if touch:
                store.touch()
            begun = time.perf_counter()
            store.commit()
            done.commit_seconds = time.perf_counter() - begun
        except BaseException:
            store.roll_back()
            raise
        return done

    def _apply_due(self, done: Done, until: int) -> None:
        """Let what came due speak, after the events that were there before it was looked at."""
        now = self._clock.now_ms()
        timers = self.conversations.take_due(until)
        if timers:
            applied = self.conversations.apply(self._knowledge(), [Input(timer) for timer in timers])
            done.applied.merge(applied)
            done.lateness_ms = [now - timer.due for timer in timers]

    def _apply_contacts(self, done: Done, inputs: Sequence[Input], until: int) -> None:
        """Give customers their contacts, then their time: that of the clock, or of a tick."""
        limits = self._knowledge().book.limits
        done.told = self.customers.apply(limits, contacted(done.applied.records))
        done.told.merge(self.customers.advance(limits, until, CUSTOMERS_AT_ONCE))
        tick = last_tick(inputs)
        if tick is not None:
            done.told.merge(self.customers.advance(limits, tick))

    def _decode(self, store: Store, job: Events, done: Done) -> list[InvalidMessage | None]:
        outcomes: list[InvalidMessage | None] = []
        refused: list[tuple[str, str, int, bytes]] = []
        for raw in job.raws:
            try:
                done.received.append(wire.decode(raw, received_at=job.received_at))
                outcomes.append(None)
            except InvalidMessage as error:
                outcomes.append(error)
                refused.append((error.reason, error.detail, self._clock.now_ms(), raw))
                done.refused.append((error.reason, job.keep_refused))
        if job.keep_refused and refused:
            store.add_refused(refused)
        return outcomes

    def _keep(self, store: Store, done: Done) -> None:
        applied = done.applied
        store.put_conversations(applied.changed.items(), applied.forgotten)
        store.put_customers(done.told.changed.items(), done.told.forgotten)
        amended = (one.summary for one in done.told.amended)
        store.add_records([row_of(record, self._zone) for record in (*applied.records, *amended)])
        planned = [
            notification
            for record in applied.records
            if isinstance(record, Alert)
            for notification in policy.plan(self._alerts, record).notifications
        ]
        known = store.seen([one.notification_id for one in planned])
        # Delivery lives in real time, whatever clock the events run on.
        now = WallClock().now_ms()
        done.notifications = [
            hours.entered(self._alerts.calendars, one, now)
            for one in planned
            if one.notification_id not in known
        ]
        store.put_notifications(done.notifications)
