"""What ``annotate`` learns of one text, with no conversation round it.

Several of these are made of every message: structs are made in a quarter of a named tuple's time, and the
garbage collector need not look at them, as no value here can hold itself.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stream.core.said import Said

Span = tuple[int, int]


class Hit(msgspec.Struct, frozen=True, gc=False):
    """One term found.

    ``terms`` is the name of the term list (``emotion.anger``), ``term`` its canonical spelling,
    ``start``/``end`` half-open character offsets into the *original* text. ``negated`` means the
    text denies it (不生气); ``degree`` is 1.0 for plain, more with 非常/太, less with 有点.
    """

    terms: str
    term: str
    start: int
    end: int
    negated: bool = False
    degree: float = 1.0


class Scores(NamedTuple):
    """How a text reads, each in [0, 1]."""

    dissatisfaction: float = 0.0
    anger: float = 0.0
    abuse: float = 0.0


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a scorer makes of one text; all but ``scores`` only of the learned one, for ``core.judge``.

    ``scores`` is ``None`` where they were not asked for. ``sums`` are the text's share in each view of a
    conversation, in units of the model ``model``; ``size`` its characters with both marks.
    """

    scores: Scores | None
    model: str = ""
    sums: tuple[int, ...] = ()
    size: int = 0
    questions: int = 0
    exclamations: int = 0
    thanks: bool = False


class PersonalData(NamedTuple):
    """Personal data found: what kind, and where in the original text."""

    kind: str
    start: int
    end: int


class Annotation(msgspec.Struct, frozen=True, gc=False):
    """All that is known of one text.

    ``normalised`` is what expressions run on; ``offsets`` maps its characters back to the original
    (``None`` where they stand one for one; else the index that each came from, and the original's
    length as one more entry; ``original_span`` reads it). ``said`` is what a text of the service side says of
    promises, with offsets into the original; nothing where they are not read.
    """

    text: str
    normalised: str = ""
    offsets: tuple[int, ...] | None = None
    hits: tuple[Hit, ...] = ()
    personal: tuple[PersonalData, ...] = ()
    scores: Scores | None = None
    reading: Reading | None = None
    said: tuple[Said, ...] = ()

    def original_span(self, start: int, end: int) -> Span:
        """Return the original half-open span of ``[start, end)`` in the normalised text.

        Ends behind the original character of the last normalised one, so that part of an expanded
        character (㈱ is (株)) is that character, and dropped characters after the span stay out of it.
        """
        if self.offsets is None:
            return start, end
        if start == end:
            return self.offsets[start], self.offsets[start]
        return self.offsets[start], self.offsets[end - 1] + 1


EMPTY = Annotation("")
