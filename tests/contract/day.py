"""A day of chats made from a seed, and the packs it is judged by: what every runtime must agree on.

The packs are small and of these tests alone, so that the shipped ones may be tuned freely. `BEFORE` is
in force until `Day.change_at`, `AFTER` from there on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from stream.runtime.conversations import Knowledge
from stream.runtime.knowledge import open_knowledge

START = 1_794_358_800_000  # 2026-11-11T09:00:00+08:00
SECOND = 1_000
MINUTE = 60 * SECOND

_EMOTION = """
pack: emotion.day
version: {version}
title: 情绪
terms:
  angry: [生气, 气死了]
  urging: [快点, 还要多久]
  sorry: [抱歉, 对不起]
rules:
  - id: emotion.day.angry
    title: 客户生气
    severity: {severity}
    role: customer
    when: {{any: angry}}
    audience: [agent, supervisor]
    points: -3
    why: 客户说了「{{evidence}}」。
    advice: 先安抚。
  - id: emotion.day.urging
    title: 客户催促
    severity: medium
    role: customer
    when: {{any: urging}}
    fire: every
    audience: [agent]
    points: -1
    why: 客户在催：「{{evidence}}」。
  - id: emotion.day.uncomforted
    title: 没有安抚
    severity: high
    role: customer
    when: {{any: angry}}
    wait: {wait}
    unless: {{any: sorry, role: agent}}
    fire: every
    points: -2
    audience: [supervisor]
    why: 客户生气后 {{seconds}} 秒没有人道歉。
  - id: emotion.day.unhurried
    title: 催了没有回应
    severity: low
    role: customer
    when: {{any: urging}}
    wait: 30s
    unless: {{any: sorry, role: service}}
    audience: [agent]
    why: 客户催促后没有回应。
  - id: emotion.day.quiet
    title: 只计数
    severity: low
    role: customer
    status: staged
    when: {{any: urging}}
    wait: 20s
    unless: {{any: sorry, role: agent}}
    why: 不告诉任何人。
tests:
  - {{rule: emotion.day.angry, hit: [我生气], miss: [你好]}}
  - {{rule: emotion.day.urging, hit: [快点], miss: [你好]}}
  - {{rule: emotion.day.uncomforted, hit: [我生气], miss: [你好]}}
  - {{rule: emotion.day.unhurried, hit: [快点], miss: [你好]}}
  - {{rule: emotion.day.quiet, hit: [快点], miss: [你好]}}
"""

_SCRIPT = """
pack: script.day
version: 1
title: 规范
terms:
  farewell: [再见, 感谢]
rules:
  - id: script.day.farewell
    title: 没有道别
    severity: medium
    role: agent
    window: conversation
    on: close
    when: {none: farewell}
    audience: [supervisor]
    points: -1
    why: 整通会话没有道别。
tests:
  - {rule: script.day.farewell, hit: [好的], miss: [再见]}
"""

_OLA = """
pack: ola.day
version: {version}
title: 时效
clocks:
  - id: ola.day.first
    clock: first_response
    target: {target}
    warn: [20s]
    severity: {{warn: low, breach: high}}
    audience: {{warn: [agent], breach: [agent, supervisor]}}
    counts: [human, assist]
    why: {{warn: '客户等了 {{seconds}} 秒。', breach: '客户 {{seconds}} 秒没有人接待。'}}
  - id: ola.day.next
    clock: next_response
    target: 180s
    warn: [120s]
    severity: {{warn: low, breach: medium}}
    audience: {{warn: [agent], breach: [agent, supervisor]}}
    counts: [human, assist]
    why: {{warn: '客户等了 {{seconds}} 秒。', breach: '客户 {{seconds}} 秒没有回复。'}}
  - id: ola.day.leg
    clock: leg
    target: 90s
    warn: [60s]
    severity: {{warn: low, breach: medium}}
    audience: {{warn: [agent], breach: [department]}}
    why: {{warn: '{{department}}欠了 {{seconds}} 秒。', breach: '{{department}} {{seconds}} 秒没有答复。'}}
    escalate:
      - {{after: 60s, severity: high, audience: [manager], why: '{{department}}又过了时限。'}}
  - id: ola.day.leg.warehouse
    clock: leg
    match: {{department: [warehouse]}}
    target: 120s
    severity: {{breach: medium}}
    audience: {{breach: [department]}}
    why: {{breach: '仓库 {{seconds}} 秒没有答复。'}}
  - id: ola.day.resolution
    clock: resolution
    target: 5m
    severity: {{breach: low}}
    audience: {{breach: [supervisor]}}
    why: {{breach: '问题 {{seconds}} 秒没有解决。'}}
"""

BEFORE = {
    "emotion/day.yaml": _EMOTION.format(version=1, severity="high", wait="90s"),
    "script/day.yaml": _SCRIPT,
    "ola/day.yaml": _OLA.format(version=1, target="60s"),
}
AFTER = {
    "emotion/day.yaml": _EMOTION.format(version=2, severity="critical", wait="60s"),
    "script/day.yaml": _SCRIPT,
    "ola/day.yaml": _OLA.format(version=2, target="30s"),
}


def write_packs(files: dict[str, str], folder: Path) -> Path:
    """Write packs into a folder, made where it is missing, and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def knowledge(files: dict[str, str], folder: Path) -> Knowledge:
    """Return what the packs say, read from `folder` as any runtime reads them."""
    return open_knowledge([write_packs(files, folder)], data_dir=folder)


def message(
    conversation_id: str, message_id: str, at: int, role: str, text: str, **sender: Any
) -> dict[str, Any]:
    """Return one message of the wire contract."""
    return {
        "type": "message",
        "conversation_id": conversation_id,
        "message_id": message_id,
        "sent_at": at,
        "sender": {"role": role, **sender},
        "content": {"text": text},
    }


@dataclass
class Day:
    """Events in the order in which they arrive; `expected` names what was planted, by conversation."""

    lines: list[tuple[str | None, bytes]] = field(default_factory=list)
    change_at: int = 0
    poison: int = 0
    conversations: int = 0
    last_t: int = 0
    expected: dict[str, str] = field(default_factory=dict)

    @property
    def raws(self) -> list[bytes]:
        """The records without their keys."""
        return [raw for _, raw in self.lines]

    @property
    def end_at(self) -> int:
        """When the tick comes that ends the day: a day later, as `replay` lets clocks run on."""
        return self.last_t + 24 * 60 * MINUTE


# Seconds from a customer's question to the answer; the first response is due after 60 (30 after the change).
ANSWERS = {"in_time": 12, "at_target": 30, "late": 95, "never": None}
POISON = (
    b"{not json",
    b'{"type": "message", "conversation_id": "p-1"}',
    json.dumps(message("p-2", "m", 0, "customer", "x") | {"sent_at": "yesterday"}).encode(),
    b'{"type": "conversation.exploded", "conversation_id": "p-3", "at": 1}',
    b"\xff\xfe",
    b"[]",
)
_SAYS = ("你好，请问还有货吗", "我生气了，怎么还不发货", "快点处理", "什么时候到", "我的电话是13800138000")
_REPLIES = ("您好，在的", "非常抱歉，马上查", "好的，已经催了", "对不起让您久等")


def build(conversations: int = 2_000, seed: int = 20261111) -> Day:
    """Return a day of so many conversations; the same arguments give the same bytes."""
    random = Random(seed)
    day = Day(conversations=conversations)
    arrivals: list[tuple[int, int, str, dict[str, Any]]] = []

    def arrive(at: int, event: dict[str, Any]) -> None:
        arrivals.append((at, len(arrivals), event["conversation_id"], event))

    for number in range(conversations):
        _converse(random, day, f"c-{number}", START + random.randrange(8 * 60) * MINUTE, arrive)
    arrivals.sort(key=lambda one: one[:2])
    for position, (_, _, key, event) in enumerate(arrivals):
        if position % 997 == 500:
            raw = POISON[day.poison % len(POISON)]
            day.lines.append((f"poison-{day.poison}", raw))
            day.poison += 1
        day.lines.append((key, json.dumps(event, ensure_ascii=False).encode()))
        at = event["sent_at"] if event["type"] == "message" else event["at"]
        day.last_t = max(day.last_t, at)
    day.change_at = len(day.lines) // 2
    return day


def _converse(random: Random, day: Day, name: str, at: int, arrive: Any) -> None:
    """Add one conversation that begins at `at`."""
    kind = random.choice(tuple(ANSWERS))
    day.expected[name] = kind
    agent = f"a-{random.randrange(20)}"
    shop = {"shop_id": f"s-{random.randrange(3)}", "customer": {"id": f"u-{name}", "tier": "vip"}}
    opening = {"type": "conversation.opened", "conversation_id": name, "at": at, **shop}
    if random.random() < 0.4:
        arrive(at, opening)
    for turn in range(random.randint(1, 3)):
        question = message(name, f"{name}-q{turn}", at, "customer", random.choice(_SAYS), id=f"u-{name}")
        arrive(at, question)
        if random.random() < 0.1:
            arrive(at + 3 * SECOND, question)  # the chat system sends again
        wait = ANSWERS[kind]
        if wait is None:
            break
        reply = message(
            name, f"{name}-r{turn}", at + wait * SECOND, "agent", random.choice(_REPLIES), id=agent
        )
        # Some records are overtaken on their way: an answer arrives long after it was given.
        delay = random.choice((0, 0, 0, 0, 40, 150)) * SECOND
        arrive(at + wait * SECOND + delay, reply)
        at += (wait + random.choice((5, 60, 400))) * SECOND
    if random.random() < 0.1:
        transferred = {"type": "conversation.transferred", "conversation_id": name, "at": at}
        arrive(at, {**transferred, "to_agent": f"a-{random.randrange(20)}", "to_group": "aftersales"})
    if random.random() < 0.2:
        _hand_off(random, name, at, arrive)
    if random.random() < 0.5:
        closed = at + 2 * MINUTE
        arrive(closed, {"type": "conversation.closed", "conversation_id": name, "at": closed, "by": "agent"})
        rated = {"type": "conversation.rated", "conversation_id": name, "at": closed + MINUTE, "score": 4}
        if random.random() < 0.5:
            arrive(closed + MINUTE, rated)


def _hand_off(random: Random, name: str, at: int, arrive: Any) -> None:
    """Add an issue that is handed to a department, which answers in time, at the target, late or never."""
    issue = {"conversation_id": name, "issue_id": f"i-{name}"}
    if random.random() < 0.8:
        arrive(at, {"type": "issue.opened", "at": at, **issue, "category": "refund"})
    party = random.choice(("warehouse", "operations"))
    arrive(at + SECOND, {"type": "issue.handed_off", "at": at + SECOND, **issue, "to": party})
    if random.random() < 0.3:
        paused_at = at + 31 * SECOND
        arrive(paused_at, {"type": "issue.paused", "at": paused_at, **issue, "reason": "customer"})
        at += 300 * SECOND
        arrive(at, {"type": "issue.resumed", "at": at, **issue})
    wait = random.choice((20, 90, 120, 200, None))
    if wait is None:
        return
    answered = at + (wait + 1) * SECOND
    delay = random.choice((0, 0, 40, 150)) * SECOND
    arrive(answered + delay, {"type": "issue.answered", "at": answered, **issue, "by": party})
    if random.random() < 0.7:
        arrive(answered + MINUTE, {"type": "issue.resolved", "at": answered + MINUTE, **issue})
