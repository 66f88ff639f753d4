"""One installation's Kafka cluster, for whoever administers it: how to reach it, which topics it wants."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, KafkaTimeoutError

from stream.runtime import topics
from stream.runtime.kafka.client import admin_options
from stream.runtime.topics import Topic
from stream.settings import Kafka

CONNECT_SECONDS = 3.0
"""A broker in reach answers within milliseconds, over a bad line within one second."""

BOOTSTRAP_SECONDS = 15.0
"""Handshake, TLS and login included; a broker under load takes a second."""


class UnreachableError(Exception):
    """No broker can be talked to; the text names the addresses and the kind of fault, no secret."""


@contextmanager
def admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    """Yield an admin client of the configured cluster.

    Raises:
        UnreachableError: No broker answers, the login fails, or the connection breaks inside ``with``.
    """
    where = ", ".join(kafka.bootstrap)
    if not any(_listens(address) for address in kafka.bootstrap):
        raise UnreachableError(f"nothing listens at {where}")
    try:
        with (
            _quiet(),
            KafkaAdminClient(**options(kafka), bootstrap_timeout_ms=int(BOOTSTRAP_SECONDS * 1000)) as client,
        ):
            yield client
    except KafkaTimeoutError as error:
        # The client tells a refused login, too, only by going on trying.
        raise UnreachableError(
            f"something listens at {where}, but does not answer as Kafka under these settings: "
            "look at kafka.security_protocol, the login and the certificates"
        ) from error
    except (OSError, KafkaError) as error:
        raise UnreachableError(f"Kafka at {where}: {type(error).__name__}") from error


def options(kafka: Kafka) -> dict[str, Any]:
    """Return the arguments of a kafka-python client."""
    return {name: value for name, value in admin_options(kafka).items() if value is not None}


def wanted_topics(kafka: Kafka, receivers: Iterable[str], partitions: int | None = None) -> list[Topic]:
    """Return the topics the configuration asks for; ``partitions`` overrides its count.

    Raises:
        stream.runtime.topics.TopicsError: A number or a name cannot be.
    """
    return topics.wanted(
        topics.shipped(),
        partitions=kafka.partitions if partitions is None else partitions,
        replication_factor=kafka.replication_factor,
        min_insync_replicas=kafka.min_insync_replicas,
        receivers=receivers,
        prefix=kafka.topic_prefix,
    )


def _listens(address: str) -> bool:
    """Does anything accept a connection? The client below would go on trying for its whole time-out."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client library's log off the terminal: what it says is told by the exception."""
    logger = logging.getLogger("kafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
