"""Spelling tricks: terms that were spelt to be read by people and not by machines.

投-诉, 投素, tousu, 投su, 扌殳诉, 威❤ and ts are found and put back as the term they stand for, so that
everything behind (allow-lists, negation, rules, expressions, scores) sees the plain word. There are two
channels, each searched by one native automaton:

- *shape*: the text without what was put between its characters, repeats once, pictures as the characters
  they stand for. Holds the terms and what looks like them.
- *sound*: the same, each character as its toneless syllable. Holds the terms that ask for homophones,
  pinyin or initials. Typed syllables get the codes of the characters, so 投su and 头诉 are one pattern.

What they find is a suspicion. It is compared piece by piece with the term, which names the tricks that
were used; refused is what the term does not allow, and what an everyday word explains (投宿, 差 评价).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import eq
from typing import Final, NamedTuple

import ahocorasick_rs

from stream.core.evasion_tables import (
    IDEOGRAPHS,
    MAX_TERM,
    NUMERALS,
    Skeleton,
    Spellings,
    Tables,
    Written,
    suspicious,
)
from stream.core.joined import Joined
from stream.core.lexicon import Evasion, Term
from stream.core.text import Offsets, stretched

MAX_EXAMINED: Final = 4_096
"""Characters of a text that are examined: four times what anyone types. Behind it plain terms are found."""

MAX_SUSPICIONS: Final = 512
"""Suspicions of one text that are judged, a few microseconds each; a hostile text could raise thousands."""

MAX_PATTERNS: Final = 600
"""Ways to write one spelling that an automaton holds: 投诉 has forty, a word of five characters hundreds."""

MAX_ALL_PATTERNS: Final = 300_000
"""Ways to write all spellings: 40 MiB, a second. A list of 60,000 terms keeps the plainest four of each."""

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

_DOUBLED: Final = re.compile(r"([^a-z0-9])\1").search

_BY_SOUND: Final = frozenset({Evasion.HOMOPHONE, Evasion.PINYIN, Evasion.INITIALS})
"""Tricks that variants are not recognised in: many are short, or tricks already (尼玛 sounds as 你妈)."""

_SHOWN: Final = frozenset({Evasion.SEPARATORS, Evasion.PINYIN, Evasion.INITIALS})
"""Tricks that leave a mark; the others may hide in a text of ordinary characters."""

_FIRST_IDEOGRAPH: Final = "\u3400"

_NONE: Final[frozenset[Evasion]] = frozenset()


class Found(NamedTuple):
    """A disguised term in a folded text: where, its plain spelling, and the tricks that were used."""

    start: int
    end: int
    plain: str
    tricks: frozenset[Evasion]


Suspicion = tuple[int, Written]
"""Which piece of a skeleton something may be written from, and what."""


class _Channel:
    """One automaton and what its patterns stand for."""

    __slots__ = ("_automaton", "_patterns")

    def __init__(self, patterns: dict[str, dict[str, Written]]) -> None:
        self._patterns = [tuple(of.values()) for of in patterns.values()]
        self._automaton = ahocorasick_rs.AhoCorasick(patterns) if patterns else None

    def __bool__(self) -> bool:
        return self._automaton is not None

    def search(self, joined: Joined, text: str) -> Iterator[tuple[int, list[Suspicion]]]:
        """Yield the number of each text in which something may be written, and where and what.

        ``text`` is ``joined.text``, or what it sounds like.
        """
        if self._automaton is None:
            return
        patterns = self._patterns
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        for number, own in joined.by_text(found):
            yield (
                number,
                [(start, one) for index, start, _ in own[:MAX_SUSPICIONS] for one in patterns[index]],
            )


class Disguises:
    """Finds disguised terms in folded texts and puts the plain ones back.

    ``normalise`` folds spellings as the texts are folded. Left out are terms without evasions and
    spellings of one character, with other characters than ideographs, letters and digits, or doubled ones.
    """

    __slots__ = ("_lurking", "_shape", "_sound", "_tables")

    def __init__(self, terms: Iterable[Term], normalise: Callable[[str], str], spellings: Spellings) -> None:
        self._tables = Tables(spellings)
        shapes: dict[str, dict[str, Written]] = {}
        sounds: dict[str, dict[str, Written]] = {}
        sought = _spellings(terms, normalise)
        most = max(1, min(MAX_PATTERNS, MAX_ALL_PATTERNS // max(1, len(sought))))
        for plain, allowed in sought.items():
            for text, written in islice(self._tables.shapes_of(plain, allowed), most):
                shapes.setdefault(text, {}).setdefault(plain, written)
            for text, written in islice(self._tables.sounds_of(plain, allowed), most):
                sounds.setdefault(text, {}).setdefault(plain, written)
        self._lurking = any(allowed - _SHOWN for allowed in sought.values())
        self._shape = _Channel(shapes)
        self._sound = _Channel(sounds)

    def __bool__(self) -> bool:
        """Whether there is anything to find."""
        return bool(self._shape)

    def reveal(self, text: str, offsets: Offsets | None, length: int) -> tuple[str, Offsets | None]:
        """Return the folded text with plain terms for disguised ones, and the map back to the original.

        ``offsets`` and the result are maps as `Normaliser.normalise` makes them, ``length`` is that of the
        original text. The text never grows. Linear; raises nothing.
        """
        return self.reveal_all(((text, offsets),), (length,))[0]

    def reveal_all(
        self, folded: Sequence[tuple[str, Offsets | None]], lengths: Sequence[int]
    ) -> list[tuple[str, Offsets | None]]:
        """Return what ``reveal`` returns of each text, for a fraction of the price."""
        revealed = list(folded)
        for number, found in self._find([text for text, _ in folded]):
            revealed[number] = _put_back(*folded[number], lengths[number], found)
        return revealed

    def find(self, text: str) -> list[Found]:
        """Return the disguised terms of a folded text, from left to right, none overlapping another."""
        return next((found for _, found in self._find((text,))), [])

    def _find(self, texts: Sequence[str]) -> Iterator[tuple[int, list[Found]]]:
        """Yield the number of each text that holds disguised terms, and these."""
        texts = [text[:MAX_EXAMINED] for text in texts]
        odd = frozenset(suspicious(Joined(texts)))
        skeletons = list(texts) if self._lurking else [""] * len(texts)
        for number in odd:
            skeletons[number] = self._tables.squeezed(texts[number])
        for number, suspicions in self._suspect(skeletons):
            found = self._examine(texts[number], suspicions, plain=number not in odd)
            if found:
                yield number, found

    def _suspect(self, skeletons: Sequence[str]) -> Iterable[tuple[int, list[Suspicion]]]:
        """Return the numbers of the texts in which something may be written, and what."""
        joined = Joined(skeletons)
        seen = dict(self._shape.search(joined, joined.text))
        if self._sound:
            for number, heard in self._sound.search(joined, self._tables.heard(joined.text)):
                skeleton = skeletons[number]
                seen.setdefault(number, []).extend([one for one in heard if _is_close(skeleton, *one)])
        return seen.items()

    def _examine(self, text: str, suspicions: Sequence[Suspicion], *, plain: bool) -> list[Found]:
        """Return which of the suspicions prove true; ``plain`` says that the text is its own skeleton."""
        if plain and all(text.startswith(written.plain, first) for first, written in suspicions):
            return []
        skeleton = Skeleton.of(text) if plain else self._tables.skeleton(text)
        found: dict[tuple[int, int], Found] = {}
        for first, written in suspicions[:MAX_SUSPICIONS]:
            one = self._judge(text, skeleton, first, written)
            if one is not None:
                known = found.get((one.start, one.end))
                if known is None or len(one.tricks) < len(known.tricks):
                    found[one.start, one.end] = one
        return _leftmost(found.values()) if any(one.tricks for one in found.values()) else []

    def _judge(self, text: str, skeleton: Skeleton, first: int, written: Written) -> Found | None:
        """Return what is written there, without tricks where plain; ``None`` if it is not the term."""
        last = first + written.pieces - 1
        start, end = skeleton.starts[first], skeleton.ends[last]
        if text[start:end] == written.plain:
            return Found(start, end, written.plain, _NONE)
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
            case.tricks.add(Evasion.PINYIN if _is_latin(shown[0]) else Evasion.SPLIT)
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
        case.letters += len(shown) == 1 and _is_latin(shown)
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
        if _is_latin(text[start]) and _is_latin(text[end - 1]):
            letters = "".join(filter(_is_latin, text[start:end]))
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


def _is_close(squeezed: str, first: int, written: Written) -> bool:
    """Whether half of the characters are right, or not all are ideographs; the rest is chance."""
    seen = squeezed[first : first + written.pieces]
    if 2 * sum(map(eq, seen, written.units)) >= written.pieces:
        return True
    return not seen.isalpha() or min(seen) < _FIRST_IDEOGRAPH or min(written.units) < _FIRST_IDEOGRAPH


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


def _spellings(terms: Iterable[Term], normalise: Callable[[str], str]) -> dict[str, frozenset[Evasion]]:
    """Return the folded spellings that can be disguised, each with all that any of its terms allows."""
    found: dict[str, frozenset[Evasion]] = {}
    for term in terms:
        if not term.evasions:
            continue
        for at, spelling in enumerate(map(normalise, (term.text, *term.variants))):
            usable = 1 < len(spelling) <= MAX_TERM and not _DOUBLED(spelling)
            if usable and all(_is_latin(char) or char.isdigit() or char in IDEOGRAPHS for char in spelling):
                allowed = term.evasions - _BY_SOUND if at else term.evasions
                found[spelling] = found.get(spelling, _NONE) | allowed
    return found


def _is_latin(char: str) -> bool:
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
    return (_is_latin(one) and _is_latin(other)) or (one in NUMERALS and other in NUMERALS)


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


def _leftmost(found: Iterable[Found]) -> list[Found]:
    """Return the disguised ones that no earlier or longer one overlaps; plain ones hold their place."""
    kept: list[Found] = []
    done = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if one.start >= done:
            done = one.end
            if one.tricks:
                kept.append(one)
    return kept


def _put_back(
    text: str, offsets: Offsets | None, length: int, found: Sequence[Found]
) -> tuple[str, Offsets | None]:
    """Put the plain terms in place of what was found; their first and last characters keep its ends."""
    pieces: list[str] = []
    places: list[int] = []
    done = 0
    for one in found:
        pieces += (text[done : one.start], one.plain)
        places.extend(range(done, one.start))
        places.extend(stretched(one.start, one.end, len(one.plain)))
        done = one.end
    pieces.append(text[done:])
    places.extend(range(done, len(text)))
    if offsets is not None:
        places = [offsets[place] for place in places]
    elif places == list(range(len(text))):
        return "".join(pieces), None
    return "".join(pieces), (*places, length)
