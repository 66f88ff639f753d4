"""Tmall and Taobao, Wangwang: mean reply time of people, and the share answered within three minutes.

人工平响时长 = the reply times of all turns in the last 30 days' 08:00 to 23:00 (23:00 excluded) over the
number of those turns. A turn goes from the customer's first sentence to the first valid reply of the account
that it was for: a person's, or a bot's in assist mode. More than 10 minutes count as 10 minutes, and so
does a turn that is not answered the same day. Each sub-account has turns of its own: passing the customer on
without a reply leaves an unanswered turn behind. What a bot receives alone counts in neither side; an
automatic reply is no reply.

3分钟人工响应率 = turns answered validly within three minutes over all turns, in the same hours.

Sources (copies of the platform's help pages by others; verify before a contract rests on them):
https://diantuoyi.com/article/4966.html, http://g8108.cn/edu/article/1108.html. An older rule has 24:00 for
23:00: http://dingjiuxi.cn/tbnews/14066.html.
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
    mean,
    share,
    turns,
    within_hours,
)

ID: Final = "tmall_v1"
FIRST_HOUR: Final = 8
LAST_HOUR: Final = 23
CAP_MS: Final = 600_000
IN_TIME_MS: Final = 180_000


def contribute(conversation: Conversation) -> tuple[Contribution, ...]:
    """Return the turns of each account."""
    return tuple([_judged(conversation, turn) for turn in turns(conversation, by_account=True)])


def _judged(conversation: Conversation, turn: Turn) -> Contribution:
    lines = conversation.lines
    at = lines[turn.opened].at
    if not turn.for_people:
        return made(ID, conversation, turn, Verdict.AUTOMATIC, None)
    if not within_hours(at, FIRST_HOUR, LAST_HOUR):
        return made(ID, conversation, turn, Verdict.OUT_OF_HOURS, None)
    if turn.answered is None or day_of(lines[turn.answered].at) != day_of(at):
        return made(ID, conversation, turn, Verdict.UNANSWERED, CAP_MS)
    wait = lines[turn.answered].at - at
    if wait > CAP_MS:
        return made(ID, conversation, turn, Verdict.CAPPED, CAP_MS)
    return made(ID, conversation, turn, Verdict.COUNTED, wait)


def figures(contributions: Sequence[Contribution]) -> Mapping[str, Figure]:
    """Return the mean in seconds and the share within three minutes."""
    return {
        "average_seconds": mean(contributions),
        "answered_in_180s": share(contributions, IN_TIME_MS),
    }


DEFINITION: Final = Definition(
    ID,
    "turn",
    ("https://diantuoyi.com/article/4966.html", "http://g8108.cn/edu/article/1108.html"),
    contribute,
    figures,
    by_time,
)
