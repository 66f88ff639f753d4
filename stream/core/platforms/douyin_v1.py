"""Douyin, Feige: the share of messages that a person answers within three minutes, and reply times.

3分钟人工回复率 = messages answered by a person within three minutes over messages that customers sent, from
08:00:00 to 23:00:00. Words, emoji and pictures sent by hand are answers; the automatic welcome is none;
an automatic answer in assist mode inside the human stage is one.

首次响应时长 and 平均响应时长 look at people's replies only. The sources give no formula: here they are the
mean of the first answered turn of each conversation and of all answered turns, opened in the same hours.

A message that a bot receives alone is not in the human stage and stays out of both sides.

Sources (articles about the platform's rules; verify before a contract rests on them):
http://www.plnmw.com/InformationConsulting/kqreqrqhdd.html, https://www.yinets.com/5242.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from stream.core.platforms.model import (
    Contribution,
    Conversation,
    Definition,
    Figure,
    Turn,
    Verdict,
    by_time,
    made,
    mean,
    messages,
    share,
    within_hours,
)

ID: Final = "douyin_v1"
FIRST_HOUR: Final = 8
LAST_HOUR: Final = 23
IN_TIME_MS: Final = 180_000


def contribute(conversation: Conversation) -> tuple[Contribution, ...]:
    """Return the customer's messages, each with the answer that came first after it."""
    waits = messages(conversation, conversation.people, conversation.reached)
    return tuple([_judged(conversation, turn) for turn in waits])


def _judged(conversation: Conversation, turn: Turn) -> Contribution:
    lines = conversation.lines
    if not turn.for_people:
        return made(ID, conversation, turn, Verdict.AUTOMATIC, None)
    if not within_hours(lines[turn.opened].at, FIRST_HOUR, LAST_HOUR):
        return made(ID, conversation, turn, Verdict.OUT_OF_HOURS, None)
    if turn.answered is None:
        return made(ID, conversation, turn, Verdict.UNANSWERED, None)
    wait = lines[turn.answered].at - lines[turn.opened].at
    return made(ID, conversation, turn, Verdict.COUNTED, wait)


def figures(contributions: Sequence[Contribution]) -> Mapping[str, Figure]:
    """Return the share of messages within three minutes, and the mean of first replies and of all."""
    opening = [one for one in by_time(contributions) if one.opens_turn and one.counts]
    first: dict[str, Contribution] = {}
    for one in opening:
        if one.ms is not None:
            first.setdefault(one.conversation, one)
    return {
        "messages_answered_in_180s": share(contributions, IN_TIME_MS),
        "first_average_seconds": mean(first.values()),
        "average_seconds": mean(opening),
    }


DEFINITION: Final = Definition(
    ID,
    "message",
    ("http://www.plnmw.com/InformationConsulting/kqreqrqhdd.html", "https://www.yinets.com/5242.html"),
    contribute,
    figures,
    by_time,
)
