"""The Faust app: what of Faust is used, and with which settings.

Used: group membership and heartbeats on their own thread, assignment, fetching, commits. Not used: its
tables, its producer for our records, its web server, its acknowledgements, its leader. Why each setting
is as it is stands beside it; `docs/decisions/` has the longer reasons.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import faust
import mode
from faust.tables.manager import TableManager

from stream.runtime.kafka import client
from stream.runtime.kafka.consumer import consume_in_order
from stream.runtime.kafka.feed import MAX_RECORDS, BatchSchema, batch_scheduler
from stream.runtime.kafka.membership import CoPartitioner
from stream.settings import Settings

BUFFERED_BATCHES = 16
"""Batches in Faust's own queue: enough to hide its fetching, at most 16 MiB."""


class NoTables(TableManager):  # type: ignore[misc]  # faust is not typed for us
    """Faust's manager of tables, which also starts its fetching, for an app that has none.

    Faust's own waits a second for tables to be registered: a quarter of a worker's start.
    """

    async def on_start(self) -> None:
        """Declare that every table is known, and start what the fetching waits for."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


def create_app(
    settings: Settings, topics: Sequence[str], take: Callable[[Any], Awaitable[None]]
) -> faust.App:
    """Return an app, not yet started, that hands every batch of the topics to `take`, one after another."""
    kafka = settings.kafka
    # Faust makes the last folder only. Nothing is kept in it, for there are no tables.
    folder = Path(settings.data_dir).expanduser() / "faust"
    folder.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        kafka.app_id,
        broker=[f"kafka://{address}" for address in kafka.bootstrap],
        broker_credentials=client.faust_credentials(kafka),
        datadir=str(folder / settings.worker_name),
        # Nothing of Faust's listens; /metrics and health are ours.
        web_enabled=False,
        # No extra topics of Faust's own: all topics are made by `yanshao topics apply`.
        topic_disable_leader=True,
        topic_allow_declare=False,
        # A restarted worker takes its partitions back without a rebalance.
        consumer_group_instance_id=settings.worker_name,
        broker_session_timeout=kafka.session_timeout / 1000,
        broker_heartbeat_interval=kafka.heartbeat_interval / 1000,
        broker_rebalance_timeout=kafka.rebalance_timeout / 1000,
        broker_request_timeout=max(90.0, kafka.session_timeout / 1000),
        broker_commit_interval=kafka.commit_interval / 1000,
        # A worker without a partition must not be expelled for idleness (a day).
        broker_max_poll_interval=86_400.0,
        # A new group begins with what is there: nothing sent before the first worker is lost.
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=kafka.batch.max_bytes,
        ConsumerScheduler=batch_scheduler(min(kafka.batch.records, MAX_RECORDS), kafka.batch.max_bytes),
        stream_buffer_maxsize=BUFFERED_BATCHES,
        # On a rebalance we finish what is under way ourselves, within a bound; Faust's wait has none.
        stream_wait_empty=False,
        PartitionAssignor=CoPartitioner,
        TableManager=NoTables,
        # Faust takes its own assignor, hence ours, only where this is not 0. It has no tables to copy.
        table_standby_replicas=1,
        # A second start of an agent would go on behind a batch that failed: end the process instead.
        agent_supervisor=mode.CrashingSupervisor,
    )
    consume_in_order(app)
    source = app.topic(*topics, schema=BatchSchema())

    async def feed(messages: Any) -> None:
        async for event in messages.noack().events():
            await take(event)

    app.agent(source, name="feed", concurrency=1)(feed)
    return app
