"""The size of an installation: sums that follow from costs, and costs that are those of today's core."""

from __future__ import annotations

from collections import Counter
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.model import Alert
from stream import wire
from stream.bench.session import Session
from stream.bench.workload import EVENTFUL, REPEATED, Mix, traffic
from stream.core.limits import DEFAULT_LIMITS
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.runtime import capacity
from stream.runtime.capacity import GIB, MIB, WRITTEN, Load, plan
from stream.runtime.conversations import Conversations
from stream.runtime.kafka.ledger import FINAL_KEPT_MS
from stream.runtime.topics import shipped

TOPICS = {Finding: "qa.findings", Alert: "qa.alerts", Summary: "qa.conversations", Contact: "qa.contacts"}

# The constants are rounded, the bench's chats of so few messages vary, and packs are tuned all the time.
TOLERANCE = 0.35


@pytest.fixture(scope="module")
def made() -> tuple[Counter[str], Counter[str]]:
    """Records and bytes that a message makes be written, by topic."""
    session = Session(quick=True)
    course = traffic(session.day, 12_000, concurrent=400, mix=Mix(REPEATED, EVENTFUL))
    conversations = Conversations(source_partition=0)
    records, sizes = Counter[str](), Counter[str]()
    inputs = course.inputs()
    for at in range(0, len(inputs), 64):
        done = conversations.apply(session.knowledge, inputs[at : at + 64])
        for record in done.records:
            if isinstance(record, Score):
                continue
            topic = TOPICS[type(record)]
            records[topic] += 1
            sizes[topic] += size(record)
        records["qa.state"] += len(done.changed)
        sizes["qa.state"] += sum(map(len, done.changed.values()))
    records["chat.messages"] = len(course.records)
    sizes["chat.messages"] = sum(map(len, course.records))
    return (
        Counter({topic: count / course.messages for topic, count in records.items()}),
        Counter({topic: count / course.messages for topic, count in sizes.items()}),
    )


def size(record: Finding | Alert | Summary | Contact) -> int:
    if isinstance(record, Alert):
        return len(wire.encode_alert(record, UTC))
    if isinstance(record, Contact):
        summary = None if record.summary is None else wire.encode(record.summary, UTC)
        return len(wire.encode_contact(record, summary, UTC))
    return len(wire.encode(record, UTC))


@pytest.mark.parametrize("topic", ["chat.messages", "qa.state", *TOPICS.values()])
def test_costs_are_those_of_the_core_as_it_is(topic: str, made: tuple[Counter[str], Counter[str]]) -> None:
    records, sizes = made
    assert records[topic] == pytest.approx(WRITTEN[topic].records, rel=TOLERANCE)
    assert sizes[topic] == pytest.approx(WRITTEN[topic].size, rel=TOLERANCE)


def test_a_small_shop_worked_by_hand() -> None:
    """86,400 messages a day, at the peak 5 a second: 5 / 27.4 chats a second, held 2,700 seconds each."""
    found = plan(Load(86_400), shipped())
    assert found.peak_rate == 5
    assert found.open_conversations == 493  # 492.7
    # 86,400 / 27.4 are 3,153 chats a day, of which 22% are held for nine days.
    assert found.held_conversations == 493 + 6_244
    assert (found.workers, found.partitions, found.brokers) == (2, 8, 3)
    # 357 bytes and 1.19 times 30 of Kafka's: 392.7 bytes a message, a week, three copies.
    assert found.disk["chat.messages"] == pytest.approx(392.7 * 86_400 * 7 * 3)
    assert found.worker_memory < 150 * MIB
    # A fifth of a notification each, for three days: 51,840 records of 1,575 bytes and 30 of Kafka's.
    young = found.disk["qa.ledger"] - 51_840 * 1_605 * 3
    assert 0 < young < 300 * MIB


def test_conversations_are_held_for_what_is_owed_as_long_as_the_core_holds_them() -> None:
    assert DEFAULT_LIMITS.issue_keep_ms == (capacity.OWED_DAYS - 2) * 86_400_000


def test_what_was_decided_is_counted_where_one_worker_has_it_all() -> None:
    """A large seller, 27 million messages a day to one receiver: 16.2 million ids in three days."""
    assert capacity.SETTLED_DAYS * 86_400_000 == FINAL_KEPT_MS
    less, more = (plan(Load(27e6, receivers=count), shipped()) for count in (1, 2))
    assert more.worker_memory - less.worker_memory == pytest.approx(16.2e6 * 50)


def test_the_ledger_of_all_receivers_is_read_before_one_is_told() -> None:
    one, three = (plan(Load(27e6, receivers=count), shipped()) for count in (1, 3))
    assert one.delivery_s == pytest.approx(3 + 16.2e6 / 69_000)
    assert three.delivery_s == pytest.approx(3 + 3 * 16.2e6 / 69_000)


def test_a_platform_worked_by_hand() -> None:
    """At 10,000 messages/s 11,900 records/s at 2,200 a worker are 5.41, so six and one to spare."""
    found = plan(Load(10_000 * 86_400 / 5, open=1_000_000), shipped())
    assert found.peak_rate == 10_000
    assert (found.workers, found.partitions) == (7, 28)
    assert found.open_conversations == 1_000_000
    assert found.recovery_s == pytest.approx(3 + found.held_conversations / 7 / 25_000)
    assert found.disk_total > 1_000 * GIB


@given(st.floats(1, 1e10), st.floats(1, 3), st.integers(1, 20))
def test_more_load_never_takes_less(messages: float, more: float, receivers: int) -> None:
    less, much = (plan(Load(messages * factor, receivers=receivers), shipped()) for factor in (1.0, more))
    assert much.workers >= less.workers
    assert much.partitions >= less.partitions
    assert much.brokers >= less.brokers
    assert much.disk_total >= less.disk_total


def test_every_topic_that_grows_is_counted() -> None:
    # Timers are few and small; dead letters are not planned for; configuration is one record.
    small = {"qa.timers", "qa.config", "qa.dlq"}
    assert {spec.name for spec in shipped().topics} == set(WRITTEN) | small


def test_a_machine_measured_by_itself_needs_fewer_workers() -> None:
    messages = 1e9
    slow, fast = (plan(Load(messages, records_per_core=rate), shipped()) for rate in (5_000, 20_000))
    assert fast.workers < slow.workers
    assert capacity.RECORDS_PER_CORE == 4_400
