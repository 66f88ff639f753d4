"""Feishu / Lark (飞书) custom bot: an interactive card, signed in the body.

Formats, codes and limits: `docs/alerts.md`, which names the sources.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

import msgspec

from alerts.config import ReceiverConfig
from alerts.model import Alert, AlertStatus, Notification, Severity
from alerts.receivers.base import (
    JSON_HEADERS,
    PlatformCodes,
    Request,
    clipped_title,
    fitting,
    lines_of,
    markdown_links,
    url_of,
)
from alerts.retry import Verdict
from alerts.text import Message

BODY_LIMIT = 20_000
"""Bytes of the whole body; the platform says 20 KB and not which KB."""

CODES = PlatformCodes(
    fields=("code", "StatusCode"),  # the second is the answer of bots made before 2021
    throttled=frozenset({11232, 9499}),
    busy=frozenset({-1}),
    unauthorized=frozenset({19021, 19022, 19024}),  # signature, address list, keyword
    penalty_ms=60_000,  # 100 messages a minute, counted by the minute
)

_COLOURS = {
    Severity.INFO: "turquoise",
    Severity.LOW: "blue",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "orange",
    Severity.CRITICAL: "red",
}


class Feishu:
    """Sends to one group's bot."""

    def __init__(self, config: ReceiverConfig, zone: tzinfo) -> None:
        self._url = url_of(config)
        self._secret = config.secrets[0].reveal() if config.secrets else None
        self._zone = zone

    def payload(self, notification: Notification, now_ms: int) -> Request:
        """A card whose head has the colour of the severity; with a secret, signed for this second."""
        signature: dict[str, str] = {}
        if self._secret is not None:
            seconds = now_ms // 1000
            signature = {"timestamp": str(seconds), "sign": sign(self._secret, seconds)}
        colour = _colour(notification.alert)

        def body(message: Message, text: str) -> bytes:
            return msgspec.json.encode(signature | _card(message, text, colour))

        message, text = fitting(
            notification,
            self._zone,
            BODY_LIMIT,
            dress=_dress,
            size=lambda message, text: len(body(message, text)),
        )
        return Request(self._url, body(message, text), JSON_HEADERS)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Accepted if `code` is 0."""
        return CODES.judge(status, headers, body)


def sign(secret: str, now_s: int) -> str:
    r"""Base64 of HMAC-SHA256 keyed by `{now_s}\n{secret}` over nothing: here the string is the key."""
    digest = hmac.digest(f"{now_s}\n{secret}".encode(), b"", hashlib.sha256)
    return base64.b64encode(digest).decode()


def _colour(alert: Alert) -> str:
    return _COLOURS[alert.severity] if alert.status is AlertStatus.FIRING else "green"


def _dress(message: Message) -> str:
    lines = lines_of(message, quote="“{text}”（{name}）", plain="**{name}**：{text}")
    if links := markdown_links(message):
        lines.append(links)
    return "\n".join(lines)


def _card(message: Message, text: str, colour: str) -> dict[str, Any]:
    return {
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": True},
            "header": {"title": {"tag": "plain_text", "content": clipped_title(message)}, "template": colour},
            "elements": [
                {"tag": "div", "text": {"tag": "lark_md", "content": text}},
                {"tag": "note", "elements": [{"tag": "plain_text", "content": message.footer}]},
            ],
        },
    }
