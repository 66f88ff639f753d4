"""What the shipped topics are and how differences are found; no broker needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.runtime.topics import Difference, Topic, TopicsError, plan, refuse_fatal, shipped, wanted

ROOT = Path(__file__).parents[2]


def _found(topic: Topic, **changes: object) -> Topic:
    fields = {"partitions": topic.partitions, "replication_factor": 1, "settings": dict(topic.settings)}
    return Topic(name=topic.name, **(fields | changes))  # type: ignore[arg-type]


def test_deploy_kafka_holds_the_topics_of_the_wheel() -> None:
    there = (ROOT / "deploy" / "kafka" / "topics.yaml").read_text(encoding="utf-8")
    assert there == (ROOT / "stream" / "resources" / "topics.yaml").read_text(encoding="utf-8")


def test_topics_that_belong_together_share_one_count() -> None:
    counts = {topic.name: topic.partitions for topic in wanted(shipped(), partitions=5)}
    assert {counts[name] for name in ("chat.messages", "qa.timers", "qa.contacts", "qa.state")} == {5}


def test_single_owner_topics_have_one_partition() -> None:
    counts = {topic.name: topic.partitions for topic in wanted(shipped(), partitions=5, receivers=["vip"])}
    assert {counts[name] for name in ("qa.config", "qa.notify.vip", "qa.ledger")} == {1}


def test_receipt_time_is_the_brokers() -> None:
    assert wanted(shipped())[0].name == "chat.messages"
    assert wanted(shipped())[0].settings["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("name", ["qa.state", "qa.ledger"])
def test_changelogs_are_compacted_not_before_ten_minutes(name: str) -> None:
    settings = next(topic.settings for topic in wanted(shipped()) if topic.name == name)
    assert settings["cleanup.policy"] == "compact"
    assert int(settings["min.compaction.lag.ms"]) >= 600_000
    assert int(settings["segment.bytes"]) <= 16 << 20


def test_dead_letters_hold_the_largest_chat_record_with_its_headers() -> None:
    settings = {topic.name: topic.settings for topic in wanted(shipped())}
    largest = int(settings["chat.messages"].get("max.message.bytes", 1_048_588))
    assert int(settings["qa.dlq"]["max.message.bytes"]) >= largest + (64 << 10)


def test_prefix_stands_before_every_name() -> None:
    names = [topic.name for topic in wanted(shipped(), prefix="shop.", receivers=["a"])]
    assert names == ["shop." + topic.name for topic in wanted(shipped(), receivers=["a"])]
    assert "shop.qa.notify.a" in names


def test_no_receiver_no_notify_topic() -> None:
    assert not any("notify" in topic.name for topic in wanted(shipped()))


@pytest.mark.parametrize("receiver", ["夜班", "a b", "a/b", "x" * 250])
def test_illegal_topic_name_is_refused(receiver: str) -> None:
    with pytest.raises(TopicsError, match="no topic name"):
        wanted(shipped(), receivers=[receiver])


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(TopicsError, match="at least one partition"):
        wanted(shipped(), partitions=0)
    with pytest.raises(TopicsError, match=r"replication factor 1 .* min\.insync\.replicas 2"):
        wanted(shipped(), replication_factor=1, min_insync_replicas=2)


def test_what_is_as_wanted_has_no_difference() -> None:
    topics = wanted(shipped(), replication_factor=1, min_insync_replicas=1)
    existing = {
        topic.name: _found(topic, settings={**topic.settings, "retention.bytes": "-1"}) for topic in topics
    }
    assert plan(topics, existing) == []


def test_numbers_written_otherwise_are_the_same() -> None:
    topic = Topic("t", 1, -1, {"min.cleanable.dirty.ratio": "0.1"})
    assert plan([topic], {"t": _found(topic, settings={"min.cleanable.dirty.ratio": "0.10"})}) == []


def test_each_difference_says_what_was_wanted_and_found() -> None:
    topic = Topic("t", 4, 3, {"cleanup.policy": "compact"})
    found = {"t": Topic("t", 2, 1, {"cleanup.policy": "delete"})}
    assert plan([topic, Topic("u", 1, 1, {})], found) == [
        Difference("t", "partitions", "4", "2", fatal=True),
        Difference("t", "replication.factor", "3", "1", fatal=False),
        Difference("t", "cleanup.policy", "compact", "delete", fatal=False),
        Difference("u", "topic", "1 partitions", None, fatal=False),
    ]


def test_all_fatal_differences_are_told_at_once() -> None:
    topics = wanted(shipped(), partitions=4)
    existing = {topic.name: _found(topic, partitions=3) for topic in topics if topic.partitions == 4}
    with pytest.raises(TopicsError) as caught:
        refuse_fatal(plan(topics, existing))
    assert all(f"{name} has 3 partitions, wanted 4" in str(caught.value) for name in existing)
