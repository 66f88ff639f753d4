"""The whole way of an alert over real HTTP, a dead receiver beside a live one."""

from __future__ import annotations

import asyncio
import logging
import socket
from random import Random

import pytest
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from alerts.clock import WallClock
from alerts.config import AlertsConfig, parse
from alerts.dispatcher import Dispatcher
from alerts.ledger import MemoryLedger
from alerts.metrics import NoMetrics
from alerts.policy import plan
from alerts.senders import close_senders, open_senders
from alerts.testing import sample_alert

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def configured(live: int, dead: int) -> AlertsConfig:
    retry = {"first_delay": "10ms", "longest_delay": "20ms"}
    return parse(
        {
            "receivers": {
                name: {
                    "type": "webhook",
                    "url": f"http://127.0.0.1:{port}/hook/t0ken",
                    "secret_env": "SECRET",
                    "allow_private": "127.0.0.1",
                    "retry": retry,
                }
                for name, port in (("live", live), ("dead", dead))
            },
            "default_receivers": ["live", "dead"],
        },
        source="yanshao.yaml",
        env={"SECRET": SECRET},
    )


async def test_every_alert_arrives_signed_once_though_the_receiver_stumbles(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arrived: dict[str, int] = {}
    everything = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        Verifier(SECRET).verify(await request.read(), dict(request.headers))
        id_ = request.headers["webhook-id"]
        arrived[id_] = arrived.get(id_, 0) + 1
        if arrived[id_] == 1:
            return web.Response(status=503)
        if len(arrived) == 50 and min(arrived.values()) == 2:
            everything.set()
        return web.Response()

    caplog.set_level(logging.DEBUG)
    app = web.Application()
    app.router.add_post("/hook/t0ken", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        config = configured(runner.addresses[0][1], nobody.getsockname()[1])
        store, senders = MemoryLedger(), open_senders(config)
        dispatcher = Dispatcher(config, store, senders, clock=WallClock(), metrics=NoMetrics(), rng=Random(1))
        for number in range(50):
            await dispatcher.accept(plan(config, sample_alert(f"c-{number}")).notifications)
        async with asyncio.timeout(30):
            await everything.wait()
        await dispatcher.stop(5)
        await close_senders(senders.values())
    await runner.cleanup()
    assert set(arrived.values()) == {2}
    assert {entry.receiver for entry in await store.load_open()} == {"dead"}
    assert "t0ken" not in caplog.text
    assert "12315" not in caplog.text
