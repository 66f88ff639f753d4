"""What ``annotate`` learns of one text, with no conversation round it."""

from __future__ import annotations

from typing import NamedTuple

Span = tuple[int, int]


class Hit(NamedTuple):
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


class PersonalData(NamedTuple):
    """Personal data found: what kind, and where in the original text."""

    kind: str
    start: int
    end: int


class Annotation(NamedTuple):
    """All that is known of one text.

    ``normalised`` is what expressions run on; ``offsets`` maps its characters back to the original
    (``None`` where both are the same; else one more entry than characters, so that
    ``offsets[start], offsets[end]`` is the original span of ``[start, end)``).
    """

    text: str
    normalised: str = ""
    offsets: tuple[int, ...] | None = None
    hits: tuple[Hit, ...] = ()
    personal: tuple[PersonalData, ...] = ()
    scores: Scores | None = None

    def original_span(self, start: int, end: int) -> Span:
        """Return the original half-open span of ``[start, end)`` in the normalised text."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end]


EMPTY = Annotation("")
