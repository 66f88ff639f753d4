"""A message clause by clause: which one asks, hangs on a condition, waits for the customer, names a time.

Clauses end at punctuation and, in chats, at a blank. What a clause is depends on those beside it: an if
holds for the rest of its sentence, a request for the clauses after it, a time that stands alone for its
neighbour. All of it is looked for when it is asked for, and only there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from stream.core.deadlines import SaidTime, find_deadlines
from stream.core.lexicon import Match

MAX_CLAUSES: Final = 64
"""Clauses of one message that are read: a template of a thousand characters has forty."""

FARTHEST_IF: Final = 8
"""Clauses that an if is looked for in, back from the promise: a sentence."""

FARTHEST_AFTER: Final = 2
"""Clauses behind one that says what has to come first, for which that holds too."""

FARTHEST_REQUEST: Final = 3
"""Clauses before a promise in which a request makes it wait for the customer."""

LONGEST_TIME: Final = 16
"""Characters of a clause that is nothing but a time."""

_BREAK: Final = re.compile(r"[\s,，。.!！?？;；~…()]+(?<!\d\.)|(?<=[\u4e00-\u9fff])[#*]+")
_ENDS: Final = frozenset("。.!！?？;；~…")
_PARTICLES: Final = "呢呀哦哈啊噢喔哟呦嘞哒的亲~"

_TAG: Final = re.compile(
    "(?:可以|行|好|方便|同意|ok|成)(?:吗|嘛|么|不|吧|否)?$|好不好$|行不行$|可不可以$|是否可以$"
)
_ENDS_AS_QUESTION: Final = re.compile("(?:吗|么|嘛|没有|没|不|否)$")
_ASKS: Final = re.compile(
    "什么|哪|怎么|怎样|多久|多少|几点|是不是|有没有|能不能|是否|要不要|可不可以|会不会|谁|难道|需不需要|需要.{0,12}吗"
)

_ASKS_AFTER: Final = re.compile("(?:对|是)(?:么|吗|不对|不是)")
"""Alone behind a clause it makes a question of it."""

_IF: Final = re.compile(
    "如(?![何下此图实同])|若|要是|假如|万一|一旦|只要|除非|有需要|有问题|任何|[您你如要想需].{0,12}的话"
)
_AFTER: Final = re.compile(
    "(?<!已)(?<!已经)(?:收到|签收|退回|返回|送回|寄回|寄出|提交|支付|付款|下单|拒收|乘机|起飞|行程|(?<!退款)完成"
    "|入库|入仓|出库|到货|到库|到达|仓库|揽件|通过|生成|上传|填写|预约|重新申请)[^,，]{0,8}?(?:之后|以后|后)"
    "|^等(?:您|你|订单|货|收到)|待.{1,30}(?:后|完成)|审核通过(?!了)|一[有到]货|^等.{1,8}(?:后|了)$"
    "|接收到.{0,6}商品|(?:符合|属实|出现|确定).{0,12}时|之日"
)
"""What the customer, or somebody whom no promise binds, has to do first."""

_FILED: Final = re.compile("[前后][您你]?提交")
"""18点前提交的服务单: whose turn it is; only the next clause is about that."""

_REQUEST: Final = re.compile(
    "重新下单|新的?订单|建议您|方便.{0,6}[帮为给]您"
    "|提供|发给|发我|发一?下|告知(?:我|一下|下|妹|小)|告诉[我妹小]|[您你请烦号码息址接额单].{0,6}给[我妹小](?!们)"
    "|私信|给我.{0,4}(?:订单|单号)|说一?下|带到|复制|(?<!办法)截图|点击|选择|描述|简述|留一?下|报一?下"
    "|(?:麻烦|(?<!申)请|辛苦)(?!您?(?:稍|等|耐心|注意|放心|保持|谅解|不要|手机|再等)|问)您?"
    ".{0,10}(?:取消|提交|申请|下单|确认|核对)"
)
_CONDITION_OF_TIME: Final = re.compile(
    "(?:之?前|以前|之?后|以后)?[您你]?(?:提交|反馈|申请|下单|付款|签收|之后)"
)
"""今天18点前反馈的 is no time of what is promised, but of whose turn it is."""


class Message:
    """A text cut into clauses; what a clause is, is found out when it is asked for."""

    __slots__ = ("_found", "pieces", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces = list(islice(_pieces(text), MAX_CLAUSES))
        self._found: dict[int, tuple[SaidTime, ...]] = {}

    def by_clause(self, matches: Sequence[Match]) -> Iterator[tuple[int, list[Match]]]:
        """Yield the clauses that have matches, with these."""
        ends = [end for _, end, _ in self.pieces]
        found: dict[int, list[Match]] = {}
        for match in matches:
            number = bisect_right(ends, match.start)
            if number < len(ends):
                found.setdefault(number, []).append(match)
        yield from found.items()

    def clause(self, number: int) -> Clause:
        """Return one clause."""
        return Clause(self, number, *self.pieces[number][:2])

    def words(self, number: int) -> str:
        """Return the words of one clause."""
        start, end, _ = self.pieces[number]
        return self.text[start:end]

    def ends(self, number: int) -> bool:
        """Whether a sentence ends behind the clause."""
        return not _ENDS.isdisjoint(self.pieces[number][2])

    def is_blank(self, number: int) -> bool:
        """Whether nothing but a blank stands behind the clause."""
        return self.pieces[number][2].isspace()

    def times(self, number: int) -> tuple[SaidTime, ...]:
        """Return the times that one clause names."""
        found = self._found.get(number)
        if found is None:
            start = self.pieces[number][0]
            found = self._found[number] = tuple(
                SaidTime(start + time.start, start + time.end, time.deadline)
                for time in find_deadlines(self.words(number))
            )
        return found


class Clause(NamedTuple):
    """One clause, and what it takes from those round it."""

    message: Message
    number: int
    start: int
    end: int

    def asks(self, within: int | None = None) -> bool:
        """Whether it is a question; one for consent (可以吗) is none.

        ``within``: question words behind that place belong to what is asked for (帮您看下有没有货).
        """
        body = self.message.words(self.number).rstrip(_PARTICLES)
        if _TAG.search(body):
            return False
        if self.number + 1 < len(self.message.pieces) and not self.message.ends(self.number):
            following = self.message.words(self.number + 1).rstrip(_PARTICLES)
            if _ASKS_AFTER.fullmatch(following):
                return True
        asked = "?" in self.message.pieces[self.number][2]
        if within is not None:
            body = body[: within - self.start]
        elif _ENDS_AS_QUESTION.search(body):
            return True
        return asked or _ASKS.search(body) is not None

    @property
    def hangs(self) -> bool:
        """Whether it waits for something: an if of its sentence, or what has to come first."""
        message = self.message
        for number in range(self.number, max(-1, self.number - FARTHEST_IF), -1):
            back = self.number - number
            if back and message.ends(number):
                return False
            words = message.words(number)
            if back <= FARTHEST_AFTER and _AFTER.search(words):
                return True
            if _IF.search(words) or (back <= 1 and _FILED.search(words)):
                return True
            if number and back and message.is_blank(number - 1):
                return False  # who types a blank for a comma does not go on for long
        return False

    @property
    def requests(self) -> bool:
        """Whether it, or a clause shortly before, asks the customer for something."""
        first = self.message.pieces[max(0, self.number - FARTHEST_REQUEST)][0]
        return _REQUEST.search(self.message.text, first, self.end) is not None

    @property
    def times(self) -> Sequence[SaidTime]:
        """Its times; where it has none, that of a neighbour that is nothing but a time."""
        message, number = self.message, self.number
        own = message.times(number)
        if own:
            own = tuple(time for time in own if not _CONDITION_OF_TIME.match(message.text, time.end))
        if own:
            return own
        for near in (number - 1, number + 1):
            if 0 <= near < len(message.pieces):
                start, end, _ = message.pieces[near]
                # Only the words round a time may stand there: 最晚, 之内.
                if end - start <= LONGEST_TIME:
                    alone = message.times(near)
                    if len(alone) == 1 and end - start - (alone[0].end - alone[0].start) <= 3:
                        return alone
        return ()


def _pieces(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the clauses of a text: start, end, and what divides each from the next."""
    done = 0
    for gap in _BREAK.finditer(text):
        if gap.start() > done:
            yield done, gap.start(), gap[0]
        done = gap.end()
    if done < len(text):
        yield done, len(text), ""
