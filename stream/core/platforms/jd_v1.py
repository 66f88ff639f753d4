"""JD, Dongdong: the share of sessions whose first reply comes within 30 seconds, and the mean first reply.

首次30秒应答率 = sessions whose first reply came within 30 seconds over sessions, summed over 30 days.
Sessions that began between 23:00 and 09:00 are left out, by when the *session* began: one of 08:56 answered
at 09:01 does not count. A customer who asks again within ten minutes of a session's close goes on with that
session; later, a new one is scored. Messages left while all accounts are offline or hung up are 留言 and
count in their own share only.

The source names 平均响应时长 with the same hours and without a formula: ``first_average_seconds`` is the mean
of the first replies, ours to explain.

What a session waits for begins with the first message that is for people: a bot's reception is not waited
for. A reply is a person's, or a machine's in assist mode.

Sources (copies of the platform's announcements by others; verify before a contract rests on them):
https://maijiaw.com/article/505791, https://39zn.cn/article/215407.htm; the ten minutes:
https://insight.xiaoduoai.com/faq/questions/D1qA.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from stream.core.platforms.model import (
    Contribution,
    Conversation,
    Definition,
    Figure,
    Verdict,
    by_time,
    mean,
    share,
    within_hours,
)

ID: Final = "jd_v1"
FIRST_HOUR: Final = 9
LAST_HOUR: Final = 23
IN_TIME_MS: Final = 30_000
JOIN_MS: Final = 600_000


def contribute(conversation: Conversation) -> tuple[Contribution, ...]:
    """Return the session, or nothing where the customer never wrote."""
    lines, people, reached = conversation.lines, conversation.people, conversation.reached
    asking = [number for number, by_customer in enumerate(conversation.customers) if by_customer]
    if not asking:
        return ()
    first, asked = asking[0], next((number for number in asking if reached[number]), None)
    answered = None
    if asked is not None:
        answered = next((number for number in range(asked + 1, len(lines)) if people[number]), None)
    since = lines[first if asked is None else asked].at
    answered_at = None if answered is None else lines[answered].at
    verdict = _verdict(conversation, lines[first].at, asked is not None, answered is not None)
    return (
        Contribution(
            ID,
            conversation.id,
            conversation.customer,
            lines[first].at,
            first + 1,
            since,
            answered_at,
            None if answered is None else answered + 1,
            verdict,
            answered_at - since if verdict is Verdict.COUNTED and answered_at is not None else None,
            conversation.closed_at,
        ),
    )


def _verdict(conversation: Conversation, began_at: int, asked: bool, answered: bool) -> Verdict:
    if conversation.left_message:
        return Verdict.LEFT_MESSAGE
    if not within_hours(began_at, FIRST_HOUR, LAST_HOUR):
        return Verdict.OUT_OF_HOURS
    if not asked:
        return Verdict.AUTOMATIC
    return Verdict.COUNTED if answered else Verdict.UNANSWERED


def merge(contributions: Iterable[Contribution]) -> tuple[Contribution, ...]:
    """Join what goes on within ten minutes of a close with the session before, customer by customer.

    The first part says when the session began; where nobody was waited for or answered in it, the next
    part's first reply is the session's. The later parts stay, as ``joined``.
    """
    latest: dict[str, Contribution] = {}
    found: list[Contribution] = []
    for one in by_time(contributions):
        before = latest.get(one.customer)
        if (
            one.verdict is Verdict.LEFT_MESSAGE
            or before is None
            or one.opened_at - before.closed_at > JOIN_MS
        ):
            found.append(one)
            if one.verdict is not Verdict.LEFT_MESSAGE:
                latest[one.customer] = one
            continue
        place = found.index(before)
        found[place] = latest[one.customer] = _joined(before, one)
        found.append(one._replace(verdict=Verdict.JOINED, ms=None))
    return by_time(found)


def _joined(first: Contribution, then: Contribution) -> Contribution:
    closed_at = max(first.closed_at, then.closed_at)
    if first.answered_at is not None:
        return first._replace(closed_at=closed_at)
    # A bot alone was there at first: the wait begins with the first message for people.
    since = then.since if first.verdict is Verdict.AUTOMATIC else first.since
    verdict, ms = first.verdict, None
    if first.verdict in {Verdict.AUTOMATIC, Verdict.UNANSWERED}:
        verdict = _joined_verdict(first, then)
        ms = then.answered_at - since if then.answered_at is not None else None
    return first._replace(
        since=since,
        answered_at=then.answered_at,
        answered_by=then.answered_by,
        verdict=verdict,
        ms=ms,
        closed_at=closed_at,
    )


def _joined_verdict(first: Contribution, then: Contribution) -> Verdict:
    if then.answered_at is not None:
        return Verdict.COUNTED
    asked = Verdict.UNANSWERED in {first.verdict, then.verdict}
    return Verdict.UNANSWERED if asked else Verdict.AUTOMATIC


def figures(contributions: Sequence[Contribution]) -> Mapping[str, Figure]:
    """Return the share within 30 seconds and the mean first reply in seconds."""
    return {
        "first_answered_in_30s": share(contributions, IN_TIME_MS),
        "first_average_seconds": mean(contributions),
    }


DEFINITION: Final = Definition(
    ID,
    "session",
    (
        "https://maijiaw.com/article/505791",
        "https://39zn.cn/article/215407.htm",
        "https://insight.xiaoduoai.com/faq/questions/D1qA",
    ),
    contribute,
    figures,
    merge,
)
