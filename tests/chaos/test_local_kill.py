"""The embedded process is killed while chats pour in: every alert arrives, nothing happens twice.

The sender repeats what was not answered 202; a real HTTP receiver counts what it is told. The oracle is
the same engine over the same events, each once, in memory: as the times are of now, the run may add
findings that were taken back (design §2, Time), and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import msgspec
import pytest

from alerts.model import Alert, AlertStatus, Severity
from stream import wire
from stream.core import state as states
from stream.core.events import Received, Tick
from stream.core.outputs import Finding
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.testing import eventually
from tests.contract import day
from tests.integration.kafkasystem import Receiver, receiver
from tests.integration.localsystem import HEADERS, Up, config, message, now_ms, query, records

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

RATE = 500
"""Messages a second that the sender offers."""
BATCH = 25
CHATS = 120
SAYS = ("你好，请问还有货吗", "我生气了，怎么还不发货", "快点处理", "什么时候到", "好的谢谢")
REPLIES = ("您好，在的", "非常抱歉，马上查", "好的，已经催了")


@dataclass
class Sender:
    """Sends chats of now at a steady rate until told to stop; knows what was accepted, and how often sent."""

    random: Random
    address: str | None = None
    accepted: list[dict[str, Any]] = field(default_factory=list)
    repeats: int = 0
    stopping: bool = False
    number: int = 0

    def batch(self) -> list[dict[str, Any]]:
        made = []
        for _ in range(BATCH):
            self.number += 1
            # Chats end and others begin, so that alerts open all the time.
            chat = f"c-{self.number // 2_000}-{self.random.randrange(CHATS)}"
            agent = self.random.random() < 0.4
            text = self.random.choice(REPLIES if agent else SAYS)
            made.append(message(chat, self.number, text, role="agent" if agent else "customer"))
        return made

    async def run(self) -> None:
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            begun, sent = time.monotonic(), 0
            while not self.stopping:
                events = self.batch()
                while not await self._post(session, events):
                    self.repeats += 1
                    await asyncio.sleep(0.05)
                self.accepted += events
                sent += len(events)
                # Behind after a kill it makes up for lost time: the rate holds over the whole run.
                await asyncio.sleep(max(0.0, begun + sent / RATE - time.monotonic()))

    async def _post(self, session: aiohttp.ClientSession, events: list[dict[str, Any]]) -> bool:
        if self.address is None:
            return False
        try:
            async with session.post(self.address, json=events) as response:
                return response.status == 202
        except (aiohttp.ClientError, TimeoutError):
            return False


@dataclass
class Oracle:
    """What the engine makes of what was accepted, each event once, with clocks up to `until`."""

    conversations: Conversations
    records: list[Any]
    until: int

    def firing(self) -> set[str]:
        """Return the alerts that somebody must be told of; lesser ones are shown and not sent."""
        alerts = (one for one in self.records if isinstance(one, Alert))
        return {
            one.alert_id
            for one in alerts
            if one.status is AlertStatus.FIRING and one.severity.rank >= Severity.MEDIUM.rank
        }


def apply(known: Knowledge, events: list[dict[str, Any]], until: int) -> Oracle:
    """Return what the engine makes of the events, each once, with clocks up to `until`."""
    conversations = Conversations()
    items = [wire.decode(json.dumps(one).encode(), received_at=None) for one in events]
    found = conversations.apply(known, [Input(item) for item in items]).records
    found += conversations.apply(known, [Input(Received(Tick(at=until), until))]).records
    return Oracle(conversations, found, until)


def standing(findings: Iterable[tuple[str, str, int]]) -> set[str]:
    """Return the findings that were not taken back."""
    ended = {id_: status for id_, status, _ in findings}
    return {id_ for id_, status in ended.items() if status == "raised"}


def millis(written: str) -> int:
    """Return a time of a record in milliseconds UTC."""
    return round(datetime.fromisoformat(written).timestamp() * 1_000)


def effects(raw: bytes) -> dict[str, Any]:
    """Return what the events did to a conversation; what clocks did to it, its findings tell."""
    state = states.decode(raw)
    return {
        "said": {role: state.counts.get(role, 0) for role in ("customer", "agent")},
        "scores": msgspec.to_builtins(state.scores),
        "turns": len(state.turns),
        "seen": state.seen,
        "last_at": state.last_at,
        "attributes": state.attributes,
        "started": msgspec.to_builtins(state.clock_counts),
    }


async def storm(
    path: Path, sender: Sender, kills: int, seconds: float, complete: Callable[[], Awaitable[None]]
) -> None:
    """Run the process and kill it so many times at random moments of so many seconds.

    When the sender has ended, `complete` waits for what must still come; then the process stops.
    """
    pause = seconds / (kills + 1)
    up = Up(path)
    sending = asyncio.create_task(sender.run())
    try:
        for _ in range(kills):
            sender.address = await up.events()
            await asyncio.sleep(pause * sender.random.uniform(0.5, 1.5))
            up.kill()
            up = Up(path)
        sender.address = await up.events()
        await asyncio.sleep(pause)
        sender.stopping = True
        await sending
        await complete()
        assert up.stop() == 0, up.log.read_text("utf-8")[-2_000:]
    finally:
        sending.cancel()
        if up.process.poll() is None:
            up.kill()


def verdict(oracle: Oracle, data: Path, sender: Sender, hook: Receiver) -> str:
    """Assert that nothing was lost or doubled; return the figures."""
    expected, until = oracle.records, oracle.until
    kept = dict(query(data, "SELECT id, record FROM conversations"))
    assert {name: effects(raw) for name, raw in kept.items()} == {
        name: effects(raw) for name, raw in oracle.conversations.raw()
    }
    scores = Counter(one["message_id"] for one in records(data, "score"))
    said = {one["message_id"] for one in sender.accepted if one["sender"]["role"] == "customer"}
    assert set(scores) == said
    assert max(scores.values()) == 1
    told = records(data, "finding")
    assert standing((one["finding_id"], one["status"], millis(one["at"])) for one in told) == standing(
        (one.finding_id, one.status, one.at) for one in expected if isinstance(one, Finding)
    ) | {one["finding_id"] for one in told if millis(one["at"]) >= until and one["status"] == "raised"}
    raised = Counter(one["finding_id"] for one in told if one["status"] == "raised")
    assert max(raised.values()) == 1
    firing = oracle.firing()
    assert len(firing) >= 50
    assert firing <= hook.alerts()
    others = {one["alert_id"] for one in records(data, "alert")}
    assert hook.alerts() <= others
    return (
        f"{len(sender.accepted)} messages accepted, {sender.repeats} times a batch was sent again; "
        f"{len(firing)} alerts expected, {len(hook.alerts())} received; "
        f"{hook.repeats()} notifications came twice"
    )


@pytest.mark.rounds(20)
async def test_kill_9_at_random_moments_loses_no_alert_and_doubles_none(
    tmp_path: Path, chaos_is_long: bool, chaos_seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    kills, seconds = (3, 21.0) if chaos_is_long else (3, 9.0)
    packs = day.write_packs(day.BEFORE, tmp_path / "packs")
    known = day.knowledge(day.BEFORE, tmp_path / "oracle")
    sender = Sender(Random(chaos_seed))
    with receiver() as hook:
        oracles: list[Oracle] = []

        async def complete() -> None:
            oracles.append(apply(known, sender.accepted, now_ms()))
            firing = oracles[0].firing()
            await eventually(lambda: firing <= hook.alerts(), "every alert", patience=120)

        await storm(config(tmp_path, packs=packs, hook=hook.url), sender, kills, seconds, complete)
        told = verdict(oracles[0], tmp_path / "data", sender, hook)
    with capsys.disabled():
        print(f"\nseed {chaos_seed}: {told}", end="")
