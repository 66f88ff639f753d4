"""All term lists in one automaton: one pass over a text finds every term of every pack.

Aho-Corasick runs in native code over the normalised text and reports overlapping matches. Only these
matches, which most messages do not have, are then examined one by one: allow-list, edges of Latin and
digit terms, word boundary. Of what is left the longest wins within one list; different lists do not
hide one another's terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from stream.core.joined import Joined, Span, automaton

Segmenter = Callable[[str], Iterable[str]]
"""Cuts a text into words which, joined, are the text again."""

MAX_MATCHES_PER_TERM: Final = 16
"""How often one term is reported of one text. Rules count to single digits; a message that repeats a
term ten thousand times must not stall a worker, nor hide another term that stands behind."""

MAX_SEGMENTED: Final = 256
"""Texts up to this many characters are cut into words whole: all that people type by hand."""

WINDOW: Final = 32
"""In longer texts only so many characters on either side of a match are cut into words."""

MAX_WINDOWS: Final = 64
"""How many such windows one text may cost (about 50 µs each); matches beyond it are not reported."""


NEAR: Final = 12
"""Characters on either side of a term in which context is looked for: a clause."""


class Boundary(StrEnum):
    """What must stand at the edges of a match."""

    ANY = "any"
    WORD = "word"


class Evasion(StrEnum):
    """A way of spelling a term so that people read it and machines do not."""

    SEPARATORS = "separators"  # 投-诉, 加.微.信, 投投诉诉
    SHAPE = "shape"  # look-alikes: 投拆, v信, 一二三一五
    SPLIT = "split"  # 扌殳讠斥
    HOMOPHONE = "homophone"  # 投素, 威❤
    PINYIN = "pinyin"  # tousu, 投su
    INITIALS = "initials"  # ts, t诉


@dataclass(frozen=True, slots=True)
class Term:
    """One term of one list, as a pack states it.

    ``terms`` is the qualified name of its list (``emotion.anger.anger``), ``text`` the spelling that is
    reported, ``variants`` other spellings of the same. A match inside an occurrence of one of the
    ``not_in`` phrases does not count. ``degree`` is how strong the term is by itself (1.0 plain).
    ``negatable`` is false where a negation before it does not deny it. With ``near`` it counts only where
    one of these phrases stands within ``NEAR`` characters of it, with ``not_near`` only where none does.
    ``evasions`` are the tricks in which it is still recognised (`stream.core.evasion`).
    """

    terms: str
    text: str
    variants: tuple[str, ...] = ()
    boundary: Boundary = Boundary.ANY
    not_in: tuple[str, ...] = ()
    degree: float = 1.0
    negatable: bool = True
    pack: str = ""
    near: tuple[str, ...] = ()
    not_near: tuple[str, ...] = ()
    evasions: frozenset[Evasion] = frozenset()


class Match(msgspec.Struct, frozen=True, gc=False):
    """A term found: half-open character offsets into the normalised text."""

    term: Term
    start: int
    end: int


class _Condition(NamedTuple):
    """What a match must satisfy; most terms ask for nothing."""

    allowed: tuple[tuple[str, int], ...]  # a phrase of the allow-list, how far into it the spelling stands
    whole: bool  # words must begin and end where it does
    near: tuple[str, ...]  # phrases one of which must stand beside it
    not_near: tuple[str, ...]  # phrases none of which may

    def holds(self, text: str, start: int, end: int, words: _Words | None) -> bool:
        """Whether the match ``[start, end)`` counts; ``words`` are those of the text, for ``whole``."""
        for phrase, shift in self.allowed:
            if start >= shift and text.startswith(phrase, start - shift):
                return False
        if words is not None and self.whole and not words.hold(start, end):
            return False
        return not (self.near or self.not_near) or self._suits(text, start, end)

    def _suits(self, text: str, start: int, end: int) -> bool:
        """Whether the surroundings are as asked for."""
        first = max(0, start - NEAR)
        before, after = text[first:start], text[end : end + NEAR]
        if self.near and not any(phrase in before or phrase in after for phrase in self.near):
            return False
        return not any(phrase in before or phrase in after for phrase in self.not_near)


class _Entry(NamedTuple):
    """A term as one of its spellings stands for it."""

    term: Term
    number: int  # of the term, for the cap on matches
    condition: _Condition | None


class _Spelling(NamedTuple):
    """A pattern of the automaton and the terms it stands for."""

    # Kind of character that must not stand before and after: "a", "0" or ""; None where any may.
    edges: tuple[str, str] | None
    entries: tuple[_Entry, ...]


class Lexicon:
    """Finds terms in normalised texts.

    ``normalise`` folds spellings and allow-list phrases as the texts are folded. ``segment`` is needed
    only where a term asks for a word boundary: without it ``ValueError`` is raised for such a term.
    ``lists`` are the names of the terms' lists, ``spellings`` all that is looked for.
    """

    __slots__ = ("_automaton", "_plain", "_segment", "_spellings", "lists", "spellings")

    def __init__(
        self, terms: Iterable[Term], normalise: Callable[[str], str], segment: Segmenter | None = None
    ) -> None:
        by_spelling: dict[str, list[_Entry]] = {}
        lists: set[str] = set()
        for number, term in enumerate(terms):
            if term.boundary is Boundary.WORD and segment is None:
                raise ValueError(f"term list {term.terms} asks for word boundaries and there is no segmenter")
            lists.add(term.terms)
            phrases = [phrase for phrase in map(normalise, term.not_in) if phrase]
            near, not_near = tuple(map(normalise, term.near)), tuple(map(normalise, term.not_near))
            for spelling in dict.fromkeys(map(normalise, (term.text, *term.variants))):
                if spelling:
                    asked = _Condition(
                        _places(spelling, phrases), term.boundary is Boundary.WORD, near, not_near
                    )
                    entry = _Entry(term, number, asked if any(asked) else None)
                    by_spelling.setdefault(spelling, []).append(entry)
        self.lists: frozenset[str] = frozenset(lists)
        self._spellings = [
            _Spelling(_edges(spelling), tuple(entries)) for spelling, entries in by_spelling.items()
        ]
        self._plain = [_plain(spelling) for spelling in self._spellings]
        self.spellings: tuple[str, ...] = tuple(by_spelling)
        self._automaton = automaton(by_spelling) if by_spelling else None
        self._segment = segment

    def find(self, text: str) -> list[Match]:
        """Return the terms found in a normalised text, by start, then end, then list.

        Linear in ``len(text)``. Raises nothing for a text that came from the normaliser (a lone surrogate
        would raise ``UnicodeEncodeError``).
        """
        return self.find_all((text,))[0]

    def find_all(self, texts: Sequence[str]) -> list[list[Match]]:
        """Return what ``find`` returns of each text; one call of the automaton for all costs half."""
        matches: list[list[Match]] = [[] for _ in texts]
        for number, own in self.spot_all(Joined(texts)):
            matches[number] = self.examine(texts[number], own)
        return matches

    def spot_all(self, joined: Joined) -> Iterator[tuple[int, list[Span]]]:
        """Yield each text's number and where ``spellings`` stand in it, as (spelling, start, end)."""
        if self._automaton is None:
            return iter(())
        return joined.by_text(self._automaton.find_matches_as_indexes(joined.text, overlapping=True))

    def examine(self, text: str, found: Sequence[Span]) -> list[Match]:
        """Return what ``find`` returns, of the spellings that ``spot_all`` found in the text."""
        spellings, plain = self._spellings, self._plain
        words: _Words | None = None
        # A term cannot be found more often than all spellings together: most texts need no counting.
        counts: dict[int, int] | None = {} if len(found) > MAX_MATCHES_PER_TERM else None
        matches: list[Match] = []
        for index, start, end in found:
            only = plain[index]
            if only is not None and counts is None:
                matches.append(Match(only, start, end))
                continue
            edges, entries = spellings[index]
            if edges is not None and _cuts_a_word(text, start, end, edges):
                continue
            for term, number, condition in entries:
                if counts is not None and counts.get(number, 0) >= MAX_MATCHES_PER_TERM:
                    continue
                if condition is not None:
                    if condition.whole and words is None:
                        words = _Words(text, self._segment)
                    if not condition.holds(text, start, end, words):
                        continue
                if counts is not None:
                    counts[number] = counts.get(number, 0) + 1
                matches.append(Match(term, start, end))
        return matches if len(matches) < 2 else _ordered(matches)


class _Words:
    """Word boundaries of one text, cut only when asked for."""

    __slots__ = ("_left", "_segment", "_text", "_whole")

    def __init__(self, text: str, segment: Segmenter | None) -> None:
        self._text = text
        self._segment = segment
        self._whole: frozenset[int] | None = None
        self._left = MAX_WINDOWS

    def hold(self, start: int, end: int) -> bool:
        """Whether ``[start, end)`` begins and ends where words do."""
        if len(self._text) <= MAX_SEGMENTED:
            if self._whole is None:
                self._whole = self._cuts(self._text)
            return start in self._whole and end in self._whole
        if self._left == 0:
            return False
        self._left -= 1
        first = max(0, start - WINDOW)
        cuts = self._cuts(self._text[first : end + WINDOW])
        return start - first in cuts and end - first in cuts

    def _cuts(self, text: str) -> frozenset[int]:
        cuts = {0}
        place = 0
        for word in self._segment(text) if self._segment else ():
            place += len(word)
            cuts.add(place)
        return frozenset(cuts)


_PLACE: Final = attrgetter("start", "end", "term.terms")


def _ordered(matches: list[Match]) -> list[Match]:
    """Return the longest matches of each list, by place; ``matches`` come in the order of their ends."""
    if _apart(matches):
        return matches  # as most often
    by_list: dict[str, list[Match]] = {}
    for match in matches:
        by_list.setdefault(match.term.terms, []).append(match)
    if len(by_list) < len(matches):
        matches = []
        for own in by_list.values():
            matches += own if _apart(own) else _longest(own)
    matches.sort(key=_PLACE)
    return matches


def _apart(matches: Iterable[Match]) -> bool:
    """Whether none overlaps another; they come in the order of their ends."""
    done = 0
    for match in matches:
        if match.start < done:
            return False
        done = match.end
    return True


def _longest(matches: list[Match]) -> list[Match]:
    """Return those matches of one list that no longer one, nor an earlier one as long, overlaps."""
    kept: list[Match] = []
    taken: set[int] = set()
    for match in sorted(matches, key=lambda match: (match.start - match.end, match.start)):
        # A kept match is at least as long as this one: where they overlap it covers one of the two ends.
        if match.start not in taken and match.end - 1 not in taken:
            taken.update(range(match.start, match.end))
            kept.append(match)
    return kept


def _places(spelling: str, phrases: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return every place at which the spelling stands inside one of the phrases."""
    return tuple(
        (phrase, shift)
        for phrase in phrases
        for shift in range(len(phrase) - len(spelling) + 1)
        if phrase.startswith(spelling, shift)
    )


def _plain(spelling: _Spelling) -> Term | None:
    """Return the term of a spelling that is one wherever it stands: as most are."""
    edges, entries = spelling
    return entries[0].term if edges is None and len(entries) == 1 and entries[0].condition is None else None


def _edges(spelling: str) -> tuple[str, str] | None:
    edges = _kind(spelling[0]), _kind(spelling[-1])
    return edges if any(edges) else None


def _kind(char: str) -> str:
    if char.isascii():
        if char.isalpha():
            return "a"
        if char.isdigit():
            return "0"
    return ""


def _cuts_a_word(text: str, start: int, end: int, edges: tuple[str, str]) -> bool:
    """Whether a Latin or digit term is only part of a word or number: av in have, 110 in 2110.

    A letter beside a digit is an edge: people write vx12345.
    """
    before, after = edges
    return bool(before and start and _kind(text[start - 1]) == before) or bool(
        after and end < len(text) and _kind(text[end]) == after
    )
