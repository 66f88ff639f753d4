"""How terms can be written other than plainly, and texts without what hides them.

Pure tables: what characters sound and look like comes from `Spellings`, which `stream.spelling` loads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice, product
from typing import Final, NamedTuple

import numpy as np

from stream.core.joined import PLANE, Joined, characters, code_points, looked_up, marked
from stream.core.lexicon import Evasion

MAX_TERM: Final = 16
"""Characters of a spelling that is looked for in disguise; a longer one is a sentence."""

MAX_GAP: Final = 4
"""Characters that may stand between two characters of a term: 投 * 诉, not a line of dashes."""

MAX_PATTERNS: Final = 300
"""Ways to write one spelling that an automaton holds."""

MAX_TYPED: Final = 30
"""Letters of a run that is cut into syllables; a longer one is no pinyin."""

MAX_KNOWN: Final = 10_000
"""Runs of letters and signs whose skeletons are kept in memory, started afresh when full."""

LONGEST_SYLLABLE: Final = 6

_MIXED: Final = 3
"""Terms up to so many characters are known with initials for any of them (t诉), longer ones for all."""

_FUZZY_STARTS: Final = (("zh", "z"), ("ch", "c"), ("sh", "s"))
_FUZZY_ENDS: Final = (("ing", "in"), ("eng", "en"))
"""What people who spell by ear confuse: toushu for 投诉."""

_SOUNDS: Final = 0xE000
_TYPED: Final = 0xE800
"""Private characters for syllables: as sounds, and as typed in letters. Folded texts have none."""

_STOPS: Final = ",。!?;:"
"""Ends of a clause. They separate thoughts, not the characters of a word."""

_STROKES: Final = "丶丨丿亅乛"
"""Strokes that are ideographs to Unicode, and dots and lines to those who put them between characters."""

_CJK_RANGES: Final = (
    (0x3400, 0x4DBF), (0x4E00, 0x4E27), (0x4E29, 0x4E35), (0x4E37, 0x4E3E),
    (0x4E40, 0x4E5A), (0x4E5C, 0x4E84), (0x4E86, 0x9FFF),
)  # fmt: skip
"""Ideographs but those strokes."""

_CJK: Final = "".join(f"{chr(first)}-{chr(last)}" for first, last in _CJK_RANGES)

_SPECIAL: Final = re.compile(rf"[a-z]+|[^a-z0-9{_CJK}{_STOPS}]+|(?P<run>[{_CJK}])(?P=run)+")
_APART: Final = re.compile(f"({_SPECIAL.pattern})")
"""Splits a text into plain and special parts by turns, with what a run repeats behind each special one."""

_IDEOGRAPH: Final = np.zeros(PLANE, np.bool_)
for _first, _last in _CJK_RANGES:
    _IDEOGRAPH[_first : _last + 1] = True
_ODD: Final = ~(_IDEOGRAPH | marked("0123456789" + _STOPS))
"""Tables of the characters of ``_SPECIAL``, by code point."""

_RUN: Final = re.compile(r"(.)\1+")

_DIGIT_SYLLABLES: Final = ("ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu")

NUMERALS: Final[Mapping[str, str]] = {
    numeral: str(digit)
    for digit, row in enumerate(
        ("零〇", "一壹幺", "二贰两", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
    )
    for numeral in (str(digit), *row)
}
"""Numeral → digit."""


class _Ideographs:
    """All ideographs, as something to ask ``in`` of."""

    def __contains__(self, char: str) -> bool:
        return "\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf"


IDEOGRAPHS: Final = _Ideographs()


@dataclass(frozen=True, slots=True)
class Spellings:
    """How characters are read, what they look like, and what is everyday.

    ``readings``: toneless syllables, the most usual first, of characters of the first plane. ``pictures``:
    picture or foreign letter → the character it stands for. ``shapes``: character → those put for it.
    ``splits``: character → ways to take it apart. ``words``: everyday words of two to four characters.
    ``latin``: everyday words in letters.
    """

    readings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    latin: frozenset[str] = frozenset()


class Written(NamedTuple):
    """A way to write a plain spelling: how many pieces of the text stand for each of its units."""

    plain: str
    units: str
    sizes: tuple[int, ...]
    pieces: int
    allowed: frozenset[Evasion]


class Skeleton(NamedTuple):
    """A text without what was put between its characters: pieces, one a character, and their places."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, text: str) -> Skeleton:
        """Return the skeleton of a text in which nothing hides: itself."""
        return cls(text, range(len(text)), range(1, len(text) + 1))


def suspicious(joined: Joined) -> list[int]:
    """Return the numbers of the texts that are not their own skeletons.

    They hold anything but ideographs, digits and the ends of clauses, or repeat themselves.
    """
    codes = joined.codes
    special = looked_up(_ODD, codes)
    special[1:] |= (codes[1:] == codes[:-1]) & looked_up(_IDEOGRAPH, codes[1:])
    return joined.having(special)


def heard(syllable: str) -> str:
    """Return the syllable without the differences that typists confuse."""
    for full, short in _FUZZY_STARTS:
        if syllable.startswith(full):
            syllable = short + syllable[len(full) :]
    for full, short in _FUZZY_ENDS:
        if syllable.endswith(full):
            syllable = syllable[: -len(full)] + short
    return syllable.replace("v", "u")


class _Known(dict[str, str]):
    """Run of letters or signs → its skeleton, worked out when first asked for; bounded."""

    __slots__ = ("_squeeze",)

    def __init__(self, squeeze: Callable[[str], str]) -> None:
        super().__init__()
        self._squeeze = squeeze

    def __missing__(self, shown: str) -> str:
        squeezed = self._squeeze(shown)
        if len(shown) <= MAX_TYPED:
            if len(self) >= MAX_KNOWN:
                self.clear()
            self[shown] = squeezed
        return squeezed


class Tables:
    """The spellings, arranged for searching."""

    __slots__ = (
        "_codes",
        "_known",
        "_readings",
        "_shapes",
        "_sounds",
        "_splits",
        "_typed",
        "latin",
        "pictures",
        "words",
    )

    def __init__(self, spellings: Spellings) -> None:
        self._readings = {**spellings.readings, **{str(d): (s,) for d, s in enumerate(_DIGIT_SYLLABLES)}}
        self._known = _Known(self._squeeze)
        self._shapes = spellings.shapes
        self._splits = spellings.splits
        self.pictures = spellings.pictures
        self.words = spellings.words
        self.latin = spellings.latin
        syllables = sorted({syllable for read in self._readings.values() for syllable in read})
        sounds = sorted({heard(syllable) for syllable in syllables})
        codes = {sound: sound if len(sound) == 1 else chr(_SOUNDS + at) for at, sound in enumerate(sounds)}
        self._codes = {syllable: codes[heard(syllable)] for syllable in syllables}
        typed = {syllable for syllable in syllables if len(syllable) > 1}
        typed |= {syllable.replace("v", "u") for syllable in typed} | {heard(one) for one in typed}
        typed |= {wide for one in typed for wide in _widened(one) if heard(wide) in codes}
        self._typed = {
            syllable: chr(_TYPED + at) for at, syllable in enumerate(sorted(typed)) if len(syllable) > 1
        }
        sounding = {code: codes[heard(syllable)] for syllable, code in self._typed.items()}
        sounding |= {char: self._codes[read[0]] for char, read in self._readings.items()}
        self._sounds = np.arange(PLANE, dtype=np.uint32)
        self._sounds[list(map(ord, sounding))] = list(map(ord, sounding.values()))

    def heard(self, skeleton: str) -> str:
        """Return a skeleton's text with its sounds in place of characters and typed syllables."""
        # By whole arrays, as skeletons come by the batch: `str.translate` takes twenty times as long.
        return characters(looked_up(self._sounds, code_points(skeleton)))

    def squeezed(self, text: str) -> str:
        """Return the text of the skeleton alone, for a fraction of the price."""
        parts = _APART.split(text)  # and not `sub`: a call of ours for each of them costs more
        parts[1::3] = map(self._known.__getitem__, parts[1::3])
        del parts[2::3]
        return "".join(parts)

    def _squeeze(self, shown: str) -> str:
        found = _SPECIAL.fullmatch(shown)
        run = found is not None and found.lastindex is not None
        return "".join([piece for piece, _, _ in self._pieces(shown, 0, len(shown), run=run)])

    def skeleton(self, text: str) -> Skeleton:
        """Return the text's skeleton, in time linear in its length."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        done = 0
        for special in _SPECIAL.finditer(text):
            start, end = special.span()
            pieces.append(text[done:start])
            starts.extend(range(done, start))
            ends.extend(range(done + 1, start + 1))
            for piece, first, last in self._pieces(text, start, end, run=special.lastindex is not None):
                pieces.append(piece)
                starts.append(first)
                ends.append(last)
            done = end
        pieces.append(text[done:])
        starts.extend(range(done, len(text)))
        ends.extend(range(done + 1, len(text) + 1))
        return Skeleton("".join(pieces), starts, ends)

    def _pieces(self, text: str, start: int, end: int, *, run: bool) -> Iterator[tuple[str, int, int]]:
        if run:
            yield text[start], start, end
        elif "a" <= text[start] <= "z":
            yield from self._syllables(text, start, end)
        else:
            dropped = 0
            for place in range(start, end):
                char = self.pictures.get(text[place], text[place])
                if char.isalnum() and char not in _STROKES:
                    dropped = 0
                    yield char, place, place + 1
                    continue
                dropped += 1
                if dropped == MAX_GAP + 1:
                    yield _STOPS[0], place, place + 1

    def _syllables(self, text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        """Cut letters into syllables, the longest first, and single letters."""
        if end - start > MAX_TYPED:
            yield _STOPS[0], start, end
            return
        while start < end:
            for length in range(min(LONGEST_SYLLABLE, end - start), 1, -1):
                code = self._typed.get(text[start : start + length])
                if code is not None:
                    yield code, start, start + length
                    start += length
                    break
            else:
                yield text[start], start, start + 1
                start += 1

    def shapes_of(self, plain: str, allowed: frozenset[Evasion]) -> Iterator[tuple[str, Written]]:
        """Yield the ways to write a spelling that are seen in a skeleton: as it is, and in other shapes."""
        units = self.skeleton(plain).text
        count = len(units)
        yield units, Written(plain, units, (1,) * count, count, allowed)
        if Evasion.SHAPE in allowed:
            looks = [self._shapes.get(unit, "") for unit in units]
            for other in islice(_substituted(units, looks), MAX_PATTERNS):
                if other not in self.words:
                    yield other, Written(plain, units, (1,) * count, count, allowed)
        if Evasion.SPLIT in allowed:
            ways = [(unit, *self._splits.get(unit, ())) for unit in units]
            for whole in islice(product(*ways), 1, MAX_PATTERNS):
                parts = [_RUN.sub(r"\1", part) for part in whole]
                sizes = tuple(map(len, parts))
                yield "".join(parts), Written(plain, units, sizes, sum(sizes), allowed)

        if Evasion.PINYIN in allowed and all(unit in self._readings for unit in units):
            spelt = [self._readings[unit][0] for unit in units]
            sizes = tuple(map(len, spelt))
            yield "".join(spelt), Written(plain, units, sizes, sum(sizes), allowed)

    def sounds_of(self, plain: str, allowed: frozenset[Evasion]) -> Iterator[tuple[str, Written]]:
        """Yield the ways to write a spelling that are heard in a skeleton."""
        units = self.skeleton(plain).text
        written = Written(plain, units, (1,) * len(units), len(units), allowed)
        if any(unit not in self._readings for unit in units if not "a" <= unit <= "z"):
            return
        codes = [self._codes_of(unit) for unit in units]
        numbers = Evasion.SHAPE in allowed and sum(unit.isdigit() for unit in units) > 2
        if numbers or not allowed.isdisjoint((Evasion.PINYIN, Evasion.HOMOPHONE)):
            for heard_as in islice(product(*codes), MAX_PATTERNS):
                yield "".join(heard_as), written
        if Evasion.INITIALS in allowed and all(unit in IDEOGRAPHS for unit in units):
            initials = [self._readings[unit][0][0] for unit in units]
            yield "".join(initials), written
            if len(units) <= _MIXED:
                for mixed in product(*([letter, *of] for letter, of in zip(initials, codes, strict=True))):
                    yield "".join(mixed), written

    def _codes_of(self, unit: str) -> tuple[str, ...]:
        if "a" <= unit <= "z":
            return (unit,)
        codes = [self._codes[syllable] for syllable in self._readings[unit]]
        if unit == "1":
            codes.append(self._codes.get("yao", codes[0]))
        return tuple(dict.fromkeys(codes))

    def trick(self, seen: str, shown: str, unit: str) -> Evasion | None:
        """Return by which trick one piece stands for a unit, or ``None`` if it does not.

        ``seen`` is the piece in the skeleton, ``shown`` what it is in the text.
        """
        if seen in self._shapes.get(unit, ""):
            return Evasion.SHAPE
        if seen in NUMERALS and NUMERALS[seen] == NUMERALS.get(unit):
            return Evasion.SHAPE
        expected = self._readings.get(unit, ())
        if "a" <= shown[0] <= "z":
            if any(shown == syllable or heard(shown) == heard(syllable) for syllable in expected):
                return Evasion.PINYIN
            return Evasion.INITIALS if any(shown == syllable[0] for syllable in expected) else None
        for read in self._readings.get(seen, ())[:1]:
            if any(heard(read) == heard(syllable) for syllable in expected):
                return Evasion.HOMOPHONE
        return None

    def ends_alike(self, typed: str, unit: str) -> bool:
        """Whether what was typed ends as a reading of the unit does, to the letter."""
        last = typed[-1].replace("v", "u")
        return any(last == syllable[-1].replace("v", "u") for syllable in self._readings.get(unit, (typed,)))

    def is_homophone(self, seen: str, unit: str) -> bool:
        """Whether two characters are read alike to the letter."""
        return self._readings[seen][0] in self._readings[unit]


def _widened(syllable: str) -> Iterator[str]:
    """Yield the syllables that are heard as this one is."""
    for full, short in _FUZZY_STARTS:
        if syllable.startswith(short) and not syllable.startswith(full):
            yield full + syllable[1:]
    for full, short in _FUZZY_ENDS:
        if syllable.endswith(short):
            yield syllable[: -len(short)] + full


def _substituted(units: str, looks: Sequence[str]) -> Iterator[str]:
    """Yield the units with one, then with two of them replaced by what looks alike."""
    places = [place for place, of in enumerate(looks) if of]
    for count in (1, 2):
        for chosen in combinations(places, count):
            for others in product(*(looks[place] for place in chosen)):
                changed = list(units)
                for place, other in zip(chosen, others, strict=True):
                    changed[place] = other
                yield "".join(changed)
