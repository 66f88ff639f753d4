"""A message clause by clause: which one asks, hangs on a condition, waits for the customer, names a time.

Clauses end at punctuation and, in chats, at a blank. What a clause is depends on those beside it: an if
holds for the rest of its sentence, a request for the clauses after it, a time that stands alone for its
neighbour. All of it is looked for when it is asked for, and only there; texts are cut by the batch.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.core import grammar
from stream.core.deadlines import SaidTime, find_deadlines
from stream.core.grammar import Bits
from stream.core.joined import PLANE, Joined, looked_up
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

_FIRST_WORD, _LAST_WORD = 0x4E00, 0x9FFF
"""The ideographs that a line of # or * ends a clause behind."""

_BREAK: Final = re.compile(
    rf"[\s,，。.!！?？;；~…()]+(?<!\d\.)|(?<=[{chr(_FIRST_WORD)}-{chr(_LAST_WORD)}])[#*]+"
)
"""Where a text is cut. Arrays do the same for all texts of a batch but those with such a line."""

_BREAKS, _POINT, _DIGIT, _RULE, _END = (1 << bit for bit in range(5))
"""What characters are to ``_BREAK``: a point between digit and word is none; ``_END`` ends each text."""

_ENDS: Final = frozenset("。.!！?？;；~…")
_PARTICLES: Final = "呢呀哦哈啊噢喔哟呦嘞哒的亲~"

_TAG: Final = re.compile(
    "(?:可以|行|好|方便|同意|ok|成)(?:吗|嘛|么|不|吧|否)?$|好不好$|行不行$|可不可以$|是否可以$"
)
_CONDITION_OF_TIME: Final = re.compile(
    "(?:之?前|以前|之?后|以后)?[您你]?(?:提交|反馈|申请|下单|付款|签收|之后)"
)
"""今天18点前反馈的 is no time of what is promised, but of whose turn it is."""

_HANGS: Final = grammar.IF.bit | grammar.AFTER.bit | grammar.FILED.bit
_QUESTION: Final = grammar.ASKS.bit | grammar.ENDS_AS_QUESTION.bit


class Message:
    """A text cut into clauses; what a clause is, is found out when it is asked for.

    Clause by clause: ``starts`` and ``ends`` in the text, ``stops``, where what divides it from the next
    stops, and ``marks``, the bits of its marks (``stream.core.grammar``).
    """

    __slots__ = ("_found", "ends", "marks", "starts", "stops", "text")

    def __init__(
        self, text: str, starts: list[int], ends: list[int], stops: list[int], marks: list[int]
    ) -> None:
        self.text = text
        self.starts = starts[:MAX_CLAUSES]
        self.ends = ends[:MAX_CLAUSES]
        self.stops = stops
        self.marks = marks
        self._found: dict[int, tuple[SaidTime, ...]] = {}

    def by_clause(self, matches: Iterable[Match]) -> Iterator[tuple[int, list[Match]]]:
        """Yield the clauses that have matches, with these; ``matches`` come by place."""
        ends = self.ends
        latest = -1
        inside: list[Match] = []
        for match in matches:
            number = bisect_right(ends, match.start)
            if number != latest:
                if inside:
                    yield latest, inside
                latest, inside = number, []
            if number < len(ends):
                inside.append(match)
        if inside:
            yield latest, inside

    def words(self, number: int) -> str:
        """Return the words of one clause."""
        return self.text[self.starts[number] : self.ends[number]]

    def gap(self, number: int) -> str:
        """Return what divides one clause from the next."""
        return self.text[self.ends[number] : self.stops[number]]

    def closes(self, number: int) -> bool:
        """Whether a sentence ends behind the clause."""
        return not _ENDS.isdisjoint(self.gap(number))

    def times(self, number: int) -> tuple[SaidTime, ...]:
        """Return the times that one clause names."""
        if not self.marks[number] & grammar.TIMES:
            return ()
        found = self._found.get(number)
        if found is None:
            # In place, as no number goes on over what divides two clauses.
            found = self._found[number] = find_deadlines(self.text, self.starts[number], self.ends[number])
        return found


class Clause:
    """One clause, and what it takes from those round it; what was asked once is known."""

    __slots__ = ("_hangs", "_times", "end", "marks", "message", "number", "start")

    def __init__(self, message: Message, number: int) -> None:
        self.message = message
        self.number = number
        self.start, self.end = message.starts[number], message.ends[number]
        self.marks = message.marks[number]
        self._times: Sequence[SaidTime] | None = None
        self._hangs: bool | None = None

    def asks(self, within: int | None = None) -> bool:
        """Whether it is a question; one for consent (可以吗) is none.

        ``within``: question words behind that place belong to what is asked for (帮您看下有没有货).
        """
        message, number = self.message, self.number
        asked = "?" in message.gap(number)
        following = (
            number + 1 < len(message.ends)
            and message.marks[number + 1] & grammar.ASKS_AFTER.bit
            and not message.closes(number)
        )
        if not (asked or following or self.marks & _QUESTION):
            return False
        body = message.words(number).rstrip(_PARTICLES)
        if _TAG.search(body):
            return False
        if following and grammar.ASKS_AFTER.search(message.words(number + 1).rstrip(_PARTICLES)):
            return True
        if within is not None:
            body = body[: within - self.start]
        elif grammar.ENDS_AS_QUESTION.search(body):
            return True
        return asked or grammar.ASKS.search(body) is not None

    @property
    def hangs(self) -> bool:
        """Whether it waits for something: an if of its sentence, or what has to come first."""
        if self._hangs is None:
            self._hangs = self._waits()
        return self._hangs

    def _waits(self) -> bool:
        message = self.message
        for number in range(self.number, max(-1, self.number - FARTHEST_IF), -1):
            back = self.number - number
            if back and message.closes(number):
                return False
            marks = message.marks[number]
            if marks & _HANGS:
                words = message.words(number)
                if back <= FARTHEST_AFTER and marks & grammar.AFTER.bit and grammar.AFTER.search(words):
                    return True
                if grammar.IF.search(words) or (back <= 1 and grammar.FILED.search(words)):
                    return True
            if number and back and message.gap(number - 1).isspace():
                return False  # who types a blank for a comma does not go on for long
        return False

    @property
    def requests(self) -> bool:
        """Whether it, or a clause shortly before, asks the customer for something."""
        message, first = self.message, max(0, self.number - FARTHEST_REQUEST)
        if not any(marks & grammar.REQUEST.bit for marks in message.marks[first : self.number + 1]):
            return False
        return grammar.REQUEST.search(message.text, message.starts[first], self.end) is not None

    @property
    def times(self) -> Sequence[SaidTime]:
        """Its times; where it has none, that of a neighbour that is nothing but a time."""
        if self._times is None:
            self._times = self._own_times() or self._times_beside()
        return self._times

    def _own_times(self) -> Sequence[SaidTime]:
        text = self.message.text
        own = self.message.times(self.number)
        return own and [time for time in own if not _CONDITION_OF_TIME.match(text, time.end)]

    def _times_beside(self) -> Sequence[SaidTime]:
        message, number = self.message, self.number
        if not self.marks & grammar.NEAR_TIMES:
            return ()
        for near in (number - 1, number + 1):
            if 0 <= near < len(message.ends) and message.marks[near] & grammar.TIMES:
                start, end = message.starts[near], message.ends[near]
                # Only the words round a time may stand there: 最晚, 之内.
                if end - start <= LONGEST_TIME:
                    alone = message.times(near)
                    if len(alone) == 1 and end - start - (alone[0].end - alone[0].start) <= 3:
                        return alone
        return ()


def cut(texts: Sequence[str]) -> list[Message]:
    """Return normalised texts as messages, cut into clauses."""
    if not texts:
        return []
    joined = Joined(texts)
    codes = joined.codes
    marks = grammar.marks(codes)
    kinds = looked_up(_KINDS, codes)
    bounds = np.array(joined.bounds)
    kinds[bounds[1:] - 1] = _END
    edges = _edges(kinds)
    starts, ends = edges[::2], edges[1::2]
    shares = np.searchsorted(starts, bounds)
    base = np.repeat(bounds[:-1], np.diff(shares))
    # Every other of these stretches lies between two clauses.
    found = _with_neighbours(np.bitwise_or.reduceat(marks, edges)[::2]) if edges.size else []
    first, last = (starts - base).tolist(), (ends - base).tolist()
    messages = [
        Message(text, first[low:high], last[low:high], [*first[low + 1 : high], len(text)], found[low:high])
        for text, (low, high) in zip(texts, pairwise(shares.tolist()), strict=True)
    ]
    rules = (kinds & _RULE).nonzero()[0]
    behind = codes[rules - 1]
    ruled = rules[(behind >= _FIRST_WORD) & (behind <= _LAST_WORD)].tolist()
    for number in {bisect_right(joined.bounds, place) - 1 for place in ruled}:
        start = joined.bounds[number]
        messages[number] = _cut_one(texts[number], marks[start : start + len(texts[number])])
    return messages


def _edges(kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Return where clauses start and end, by turns."""
    breaks = (kinds & (_BREAKS | _END)) != 0
    points = (kinds & _POINT).nonzero()[0]
    if points.size:
        within = ((kinds[points - 1] & _DIGIT) != 0) & ((kinds[points + 1] & _BREAKS) == 0)
        breaks[points[within]] = False
    edges = (breaks[1:] != breaks[:-1]).nonzero()[0] + 1
    return edges if breaks[0] else np.concatenate((np.zeros(1, edges.dtype), edges))


def _cut_one(text: str, marks: Bits) -> Message:
    """Return one text as a message; ``marks`` are those of its characters."""
    starts: list[int] = []
    ends: list[int] = []
    stops: list[int] = []
    done = 0
    for gap in _BREAK.finditer(text):
        if gap.start() > done:
            starts.append(done)
            ends.append(gap.start())
            stops.append(gap.end())
        done = gap.end()
    if done < len(text):
        starts.append(done)
        ends.append(len(text))
        stops.append(len(text))
    found = [np.bitwise_or.reduce(marks[start:end]) for start, end in zip(starts, ends, strict=True)]
    return Message(text, starts, ends, stops, _with_neighbours(np.array(found, np.uint32)))


def _with_neighbours(marks: Bits) -> list[int]:
    """Return the marks of clauses, with ``NEAR_TIMES`` where one or one beside it may name a time."""
    near: Bits = (marks & np.uint32(grammar.TIMES)) * np.uint32(grammar.NEAR_TIMES // grammar.TIMES)
    marks = marks | near
    marks[1:] |= near[:-1]
    marks[:-1] |= near[1:]
    marked: list[int] = marks.tolist()
    return marked


def _kinds() -> npt.NDArray[np.uint8]:
    blanks = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
    kinds = np.zeros(PLANE, np.uint8)
    for chars, kind in (
        (",，。.!！?？;；~…()" + blanks, _BREAKS), (".", _POINT), ("0123456789", _DIGIT), ("#*", _RULE),
    ):  # fmt: skip
        kinds[list(map(ord, chars))] |= kind
    return kinds


_KINDS: Final = _kinds()
