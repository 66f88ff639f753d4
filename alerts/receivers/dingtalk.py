"""DingTalk (钉钉) custom robot: Markdown, signed in the URL.

Formats, codes and limits: `docs/alerts.md`, which names the sources.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import tzinfo
from urllib.parse import urlencode

import msgspec

from alerts.config import ReceiverConfig
from alerts.model import Notification
from alerts.receivers.base import (
    JSON_HEADERS,
    PlatformCodes,
    Request,
    clipped_title,
    fitting,
    lines_of,
    markdown_links,
    neutral,
    url_of,
)
from alerts.retry import Verdict
from alerts.text import Message

BODY_LIMIT = 20_000
"""Bytes of the whole body. The platform counts the text alone; so we stay under whatever it counts."""

CODES = PlatformCodes(
    fields=("errcode",),
    throttled=frozenset({130101, 410100}),
    busy=frozenset({-1}),
    unauthorized=frozenset({310000, 300001, 300005, 400101}),
    penalty_ms=600_000,  # over 20 messages a minute the robot is silenced for ten minutes
)


class DingTalk:
    """Sends to one group's robot."""

    def __init__(self, config: ReceiverConfig, zone: tzinfo) -> None:
        self._url = url_of(config)
        self._secret = config.secrets[0].reveal() if config.secrets else None
        self._zone = zone

    def payload(self, notification: Notification, now_ms: int) -> Request:
        """A `markdown` message; with a secret, the URL is signed for this moment."""
        message, text = fitting(notification, self._zone, BODY_LIMIT, dress=_dress, size=_size)
        return Request(self._signed(now_ms), _body(message, text), JSON_HEADERS)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Accepted if `errcode` is 0; the HTTP status is 200 even for refusals."""
        return CODES.judge(status, headers, body)

    def _signed(self, now_ms: int) -> str:
        if self._secret is None:
            return self._url
        query = urlencode({"timestamp": now_ms, "sign": sign(self._secret, now_ms)})
        return f"{self._url}{'&' if '?' in self._url else '?'}{query}"


def sign(secret: str, now_ms: int) -> str:
    r"""Base64 of HMAC-SHA256 keyed by the secret over `{now_ms}\n{secret}`, before URL encoding."""
    digest = hmac.digest(secret.encode(), f"{now_ms}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def _dress(message: Message) -> str:
    # A blank line between paragraphs: DingTalk joins lines that are only broken once.
    parts = [f"### {neutral(message.title)}"]
    parts += lines_of(message, quote="> “{text}”（{name}）", plain="**{name}**：{text}")
    if links := markdown_links(message):
        parts.append(links)
    return "\n\n".join([*parts, message.footer])


def _body(message: Message, text: str) -> bytes:
    return msgspec.json.encode(
        {"msgtype": "markdown", "markdown": {"title": clipped_title(message), "text": text}}
    )


def _size(message: Message, text: str) -> int:
    return len(_body(message, text))
