"""No alert leaves for a private address that nobody allowed, however the address is spelled or found."""

from __future__ import annotations

import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from alerts import http, net
from alerts.config import AlertsConfig, ReceiverConfig, ReceiverType, Secret, parse
from alerts.http import HttpSender
from alerts.model import Reason
from alerts.net import AllowPrivate, may_connect
from alerts.receivers import RECEIVERS
from alerts.retry import Answer, Verdict
from alerts.testing import NOW_MS, sample_notification
from alerts.wire import DEFAULT_ZONE

NOTHING = AllowPrivate()


class Names(AbstractResolver):
    """Answers from a table, each name's addresses in turn: a DNS in an attacker's hands."""

    def __init__(self, **names: list[str]) -> None:
        self.names = names
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.names.get(host.partition(".")[0])
        if not addresses:
            raise OSError("no such name")
        address = addresses[min(self.asked, len(addresses) - 1)]
        self.asked += 1
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[str]]]:
    """A server on the loopback address that must not be reached; its port and what reached it."""
    reached: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        reached.append(request.host)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], reached
    finally:
        await runner.cleanup()


async def send(url: str, allow: AllowPrivate = NOTHING, resolver: AbstractResolver | None = None) -> Verdict:
    config = ReceiverConfig("r", ReceiverType.WEBHOOK, Secret(url), timeout_s=5, allow_private=allow)
    sender = HttpSender(config, RECEIVERS[config.type](config, DEFAULT_ZONE), resolver)
    try:
        return await sender.send(sample_notification(), NOW_MS)
    finally:
        await sender.close()


PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "198.18.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "::ffff:168.63.129.16",
    "64:ff9b::a83f:8110",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "not-an-address",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address: str) -> None:
    assert not may_connect(address, NOTHING)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "47.88.1.1", "2400:3200::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert may_connect(address, NOTHING)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"]
)
def test_what_nobody_can_listen_on_is_never_allowed(address: str) -> None:
    assert not may_connect(address, AllowPrivate(everything=True))


def configured(allow: Any) -> AllowPrivate:
    receiver = {"type": "webhook", "url": "https://relay.local/x", "allow_private": allow}
    config: AlertsConfig = parse({"receivers": {"r": receiver}}, source="yanshao.yaml", env={})
    return config.receivers["r"].allow_private


ALLOWED: Mapping[str, tuple[Any, str, bool]] = {
    "all": (True, "10.0.0.1", True),
    "none": (False, "10.0.0.1", False),
    "network": (["10.0.0.0/8"], "10.2.3.4", True),
    "network in a mapped address": (["10.0.0.0/8"], "::ffff:10.2.3.4", True),
    "another network": (["10.0.0.0/8"], "192.168.0.1", False),
    "one address": ("192.168.0.7", "192.168.0.7", True),
    "ipv6 network": (["fd00::/8"], "fd12::1", True),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_allowances_are_as_wide_as_they_say(case: str) -> None:
    allow, address, allowed = ALLOWED[case]
    assert may_connect(address, configured(allow)) is allowed


METADATA = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "::ffff:169.254.169.254"]


@pytest.mark.parametrize("address", METADATA)
def test_where_clouds_keep_credentials_is_opened_by_nothing_but_its_own_network(address: str) -> None:
    assert not may_connect(address, AllowPrivate(everything=True))
    host = AllowPrivate(hosts=frozenset({"relay.local"})).for_host("relay.local")
    assert not may_connect(address, host)
    network = "fd00::/8" if address.startswith("fd") else "0.0.0.0/0"
    assert may_connect(address, configured([network]))


def test_an_allowed_host_is_allowed_in_its_own_name_only() -> None:
    allow = configured(["Relay.local"])
    assert may_connect("10.0.0.1", allow.for_host("relay.local."))
    assert not may_connect("10.0.0.1", allow.for_host("other.local"))


LITERALS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "０.０.０.０",
    "①②⑦.⓪.⓪.①",
]


@pytest.mark.parametrize("host", LITERALS)
async def test_no_spelling_of_the_loopback_address_gets_through(host: str) -> None:
    async with listening() as (port, reached):
        verdict = await send(f"http://{host}:{port}/x")
    assert reached == []
    assert verdict.answer in (Answer.PERMANENT, Answer.UNREACHABLE)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1"])
async def test_a_name_that_resolves_to_a_private_address_is_refused(address: str) -> None:
    async with listening() as (port, reached):
        verdict = await send(f"http://evil.example:{port}/x", resolver=Names(evil=[address]))
    assert reached == []
    assert verdict == Verdict(Answer.PERMANENT, Reason.ADDRESS_REFUSED)


async def test_a_name_that_changes_its_address_between_lookups_is_refused() -> None:
    names = Names(rebind=["127.0.0.2", "127.0.0.1"])
    allow = AllowPrivate(networks=configured(["127.0.0.2/32"]).networks)
    async with listening() as (port, reached):
        config = ReceiverConfig(
            "r",
            ReceiverType.WEBHOOK,
            Secret(f"http://rebind.example:{port}/x"),
            timeout_s=5,
            allow_private=allow,
        )
        sender = HttpSender(config, RECEIVERS[config.type](config, DEFAULT_ZONE), names)
        first = await sender.send(sample_notification(), NOW_MS)
        sender._session.connector.clear_dns_cache()  # type: ignore[union-attr]
        second = await sender.send(sample_notification(), NOW_MS)
        await sender.close()
    assert first == Verdict(Answer.UNREACHABLE, Reason.CONNECT)  # allowed, but nobody listens there
    assert second == Verdict(Answer.PERMANENT, Reason.ADDRESS_REFUSED)
    assert reached == []


async def test_the_connection_goes_to_the_very_address_that_was_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each lookup gives another address; what is connected to was judged just before."""
    seen: list[tuple[str, str]] = []
    judge = net.may_connect
    connect = BaseSelectorEventLoop.sock_connect

    def judged(address: str, allow: AllowPrivate) -> bool:
        seen.append(("judged", address))
        return judge(address, allow)

    async def connected(loop: Any, sock: socket.socket, address: Any) -> None:
        seen.append(("connected", address[0]))
        await connect(loop, sock, address)

    monkeypatch.setattr(http, "may_connect", judged)
    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", connected)
    names = Names(rebind=["127.0.0.2", "127.0.0.1", "127.0.0.3"])
    allow = configured(["127.0.0.2/32", "127.0.0.3/32"])
    async with listening() as (port, reached):
        for _ in range(3):
            await send(f"http://rebind.example:{port}/x", allow, names)
    assert seen == [
        ("judged", "127.0.0.2"),
        ("connected", "127.0.0.2"),
        ("judged", "127.0.0.1"),
        ("judged", "127.0.0.3"),
        ("connected", "127.0.0.3"),
    ]
    assert reached == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_into_the_private_network_is_not_followed(status: int) -> None:
    """The receiver itself may be reached; where it points to is listened on, and hears nothing."""

    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": f"http://127.0.0.1:{port}/latest/meta-data"})

    async with listening() as (port, reached):
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", redirect)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.2", 0).start()
        try:
            there = runner.addresses[0][1]
            verdict = await send(f"http://127.0.0.2:{there}/x", configured(["127.0.0.2/32"]))
        finally:
            await runner.cleanup()
    assert (verdict.answer, verdict.reason) == (Answer.PERMANENT, Reason.REDIRECTED)
    assert reached == []


async def test_of_several_addresses_only_the_allowed_one_is_tried() -> None:
    class Both(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [
                ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
                for address in ("169.254.169.254", "127.0.0.1")
            ]

    async with listening() as (port, reached):
        verdict = await send(f"http://both.example:{port}/x", configured(["127.0.0.1"]), Both())
    assert verdict.answer is Answer.ACCEPTED
    assert reached == [f"both.example:{port}"]


async def test_an_allowed_host_is_reached() -> None:
    async with listening() as (port, reached):
        verdict = await send(
            f"http://relay.local:{port}/x",
            AllowPrivate(hosts=frozenset({"relay.local"})),
            Names(relay=["127.0.0.1"]),
        )
    assert verdict.answer is Answer.ACCEPTED
    assert reached == [f"relay.local:{port}"]


async def test_a_name_that_does_not_resolve_is_retried() -> None:
    assert await send("http://nowhere.example/x", resolver=Names()) == Verdict(Answer.UNREACHABLE, Reason.DNS)


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as (port, reached):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        allow = configured(["127.0.0.1"])  # so that it is not the guard who keeps the proxy from being used
        verdict = await send("http://evil.example/x", allow, Names(evil=["10.0.0.1"]))
    assert verdict.reason is Reason.ADDRESS_REFUSED
    assert reached == []
