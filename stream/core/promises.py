"""Who promised what until when: 您稍等, 马上查, 今天发货, 24小时内回复您, 明天给您回电话.

A text is read clause by clause. A clause promises where it holds a phrase that promises by itself (稍等), or
an act (发货) together with what the act needs to be a promise: a time, a word for soon, a word for who does
it. It does not where it asks, denies, tells what is done, what the customer may do, what usually happens, or
what will happen only after something that the customer or a third party has yet to do: there nothing is
owed yet. An act told as done, or as impossible now, is said too: it keeps a promise, or takes it back.

Phrases, defaults and parties are data (``lexicons/promise``). What is here is grammar: the small words that
turn a phrase round, as in ``stream.core.emotion``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from stream.core import handoffs
from stream.core.clauses import Clause, Message, cut
from stream.core.deadlines import Deadline, SaidTime, Within
from stream.core.grammar import (
    ABLE,
    CANNOT,
    DENIES,
    DONE_AFTER,
    DONE_BEFORE,
    FUTURE,
    NEAR_TIMES,
    SO_THAT,
    SOON,
    US,
    USUALLY,
    WILL,
    YOU,
    is_ours,
    is_the_customers,
)
from stream.core.handoffs import Named
from stream.core.joined import Joined
from stream.core.lexicon import Lexicon, Match, Term
from stream.core.said import AGENT, TELLS, Act, Kind, Said, settled, without_repeats


class Need(StrEnum):
    """What makes an act a promise; one of those that a pledge names must be there."""

    TIME = "time"  # 24小时内, 明天
    SOON = "soon"  # 马上, 尽快
    WILL = "will"  # 会, 将
    US = "us"  # 帮您, 我们, 专员
    PARTY = "party"  # 联系仓库, 跟仓库核实: of hand-offs, the department beside the act
    WITH = "with"  # 跟仓库核实 and not 核实物流


class Slot(StrEnum):
    """What a phrase of a pledge is."""

    SAY = "say"  # a promise by itself
    DO = "do"  # an act
    CANNOT = "cannot"  # takes a promise back
    NOT = "not"  # with it in the clause nothing is promised


@dataclass(frozen=True, slots=True)
class Pledge:
    """One way of promising. ``within`` holds where no time is said; ``slots`` are its phrases.

    An act without ``needs`` is a promise wherever it is told as still to come.
    """

    id: str
    title: str
    kind: Kind
    within: Deadline
    needs: frozenset[Need]
    slots: tuple[tuple[Slot, tuple[Term, ...]], ...]
    pack_version: str = ""

    @property
    def can_be_withdrawn(self) -> bool:
        """Whether the pack says how such a promise is taken back."""
        return any(slot is Slot.CANNOT for slot, _ in self.slots)


@dataclass(frozen=True, slots=True)
class Soon:
    """Words that say soon without a time (马上), and how long that is at most."""

    words: tuple[Term, ...]
    within: Deadline


@dataclass(frozen=True, slots=True)
class Party:
    """A party that the text can name as the one who will do it (仓库, 专员); alerts call it ``title``."""

    id: str
    title: str
    words: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is promised with, by whom, as the packs say: plain values, and part of the rule book."""

    pledges: tuple[Pledge, ...] = ()
    soon: tuple[Soon, ...] = ()
    parties: tuple[Party, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is to be read at all."""
        return bool(self.pledges)

    def title_of(self, party: str) -> str | None:
        """Return what people call a party; None where the agent owes."""
        return next((one.title for one in self.parties if one.id == party), None)

    def party_of(self, name: str) -> str | None:
        """Return the id of the party that goes by a name: its id, its title or a word for it."""
        for one in self.parties:
            if name in (one.id, one.title) or any(name == word.text for word in one.words):
                return one.id
        return None

    def build(self, normalise: Callable[[str], str]) -> Promises:
        """Return the reader; ``normalise`` folds phrases as the texts are folded."""
        return Promises(self.pledges, self.soon, self.parties, normalise)


NO_VOCABULARY: Final = Vocabulary()


_DONE_BEHIND: Final = frozenset("看询找阅一了过好完成到掉清")
"""The first characters of what ``grammar.DONE_AFTER`` finds."""

_ATTRIBUTE: Final = re.compile("的(?!$|[呢呀哦哈啊噢喔哟呦嘞哒吧嗯亲嫩])")
"""Behind an act: 发货的商品 names a thing."""

_REPORT: Final = re.compile("(?:到|了)?(?:您|你|这|此|该|是|已|显示|订单|没|不|目前|商品|今天|昨天)|到")
_FOUND: Final = re.compile("^之?后|^以后|^(?!.*(?:下|是否|有没有)).*(?:已|显示|了$)")
_FOR_YOU: Final = re.compile("[帮给为替][您你亲]|正在|马上|这就|立即|去|先")
"""Behind and before an act of checking: what was found, and that it is still to be done."""

_TALKS: Final = frozenset({Kind.CHECK, Kind.HANDLE})
"""What a customer does too: 今天可以送到 promises, 两天内可以修改 does not."""

_ASKED: Final = 1
_NAMED: Final = 2
_PROMISES: Final = 4
"""Signs of what a text may say: the act of a hand-off or a report, a party, anything of a promise."""


class _Phrase(NamedTuple):
    """What a phrase is, and of which bits its clause has one where it says anything (0: of none)."""

    pledge: Pledge
    slot: Slot
    reach: int


_TOLD: Final = DONE_BEFORE.bit | DONE_AFTER.bit
_NEEDED: Final = {
    Need.TIME: NEAR_TIMES,
    Need.SOON: SOON,
    Need.WILL: WILL.bit,
    Need.US: US.bit,
}
"""Bits that a clause has in which an act is told as done, or as what it needs to be a promise."""


def _reach(pledge: Pledge, slot: Slot) -> int:
    if slot is not Slot.DO or pledge.kind in TELLS or not pledge.needs:
        return 0
    bits = _TOLD | (DENIES.bit if pledge.can_be_withdrawn else 0)
    for need in pledge.needs:
        bits |= _NEEDED.get(need, 0)
    return bits


_Acts = list[tuple[Match, _Phrase]]


class Promises:
    """Reads promises out of normalised texts of the service side; immutable.

    ``normalise`` folds phrases as the texts are folded.
    """

    __slots__ = ("_lexicon", "_parties", "_phrases", "_signs", "_soon", "pledges")

    def __init__(
        self,
        pledges: Iterable[Pledge],
        soon: Iterable[Soon],
        parties: Iterable[Party],
        normalise: Callable[[str], str],
    ) -> None:
        self.pledges = tuple(pledges)
        self._phrases: dict[str, _Phrase] = {}
        self._soon: dict[str, Deadline] = {}
        self._parties: dict[str, str] = {}
        terms: list[Term] = []
        for pledge in self.pledges:
            for slot, phrases in pledge.slots:
                terms += phrases
                phrase = _Phrase(pledge, slot, _reach(pledge, slot))
                self._phrases.update((term.terms, phrase) for term in phrases)
        for words in soon:
            terms += words.words
            self._soon.update((term.terms, words.within) for term in words.words)
        for party in parties:
            terms += party.words
            self._parties.update((term.terms, party.id) for term in party.words)
        self._lexicon = Lexicon(terms, normalise)
        signs = dict.fromkeys(self._lexicon.spellings, 0)
        for term in terms:
            for spelling in map(normalise, (term.text, *term.variants)):
                if spelling:
                    signs[spelling] |= self._sign(term)
        self._signs = tuple(signs.values())

    def _sign(self, term: Term) -> int:
        """Return what the phrase is a sign of: bits of ``_PROMISES``, ``_ASKED`` and ``_NAMED``."""
        if term.terms in self._parties:
            return _NAMED
        phrase = self._phrases.get(term.terms)
        if phrase is None or phrase.slot is Slot.NOT:
            return 0
        return _ASKED if phrase.pledge.kind in TELLS else _PROMISES

    def find(self, text: str) -> tuple[Said, ...]:
        """Return what a normalised text of the service side says about promises, by place.

        Of one kind in one message there is one promise for each time that is named, or one without; an
        act told as done or taken back is told once. Linear in ``len(text)``; raises nothing.
        """
        return self.find_all((text,))[0]

    def find_all(self, texts: Sequence[str]) -> list[tuple[Said, ...]]:
        """Return what ``find`` returns of each text; those that have no phrase cost one look together."""
        found: list[tuple[Said, ...]] = [()] * len(texts)
        signs, lexicon = self._signs, self._lexicon
        spotted: list[tuple[int, list[Match]]] = []
        for number, own in lexicon.spot_all(Joined(texts)):
            seen = 0
            for spelling, _, _ in own:
                seen |= signs[spelling]
            # A department without an act, or the act without one, says nothing.
            if seen >= _PROMISES or seen == _ASKED | _NAMED:
                matches = lexicon.examine(texts[number], own)
                if matches:
                    spotted.append((number, matches))
        messages = cut([texts[number] for number, _ in spotted])
        for (number, matches), message in zip(spotted, messages, strict=True):
            found[number] = self._read_message(message, matches)
        return found

    def _read_message(self, message: Message, matches: Sequence[Match]) -> tuple[Said, ...]:
        found: list[Said] = []
        barred: list[str] = []
        latest = -1
        for number, inside in message.by_clause(matches):
            acts, named, bars, soon = self._words(inside, message.marks[number])
            # What bars a clause bars the rest of its list: 储蓄卡，三个工作日到账.
            if barred and (number != latest + 1 or message.closes(latest)):
                barred = []
            barred = barred + bars if bars else barred
            latest = number
            if barred:
                acts = [act for act in acts if act[1].pledge.id not in barred]
            if acts:
                told = _read(Clause(message, number), acts, named, soon)
                found += told if len(told) < 2 else without_repeats(told)
        return tuple(found if len(found) < 2 else settled(found))

    def _words(
        self, matches: Iterable[Match], marks: int
    ) -> tuple[_Acts, list[Named], list[str], Deadline | None]:
        """Return what the matches of a clause with these marks are.

        These are the acts that may say something, the parties, the pledges of which nothing is promised here,
        and how long the word for soon is.
        """
        phrases, parties = self._phrases, self._parties
        acts: _Acts = []
        named: list[Named] = []
        barred: list[str] = []
        soon: Deadline | None = None
        for match in matches:
            terms = match.term.terms
            phrase = phrases.get(terms)
            if phrase is not None:
                if phrase.slot is Slot.NOT:
                    barred.append(phrase.pledge.id)
                else:
                    acts.append((match, phrase))
            elif terms in parties:
                named.append(Named(match.start, match.end, parties[terms]))
            elif soon is None:
                soon = self._soon[terms]
                marks |= SOON
        return [act for act in acts if not (reach := act[1].reach) or marks & reach], named, barred, soon


def _read(clause: Clause, acts: _Acts, named: Sequence[Named], soon: Deadline | None) -> list[Said]:
    """Return what one clause says, given its phrases."""
    said: list[Said] = []
    for match, (pledge, slot, _) in acts:
        if pledge.kind in TELLS:
            one = _told(clause, match, pledge, named) if named else None
            if one is not None:
                said.append(one)
            continue
        act = _act(clause, match, pledge, slot, is_soon=soon is not None)
        if act is None:
            continue
        time = _nearest(clause.times, match, slot) if act is Act.MADE else None
        deadline = soon if soon is not None and slot is Slot.DO else pledge.within
        start, end = match.start, match.end
        if time is not None:
            deadline = time.deadline
            if clause.start <= time.start < clause.end:
                start, end = min(start, time.start), max(end, time.end)
        by = AGENT
        for party in named:
            if party.start < match.start:
                by = party.party
        said.append(Said(act, pledge.kind, pledge.id, start, end, deadline, time is None, by))
    return said


def _told(clause: Clause, match: Match, pledge: Pledge, named: Sequence[Named]) -> Said | None:
    """Return the hand-off to a department or its answer, where the clause tells of one."""
    if pledge.kind is Kind.REPORT:
        party = handoffs.answered(clause, match, named)
    else:
        party = handoffs.handed_over(clause, match, named, only_with=Need.WITH in pledge.needs)
    if party is None:
        return None
    start, end = min(match.start, party.start), max(match.end, party.end)
    return Said(Act.MADE, pledge.kind, pledge.id, start, end, pledge.within, vague=False, by=party.party)


def _act(clause: Clause, match: Match, pledge: Pledge, slot: Slot, *, is_soon: bool) -> Act | None:
    """Return what the clause does with a promise, if anything."""
    text, marks = clause.message.text, clause.marks
    before, after = text[clause.start : match.start], text[match.end : clause.end]
    if clause.asks(match.start if pledge.kind is Kind.CHECK and not after.endswith("吗") else None):
        return None
    if slot is Slot.CANNOT:
        return Act.WITHDRAWN
    denied = marks & DENIES.bit and DENIES.search(before)
    if slot is Slot.SAY:
        return None if denied else Act.MADE
    if denied or after.startswith(("不", "未")):
        cannot = pledge.can_be_withdrawn and (CANNOT.search(before) or after.startswith("不了"))
        return Act.WITHDRAWN if cannot else None
    if _is_done(clause, before, after, is_soon=is_soon):
        return Act.DONE
    if _names_no_act(clause, pledge, before, after):
        return None
    if (marks & YOU.bit and is_the_customers(before)) or clause.hangs:
        return None
    named = before + text[match.start : match.end]
    return Act.MADE if _is_promised(pledge, clause, before, named, is_soon=is_soon) else None


def _is_done(clause: Clause, before: str, after: str, *, is_soon: bool) -> bool:
    """Whether the act is told as done: 已经发货, 发货了, and not 已经登记今天会发货."""
    marks = clause.marks
    done = DONE_BEFORE.last(before) if marks & DONE_BEFORE.bit else None
    if done is not None:
        start, end = clause.start + done.end(), clause.start + len(before)
        later = any(start <= time.start < end for time in clause.times)
        return not later and not FUTURE.search(before, done.end())
    if not (marks & DONE_AFTER.bit and after[:1] in _DONE_BEHIND and DONE_AFTER.match(after)):
        return False
    return not is_soon and not clause.times and not FUTURE.search(before)


def _names_no_act(clause: Clause, pledge: Pledge, before: str, after: str) -> bool:
    """Whether the act is only named (发货的商品), usual (一般24小时发货), or introduces what was found."""
    if after.startswith("的") and _ATTRIBUTE.match(after):
        return True
    if clause.marks & USUALLY.bit and (USUALLY.search(before) or USUALLY.search(after)):
        return True
    return pledge.kind is Kind.CHECK and _is_report(before, after)


def _is_report(before: str, after: str) -> bool:
    """Whether an act of checking introduces what was found: 这边查看您已经退款了."""
    if _FOUND.search(after) is not None:
        return True
    return _REPORT.match(after) is not None and _FOR_YOU.search(before) is None


def _is_promised(pledge: Pledge, clause: Clause, before: str, named: str, *, is_soon: bool) -> bool:
    marks, needs = clause.marks, pledge.needs
    able = bool(marks & ABLE.bit) and ABLE.search(before) is not None
    if Need.TIME in needs and clause.times:
        if pledge.kind not in _TALKS:
            return True
        text = clause.message.text
        possible = able or ABLE.search(text, clause.start + len(named), clause.end) is not None
        return not possible or is_ours(named)
    if clause.requests or (marks & SO_THAT.bit and SO_THAT.search(before)):
        return False  # the customer is to do something first
    if Need.WILL in needs and not able and marks & WILL.bit and WILL.search(before):
        return True
    if not needs or (is_soon and Need.SOON in needs):
        return True
    return Need.US in needs and not able and bool(marks & US.bit) and is_ours(named)


def _nearest(times: Sequence[SaidTime], match: Match, slot: Slot) -> SaidTime | None:
    """Return the last time before the act, else the first after it; who waits does for minutes or hours."""
    if slot is Slot.SAY:
        return next((time for time in times if isinstance(time.deadline, Within)), None)
    before = [time for time in times if time.start <= match.start]
    return before[-1] if before else times[0] if times else None
