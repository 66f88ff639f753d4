"""Response metrics as platforms define them, side by side, each number explainable line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from stream.core.platforms import douyin_v1, jd_v1, pdd_v1, plain, tmall_v1
from stream.core.platforms.model import (
    CHINA_MS,
    DAY_MS,
    Contribution,
    Conversation,
    Definition,
    Figure,
    Line,
    Verdict,
    day_end,
    day_of,
)

__all__ = [
    "DEFINITIONS",
    "Contribution",
    "Conversation",
    "Definition",
    "Figure",
    "Line",
    "Verdict",
    "contributions_of",
    "day_end",
    "explain",
    "figures_of",
    "told",
]

DEFINITIONS: Final[Mapping[str, Definition]] = {
    one.id: one
    for one in (
        tmall_v1.DEFINITION,
        jd_v1.DEFINITION,
        douyin_v1.DEFINITION,
        pdd_v1.DEFINITION,
        plain.DEFINITION,
    )
}
"""By the id that exporters use as the label ``definition``."""

_WHY: Final[Mapping[Verdict, str]] = {
    Verdict.COUNTED: "计入",
    Verdict.CAPPED: "超过上限，按上限计",
    Verdict.UNANSWERED: "未获有效回复，按未回复计",
    Verdict.OUT_OF_HOURS: "不在考核时段，不计",
    Verdict.AUTOMATIC: "机器人独立接待，不计",
    Verdict.LEFT_MESSAGE: "留言，不计",
    Verdict.JOINED: "十分钟内再次咨询，并入上一会话",
}


def contributions_of(definition: Definition, conversation: Conversation) -> tuple[Contribution, ...]:
    """Return what a conversation contributes by one definition: every unit, those that do not count too."""
    return definition.contribute(conversation)


def figures_of(definition: Definition, contributions: Iterable[Contribution]) -> Mapping[str, Figure]:
    """Return the definition's figures of any conversations' contributions, in any order."""
    return definition.sum(definition.merge(contributions))


def explain(definition: Definition, contributions: Iterable[Contribution]) -> tuple[str, ...]:
    """Return one sentence for each unit: what opened and closed it, what counts, and why."""
    return tuple(f"{one.conversation}：{told(one)}" for one in definition.merge(contributions))


def told(one: Contribution) -> str:
    """Return the sentence of one unit; its clock is that of Beijing."""
    begun = f"{_clock(one.opened_at)} 第{one.opened_by}句"
    if one.since != one.opened_at:
        begun += f"（{_clock(one.since, one.opened_at)} 起等人工）"
    if one.answered_at is None:
        ended = "无有效回复"
    else:
        waited = _seconds(one.answered_at - one.since)
        answered = _clock(one.answered_at, one.opened_at)
        ended = f"{answered} 第{one.answered_by}句回复，等了 {waited} 秒"
    within = "，不另起一轮" if one.counts and not one.opens_turn else ""
    counted = "" if one.ms is None else f"，计 {_seconds(one.ms)} 秒"
    return f"{begun} → {ended}：{_WHY[one.verdict]}{within}{counted}"


def _clock(t: int, begun: int | None = None) -> str:
    """Return the time of day, and how many days after ``begun`` that is, where it is not the same day."""
    seconds = (t + CHINA_MS) % DAY_MS // 1_000
    days = 0 if begun is None else day_of(t) - day_of(begun)
    later = "" if days == 0 else "次日 " if days == 1 else f"{days} 天后 "
    return f"{later}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _seconds(ms: int) -> str:
    return f"{ms / 1_000:.3f}".rstrip("0").rstrip(".")
