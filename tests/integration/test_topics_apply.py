"""Topics on a real broker: made once, compared, put right where that can be done, refused where not."""

from __future__ import annotations

import pytest
from kafka.admin import KafkaAdminClient

from stream.runtime.topics import (
    Difference,
    TopicsError,
    apply,
    check,
    describe,
    shipped,
    source_partitions,
    wanted,
)

pytestmark = pytest.mark.kafka

COMPACTION = {
    "cleanup.policy": "compact",
    "segment.ms": str(10 * 60_000),
    "segment.bytes": str(16 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": str(60 * 60_000),
    "min.compaction.lag.ms": str(10 * 60_000),
    "delete.retention.ms": str(3 * 24 * 60 * 60_000),
}


def test_apply_makes_all_and_a_second_apply_changes_nothing(
    kafka_admin: KafkaAdminClient, topic_prefix: str
) -> None:
    topics = wanted(
        shipped(), partitions=3, replication_factor=1, receivers=["night", "vip"], prefix=topic_prefix
    )
    assert source_partitions(kafka_admin, topic_prefix) is None
    assert {d.what for d in check(kafka_admin, topics)} == {"topic"}

    applied = apply(kafka_admin, topics)
    assert applied.created == tuple(topic.name for topic in topics)
    assert applied.altered == ()
    assert applied.remaining == ()
    assert check(kafka_admin, topics) == []
    assert source_partitions(kafka_admin, topic_prefix) == 3

    again = apply(kafka_admin, topics)
    assert (again.created, again.altered, again.remaining) == ((), (), ())
    found = describe(kafka_admin, [topic_prefix + "chat.messages"])[topic_prefix + "chat.messages"]
    assert found.settings["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("name", ["qa.state", "qa.customers", "qa.ledger"])
def test_what_recovery_reads_is_compacted_early_and_keeps_deletions(
    kafka_admin: KafkaAdminClient, topic_prefix: str, name: str
) -> None:
    """Worked by hand: the broker's own defaults are 7 days, 1 GiB, 0.5, no end, 0 and 1 day."""
    apply(kafka_admin, wanted(shipped(), partitions=2, replication_factor=1, prefix=topic_prefix))
    found = describe(kafka_admin, [topic_prefix + name])[topic_prefix + name]
    assert found.topic_id, "snapshots are told by it from those of a topic that was deleted"
    settings = found.settings
    assert {key: settings[key] for key in COMPACTION} == COMPACTION


def test_apply_puts_settings_right_and_leaves_replication(
    kafka_admin: KafkaAdminClient, topic_prefix: str
) -> None:
    name = topic_prefix + "qa.state"
    kafka_admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    topics = [
        topic
        for topic in wanted(
            shipped(), partitions=2, replication_factor=3, min_insync_replicas=1, prefix=topic_prefix
        )
        if topic.name == name
    ]
    replication = Difference(name, "replication.factor", "3", "1", fatal=False)
    assert Difference(name, "cleanup.policy", "compact", "delete", fatal=False) in check(kafka_admin, topics)
    assert apply(kafka_admin, topics).remaining == (replication,)
    assert check(kafka_admin, topics) == [replication]


def test_other_partition_count_is_refused_before_anything_changes(
    kafka_admin: KafkaAdminClient, topic_prefix: str
) -> None:
    apply(kafka_admin, wanted(shipped(), partitions=2, replication_factor=1, prefix=topic_prefix))
    more = wanted(shipped(), partitions=4, replication_factor=1, receivers=["night"], prefix=topic_prefix)
    with pytest.raises(TopicsError, match=r"qa\.timers has 2 partitions, wanted 4.*--partitions"):
        apply(kafka_admin, more)
    assert describe(kafka_admin, [topic_prefix + "qa.notify.night"]) == {}


def test_what_the_broker_refuses_is_told(kafka_admin: KafkaAdminClient, topic_prefix: str) -> None:
    with pytest.raises(TopicsError, match=r"refuses to create .*chat\.messages: .*replication"):
        apply(kafka_admin, wanted(shipped(), replication_factor=3, prefix=topic_prefix))
