"""The verdict on a suspicion: is what stands there a term in disguise, and by which tricks?

A suspicion is compared piece by piece with the term, which names the tricks that were used; refused is
what the term does not allow, and what an everyday word explains (投宿, 差 评价).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from stream.core.evasion_tables import IDEOGRAPHS, NUMERALS, Skeleton, Tables, Written
from stream.core.lexicon import Evasion

LONGEST_WORD: Final = 4
"""Everyday words are looked up in windows of so many characters at most."""

_LOOSE: Final = frozenset(" \n\t、/~.")
"""What people put between clauses too, for want of a comma."""

_EVERYWHERE: Final = frozenset(
    "的一是不了在有我他这个们中来上大为和就时要会可也你对能而着下自之后所然多同没从只又很最并再还把被给与及或以于到让向谁"
    "吗呢吧啊哦呀嘛二三四五六七八九十几每哪其但此些么人见高少快慢好新老件骂归"
)
"""Small words and numerals. They stand beside anything (见人就夸, 去四楼): put for one of two characters they
are no sign of a trick."""

_SPOKEN: Final = frozenset("你您他她它们了吧啊呀吗哦客店的")
"""What may follow initials: TS你们, and not ts文件."""

NO_TRICKS: Final[frozenset[Evasion]] = frozenset()


class Found(NamedTuple):
    """A disguised term in a folded text: where, its plain spelling, and the tricks that were used."""

    start: int
    end: int
    plain: str
    tricks: frozenset[Evasion]


class Verdicts:
    """Decides on suspicions by what the tables know of characters and everyday words."""

    __slots__ = ("_tables",)

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def of(self, text: str, skeleton: Skeleton, first: int, written: Written) -> Found | None:
        """Return what is written there, without tricks where plain; ``None`` if it is not the term."""
        last = first + written.pieces - 1
        start, end = skeleton.starts[first], skeleton.ends[last]
        if text[start:end] == written.plain:
            return Found(start, end, written.plain, NO_TRICKS)
        case = _Case(text, start, end)
        piece = first
        for unit, size in zip(written.units, written.sizes, strict=True):
            if not self._compare(case, skeleton, piece, unit, size):
                return None
            piece += size
        used = case.tricks
        if Evasion.HOMOPHONE in written.allowed and any(char in IDEOGRAPHS for char in text[start:end]):
            used = used - {Evasion.PINYIN}  # 畜sheng is no other word's pinyin, as chusheng is
        if not used <= written.allowed or self._explained(case, len(written.units)):
            return None
        return Found(start, end, written.plain, frozenset(case.tricks))

    def _compare(self, case: _Case, skeleton: Skeleton, piece: int, unit: str, size: int) -> bool:
        """Note by which trick some pieces of the text stand for a unit of the term; false if they do not."""
        a, b = skeleton.starts[piece], skeleton.ends[piece + size - 1]
        if piece and case.start < a != skeleton.ends[piece - 1]:
            case.gaps.append(case.text[skeleton.ends[piece - 1] : a])
            case.tricks.add(Evasion.SEPARATORS)
        shown = case.text[a:b]
        if shown == unit:
            return True
        if size > 1:
            case.tricks.add(Evasion.PINYIN if is_latin(shown[0]) else Evasion.SPLIT)
            return True
        seen = skeleton.text[piece]
        if seen == unit:
            doubled = shown[0] == unit
            case.tricks.add(Evasion.SEPARATORS if doubled else Evasion.SHAPE)
            if doubled:
                case.doubled.append(a)
            return True
        trick = self._tables.trick(seen, shown, unit)
        if trick is None:
            return False
        case.tricks.add(trick)
        case.letters += len(shown) == 1 and is_latin(shown)
        if trick is Evasion.PINYIN:
            case.clipped += not self._tables.ends_alike(shown, unit)
        if trick is Evasion.HOMOPHONE:
            case.heard.append(a)
            case.digits += shown.isdigit()
            case.unlike += not self._tables.is_homophone(seen, unit)
        if len(shown) == 1 and shown in IDEOGRAPHS and (seen not in NUMERALS or unit not in NUMERALS):
            case.altered.append(a)
        return True

    def _explained(self, case: _Case, units: int) -> bool:
        """Whether the text there can be read as something ordinary."""
        return (
            _continues(case.text, case.start, case.end)
            or _too_far(case, units)
            or self._as_letters(case, units)
            or self._as_words(case, units)
        )

    def _as_letters(self, case: _Case, units: int) -> bool:
        """Whether letters or digits there mean what they say."""
        text, start, end = case.text, case.start, case.end
        if is_latin(text[start]) and is_latin(text[end - 1]):
            letters = "".join(filter(is_latin, text[start:end]))
            if letters in self._tables.latin or (case.letters == units and not _spoken(text, start, end)):
                return True
            if 0 < case.letters < units and len(letters) == end - start:
                return True  # neither initials nor pinyin: tsu
        if not case.loose or case.spaced(units):
            return False
        return Evasion.INITIALS in case.tricks or (
            Evasion.PINYIN not in case.tricks and text[start:end].isascii()  # 12.315, a b c
        )

    def _as_words(self, case: _Case, units: int) -> bool:
        """Whether everyday words stand there, in part or across an edge."""
        text, words = case.text, self._tables.words
        if any(_in_word(text, place, words, case) for place in case.altered):
            return True
        if any(text[place : place + 2] in words for place in case.doubled):
            return True
        if case.altered or case.doubled or (case.loose and not case.spaced(units)):
            return _crosses(text, case.start, words) or _crosses(text, case.end, words)
        return False


class _Case:
    """What is noted while a suspicion is judged."""

    __slots__ = (
        "altered", "clipped", "digits", "doubled", "end", "gaps",
        "heard", "letters", "start", "text", "tricks", "unlike",
    )  # fmt: skip

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.start = start
        self.end = end
        self.tricks: set[Evasion] = set()
        self.gaps: list[str] = []
        self.altered: list[int] = []  # ideographs that stand for others
        self.heard: list[int] = []  # those of them, and digits, that only sound alike
        self.doubled: list[int] = []  # where an ideograph is repeated
        self.digits = 0  # digits that stand for ideographs
        self.unlike = 0  # pieces that sound alike only to those who do not tell zh from z
        self.clipped = 0  # typed syllables that want the last letter, or have one too many
        self.letters = 0  # pieces of a single letter

    @property
    def loose(self) -> bool:
        """Whether something stands in between that people also put between clauses."""
        return any(not _LOOSE.isdisjoint(gap) for gap in self.gaps)

    def spaced(self, units: int) -> bool:
        """Whether something stands between any two characters of a term of three or more."""
        return units > 2 and len(self.gaps) == units - 1


def _too_far(case: _Case, units: int) -> bool:
    """Whether too little of the term is left: sounds are shared by too many characters."""
    if len(case.heard) > units // 2 or case.digits > (units > 2):
        return True
    if units > 2:
        return False
    if case.clipped or (len(case.altered) == units and (case.heard or _small(case, case.altered))):
        return True
    weak = case.unlike > 0 or _small(case, case.heard)
    return weak and not _stands_alone(case.text, case.start, case.end)


def is_latin(char: str) -> bool:
    """Whether the character is a letter; folded texts have small ones alone."""
    return "a" <= char <= "z"


def _spoken(text: str, start: int, end: int) -> bool:
    """Whether letters stand as a word that someone says: no digit beside them, no noun behind."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not before.isdigit() and (not after.isalnum() or after in _SPOKEN)


def _small(case: _Case, places: Iterable[int]) -> bool:
    return any(case.text[place] in _EVERYWHERE for place in places)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether nothing else is said in the clause."""
    return not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum()


def _continues(text: str, start: int, end: int) -> bool:
    """Whether a run of letters or digits goes on beyond an edge of the match."""
    return (start > 0 and _same_run(text[start - 1], text[start])) or (
        end < len(text) and _same_run(text[end - 1], text[end])
    )


def _same_run(one: str, other: str) -> bool:
    return (is_latin(one) and is_latin(other)) or (one in NUMERALS and other in NUMERALS)


def _in_word(text: str, place: int, words: frozenset[str], case: _Case) -> bool:
    """Whether the character at ``place`` is part of an everyday word that is the match, or goes beyond it.

    One inside the match explains nothing: 威信 is a word, 加威信 says nothing but 加微信.
    """
    return any(
        text[first : first + length] in words
        and (first < case.start or first + length > case.end or length == case.end - case.start)
        for length in range(2, LONGEST_WORD + 1)
        for first in range(max(0, place - length + 1), place + 1)
    )


def _crosses(text: str, edge: int, words: frozenset[str]) -> bool:
    """Whether an everyday word stands across ``edge``."""
    return any(
        text[first : first + length] in words
        for length in range(2, LONGEST_WORD + 1)
        for first in range(max(0, edge - length + 1), min(edge, len(text) - length + 1))
    )
