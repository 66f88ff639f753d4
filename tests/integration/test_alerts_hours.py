"""Hours over real parts: what is held over HTTP, through kill -9 and restarts of both runtimes.

Delivery lives in real time, so the calendar of these tests is one hour that is far from now; that it
opens is a file written anew.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner
from kafka.admin import KafkaAdminClient

from alerts.config import parse
from alerts.dispatcher import Dispatcher
from alerts.ledger import MemoryLedger
from alerts.metrics import NoMetrics
from alerts.model import AlertStatus, Severity
from alerts.policy import plan
from alerts.senders import close_senders, open_senders
from alerts.testing import NOW_MS, DailyHours, ManualClock, sample_alert
from stream.cli import main
from stream.metrics import render
from stream.settings import load
from stream.testing import eventually
from tests.contract import day
from tests.integration.kafkasystem import Installation, Receiver, until
from tests.integration.localsystem import HEADERS, Up, config, message, now_ms, query, running

HOUR_MS = 3_600_000


async def test_a_night_over_http_is_one_message_an_alert_at_the_opening() -> None:
    arrived: list[tuple[str, str, int]] = []

    async def handler(request: web.Request) -> web.Response:
        data = (await request.json())["data"]
        arrived.append((data["conversation_id"], data["status"], data["step"]))
        return web.Response(status=503 if len(arrived) == 1 else 200)

    runner = web.AppRunner(web.Application(), access_log=None)
    runner.app.router.add_post("/hook", handler)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook = {
        "type": "webhook",
        "url": f"http://127.0.0.1:{runner.addresses[0][1]}/hook",
        "allow_private": "127.0.0.1",
        "retry": {"first_delay": "1ms"},
    }
    raw = {"receivers": {"hook": hook}, "routes": [{"receivers": "hook", "hours": "office"}]}
    calendar = DailyHours(NOW_MS + 8 * HOUR_MS, HOUR_MS)
    settings = parse(raw, source="yanshao.yaml", env={}, calendars=lambda: {"office": calendar})
    clock, senders = ManualClock(), open_senders(settings)
    dispatcher = Dispatcher(
        settings, MemoryLedger(), senders, clock=clock, metrics=NoMetrics(), rng=Random(1)
    )

    async def tell(conversation: str, **more: Any) -> None:
        alert = sample_alert(conversation, **{"severity": Severity.HIGH} | more)
        await dispatcher.accept(plan(settings, alert).notifications)
        await dispatcher.idle()

    for number in range(20):
        for step in range(3):
            await tell(f"c-{number}", step=step)
        if number % 2:
            await tell(f"c-{number}", step=2, status=AlertStatus.RESOLVED, ends_at=NOW_MS)
    await tell("c-grave", severity=Severity.CRITICAL)  # answered 503 once, and sent again
    clock.advance(1)
    await dispatcher.idle()
    assert arrived == [("c-grave", "firing", 0)] * 2
    assert dispatcher.held() == {"hook": 10}
    clock.advance(8 * HOUR_MS)
    await eventually(lambda: len(arrived) == 12, "the morning's messages")
    await dispatcher.idle()
    assert sorted(arrived[2:]) == sorted((f"c-{number}", "firing", 2) for number in range(0, 20, 2))
    await dispatcher.stop(5)
    await close_senders(senders.values())
    await runner.cleanup()


# Both runtimes ----------------------------------------------------------------------------------------


def write_calendar(packs: Path, *, is_open: bool) -> None:
    """Write `calendar/night.yaml`: around the clock, or the one hour that begins half a day from now."""
    hour = (time.gmtime().tm_hour + 12) % 24
    span = f"{hour:02d}:00-{hour + 1:02d}:00"
    content = {
        "pack": "calendar.night",
        "version": 1,
        "title": "nights",
        "zone": "UTC",
        "hours": "always" if is_open else {"workday": span, "weekend": span},
    }
    folder = packs / "calendar"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "night.yaml").write_text(yaml.safe_dump(content), "utf-8")


def routed(hook: str) -> dict[str, Any]:
    receiver_ = {"type": "webhook", "url": hook, "allow_private": True}
    return {"receivers": {"hook": receiver_}, "routes": [{"receivers": ["hook"], "hours": "night"}]}


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    path = day.write_packs(day.BEFORE, tmp_path / "packs")
    write_calendar(path, is_open=False)
    return path


async def post(address: str, *events: dict[str, Any]) -> None:
    async with (
        aiohttp.ClientSession(headers=HEADERS) as session,
        session.post(address, data=json.dumps(events)) as response,
    ):
        assert response.status == 202


async def test_what_is_held_survives_kill_9_and_goes_once_when_its_hours_open(
    tmp_path: Path, packs: Path, hook: Receiver
) -> None:
    path, data = config(tmp_path, packs=packs, alerts=routed(hook.url)), tmp_path / "data"
    first = Up(path)
    await post(await first.events(), message("c-1", 1, "我生气"))
    first.kill()
    second = Up(path)
    await second.events()
    assert query(data, "SELECT outcome FROM ledger") == [("pending",)]
    assert second.stop() == 0
    assert hook.ids == []
    write_calendar(packs, is_open=True)
    async with running(path):
        await eventually(lambda: len(hook.ids) == 1, "the notification")
    assert query(data, "SELECT id, outcome FROM ledger") == [(hook.ids[0], "delivered")]


async def test_what_is_held_is_shown_and_counted_and_not_told_once_it_is_over(
    tmp_path: Path, packs: Path, hook: Receiver
) -> None:
    path, data = config(tmp_path, packs=packs, alerts=routed(hook.url)), tmp_path / "data"
    async with running(path) as (system, addresses):
        await post(addresses.events, message("c-1", 1, "我生气"))
        await eventually(lambda: system.dispatcher.held() == {"hook": 1}, "the held notification")
        page = render(system.metrics, "")[0].decode()
        assert 'yanshao_notifications_held{receiver="hook"} 1.0' in page
        assert 'yanshao_ledger_oldest_pending_seconds{receiver="hook"} 0.0' in page
        ((alert_id,),) = query(data, "SELECT alert_id FROM ledger")
        show = ["--config", str(path), "alerts", "show", alert_id]
        [entry] = json.loads(CliRunner().invoke(main, [*show, "--json"]).stdout)["notifications"]
        assert entry["held_until"] == entry["next_attempt_at"] is not None
        assert f"held for its hours until {entry['held_until']}" in CliRunner().invoke(main, show).stdout
        closed = {"type": "conversation.closed", "conversation_id": "c-1", "at": now_ms()}
        await post(addresses.events, closed)
        await eventually(lambda: system.dispatcher.held() == {"hook": 0}, "the end of it")
        await system.dispatcher.idle()
    found = query(data, "SELECT status, outcome, body FROM ledger")
    assert {(status, outcome) for status, outcome, _ in found} == {
        ("firing", "dropped"),
        ("resolved", "dropped"),
    }
    assert hook.ids == []


def test_a_route_whose_calendar_there_is_not_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "yanshao.yaml"
    path.write_text("alerts:\n  routes:\n    - receivers: [console]\n      hours: offcie\n", "utf-8")
    result = CliRunner().invoke(main, ["--config", str(path), "config", "show"])
    assert result.exit_code == 2
    assert result.stderr == (
        f"{path}:4: alerts.routes.0.hours: there is no calendar 'offcie'; did you mean 'office'?\n"
    )


def test_a_calendar_that_cannot_be_read_is_told_where_a_route_asks_for_one(tmp_path: Path) -> None:
    packs, path = tmp_path / "packs", tmp_path / "yanshao.yaml"
    write_calendar(packs, is_open=True)
    file = packs / "calendar" / "night.yaml"
    file.write_text(file.read_text("utf-8").replace("UTC", "Nowhere"), "utf-8")
    content = {"packs": ["shipped", str(packs)], "alerts": routed("https://x/y")}
    path.write_text(yaml.safe_dump(content), "utf-8")
    result = CliRunner().invoke(main, ["--config", str(path), "config", "show"])
    assert result.exit_code == 2
    assert "night.yaml:" in result.stderr
    assert "unknown time zone 'Nowhere'" in result.stderr


@pytest.mark.kafka
async def test_what_is_held_survives_a_worker_of_kafka_and_goes_once_when_its_hours_open(
    kafka: str, kafka_admin: KafkaAdminClient, topic_prefix: str, tmp_path: Path, packs: Path, hook: Receiver
) -> None:
    settings = {"alerts": routed(hook.url), "packs": [str(packs)]}
    system = Installation(kafka, topic_prefix, tmp_path, settings_of=settings)
    system.make_topics(kafka_admin)
    ledger = system.names.ledger
    async with system.worker() as worker:
        system.send([message("c-1", 1, "我生气")])
        await until(lambda: bool(system.read(ledger, 1)), "the notification in the ledger")
        page = render(worker.metrics, "")[0].decode()
        assert 'yanshao_notifications_held{receiver="hook"} 1.0' in page
    async with system.worker():
        assert [json.loads(one.value)["outcome"] for one in system.read(ledger, 1)] == ["pending"]
    assert hook.ids == []
    write_calendar(packs, is_open=True)
    async with system.worker():
        await until(lambda: bool(hook.ids), "the notification")
    assert len(hook.ids) == 1
    outcomes = [json.loads(one.value)["outcome"] for one in system.read(ledger, 1)]
    assert outcomes == ["pending", "delivered"]
    assert load(system.config(), env={}).alerts == settings["alerts"]
