"""Whom a clause hands the matter to, and who has answered: 已反馈仓库核实, 帮您联系物流, 仓库那边回复说.

A hand-off names a department beside what is done towards it: behind the act (联系仓库) or before it, behind
a word that turns to it (跟仓库核实). It has to be ours: told as done or under way, or as done for the
customer. A report names the department before a word of answering, with nothing between that puts it off.
A department that is only mentioned (快递一般三天到) hands over nothing and has answered nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from stream.core.clauses import Clause
from stream.core.grammar import ABLE, DENIES, USUALLY, is_ours, is_the_customers
from stream.core.lexicon import Match


class Named(NamedTuple):
    """A party that a clause names: half-open offsets into the normalised text, and its id."""

    start: int
    end: int
    party: str


_FARTHEST: Final = 8
"""Characters between a department and what is done with it: 那边的同事尽快."""

_TOWARDS: Final = re.compile(
    "(?:[您你][^给]{0,6}(?=给))?(?:[给到至与和跟向下了的您你这那边该此]|一下|当地|相关|对应|我们|咱们|第三方){0,6}"
)
"""Between an act and the department it turns to: 反馈给您的站点."""

_TURNS: Final = re.compile(
    "(?:[跟和与向给让找叫催问同]|通知|联系|转给|反馈给?|麻烦)(?:[您你]的?|咱们?|我们|一?下|当地|相关|[的了这那边该此个]|第三方)*$"
)
"""Before a department that something is done with: 跟咱们仓库."""

_ITS_MATTER: Final = re.compile(
    "信息|问题|单|情况|状态|进度|详情|运输|时效|异常|显示|更新|停滞|费|轨迹|会|将|已|正在|说"
)
"""Behind the name: not the department but what it is about (物流信息), or what it does itself."""

_OURS: Final = re.compile("已|刚|马上|尽快|立即|立刻|这就|正在|现在|先|再")
_DONE: Final = re.compile("(?:一下)?(?:了|过|好了)")
_ASKED: Final = re.compile("麻烦|辛苦|烦请|自行|自己|直接|您再|你再")
_ADDRESSED: Final = re.compile("[您你亲]")

_WAITS: Final = re.compile(
    "(?:等待?|待|让|请|由|催促?|看|关注|联系|需要?|跟|和|与|向|给|找|问|如果?|若|通知|反馈给?|方便|会)(?:[您你的一下]|这边|那边|相关)*$"
)
"""Before a department that has yet to answer: 等仓库回复."""

_JUST: Final = re.compile(
    "(?:那边|这边|那里|方面|[方的也都]|同事|人员|部门|老师|小哥|刚刚?|刚才|已经?|给我们?|跟我们?|向我们?|说|今天|昨天|了|客服){0,6}"
)
"""Between a department and its answer."""

_NOT_YET: Final = re.compile("[您你亲中后时吗么]|一?下|之后|以后|结果后|完|即可|为准|的|单|电话|给[您你亲]")


def handed_over(
    clause: Clause, match: Match, parties: Sequence[Named], *, only_with: bool = False
) -> Named | None:
    """Return the department that the clause hands the matter to by this act, if it does.

    ``only_with``: the act is one only with whom a preposition names (跟仓库核实; 核实物流 looks it up).
    """
    text = clause.message.text
    before, after = text[clause.start : match.start], text[match.end : clause.end]
    party = _before(clause, match, parties)
    if party is None and not only_with:
        party = _behind(clause, match, parties)
    if party is None or DENIES.search(before) or clause.asks():
        return None
    done = "已" in before or _DONE.match(after) is not None
    ours = is_ours(before)
    if is_the_customers(before) or (not ours and not done and (ABLE.search(before) or _ASKED.search(before))):
        return None
    if not (ours or done or _OURS.search(before)):
        return None
    return party if done or not (clause.hangs or clause.requests) else None


def answered(clause: Clause, match: Match, parties: Iterable[Named]) -> Named | None:
    """Return the department whose answer the clause reports by this word, if it does."""
    text = clause.message.text
    party = next((one for one in reversed(list(parties)) if one.end <= match.start), None)
    if party is None or not _JUST.fullmatch(text, party.end, match.start):
        return None
    before, after = text[clause.start : party.start], text[match.end : clause.end]
    if _NOT_YET.match(after) or _WAITS.search(before) or DENIES.search(before) or USUALLY.search(before):
        return None
    return None if clause.asks() or clause.hangs else party


def _behind(clause: Clause, match: Match, parties: Sequence[Named]) -> Named | None:
    text = clause.message.text
    for party in parties:
        if party.start >= match.end:
            near = _TOWARDS.fullmatch(text, match.end, party.start)
            return party if near and not _ITS_MATTER.match(text, party.end) else None
    return None


def _before(clause: Clause, match: Match, parties: Sequence[Named]) -> Named | None:
    text = clause.message.text
    if _ADDRESSED.match(text, match.end):
        return None  # 让快递联系您: what the department is to do
    for party in reversed(parties):
        if party.end <= match.start <= party.end + _FARTHEST:
            turns = _TURNS.search(text[clause.start : party.start])
            return party if turns and not _ITS_MATTER.match(text, party.end) else None
    return None
