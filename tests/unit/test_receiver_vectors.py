"""Signatures against published or independently computed vectors, bodies as the platforms want them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from rich.console import Console
from standardwebhooks import Webhook as Verifier

from alerts.config import ReceiverConfig, ReceiverType, Secret
from alerts.model import AlertStatus, Link, Severity
from alerts.receivers import RECEIVERS, Request, dingtalk, feishu, webhook, wecom
from alerts.receivers.console import ConsoleSender
from alerts.retry import ACCEPTED
from alerts.testing import NOW_MS, sample_alert, sample_notification
from alerts.wire import DEFAULT_ZONE, alert_from_document, decode_alert, encode_alert

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


def payload(type_: ReceiverType, *secrets: str, now_ms: int = NOW_MS, **alert: Any) -> Request:
    config = ReceiverConfig(
        "r", type_, Secret("https://example.com/send?access_token=T"), tuple(map(Secret, secrets))
    )
    return RECEIVERS[type_](config, DEFAULT_ZONE).payload(sample_notification(sample_alert(**alert)), now_ms)


def test_dingtalk_signature_vector() -> None:
    assert dingtalk.sign("SECtest", 1599360473000) == "9uMBwWNha8Pcr4QQCL9YQitwL0E0g2JIxycWz23gAkE="


def test_dingtalk_signature_is_quoted_in_the_url() -> None:
    url = payload(ReceiverType.DINGTALK, "SECtest", now_ms=1599360473000).url
    assert url == (
        "https://example.com/send?access_token=T&timestamp=1599360473000"
        "&sign=9uMBwWNha8Pcr4QQCL9YQitwL0E0g2JIxycWz23gAkE%3D"
    )
    assert parse_qs(urlsplit(url).query)["sign"] == ["9uMBwWNha8Pcr4QQCL9YQitwL0E0g2JIxycWz23gAkE="]


def test_dingtalk_without_a_secret_leaves_the_url_alone() -> None:
    assert payload(ReceiverType.DINGTALK).url == "https://example.com/send?access_token=T"


def test_feishu_signature_vector() -> None:
    assert feishu.sign("test-secret", 1599360473) == "wSds2BzzFIIGf/WrhUO+NI1q/9j+FRJd3JNHKAq0NZY="


def test_feishu_signs_in_the_body_in_seconds() -> None:
    body = json.loads(payload(ReceiverType.FEISHU, "test-secret", now_ms=1599360473999).body)
    assert (body["timestamp"], body["sign"]) == ("1599360473", "wSds2BzzFIIGf/WrhUO+NI1q/9j+FRJd3JNHKAq0NZY=")
    assert "sign" not in json.loads(payload(ReceiverType.FEISHU).body)


def test_standard_webhooks_published_vector() -> None:
    signature = Verifier(WEBHOOK_SECRET).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), '{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_webhook_is_signed_over_id_timestamp_and_body_by_each_secret() -> None:
    request = payload(ReceiverType.WEBHOOK, WEBHOOK_SECRET, OTHER_SECRET)
    id_, seconds = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    assert (id_, seconds) == (sample_notification(receiver="hook").notification_id, str(NOW_MS // 1000))
    signed = f"{id_}.{seconds}.".encode() + request.body
    expected = [
        "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        for key in (base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_")), b"o" * 32)
    ]
    assert request.headers["webhook-signature"].split(" ") == expected


@pytest.mark.parametrize("secret", [WEBHOOK_SECRET, OTHER_SECRET])
def test_webhook_is_verified_by_the_public_library(secret: str) -> None:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)  # the library compares with its own clock
    request = payload(ReceiverType.WEBHOOK, WEBHOOK_SECRET, OTHER_SECRET, now_ms=now_ms)
    assert Verifier(secret).verify(request.body, dict(request.headers))["type"] == "qa.alert.fired"


def test_webhook_body_and_id_are_the_same_at_every_attempt() -> None:
    first = payload(ReceiverType.WEBHOOK, WEBHOOK_SECRET)
    second = payload(ReceiverType.WEBHOOK, WEBHOOK_SECRET, now_ms=NOW_MS + 60_000)
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (AlertStatus.FIRING, "qa.alert.fired"),
        (AlertStatus.ACKNOWLEDGED, "qa.alert.acknowledged"),
        (AlertStatus.RESOLVED, "qa.alert.resolved"),
    ],
)
def test_webhook_body_is_the_wire_record_in_an_envelope(status: AlertStatus, type_: str) -> None:
    body = json.loads(payload(ReceiverType.WEBHOOK, status=status).body)
    assert body["type"] == type_
    assert body["timestamp"] == body["data"]["at"] == "2026-11-11T20:00:03.120+08:00"
    assert body["data"]["notification"]["receiver"] == "hook"
    assert alert_from_document(body["data"]) == sample_alert(status=status)


def test_the_wire_record_of_an_alert_comes_back_whole() -> None:
    alert = sample_alert(ends_at=NOW_MS + 1, links=[Link(rel="ack", href="https://x/y")], source_partition=3)
    assert decode_alert(encode_alert(alert)) == alert
    with pytest.raises(ValueError, match="offset"):
        decode_alert(encode_alert(alert).replace(b"+08:00", b""))


@pytest.mark.parametrize("type_", [ReceiverType.DINGTALK, ReceiverType.WECOM, ReceiverType.FEISHU])
def test_what_a_customer_types_is_no_markup_no_mention_no_link(type_: ReceiverType) -> None:
    typed = '<at user_id="all">x</at> @all [点我](http://evil.example) <font color="info">ok</font> **x** `y`'
    finding = msgspec.structs.replace(sample_alert().findings[0], evidence=typed)
    text = payload(type_, findings=[finding]).body.decode()
    for trick in ("<at ", "@all", "](http", "http://evil", "**x**", "`y`", '<font color=\\"info'):
        assert trick not in text


@pytest.mark.parametrize("type_", [ReceiverType.DINGTALK, ReceiverType.WECOM, ReceiverType.FEISHU])
def test_links_are_offered_only_to_web_pages(type_: ReceiverType) -> None:
    links = [
        Link(rel="conversation", href="https://im.example.com/c/8"),
        Link(rel="ack", href="javascript:alert(1)"),
        Link(rel="x", href="https://a.example/) [y](https://evil.example"),
    ]
    text = payload(type_, links=links).body.decode()
    assert "[打开会话](https://im.example.com/c/8)" in text
    assert "javascript:" not in text
    assert "evil.example" not in text


def test_wecom_content_is_markdown_in_the_severitys_colour() -> None:
    body = json.loads(payload(ReceiverType.WECOM).body)
    assert body["msgtype"] == "markdown"
    assert body["markdown"]["content"].startswith(
        '**<font color="warning">【紧急】客户要向 12315 投诉</font>**'
    )


def test_feishu_card_has_the_severitys_colour_and_green_when_over() -> None:
    assert json.loads(payload(ReceiverType.FEISHU).body)["card"]["header"]["template"] == "red"
    over = payload(ReceiverType.FEISHU, status=AlertStatus.RESOLVED, ends_at=NOW_MS)
    assert json.loads(over.body)["card"]["header"]["template"] == "green"


def test_dingtalk_text_in_full() -> None:
    body = json.loads(payload(ReceiverType.DINGTALK, step=1).body)
    alert_id = sample_alert().alert_id
    assert body == {
        "msgtype": "markdown",
        "markdown": {
            "title": "【紧急·升级】客户要向 12315 投诉",
            "text": "\n\n".join(
                [
                    "### 【紧急·升级】客户要向 12315 投诉",
                    "**发生了什么**：客户三次催发货没有得到答复，声称要向 12315 投诉。",
                    "**谁的会话**：店铺 s-1，客服组 售后一组",
                    "> “再不处理我就打12315投诉”（客户 20:00:03）",
                    "**判断依据**：客户说要向监管部门投诉",
                    "**建议**：请主管十分钟内接手，先致歉，再给出明确的解决时间",
                    "**会话**：c-8",
                    "**时间**：11-11 20:00:03",
                    "**通知**：当班客服、主管",
                    f"言哨 · {alert_id[:8]}",
                ]
            ),
        },
    }


def test_only_the_first_line_of_the_body_is_said_since_the_rest_repeats_the_fields() -> None:
    body = "客户说要投诉\n原话：「打12315」\n会话：c-8"
    text = json.loads(payload(ReceiverType.WECOM, body=body).body)["markdown"]["content"]
    assert "发生了什么：客户说要投诉\n" in text
    assert "原话" not in text


def test_without_a_body_the_latest_finding_says_what_happened_once() -> None:
    text = json.loads(payload(ReceiverType.WECOM, body="").body)["markdown"]["content"]
    assert "发生了什么：客户说要向监管部门投诉\n" in text
    assert text.count("客户说要向监管部门投诉") == 1


LARGE = "客户说了很多话，" * 2000


@pytest.mark.parametrize("type_", list(RECEIVERS))
def test_a_huge_alert_fits_each_platform_and_keeps_the_essentials(type_: ReceiverType) -> None:
    finding = msgspec.structs.replace(sample_alert().findings[0], evidence=LARGE, why=LARGE, advice=LARGE)
    findings = [msgspec.structs.replace(finding, finding_id=f"f{n}", at=NOW_MS + n) for n in range(60)]
    request = payload(type_, findings=findings, body=LARGE, labels={f"k{n}": LARGE for n in range(40)})
    body = json.loads(request.body)
    if type_ is ReceiverType.WECOM:
        assert len(body["markdown"]["content"].encode()) <= wecom.CONTENT_LIMIT
    else:
        assert (
            len(request.body)
            <= {
                ReceiverType.DINGTALK: dingtalk.BODY_LIMIT,
                ReceiverType.FEISHU: feishu.BODY_LIMIT,
                ReceiverType.WEBHOOK: webhook.BODY_LIMIT - 1,
            }[type_]
        )
    for needed in ("客户要向 12315 投诉", "c-8"):
        assert needed in request.body.decode()


def test_a_webhook_body_that_nothing_makes_small_keeps_what_identifies_it() -> None:
    links = [Link(rel="x", href=f"https://example.com/{number}") for number in range(5000)]
    request = payload(ReceiverType.WEBHOOK, conversation_id="c" * 60_000, links=links)
    assert len(request.body) < webhook.BODY_LIMIT
    data = json.loads(request.body)["data"]
    assert data["truncated"] is True
    assert data["alert_id"] == sample_alert("c" * 60_000).alert_id
    assert data["conversation_id"].startswith("ccc")
    assert "links" not in data


async def test_the_console_shows_it_and_obeys_nothing_typed() -> None:
    console = Console(width=100, record=True, force_terminal=True, file=StringIO())
    finding = msgspec.structs.replace(sample_alert().findings[0], evidence="[red]x[/red] \x1b[2J 投诉")
    sender = ConsoleSender(DEFAULT_ZONE, console)
    assert await sender.send(sample_notification(sample_alert(findings=[finding])), NOW_MS) is ACCEPTED
    shown = console.export_text()
    for needed in ("【紧急】客户要向 12315 投诉", "[red]x[/red]", "c-8", "建议", "主管"):
        assert needed in shown
    assert "\x1b[2J" not in shown


def test_severity_is_ordered_by_rank() -> None:
    assert sorted(Severity, key=lambda s: s.rank) == list(Severity)
    assert Severity.MEDIUM.at_most() == (Severity.INFO, Severity.LOW, Severity.MEDIUM)
