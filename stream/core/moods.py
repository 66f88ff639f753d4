"""What the terms found in a text say of its mood: log odds of displeasure, certainty of anger and abuse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from stream.core.annotation import Hit

DECIMALS: Final = 4
"""Scores are compared with thresholds of two decimals; more would only invite comparing noise."""

ANGER: Final[Mapping[str, float]] = {"emotion.anger": 0.6}
ABUSE: Final[Mapping[str, float]] = {"sensitive.abuse": 0.7}
"""Pack → how surely a term of degree 1 shows it: a term can be quoted or joked with, and two say more
than one (0.84, 0.91)."""

MAX_CERTAINTY: Final = 0.95
"""However strong the word: it is a word, not a mind read."""

WEIGHTS: Final[Mapping[str, float]] = {
    "sensitive.abuse": 2.0,
    "emotion.anger": 2.0,
    "emotion.disappointment": 2.0,
    "sensitive.complaint": 1.5,
    "emotion.urging": 1.2,
    "emotion.worry": 1.0,
    "emotion.sadness": 0.8,
    "emotion.joy": -0.8,
    "emotion.gratitude": -2.0,
    "emotion.praise": -1.2,
}
"""Pack → log odds of dissatisfaction that a term of degree 1 adds. Orders of magnitude, set by hand:
named displeasure multiplies the odds by seven, urging by three (half of the turns that urge are
dissatisfied against a quarter of all), thanks halve them."""

_TELLING: Final = WEIGHTS.keys() | ANGER.keys() | ABUSE.keys()

MAX_SHIFT: Final = 3.0
"""Terms together move the odds at most twentyfold either way."""


def telling(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits that say anything of the mood: one text in eight has any; the rest needs no sums.

    ``shift`` and ``certainties`` of these are those of all hits.
    """
    return [hit for hit in hits if _pack(hit.terms) in _TELLING]


def shift(hits: Iterable[Hit]) -> float:
    """Return the log odds of dissatisfaction that the terms found add: the strongest of each pack.

    A denied term of displeasure adds nothing (不生气 is not content); a denied good word is displeasure
    (不满意).
    """
    strongest: dict[str, float] = {}
    for hit in hits:
        pack = pack_of(hit)
        weight = WEIGHTS.get(pack)
        if weight is None:
            continue
        if hit.negated:
            weight = -weight if weight < 0 else 0.0
        weight *= hit.degree
        if abs(weight) > abs(strongest.get(pack, 0.0)):
            strongest[pack] = weight
    return max(-MAX_SHIFT, min(MAX_SHIFT, sum(strongest.values())))


def pack_of(hit: Hit) -> str:
    """Return the pack of a hit: the first two parts of its list's name."""
    return _pack(hit.terms)


@lru_cache(maxsize=8192)  # more lists than any installation has; their names come from its packs alone
def _pack(terms: str) -> str:
    return ".".join(terms.split(".", 2)[:2])


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + e^-x) without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    grown = math.exp(logit)
    return grown / (1 + grown)


def certainties(hits: Sequence[Hit]) -> tuple[float, float]:
    """Return anger and abuse: the chance that not every term of it means nothing."""
    return certainty(hits, ANGER), certainty(hits, ABUSE)


def certainty(hits: Sequence[Hit], packs: Mapping[str, float]) -> float:
    """Return the chance that not every term of these packs means nothing."""
    doubt = 1.0
    for hit in hits:
        weight = packs.get(pack_of(hit))
        if weight is not None and not hit.negated:
            doubt *= 1 - min(MAX_CERTAINTY, weight * hit.degree)
    return round(min(MAX_CERTAINTY, 1 - doubt), DECIMALS)
