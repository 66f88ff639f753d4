"""WeCom (企业微信) group robot: Markdown of at most 4096 bytes; the key in the URL is its only secret.

Formats, codes and limits: `docs/alerts.md`, which names the sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

import msgspec

from alerts.config import ReceiverConfig
from alerts.model import Alert, AlertStatus, Notification, Severity
from alerts.receivers.base import (
    JSON_HEADERS,
    PlatformCodes,
    Request,
    fitting,
    lines_of,
    markdown_links,
    neutral,
    url_of,
)
from alerts.retry import Verdict
from alerts.text import Message

CONTENT_LIMIT = 4096
"""Bytes of UTF-8 in `markdown.content`, some 1365 Chinese characters."""

CODES = PlatformCodes(
    fields=("errcode",),
    throttled=frozenset({45009}),
    busy=frozenset({-1}),
    unauthorized=frozenset({93000, 40014}),  # invalid webhook key, invalid token
    penalty_ms=60_000,  # 20 messages a minute, counted by the minute
)


class WeCom:
    """Sends to one group's robot."""

    def __init__(self, config: ReceiverConfig, zone: tzinfo) -> None:
        self._url = url_of(config)
        self._zone = zone

    def payload(self, notification: Notification, now_ms: int) -> Request:  # noqa: ARG002 - nothing is signed
        """A `markdown` message, the headline in the platform's warning colour while it matters."""
        colour = _colour(notification.alert)
        _, content = fitting(
            notification,
            self._zone,
            CONTENT_LIMIT,
            dress=lambda message: _dress(message, colour),
            size=lambda _, text: len(text.encode("utf-8", "replace")),
        )
        body = msgspec.json.encode({"msgtype": "markdown", "markdown": {"content": content}})
        return Request(self._url, body, JSON_HEADERS)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Accepted if `errcode` is 0."""
        return CODES.judge(status, headers, body)


def _colour(alert: Alert) -> str:
    if alert.status is not AlertStatus.FIRING:
        return "info"  # green
    return "warning" if alert.severity.rank >= Severity.HIGH.rank else "comment"  # orange, grey


def _dress(message: Message, colour: str) -> str:
    lines = [f'**<font color="{colour}">{neutral(message.title)}</font>**']
    lines += lines_of(message, quote="> “{text}”（{name}）", plain="{name}：{text}")
    if links := markdown_links(message):
        lines.append(links)
    return "\n".join([*lines, f'<font color="comment">{message.footer}</font>'])
