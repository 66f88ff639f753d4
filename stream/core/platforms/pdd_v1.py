"""Pinduoduo: the share of customers none of whose messages waited for an hour, and the five-minute reply.

有效回复率 (the older definition) = (customers who asked − customers with any message that was not answered,
or after more than an hour) over customers who asked; from 08:00 to 23:00, and a customer counts once a day.

5分钟回复: the first reply, a person's or a machine's, within five minutes of the consultation.

A bot's answer is an answer here; an automatic welcome or reply is none.

Sources (articles about the platform's rules; verify before a contract rests on them):
http://www.gstsqh.com.cn/ecschool/pinduoduo/show_64869.html, http://www.cymth.com/post/141552.html.
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
    day_of,
    made,
    messages,
    within_hours,
)

ID: Final = "pdd_v1"
FIRST_HOUR: Final = 8
LAST_HOUR: Final = 23
LONGEST_MS: Final = 3_600_000
IN_TIME_MS: Final = 300_000


def contribute(conversation: Conversation) -> tuple[Contribution, ...]:
    """Return the customer's messages, each with the answer that came first after it."""
    answers = [person or bot for person, bot in zip(conversation.people, conversation.bots, strict=True)]
    waits = messages(conversation, answers, [True] * len(answers))
    return tuple([_judged(conversation, turn) for turn in waits])


def _judged(conversation: Conversation, turn: Turn) -> Contribution:
    lines = conversation.lines
    if not within_hours(lines[turn.opened].at, FIRST_HOUR, LAST_HOUR):
        return made(ID, conversation, turn, Verdict.OUT_OF_HOURS, None)
    if turn.answered is None:
        return made(ID, conversation, turn, Verdict.UNANSWERED, None)
    wait = lines[turn.answered].at - lines[turn.opened].at
    if wait > LONGEST_MS:
        return made(ID, conversation, turn, Verdict.CAPPED, LONGEST_MS)
    return made(ID, conversation, turn, Verdict.COUNTED, wait)


def figures(contributions: Sequence[Contribution]) -> Mapping[str, Figure]:
    """Return the shares of customer-days: without a neglected message, and answered in five minutes."""
    days: dict[tuple[str, int], list[Contribution]] = {}
    for one in by_time(contributions):
        if one.counts:
            days.setdefault((one.customer, day_of(one.opened_at)), []).append(one)
    kept = sum(all(one.verdict is Verdict.COUNTED for one in day) for day in days.values())
    quick = sum(day[0].wait_ms is not None and day[0].wait_ms <= IN_TIME_MS for day in days.values())
    return {
        "customers_answered": Figure(kept, len(days)),
        "first_answered_in_300s": Figure(quick, len(days)),
    }


DEFINITION: Final = Definition(
    ID,
    "customer_day",
    ("http://www.gstsqh.com.cn/ecschool/pinduoduo/show_64869.html", "http://www.cymth.com/post/141552.html"),
    contribute,
    figures,
    by_time,
)
