"""Reading `qa.state` beside the workers: all that is there, then what changes. Belongs to no group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.runtime import cluster
from stream.runtime.kafka.changelog import Replay
from stream.runtime.kafka.names import Names
from stream.settings import Kafka

FETCH_BYTES = 8 * 1024 * 1024
"""As the workers read it: as fast as the disk gives it."""

POLL_RECORDS = 4_000
"""As many as a batch of a worker's recovery."""

POLL_MS = 500
"""How long one poll waits where nothing comes."""

FOLLOW_POLLS = 10
"""So often it asks again while records keep coming, before what they changed is shown."""

Take = Callable[[str, bytes | None], None]


class StateFollower:
    """Gives out the right record of each conversation, again where it changed."""

    def __init__(self, kafka: Kafka, consumer: Any) -> None:
        self._consumer = consumer
        topic = Names(kafka.topic_prefix).state
        numbers = sorted(consumer.partitions_for_topic(topic))
        self._where = [TopicPartition(topic, number) for number in numbers]
        self._replays = {where: Replay() for where in self._where}
        consumer.assign(self._where)
        consumer.seek_to_beginning(*self._where)
        self._ends: dict[TopicPartition, int] = consumer.end_offsets(self._where)
        begins = consumer.beginning_offsets(self._where)
        self.records = sum(self._ends[where] - begins[where] for where in self._where)
        """How many offsets there are to read; compaction may have left fewer records."""

    def read(self, take: Take, progress: Callable[[int], None]) -> None:
        """Read to the end as it was at the beginning, and give out every conversation there is.

        Raises:
            kafka.errors.KafkaError: The brokers cannot be asked.
            msgspec.MsgspecError: A record is no state.
        """
        at = {where: self._consumer.position(where) for where in self._where}
        while any(at[where] < self._ends[where] for where in self._where):
            self._poll(POLL_MS)
            for where in self._where:
                now = self._consumer.position(where)
                progress(now - at[where])
                at[where] = now
        for replay in self._replays.values():
            for conversation_id, raw in replay.states():
                take(conversation_id, raw)

    def follow(self, take: Take) -> None:
        """Give out the conversations that changed since, after half a second at most; raises as ``read``."""
        for _ in range(FOLLOW_POLLS):
            changed = self._poll(POLL_MS)
            for where, names in changed.items():
                for conversation_id in names:
                    take(conversation_id, self._replays[where].state(conversation_id))
            if not changed:
                return

    def _poll(self, timeout_ms: int) -> dict[TopicPartition, set[str]]:
        changed: dict[TopicPartition, set[str]] = {}
        for where, records in self._consumer.poll(timeout_ms=timeout_ms).items():
            self._replays[where].take((record.key, record.value) for record in records)
            changed[where] = {(record.key or b"").decode() for record in records}
        return changed


@contextmanager
def following(kafka: Kafka) -> Iterator[StateFollower]:
    """Yield a follower of the state topic, which must be there.

    Raises:
        kafka.errors.KafkaError: The brokers cannot be asked.
    """
    consumer = KafkaConsumer(
        **cluster.options(kafka),
        group_id=None,
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        max_poll_records=POLL_RECORDS,
    )
    try:
        yield StateFollower(kafka, consumer)
    finally:
        consumer.close()
