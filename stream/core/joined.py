"""The texts of a batch laid end to end: one call in native code looks at all of them.

Most messages have nothing in them that a step of `stream.core.annotate` could care for. Asking each costs
a microsecond or three, asking all at once a tenth of that; only those that have something are then looked
at one by one. What is found of a text never depends on its neighbours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, Generic, TypeVar, Union

import ahocorasick_rs
import numpy as np
import numpy.typing as npt

SEPARATOR: Final = ","
"""Stands behind each text. It folds to itself, is no sign of a disguise and ends a clause."""

FEW: Final = 4
"""Fewer texts than so many are looked at one by one: a call on an array costs what a short text does."""

PLANE: Final = 0x1_0000
"""Code points that tables tell apart; those behind it count as the last one, which is no character."""

LARGE: Final = 16_384
"""Characters of patterns up to which an automaton is a full table of its states, which halves its time
and takes some 500 bytes a character: 4 MiB for the shipped terms. Disguises have several times as many."""

_T = TypeVar("_T", bound=np.generic)
_N = TypeVar("_N", bound=np.unsignedinteger[Any])
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Span = tuple[int, int, int]
Texts = Union[Sequence[str], "Joined"]


def code_points(text: str) -> Codes:
    """Return the characters of a text as numbers; lone surrogates are their own."""
    # Of the type that look-ups take: each would convert any other for itself.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.intp)


def characters(codes: npt.NDArray[np.integer[Any]]) -> str:
    """Return the text of these code points."""
    return codes.astype(np.uint32, copy=False).tobytes().decode("utf-32-le", "surrogatepass")


def looked_up(table: npt.NDArray[_T], codes: Codes) -> npt.NDArray[_T]:
    """Return what a table of ``PLANE`` entries says of each character."""
    return table.take(codes, mode="clip")


def marked(chars: Iterable[str]) -> Mask:
    """Return a table of ``PLANE`` entries that is true for these characters."""
    table = np.zeros(PLANE, np.bool_)
    table[list(map(ord, chars))] = True
    return table


def automaton(patterns: Collection[str]) -> ahocorasick_rs.AhoCorasick:
    """Return what finds these patterns, of which there must be some."""
    small = sum(map(len, patterns)) <= LARGE
    kind = ahocorasick_rs.Implementation.DFA if small else None
    return ahocorasick_rs.AhoCorasick(patterns, implementation=kind)


class Marks(Generic[_N]):
    """Finds which characters begin something that is looked for, by tables and for whole batches.

    ``sought`` are bits, each with its marks: characters, or pairs of them. ``kind`` is the type of number
    that holds the bits.
    """

    __slots__ = ("_firsts", "_seconds", "_singles")

    def __init__(self, sought: Iterable[tuple[int, Iterable[str]]], kind: type[_N]) -> None:
        self._firsts, self._seconds, self._singles = (np.zeros(PLANE, kind) for _ in range(3))
        for bit, wanted in sought:
            for mark in wanted:
                if len(mark) == 1:
                    self._singles[ord(mark)] |= bit
                else:
                    self._firsts[ord(mark[0])] |= bit
                    self._seconds[ord(mark[1])] |= bit

    def of(self, codes: Codes) -> npt.NDArray[_N]:
        """Return, for each character, the bits of the marks that begin with it, and maybe others.

        Of two pairs of one bit the first character of one and the second of the other pass for a pair too.
        """
        found = looked_up(self._singles, codes)
        found[:-1] |= looked_up(self._firsts, codes[:-1]) & looked_up(self._seconds, codes[1:])
        return found


class Joined:
    """Texts, each with a ``SEPARATOR`` behind it, as one; ``bounds`` are where each starts, and the end."""

    __slots__ = ("_codes", "_starts", "bounds", "text", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.text = SEPARATOR.join((*texts, ""))
        self.bounds = [0, *accumulate([len(text) + 1 for text in texts])]
        self._codes: Codes | None = None
        self._starts: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, texts: Texts) -> Joined:
        """Return the texts joined; those that are stay as they are."""
        return texts if isinstance(texts, Joined) else cls(texts)

    @property
    def codes(self) -> Codes:
        """The characters of ``text`` as numbers, worked out once."""
        if self._codes is None:
            self._codes = code_points(self.text)
        return self._codes

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each text starts."""
        if self._starts is None:
            self._starts = np.array(self.bounds[:-1], np.int64)
        return self._starts

    def cut(self, image: str) -> list[str]:
        """Return the texts of an image of ``text`` that has a character for each of its characters."""
        return [image[start : end - 1] for start, end in pairwise(self.bounds)]

    def having(self, mask: Mask) -> list[int]:
        """Return the numbers of the texts that have a character for which the mask is true, rising."""
        numbers: list[int] = np.logical_or.reduceat(mask, self.starts).nonzero()[0].tolist()
        return numbers

    def by_text(self, found: Iterable[Span]) -> Iterator[tuple[int, list[Span]]]:
        """Yield each text's number and what was found in it, with places of its own.

        ``found`` are (pattern, start, end) in ``text``, in the order of their ends, as an automaton gives
        them. What lies across two texts is left out.
        """
        bounds = self.bounds
        number = start_of = end_of = -1
        own: list[Span] = []
        for pattern, start, end in found:
            if end > end_of:
                if own:
                    yield number, own
                    own = []
                number = bisect_right(bounds, end - 1) - 1
                start_of, end_of = bounds[number], bounds[number + 1]
            if start >= start_of and end < end_of:
                own.append((pattern, start - start_of, end - start_of))
        if own:
            yield number, own
