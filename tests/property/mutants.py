"""Records as nobody should send them, made from valid ones by a seed: the same seed, the same bytes.

About a third stay as they are, so that conversations go on between what is broken; of the others half
are changed as JSON (another type, another value, nested, doubled), half as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.contract.day import START

TEXTS = (
    "你好",
    "等了三天还不发货，我要打12315投诉你们",
    "生气，快点",
    "亲，请稍等，我帮您看一下",
    "抱歉让您久等了，今天18点前给您回复",
    "我的电话13812345678，身份证110101199003074514",
    "再见，祝您生活愉快",
    "加我微信 abc123，便宜转账",
    "傻@冒 垃 圾 客 服",
    "",
)
CHARACTERS = '生气投诉12315\u200b\u202e\ufeff\u0301\U0001f621\x00\n\\"{}[]%s傻＠冒０１２'
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 0.5, 1e308, -1e308, 2**53, 2**63, -(2**63), 2**64, 10**400,
    "", " ", "x" * 257, "x" * 5000, "\x00", "\u202e", "NaN", "null", "1e999", [], {}, [[]], [None],
    {"": None},
    {"role": "agent"}, "2026-11-11T20:00:00+08:00", "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z",
    START * 1000,
)  # fmt: skip
TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"-0", b"00", b"1" * 5000, b"\\ud800", b'"\\udfff"', b"\xff\xfe",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00", b"[" * 40, b"{" * 3000, b'{"a":' * 2000, b",",
    b":", b'"', b"\\", b"\\u0000", b"//",
    b"\xf4\x90\x80\x80", b"'",
)  # fmt: skip
ISSUE_EVENTS = ("opened", "handed_off", "answered", "paused", "resumed", "resolved")
ORDER_EVENTS = ("created", "paid", "shipped", "refunded")


class Mutants:
    """An endless supply of records; ``now`` is the time that valid ones are written at."""

    def __init__(self, seed: int, *, conversations: int = 300, start: int = START) -> None:
        self.random = Random(seed)
        self.now = start
        self._conversations = conversations
        self._number = 0

    def event(self) -> dict[str, Any]:
        """Return a valid event of the contract, of any type."""
        pick = self.random
        self.now += pick.choice((0, 1, 20, 50, 400))
        self._number += 1
        at = self.now - pick.choice((0, 0, 0, 1, 5_000, 70_000))
        conversation = f"c-{pick.randrange(self._conversations)}"
        which = pick.random()
        if which < 0.8:
            return self._message(conversation, at)
        shared = {"conversation_id": conversation, "at": at}
        if which < 0.86:
            to = pick.choice(("warehouse", "operations"))
            issue = {"issue_id": f"i-{pick.randrange(3)}", "to": to, "category": "refund"}
            return {"type": f"issue.{pick.choice(ISSUE_EVENTS)}", **shared, **issue}
        if which < 0.90:
            return {"type": f"order.{pick.choice(ORDER_EVENTS)}", **shared, "order_id": "o-1", "amount": 9.9}
        if which < 0.92:
            return {
                "type": "agent.status",
                "at": at,
                "agent": "a-1",
                "status": pick.choice(("online", "away")),
            }
        if which < 0.925:
            return {"type": "tick", "at": self.now}
        if which < 0.95:
            return {"type": "conversation.rated", **shared, "score": pick.randrange(1, 6), "scale": 5}
        kind = pick.choice(("opened", "assigned", "transferred", "closed"))
        return {"type": f"conversation.{kind}", **shared, "agent": "a-1", "to_group": "g-2"}

    def _message(self, conversation: str, at: int) -> dict[str, Any]:
        pick = self.random
        text = pick.choice(TEXTS)
        if pick.random() < 0.3:
            text += "".join(pick.choice(CHARACTERS) for _ in range(pick.randrange(40)))
        role = pick.choice(("customer", "customer", "agent", "bot", "system"))
        return {
            "type": "message",
            "conversation_id": conversation,
            "message_id": f"m-{pick.choice((self._number, self._number - 1))}",
            "sent_at": at,
            "sender": {"role": role, "id": f"{role}-{pick.randrange(5)}"},
            "content": {"kind": "text", "text": text},
            "shop_id": "s-1",
            "customer": {"id": f"u-{pick.randrange(50)}", "tier": "vip"},
            "attributes": {"order_id": "o-1", "product": "鞋"},
        }

    def record(self) -> tuple[bytes, bytes | None]:
        """Return a record's value and its key."""
        event = self.event()
        raw = self.changed(event)
        key = str(event.get("conversation_id", "tick")).encode()
        if self.random.random() < 0.02:
            return raw, self.random.choice((None, b"", b"c-0", b"\xff"))
        return raw, key

    def changed(self, document: Any) -> bytes:
        """Return a document as JSON: as it is, changed, or broken."""
        way = self.random.random()
        if way < 0.35:
            return dumped(document)
        if way < 0.65:
            for _ in range(self.random.choice((1, 1, 2, 5))):
                document = self._spoilt(document)
            return dumped(document)
        raw = dumped(document)
        for _ in range(self.random.choice((1, 1, 2, 8))):
            raw = self.damaged(raw)
        return raw

    def _spoilt(self, document: Any) -> Any:
        """Return a document with one place of another type or value, gone, nested or renamed."""
        pick = self.random
        if not isinstance(document, dict) or not document:
            return pick.choice(ODD)
        key = pick.choice(list(document))
        way = pick.random()
        if way < 0.35 and isinstance(document[key], dict):
            return document | {key: self._spoilt(document[key])}
        if way < 0.7:
            return document | {key: pick.choice(ODD)}
        if way < 0.8:
            return {name: value for name, value in document.items() if name != key}
        if way < 0.9:
            return document | {key: _nested(document[key], pick.choice((2, 30, 31, 33, 200)))}
        if way < 0.95:
            return document | {pick.choice(("x", "type", "at", "conversation_id", "")): document[key]}
        return document | {"attributes": dict.fromkeys(map(str, range(pick.choice((3, 20, 900)))), "值" * 20)}

    def damaged(self, raw: bytes) -> bytes:
        """Return bytes with one damage."""
        way: Callable[[bytes], bytes] = self.random.choice(
            (self._flipped, self._cut_off, self._inserted, self._doubled, self._left_out, self._key_doubled)
        )
        return way(raw) if raw else b"{"

    def _flipped(self, raw: bytes) -> bytes:
        changed = bytearray(raw)
        for _ in range(self.random.choice((1, 1, 3, 20))):
            changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)
        return bytes(changed)

    def _cut_off(self, raw: bytes) -> bytes:
        return raw[: self.random.randrange(len(raw))]

    def _inserted(self, raw: bytes) -> bytes:
        place = self.random.randrange(len(raw) + 1)
        return raw[:place] + self.random.choice(TOKENS) + raw[place:]

    def _doubled(self, raw: bytes) -> bytes:
        begin = self.random.randrange(len(raw))
        piece = raw[begin : begin + self.random.randrange(1, 64)]
        # One in a hundred becomes larger than a record may be.
        times = 3_000 if self.random.random() < 0.05 else self.random.choice((2, 2, 40))
        return raw[:begin] + piece * times + raw[begin:]

    def _left_out(self, raw: bytes) -> bytes:
        begin = self.random.randrange(len(raw))
        return raw[:begin] + raw[begin + self.random.randrange(1, 16) :]

    def _key_doubled(self, raw: bytes) -> bytes:
        name = self.random.choice(
            (b"conversation_id", b"message_id", b"sender", b"content", b"type", b"at", b"x")
        )
        value = self.random.choice((b'"c-1"', b"7", b"null", b"{}", b'{"role":"agent"}', b'"tick"'))
        return raw.rstrip()[:-1] + b',"' + name + b'":' + value + b"}"


def dumped(document: Any) -> bytes:
    """Return a document as UTF-8; what is too deep for the encoder is cut short, as a sender's would be."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value
