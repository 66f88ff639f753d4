"""What several tests of whole processes share; a file that needs other settings has a `system` of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from tests.integration.kafkasystem import Installation


@pytest.fixture
def system(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path
) -> Iterator[Installation]:
    """An installation with its topics; its processes end with the test."""
    one = Installation(kafka, topic_prefix, tmp_path)
    one.make_topics(kafka_admin)
    yield one
    one.end()
