"""How to reach the brokers, said once for the three client libraries in use."""

from __future__ import annotations

import ssl
from typing import Any

import aiokafka
import faust
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.helpers import create_ssl_context

from stream.settings import Kafka, SecurityProtocol

PRODUCER_BATCH_BYTES = 512 * 1024
"""Half of what a broker takes in one batch by default (1,048,588 bytes), so that no batch is refused."""

MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""A dead letter is at most 1,114,124 bytes (topics.yaml), and a request carries a little more."""

DELIVERY_TIMEOUT_MS = 60_000
"""How long a record waits for a broker that restarts. Longer, and the watchdog would act first."""


def ssl_context(kafka: Kafka) -> ssl.SSLContext | None:
    """Return the TLS settings as a context; None where the protocol has no TLS."""
    if kafka.security_protocol not in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL):
        return None
    password = kafka.ssl_key_password.get_secret_value() if kafka.ssl_key_password else None
    context: ssl.SSLContext = create_ssl_context(
        cafile=kafka.ssl_cafile and str(kafka.ssl_cafile),
        certfile=kafka.ssl_certfile and str(kafka.ssl_certfile),
        keyfile=kafka.ssl_keyfile and str(kafka.ssl_keyfile),
        password=password,
    )
    context.check_hostname = kafka.ssl_check_hostname
    return context


def security(kafka: Kafka) -> dict[str, Any]:
    """Return the security arguments of any aiokafka client."""
    arguments: dict[str, Any] = {
        "security_protocol": kafka.security_protocol.value,
        "ssl_context": ssl_context(kafka),
    }
    if kafka.sasl_mechanism is not None:
        arguments |= {
            "sasl_mechanism": kafka.sasl_mechanism.value,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": _password(kafka),
        }
    return arguments


def admin_options(kafka: Kafka) -> dict[str, Any]:
    """Return the arguments of a kafka-python client: brokers and security."""
    return {"bootstrap_servers": list(kafka.bootstrap), **security(kafka)}


def faust_credentials(kafka: Kafka) -> Any:
    """Return the value of Faust's `broker_credentials`; None for plain text without a login."""
    context = ssl_context(kafka)
    if kafka.sasl_mechanism is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=_password(kafka),
            mechanism=kafka.sasl_mechanism.value,
            ssl_context=context,
        )
    return context


def _password(kafka: Kafka) -> str | None:
    return kafka.sasl_password.get_secret_value() if kafka.sasl_password else None


def producer(kafka: Kafka) -> Any:
    """Return a producer, not yet started: all replicas confirm, order is kept, retries may repeat.

    Idempotence is off: an idempotent aiokafka producer can get stuck on OutOfOrderSequenceNumber until
    it is restarted (aiokafka issue 1017), and repeats are harmless here. Order needs no idempotence:
    one batch a partition is under way at a time.
    """
    return aiokafka.AIOKafkaProducer(
        bootstrap_servers=list(kafka.bootstrap),
        acks="all",
        enable_idempotence=False,
        max_batch_size=PRODUCER_BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=DELIVERY_TIMEOUT_MS,
        **security(kafka),
    )


def reader(kafka: Kafka, **options: Any) -> Any:
    """Return a consumer that belongs to no group, not yet started."""
    return aiokafka.AIOKafkaConsumer(
        bootstrap_servers=list(kafka.bootstrap),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **security(kafka),
        **options,
    )


def admin(kafka: Kafka) -> Any:
    """Return an admin client, not yet started."""
    return AIOKafkaAdminClient(bootstrap_servers=list(kafka.bootstrap), **security(kafka))
