"""What is secret or personal stays where it belongs: marked values, and a search of all that a run says."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from kafka.admin import KafkaAdminClient

from stream.runtime.kafka.dlq import list_dead_letters
from stream.testing import eventually
from tests.integration.kafkasystem import Installation, Receiver, receiver, until
from tests.integration.localsystem import Up, config, host_port, message

SECRETS = {
    "token": "MARK-door-token-0123456789",
    "webhook url": "MARK-in-the-url",
    "webhook secret": "whsec_TUFSSy1zZWNyZXQtb2YtdGhlLXdlYmhvb2shIQ==",
    "dingtalk url": "MARK-access-token",
    "dingtalk secret": "SECMARKdingtalk",
    "wecom url": "MARK-wecom-key",
    "feishu url": "MARK-feishu-hook",
    "feishu secret": "MARK-feishu-secret",
    "sasl password": "MARK-sasl-password",
}
PERSONAL = {
    "phone": "13987651234",
    "id card": "11010519491231002X",
    "address": "文三路478号7幢302室",
    "text": "独一无二的原话",
}
TEXT = (
    f"我要投诉你们！电话{PERSONAL['phone']}，身份证{PERSONAL['id card']}，杭州市西湖区{PERSONAL['address']}"
)


def receivers(hook: str) -> dict[str, Any]:
    """Return one receiver of each kind, at an address that refuses them all."""
    there = {"allow_private": True, "retry": {"first_delay": "100ms", "longest_delay": "200ms"}}
    base = hook.rpartition("/")[0]
    return {
        "hook": there
        | {
            "type": "webhook",
            "url": f"{base}/{SECRETS['webhook url']}",
            "secret": SECRETS["webhook secret"],
        },
        "ding": there
        | {
            "type": "dingtalk",
            "url": f"{base}/robot/send?access_token={SECRETS['dingtalk url']}",
            "secret": SECRETS["dingtalk secret"],
        },
        "wecom": there | {"type": "wecom", "url": f"{base}/send?key={SECRETS['wecom url']}"},
        "feishu": there
        | {
            "type": "feishu",
            "url": f"{base}/hook/{SECRETS['feishu url']}",
            "secret": SECRETS["feishu secret"],
        },
    }


def leaks(said: dict[str, bytes], *kinds: dict[str, str]) -> list[tuple[str, str]]:
    """Return where something marked was said, and what; as it is, or escaped as JSON does."""
    return [
        (place, name)
        for place, content in said.items()
        for kind in kinds
        for name, value in kind.items()
        if value.encode() in content or json.dumps(value).strip('"').encode() in content
    ]


def marked(path: Path, hook: Receiver) -> Path:
    """Put every secret into a configuration."""
    content = yaml.safe_load(path.read_text("utf-8"))
    content["token"] = SECRETS["token"]
    content.setdefault("kafka", {})["sasl_password"] = SECRETS["sasl password"]
    names = receivers(hook.url)
    for name, one in names.items():
        if "secret" in one:
            path.with_name(f"{name}.secret").write_text(one.pop("secret"), "utf-8")
            one["secret_file"] = f"{name}.secret"
    content["alerts"] = {"receivers": names, "default_receivers": list(names)}
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    return path


async def malformed(address: str) -> bytes:
    """Send what is no HTTP, with the token and a text in it; returns what came back."""
    said = b""
    for head in (b"Authorization : Bearer ", b"Authorization: Bearer \x01"):
        reader, writer = await asyncio.open_connection(*host_port(address))
        # The answer may quote a sender's own bytes to himself; so the token here is another one.
        writer.write(b"POST /v1/events HTTP/1.1\r\nHost: x\r\n" + head + b"MARK-malformed\r\n\r\n")
        said += await reader.read(-1)
        writer.close()
    return said


async def test_embedded_system_tells_no_secret_and_nothing_personal(tmp_path: Path) -> None:
    said: dict[str, bytes] = {}
    with receiver() as hook:
        hook.status = 500
        up = Up(marked(config(tmp_path), hook))
        address = await up.events()
        found = re.search(r"http\S+/metrics", up.log.read_text("utf-8"))
        assert found is not None
        side = found[0].removesuffix("/metrics")
        async with aiohttp.ClientSession() as session:
            for number, (token, body) in enumerate(_requests()):
                headers = {"Authorization": f"Bearer {token}"}
                async with session.post(address, data=body, headers=headers) as answer:
                    said[f"answer {number}: {answer.status}"] = (
                        await answer.read() + repr(answer.headers).encode()
                    )
            statuses = {place.rpartition(" ")[2] for place in said}
            await malformed(address)
            await eventually(lambda: hook.refused > 3, "refused attempts")
            for path in ("/metrics", "/healthz", "/readyz", f"/{SECRETS['token']}"):
                async with session.get(side + path) as answer:
                    said[path] = await answer.read()
        assert up.stop() == 0
    said["log"] = up.log.read_bytes()
    assert statuses == {"202", "400", "401"}
    assert b"yanshao_http_cut_total" in said["/metrics"]
    assert leaks(said, SECRETS, PERSONAL, {"malformed": "MARK-malformed"}) == []


def _requests() -> list[tuple[str, bytes]]:
    good = message("c-1", 1, TEXT + PERSONAL["text"])
    return [
        (SECRETS["token"], json.dumps(good).encode()),
        (SECRETS["token"], json.dumps(good | {"sender": {"role": TEXT}}).encode()),
        (SECRETS["token"], json.dumps(good | {"sent_at": PERSONAL["phone"]}).encode()),
        (SECRETS["token"], json.dumps(good | {"type": PERSONAL["text"]}).encode()),
        (SECRETS["token"], json.dumps(good).encode()[:-9]),
        (SECRETS["token"], b"[" + PERSONAL["phone"].encode()),
        ("x" + SECRETS["token"], json.dumps(good).encode()),
    ]


@pytest.mark.kafka
async def test_worker_tells_no_secret_and_dead_letters_say_nothing_of_what_they_hold(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path
) -> None:
    with receiver() as hook:
        system = Installation(kafka, topic_prefix, tmp_path, hook=hook.url, partitions=1)
        system.settings_of = {"token": SECRETS["token"]}
        system.kafka = {"sasl_password": SECRETS["sasl password"]}
        system.make_topics(kafka_admin)
        worker = system.process("w0")
        try:
            bad = [
                json.dumps(message("k", 1, TEXT) | {"sender": {"role": TEXT}}).encode(),
                TEXT.encode(),
                b"\xff",
            ]
            system.send([message("k", 2, TEXT + PERSONAL["text"]), *bad])
            await until(lambda: bool(hook.alerts()), "an alert")
            settings = system.settings()
            await until(lambda: len(list(list_dead_letters(settings.kafka))) == 3, "dead letters")
            port = re.search(r"metrics and health on port (\d+)", worker.text())
            assert port is not None
            said = {}
            async with aiohttp.ClientSession() as session:
                for path in ("/metrics", "/healthz", "/readyz"):
                    async with session.get(f"http://127.0.0.1:{port[1]}{path}") as answer:
                        said[path] = await answer.read()
            assert worker.stop() == 0
        finally:
            system.end()
        said["log"] = worker.log.read_bytes()
        said["headers"] = repr([record.headers for record in system.read(system.names.dlq, 1)]).encode()
        said["told"] = json.dumps(list(hook.bodies.values()), ensure_ascii=False).encode()
    private = {name: value for name, value in PERSONAL.items() if name != "text"}
    assert leaks({"told": said.pop("told")}, SECRETS, private) == []
    assert leaks(said, SECRETS, PERSONAL) == []
