"""A real Prometheus scrapes a real run of the embedded system while chats come in."""

from __future__ import annotations

import asyncio
import io
import itertools
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from rich.console import Console

from alerts import config as alerts_config
from stream.runtime.clock import WallClock
from stream.runtime.system import LocalSystem
from stream.settings import load
from tests.integration.promserver import Prometheus, fast_config, prometheus

pytestmark = pytest.mark.prometheus

TOKEN = "a-token-of-this-test"
TALK = (
    ("customer", "怎么还不发货，等了三天了，我要投诉你们，太气人了"),
    ("agent", "亲，非常抱歉，马上为您查询"),
    ("customer", "再不处理我就打12315举报你们"),
)


def chat(number: int, now_ms: int) -> list[dict[str, Any]]:
    """One conversation of three messages and its end."""
    ids = {"conversation_id": f"c-{number}", "channel": "taobao"}
    said = [
        {
            **ids,
            "message_id": f"m-{number}-{turn}",
            "sent_at": now_ms + turn,
            "sender": {"role": role},
            "content": {"text": text},
        }
        for turn, (role, text) in enumerate(TALK)
    ]
    handed_off = {"type": "issue.handed_off", **ids, "issue_id": "i", "to": "仓库", "at": now_ms + len(TALK)}
    return [*said, handed_off, {"type": "conversation.closed", **ids, "at": now_ms + len(TALK)}]


async def talk(address: str) -> None:
    """Ten times a second: a conversation, one message of it twice, and an event that is none."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in itertools.count():
            events = chat(number, WallClock().now_ms())
            for body in ([*events, events[0]], [{"type": "message", "conversation_id": "c-bad"}]):
                async with session.post(address, json=body) as response:
                    assert response.status in {202, 400}
            await asyncio.sleep(0.1)  # the pace of the traffic, not a wait for anything


# What an operator must see of such a run, as the dashboards ask for it.
SEEN = (
    'sum(rate(yanshao_events_total{type="message", source="http"}[20s])) > 1',
    'sum(yanshao_events_invalid_total{reason="missing_field"}) > 0',
    "yanshao_events_duplicate_total > 0",
    'sum(yanshao_findings_total{kind="sensitive", status="raised"}) > 0',
    'sum(yanshao_rule_findings_total{rule_id=~"sensitive.+"}) > 0',
    "yanshao_dissatisfaction_score_count > 0",
    "yanshao_batch_events_count > 0",
    "yanshao_conversations_open > 0",
    "yanshao_state_bytes / yanshao_conversations_open > 50",
    'sum(yanshao_summaries_total{revision="first"}) > 0',
    "yanshao_conversation_dissatisfaction_count > 0",
    'yanshao_response_seconds_count{definition="plain", response="first"} > 0',
    'sum(yanshao_clocks_stopped_total{kind="first_response", leg="agent", outcome="met"}) > 0',
    'sum(yanshao_clocks_open{kind="leg", state="running"}) > 0',
    'sum(yanshao_alerts_total{status="firing"}) > 0',
    'yanshao_notifications_accepted_total{receiver="console"} > 0',
    'yanshao_notifications_total{receiver="console", outcome="delivered"} > 0',
    'yanshao_delivery_seconds_count{receiver="console"} > 0',
    'yanshao_http_requests_total{handler="events", code="202"} > 0',
    'yanshao_http_requests_total{handler="events", code="400"} > 0',
    "yanshao_store_commit_seconds_count > 0",
    'yanshao_queue_depth{queue="ingest"} >= 0',
    "yanshao_packs_info == 1",
    "yanshao_packs_last_load_successful == 1",
    "time() - yanshao_packs_last_load_timestamp_seconds < 600",
    "yanshao_ready == 1",
    'process_resident_memory_bytes{job="yanshao"} > 0',
    'time() - process_start_time_seconds{job="yanshao"} < 36000',
)
# Faults of ours that such a run must not have, and alerts it must not raise.
UNSEEN = (
    "sum(yanshao_internal_errors_total) > 0",
    "sum(yanshao_metrics_read_errors_total) > 0",
    "sum(yanshao_metrics_label_overflow_total) > 0",
    'sum(yanshao_notifications_total{outcome="failed"}) > 0',
    'ALERTS{alertstate="firing"}',
)


def look(config: Path, directory: Path) -> list[str]:
    """Return the expectations that did not come true."""

    def missing(server: Prometheus, expression: str) -> bool:
        try:
            return not server.wait(expression, seconds=10)
        except AssertionError:
            return True

    with prometheus(config, directory) as server:
        server.wait("count_over_time(yanshao_ready[1m]) >= 4")
        return [text for text in SEEN if missing(server, text)] + [
            text for text in UNSEEN if server.query(text)
        ]


async def test_a_run_is_seen_in_prometheus_as_the_dashboards_ask(tmp_path: Path) -> None:
    environment = {"YANSHAO_LISTEN__PORT": "0", "YANSHAO_LISTEN__METRICS_PORT": "0"}
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    system = LocalSystem(
        load(env=environment),
        data,
        alerts_config.parse({}, source="none", env={}),
        clock=WallClock(),
        console=Console(file=io.StringIO()),
    )
    async with system.running(TOKEN) as addresses:
        config = fast_config("prometheus.yml", [urlsplit(addresses.metrics).netloc], tmp_path)
        traffic = asyncio.create_task(talk(addresses.events))
        try:
            assert await asyncio.to_thread(look, config, tmp_path) == []
        finally:
            traffic.cancel()
        with pytest.raises(asyncio.CancelledError):
            await traffic
