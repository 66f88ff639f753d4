"""The known load of a round: chats, issues and complaints whose every moment follows from a seed.

The packs are of these tests alone and their times are short, so that every clock of a round comes due
within it. Nothing here says what must come of the events: that is for the oracles (`judge`, `byhand`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

RATE = 550
"""Messages a second: above the 500 that a round must bear."""

SECONDS = 20

CHATS = 260
ISSUES = 70
COMPLAINTS = 60
POISON = 12

QUIET_MS = 10_000
"""Before the end of a load no chat begins any more, so that all of its clocks come due within it."""

SETTLED_MS = 3_000
"""From the end of a load until the last of its clocks has come due for certain."""

TARGETS = {"first_response": 2_000, "next_response": 3_000, "leg": 3_000, "resolution": 6_000}
"""By kind of clock, milliseconds; the packs below are written from them."""

DEPARTMENTS = ("仓库", "物流", "财务")

_POLICY = """
  - id: {id}
    clock: {kind}
    target: {seconds}s
    severity: {{breach: medium}}
    audience: {{breach: [supervisor]}}
    why: {{breach: '已等了 {{waited}}，还没有答复。'}}
"""

PACKS = {
    "emotion/chaos.yaml": """
pack: emotion.chaos
version: 1
title: 投诉
terms:
  complaint: [投诉]
rules:
  - id: emotion.chaos.complaint
    title: 客户要投诉
    severity: high
    role: customer
    when: {any: complaint}
    audience: [supervisor]
    why: 客户说了「{evidence}」。
    advice: 先安抚。
tests:
  - {rule: emotion.chaos.complaint, hit: [我要投诉], miss: [你好]}
""",
    "ola/chaos.yaml": "pack: ola.chaos\nversion: 1\ntitle: 时效\nclocks:\n"
    + "".join(
        _POLICY.format(id=f"ola.chaos.{kind}", kind=kind, seconds=target // 1_000)
        + ("    counts: [human, assist]\n" if kind.endswith("response") else "")
        for kind, target in TARGETS.items()
    ),
}

_QUESTIONS = ("你好，请问还有货吗", "这个什么时候发货", "地址能改吗", "还没有收到")
_REPLIES = ("您好，在的", "好的，已经帮您催了", "今天就发", "仓库那边在核实")
_BROKEN = (b"{not json", b'{"type": "message", "conversation_id": "p"}', b'"words"', b"\xff\xfe")


class Event(NamedTuple):
    """What is sent: when (milliseconds from the beginning of the round), its key, and what."""

    at: int
    key: str
    body: dict[str, Any] | bytes

    def raw(self) -> bytes:
        """The bytes on the wire."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Load:
    """Events in the order in which they are sent; their own times are epoch milliseconds from `begun` on."""

    seed: int
    begun: int
    seconds: int = SECONDS
    events: list[Event] = field(default_factory=list)

    @property
    def good(self) -> list[dict[str, Any]]:
        """The events that are none to refuse."""
        return [one.body for one in self.events if not isinstance(one.body, bytes)]

    @property
    def settled_at(self) -> int:
        """When the last clock has come due, epoch milliseconds."""
        return self.begun + self.seconds * 1_000 + SETTLED_MS


def load(seed: int, begun: int, seconds: int = SECONDS) -> Load:
    """Return what a round sends; the same arguments give the same bytes. Eleven seconds are the least."""
    made = _Maker(Random(f"load {seed}"), Load(seed, begun, seconds))
    last_start = seconds * 1_000 - QUIET_MS
    for number in range(CHATS):
        made.chat(f"chat-{number}", made.chance.randrange(last_start))
    for number in range(ISSUES):
        made.issue(f"issue-{number}", made.chance.randrange(last_start))
    for number in range(COMPLAINTS):
        at = made.chance.randrange(seconds * 1_000 - 3_000)
        made.message(f"complaint-{number}", at, "customer", "再不处理我就投诉你们")
        made.message(f"complaint-{number}", at + made.chance.randint(200, 1_900), "agent", "马上处理")
    for number in range(POISON):
        at = (number + 1) * seconds * 1_000 // (POISON + 1)
        made.load.events.append(Event(at, f"poison-{number}", made.chance.choice(_BROKEN)))
    made.fill()
    made.load.events.sort(key=lambda one: one.at)
    return made.load


@dataclass
class _Maker:
    chance: Random
    load: Load
    number: int = 0

    def message(self, name: str, at: int, role: str, text: str) -> None:
        self.number += 1
        self._add(
            name,
            at,
            {
                "type": "message",
                "message_id": f"{name}-{self.number}",
                "sent_at": self.load.begun + at,
                "sender": {"role": role, "id": f"{role}-{name}"},
                "content": {"text": text},
            },
        )

    def _add(self, name: str, at: int, body: dict[str, Any]) -> None:
        self.load.events.append(Event(at, name, body | {"conversation_id": name}))

    def _wait(self, target: int) -> int | None:
        """Return after how long somebody answers: in time mostly, at the last moment, late, or never."""
        fate = self.chance.random()
        if fate < 0.7:
            return self.chance.randint(200, target - 200)
        if fate < 0.78:
            return target
        return target + self.chance.choice((1, self.chance.randint(2, 1_500))) if fate < 0.9 else None

    def chat(self, name: str, at: int) -> None:
        """A customer asks up to three times; who is not answered says no more."""
        for turn in range(self.chance.randint(1, 3)):
            self.message(name, at, "customer", self.chance.choice(_QUESTIONS))
            if self.chance.random() < 0.3:
                self.message(name, at + 100, "customer", self.chance.choice(_QUESTIONS))
            wait = self._wait(TARGETS["next_response" if turn else "first_response"])
            if wait is None:
                return
            self.message(name, at + wait, "agent", self.chance.choice(_REPLIES))
            at += wait + self.chance.randint(100, 600)
            if at > self.load.seconds * 1_000 - 4_500:
                return
        if self.chance.random() < 0.4:
            self._event(name, at, "conversation.closed", by="agent")

    def issue(self, name: str, at: int) -> None:
        """An issue is handed off, now and then paused or handed on, answered and resolved, or not."""
        issue = {"issue_id": f"{name}/1"}
        self._event(name, at, "issue.opened", **issue)
        at += 200
        first, second = self.chance.sample(DEPARTMENTS, 2)
        self._event(name, at, "issue.handed_off", **issue, to=first)
        if self.chance.random() < 0.2:
            first = second
            at += self.chance.choice((700, 3_200))
            self._event(name, at, "issue.handed_off", **issue, to=first)
        if self.chance.random() < 0.3:
            paused = at + 400
            at += self.chance.randint(700, 1_400)
            self._event(name, paused, "issue.paused", **issue, reason="customer")
            self._event(name, at, "issue.resumed", **issue)
        wait = self._wait(TARGETS["leg"])
        if wait is None:
            return
        self._event(name, at + wait, "issue.answered", **issue, by=first)
        if self.chance.random() < 0.7:
            self._event(name, at + wait + self.chance.randint(100, 2_500), "issue.resolved", **issue)

    def _event(self, name: str, at: int, kind: str, **fields: Any) -> None:
        self._add(name, at, {"type": kind, "at": self.load.begun + at, **fields})

    def fill(self) -> None:
        """Add words of agents nobody asked, evenly, until there are `RATE` events a second."""
        missing = max(0, RATE * self.load.seconds - len(self.load.events))
        for number in range(missing):
            name = f"talk-{number // 1_000}-{self.chance.randrange(60)}"
            self.message(
                name, number * self.load.seconds * 1_000 // missing, "agent", self.chance.choice(_REPLIES)
            )
