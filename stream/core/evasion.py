"""Spelling tricks: terms that were spelt to be read by people and not by machines.

投-诉, 投素, tousu, 投su, 扌殳诉, 威❤ and ts are found and put back as the term they stand for, so that
everything behind (allow-lists, negation, rules, expressions, scores) sees the plain word. There are two
channels, each searched by one native automaton:

- *shape*: the text without what was put between its characters, repeats once, pictures as the characters
  they stand for. Holds the terms and what looks like them.
- *sound*: the same, each character as its toneless syllable. Holds the terms that ask for homophones,
  pinyin or initials. Typed syllables get the codes of the characters, so 投su and 头诉 are one pattern.

What they find is a suspicion, on which `stream.core.evasion_verdict` decides. Texts come by the batch, and
suspicions are looked for in all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import eq
from typing import Final

from stream.core.evasion_tables import (
    IDEOGRAPHS,
    MAX_TERM,
    Skeleton,
    Spellings,
    Tables,
    Written,
    suspicious,
)
from stream.core.evasion_verdict import NO_TRICKS, Found, Verdicts, is_latin
from stream.core.joined import Joined, automaton
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

_DOUBLED: Final = re.compile(r"([^a-z0-9])\1").search

_BY_SOUND: Final = frozenset({Evasion.HOMOPHONE, Evasion.PINYIN, Evasion.INITIALS})
"""Tricks that variants are not recognised in: many are short, or tricks already (尼玛 sounds as 你妈)."""

_SHOWN: Final = frozenset({Evasion.SEPARATORS, Evasion.PINYIN, Evasion.INITIALS})
"""Tricks that leave a mark; the others may hide in a text of ordinary characters."""

_FIRST_IDEOGRAPH: Final = "\u3400"

Suspicion = tuple[int, Written]
"""Which piece of a skeleton something may be written from, and what."""


class _Channel:
    """One automaton and what its patterns stand for."""

    __slots__ = ("_automaton", "_patterns")

    def __init__(self, patterns: dict[str, dict[str, Written]]) -> None:
        self._patterns = [tuple(of.values()) for of in patterns.values()]
        self._automaton = automaton(patterns) if patterns else None

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

    __slots__ = ("_lurking", "_shape", "_sound", "_tables", "_verdicts")

    def __init__(self, terms: Iterable[Term], normalise: Callable[[str], str], spellings: Spellings) -> None:
        self._tables = Tables(spellings)
        self._verdicts = Verdicts(self._tables)
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
        self,
        folded: Sequence[tuple[str, Offsets | None]],
        lengths: Sequence[int],
        joined: Joined | None = None,
    ) -> Sequence[tuple[str, Offsets | None]]:
        """Return what ``reveal`` returns of each text, for a fraction of the price.

        ``joined`` are the texts, where they are joined already. Where nothing is disguised, the result is
        ``folded`` itself.
        """
        revealed: list[tuple[str, Offsets | None]] = []
        for number, found in self._find(joined or Joined([text for text, _ in folded])):
            revealed = revealed or list(folded)
            revealed[number] = _put_back(*folded[number], lengths[number], found)
        return revealed or folded

    def find(self, text: str) -> list[Found]:
        """Return the disguised terms of a folded text, from left to right, none overlapping another."""
        return next((found for _, found in self._find(Joined((text,)))), [])

    def _find(self, joined: Joined) -> Iterator[tuple[int, list[Found]]]:
        """Yield the number of each text that holds disguised terms, and these."""
        if max(map(len, joined.texts), default=0) > MAX_EXAMINED:
            joined = Joined([text[:MAX_EXAMINED] for text in joined.texts])
        texts = joined.texts
        odd = frozenset(suspicious(joined))
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
        if not suspicions or (plain and all(text.startswith(one.plain, first) for first, one in suspicions)):
            return []
        skeleton = Skeleton.of(text) if plain else self._tables.skeleton(text)
        found: dict[tuple[int, int], Found] = {}
        for first, written in suspicions[:MAX_SUSPICIONS]:
            one = self._verdicts.of(text, skeleton, first, written)
            if one is not None:
                known = found.get((one.start, one.end))
                if known is None or len(one.tricks) < len(known.tricks):
                    found[one.start, one.end] = one
        return _leftmost(found.values()) if any(one.tricks for one in found.values()) else []


def _is_close(squeezed: str, first: int, written: Written) -> bool:
    """Whether half of the characters are right, or not all are ideographs; the rest is chance."""
    seen = squeezed[first : first + written.pieces]
    if 2 * sum(map(eq, seen, written.units)) >= written.pieces:
        return True
    return not seen.isalpha() or min(seen) < _FIRST_IDEOGRAPH or min(written.units) < _FIRST_IDEOGRAPH


def _spellings(terms: Iterable[Term], normalise: Callable[[str], str]) -> dict[str, frozenset[Evasion]]:
    """Return the folded spellings that can be disguised, each with all that any of its terms allows."""
    found: dict[str, frozenset[Evasion]] = {}
    for term in terms:
        if not term.evasions:
            continue
        for at, spelling in enumerate(map(normalise, (term.text, *term.variants))):
            usable = 1 < len(spelling) <= MAX_TERM and not _DOUBLED(spelling)
            if usable and all(is_latin(char) or char.isdigit() or char in IDEOGRAPHS for char in spelling):
                allowed = term.evasions - _BY_SOUND if at else term.evasions
                found[spelling] = found.get(spelling, NO_TRICKS) | allowed
    return found


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
