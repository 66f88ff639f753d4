"""What comes in besides Kafka's own records: the HTTP door, foreign topics; and logins at the broker."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from stream.runtime.broker import HOST, LocalBroker, SaslUser
from stream.runtime.kafka.dlq import list_dead_letters
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.ingest import Ingest
from stream.settings import ensure_token
from stream.testing import PATIENCE, cache_home
from stream.wire import mapping
from tests.integration.kafkasystem import CALM, COMPLAINT, ROOT, Installation, message, receiver, until

pytestmark = pytest.mark.kafka

FOREIGN = """
mapping: 1
about: what a foreign system says
events:
  - type: message
    where: kind == 'said'
    fields:
      conversation_id: room
      message_id: id
      sent_at: {path: at, unit: ms}
      sender.role: {path: who, values: {guest: customer, staff: agent}}
      content.text: words
"""


@asynccontextmanager
async def running(system: Installation, **options: Any) -> AsyncIterator[Ingest]:
    ingest = Ingest(system.settings("ingest"), **options)
    task = asyncio.create_task(ingest.run())
    async with asyncio.timeout(PATIENCE):
        await ingest.ready.wait()
    yield ingest
    ingest.stop()
    async with asyncio.timeout(PATIENCE):
        assert await task == Exit.OK


async def test_http_door_answers_after_the_broker_has_confirmed(system: Installation) -> None:
    names = system.names
    async with running(system, source="http", mapping=None) as ingest:
        assert ingest.door is not None
        url = f"http://127.0.0.1:{ingest.door.port}/v1/events"
        token = ensure_token(ingest.settings)
        async with aiohttp.ClientSession() as session:
            events = [message("c-1", n, CALM) for n in range(3)]
            async with session.post(url, json=events) as response:
                assert response.status == 401
            session.headers["Authorization"] = f"Bearer {token}"
            async with session.post(url, json=events) as response:
                assert response.status == 202
            assert [json.loads(record.value) for record in system.read(names.messages)] == events
            async with session.post(url, json=[message("c-2", 1, CALM), {"type": "nonsense"}]) as response:
                assert response.status == 400
                (refused,) = (await response.json())["refused"]
                assert (refused["index"], refused["reason"]) == (1, "unknown_type")
            async with session.post(url, json={"type": "tick", "at": 1_790_000_000_000}) as response:
                assert response.status == 202
    found = system.read(names.messages)
    assert {record.key for record in found} == {b"c-1", b"c-2", b"tick"}
    ticks = [record.partition for record in found if record.key == b"tick"]
    assert sorted(ticks) == list(range(system.partitions)), "time comes to every partition"


async def test_foreign_topic_is_mapped_rekeyed_and_taken_up_again(
    system: Installation, kafka_admin: KafkaAdminClient, tmp_path: Path
) -> None:
    names = system.names
    topic = f"{system.prefix}foreign"
    kafka_admin.create_topics({topic: {"num_partitions": 1}}, wait_for_metadata=True)
    file = tmp_path / "foreign.yaml"
    file.write_text(FOREIGN, encoding="utf-8")
    foreign = mapping.load(file)

    def said(number: int, **changes: Any) -> bytes:
        payload = {"kind": "said", "room": "r-1", "id": f"{number}", "at": 1_790_000_000_000 + number}
        return json.dumps(payload | {"who": "guest", "words": CALM} | changes).encode()

    system.send([said(1), b"broken", said(2, who="ghost"), said(3)], topic=topic)
    async with running(system, source=topic, mapping=foreign) as ingest:
        await until(lambda: len(system.read(names.messages)) == 2, "two events")
        kafka = ingest.settings.kafka
        await until(lambda: len(list(list_dead_letters(kafka))) == 2, "two dead letters")
        letters = list(list_dead_letters(kafka))
        assert [(letter.topic, letter.offset, letter.reason) for letter in letters] == [
            (topic, 1, "not_json"),
            (topic, 2, "not_mapped"),
        ]
        assert letters[0].value == b"broken"
    system.send([said(4)], topic=topic)
    async with running(system, source=topic, mapping=foreign):
        await until(lambda: len(system.read(names.messages)) == 3, "the third event")
    found = system.read(names.messages)
    assert {record.key for record in found} == {b"r-1"}
    assert [json.loads(record.value)["message_id"] for record in found] == ["1", "3", "4"]


@pytest.mark.parametrize("source", ["http", "foreign"])
async def test_missing_topic_ends_an_ingest_with_its_name(
    source: str, system: Installation, topic_prefix: str, tmp_path: Path
) -> None:
    """A client would look for it for a minute, in a foreign topic for ever, deaf to SIGTERM."""
    there = (
        system if source == "foreign" else Installation(system.bootstrap, topic_prefix + "none.", tmp_path)
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream.cli", "--config", str(there.config("ingest")), "ingest"),
        *("--from", source),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        _, told = await process.communicate()
    assert process.returncode == Exit.TOPICS
    assert ("foreign" if source == "foreign" else there.names.messages) in told.decode()


async def test_ingest_can_be_stopped_while_it_still_looks_for_its_broker(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as deaf:  # takes connections, and never answers
        system = Installation(f"{HOST}:{deaf.getsockname()[1]}", "deaf.", tmp_path)
        ingest = Ingest(system.settings("ingest"), source="http", mapping=None)
        running = asyncio.create_task(ingest.run())
        await asyncio.sleep(0.5)
        ingest.stop()
        async with asyncio.timeout(2):
            assert await running == Exit.OK


async def test_login_by_sasl_serves_worker_ingest_and_operators(tmp_path: Path) -> None:
    user = SaslUser("yanshao", "a 'quoted\" \\pass")
    broker = LocalBroker(cache_home(os.environ) / "kafka", tmp_path / "broker", sasl=user)
    plain = broker.start()
    try:
        address = broker.status().sasl_bootstrap
        assert address is not None
        login = {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_username": user.name,
            "sasl_password": user.password,
        }
        with receiver() as hook:
            system = Installation(address, "sasl.", tmp_path, hook=hook.url, kafka=login)
            with KafkaAdminClient(bootstrap_servers=plain) as admin:
                system.make_topics(admin)
            async with system.worker():
                producer = KafkaProducer(bootstrap_servers=plain)
                event = message("c-1", 1, COMPLAINT)
                producer.send(system.names.messages, key=b"c-1", value=json.dumps(event).encode()).get(10)
                producer.send(system.names.messages, key=b"c-1", value=b"broken").get(10)
                producer.close()
                await until(lambda: bool(hook.alerts()), "a notification")
                kafka = system.settings().kafka
                await until(lambda: len(list(list_dead_letters(kafka))) == 1, "a dead letter")
            wrong = Installation(address, "sasl.", tmp_path, kafka=login | {"sasl_password": "wrong"})
            process = wrong.process("w9")
            assert process.wait() == Exit.BROKER
            assert "wrong" not in process.text()
    finally:
        broker.kill()
