"""Generic webhook: Standard Webhooks 1.0, so that any of its libraries verifies it.

The body is `{"type", "timestamp", "data"}`, `data` the alert record of the wire contract with a
`notification` beside it. Source: the specification at standard-webhooks/standard-webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec
from standardwebhooks import Webhook as Signer

from alerts.clip import clip_strings
from alerts.config import ReceiverConfig
from alerts.model import AlertStatus, Notification
from alerts.receivers.base import JSON_HEADERS, Request, url_of
from alerts.retry import Verdict, judge_status
from alerts.wire import alert_document, rfc3339

BODY_LIMIT = 20_000
"""The specification asks for less than 20 KB; a thousand to the KB is the stricter reading."""

TYPES = {
    AlertStatus.FIRING: "qa.alert.fired",
    AlertStatus.ACKNOWLEDGED: "qa.alert.acknowledged",
    AlertStatus.RESOLVED: "qa.alert.resolved",
}

_SHRINKING = ((50, 2000), (20, 800), (10, 400), (5, 200), (2, 120))
"""Findings kept (the latest) and bytes a string: tried in turn until the body fits."""

_LABELS_KEPT = 10
_BARE = ("alert_id", "status", "severity", "starts_at", "ends_at", "at", "conversation_id", "title", "step")
"""What is left of an alert that nothing else makes small enough: the receiver can fetch the rest."""


class Webhook:
    """Sends to one URL."""

    def __init__(self, config: ReceiverConfig, zone: tzinfo) -> None:
        self._url = url_of(config)
        self._signers = tuple(Signer(secret.reveal()) for secret in config.secrets)
        self._zone = zone

    def payload(self, notification: Notification, now_ms: int) -> Request:
        """The body is the same at every attempt; id too; timestamp and signature are the attempt's."""
        body = self._body(notification)
        headers = {
            **JSON_HEADERS,
            "webhook-id": notification.notification_id,
            "webhook-timestamp": str(now_ms // 1000),
        }
        if self._signers:
            # UTC on purpose: the library replaces the time zone instead of converting to it.
            moment = datetime.fromtimestamp(now_ms // 1000, UTC)
            headers["webhook-signature"] = " ".join(
                signer.sign(notification.notification_id, moment, body.decode()) for signer in self._signers
            )
        return Request(self._url, body, headers)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:  # noqa: ARG002
        """The status alone decides; what the receiver writes is its own affair."""
        return judge_status(status, headers)

    def _body(self, notification: Notification) -> bytes:
        data = alert_document(notification.alert, self._zone)
        told = {
            "notification_id": notification.notification_id,
            "receiver": notification.receiver,
            "audiences": notification.audiences,
        }
        encoded = self._encode(notification, data | {"notification": told})
        for findings, length in _SHRINKING:
            if len(encoded) < BODY_LIMIT:
                return encoded
            encoded = self._encode(notification, _shrunk(data, findings, length) | {"notification": told})
        if len(encoded) < BODY_LIMIT:
            return encoded
        bare = clip_strings({key: data[key] for key in _BARE}, 120) | {"truncated": True}
        return self._encode(notification, bare)

    def _encode(self, notification: Notification, data: Mapping[str, Any]) -> bytes:
        return msgspec.json.encode(
            {
                "type": TYPES[notification.status],
                "timestamp": rfc3339(notification.alert.at, self._zone),
                "data": data,
            }
        )


def _shrunk(data: dict[str, Any], findings: int, length: int) -> dict[str, Any]:
    """The alert with fewer findings, shorter strings and, where they are many, fewer labels."""
    labels = {key: data["labels"][key] for key in sorted(data["labels"])[:_LABELS_KEPT] if len(key) <= length}
    kept = data["findings"][-findings:]
    small: dict[str, Any] = clip_strings(data | {"findings": kept, "labels": labels}, length)
    return small | {"truncated": True, "findings_left_out": len(data["findings"]) - len(kept)}
