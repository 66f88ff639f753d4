"""What an alert says, in the words of people who run a service team. Pure.

One composition for every receiver: what happened, to whom, the words that show it, which
conversation, what to do. A receiver only dresses it (colour, headings) and neutralises markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from alerts.clip import clip
from alerts.model import (
    AGENT,
    DEPARTMENT_PREFIX,
    Alert,
    AlertFinding,
    AlertStatus,
    Audience,
    Owed,
    Severity,
)

SEVERITY_WORDS: Mapping[Severity, str] = {
    Severity.INFO: "提示",
    Severity.LOW: "轻微",
    Severity.MEDIUM: "一般",
    Severity.HIGH: "严重",
    Severity.CRITICAL: "紧急",
}
_STATUS_WORDS = {AlertStatus.ACKNOWLEDGED: "已有人处理", AlertStatus.RESOLVED: "已解除"}
_AUDIENCE_WORDS = {
    Audience.AGENT.value: "当班客服",
    Audience.MENTOR.value: "带教师傅",
    Audience.SUPERVISOR.value: "主管",
    Audience.MANAGER.value: "经理",
}
_SUBJECT_WORDS = {"customer": "客户", "agent": "客服", "bot": "机器人", "department": "协作部门"}
_LABEL_WORDS = {
    "shop_id": "店铺",
    "channel": "渠道",
    "group": "客服组",
    "agent": "客服",
    "customer": "客户",
    "tier": "客户等级",
    "category_title": "问题类别",
    "issue_id": "问题单",
}
"""Labels people know; the others are for routes."""

_LINK_WORDS = {"conversation": "打开会话", "ack": "我来处理", "snooze": "稍后提醒", "dashboard": "查看面板"}

_DAYS_FROM_S = 48 * 3600
"""People say 24 小时 and 36 小时, and then 3 天."""

SIGNATURE = "言哨"
"""Ends every message, so that a robot secured by a keyword can use this one."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How much to say: at most so many findings, and so many bytes for each passage."""

    findings: int
    passage: int


MEASURES = (Measure(10, 1500), Measure(5, 600), Measure(3, 300), Measure(2, 150), Measure(1, 90))
"""From generous to terse; a receiver takes the first that fits its platform's limit."""


@dataclass(frozen=True, slots=True)
class Line:
    """One statement: `名: 文`. `quote` marks words from the chat itself."""

    name: str
    text: str
    quote: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """The composed alert. Everything in it is plain text and may hold what a customer typed."""

    title: str
    lines: tuple[Line, ...]
    links: tuple[tuple[str, str], ...]
    footer: str


def compose(alert: Alert, audiences: list[str], zone: tzinfo, measure: Measure = MEASURES[0]) -> Message:
    """The message of an alert, no longer than `measure` says."""

    def short(text: str) -> str:
        return clip(" ".join(text.split()), measure.passage)

    shown = _most_telling(alert.findings, measure.findings)
    happened = alert.body.strip().partition("\n")[0] or (shown[-1].why if shown else "") or alert.title
    lines = [Line("发生了什么", short(happened))]
    if where := _where(alert.labels):
        lines.append(Line("谁的会话", short(where)))
    if alert.owed is not None and alert.status is not AlertStatus.RESOLVED:
        lines.append(Line("等谁", short(_owing(alert.owed, alert.labels, zone))))
    # A clock that climbed has the customer's last words at each of its moments.
    lines += dict.fromkeys(
        Line(_speaker(finding, zone), short(finding.evidence), quote=True)
        for finding in shown
        if finding.evidence
    )
    if left_out := len(alert.findings) - len(shown):
        lines.append(Line("另有", f"{left_out} 处，见会话"))
    lines += [Line("判断依据", short(why)) for why in _unique(f.why for f in shown) if why not in happened]
    if alert.status is AlertStatus.FIRING:
        lines += [Line("建议", short(advice)) for advice in _unique(f.advice for f in shown)]
    lines.append(Line("会话", short(alert.conversation_id)))
    lines.append(Line("时间", _span(alert, zone)))
    if audiences and audiences != [""]:
        lines.append(Line("通知", short("、".join(map(audience_word, audiences)))))
    links = tuple((_LINK_WORDS.get(link.rel, clip(link.rel, 60)), link.href) for link in alert.links[:4])
    return Message(short(headline(alert)), tuple(lines), links, f"{SIGNATURE} · {alert.alert_id[:8]}")


def headline(alert: Alert) -> str:
    """The title with what a glance must catch in front: how bad, or that it is over."""
    word = _STATUS_WORDS.get(alert.status, SEVERITY_WORDS[alert.severity])
    risen = "·升级" if alert.step and alert.status is AlertStatus.FIRING else ""
    return f"【{word}{risen}】{alert.title}"


def audience_word(audience: str) -> str:
    """`department:仓库` as 仓库, `manager` as 经理."""
    return _AUDIENCE_WORDS.get(audience) or audience.removeprefix(DEPARTMENT_PREFIX)


def local_time(at_ms: int, zone: tzinfo) -> str:
    """A moment as people on duty read it: month, day, time to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).strftime("%m-%d %H:%M:%S")


def duration(ms: int) -> str:
    """A span of time as people say it, in its two largest units: `3 分 20 秒`, `2 小时 5 分`."""
    seconds = max(0, ms) // 1000
    if seconds >= _DAYS_FROM_S:
        larger, smaller = divmod(seconds // 3600, 24)
        units = ("天", "小时")
    elif seconds >= 3600:
        larger, smaller = divmod(seconds // 60, 60)
        units = ("小时", "分")
    else:
        larger, smaller = divmod(seconds, 60)
        units = ("分", "秒")
    said = [f"{count} {unit}" for count, unit in zip((larger, smaller), units, strict=True) if count]
    return " ".join(said) or f"0 {units[1]}"


def _owing(owed: Owed, labels: Mapping[str, str], zone: tzinfo) -> str:
    """`仓库（部门答复），自 11-11 20:00:03 起，应在 20:30:03 前，已超 5 分`."""
    who = owed.party
    if who == AGENT:
        who = " ".join(filter(None, (_SUBJECT_WORDS[AGENT], labels.get("agent"))))
    since, until = local_time(owed.since, zone), local_time(owed.until, zone)
    same_day = since[:5] == until[:5]
    over = f"，已超 {duration(owed.over_ms)}" if owed.over_ms >= 1000 else ""
    return f"{who}（{owed.what}），自 {since} 起，应在 {until[6:] if same_day else until} 前{over}"


def _most_telling(findings: list[AlertFinding], limit: int) -> list[AlertFinding]:
    """The worst findings, among equals the latest, told in the order they happened."""
    worst = sorted(findings, key=lambda f: (-f.severity.rank, -f.at, f.finding_id))[:limit]
    return sorted(worst, key=lambda f: (f.at, f.finding_id))


def _speaker(finding: AlertFinding, zone: tzinfo) -> str:
    if not finding.message_id:
        # A clock's finding is about a silence: its words are the customer's last, said before its time.
        return f"{_SUBJECT_WORDS['customer']} 最后说"
    who = _SUBJECT_WORDS.get(finding.subject, finding.subject)
    return f"{who} {local_time(finding.at, zone)[6:]}"


def _where(labels: Mapping[str, str]) -> str:
    return "，".join(f"{word} {labels[key]}" for key, word in _LABEL_WORDS.items() if labels.get(key))


def _span(alert: Alert, zone: tzinfo) -> str:
    if alert.ends_at is None:
        return local_time(alert.starts_at, zone)
    lasted = duration(alert.ends_at - alert.starts_at)
    return f"{local_time(alert.starts_at, zone)} 至 {local_time(alert.ends_at, zone)}，历时 {lasted}"


def _unique(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
