"""The contest on Kafka: who is timed on what."""

from __future__ import annotations

import pytest
from kafka.admin import KafkaAdminClient

from stream.bench.contest import Contest
from stream.bench.installation import PARTITIONS, committed
from stream.bench.session import Session
from stream.bench.workload import traffic

pytestmark = pytest.mark.kafka


def test_a_slow_peer_begins_where_the_others_are_timed_from(
    kafka: str, kafka_admin: KafkaAdminClient
) -> None:
    with Session(quick=True) as session:
        session.__dict__["bootstrap"] = kafka  # the broker of this run, not one more
        contest = Contest(session, 0, traffic(session.day, 600, concurrent=50))
        group = f"{contest.installation.prefix}empty_agent"
        contest.skip(group, 0.5)
        begins = committed(kafka_admin, group, contest.topic)
        assert contest.total // 2 - PARTITIONS <= begins <= contest.total // 2
        assert contest.peer("empty_agent", skip=0.5, warm=0.5) > 0
        assert committed(kafka_admin, group, contest.topic) == contest.total
