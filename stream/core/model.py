"""The learned scorer: one table of small integers, one sum a text, no training library.

Every head of the model (dissatisfaction of a turn, anger, abuse, and the five views of a whole
conversation) is linear in the buckets of ``core.features``, so scoring is looking up one row of eight
bytes a bucket and adding up. The sums are integers: they do not depend on the order of adding, hence not
on the batch. What follows (damping by length, terms, the logistic curve) is done for each text by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.core.annotation import Hit, Reading, Scores
from stream.core.features import BUCKETS, MAX_CHARS, features
from stream.core.moods import DECIMALS, certainties, shift, telling

HEADS: Final = ("dissatisfaction", "anger", "abuse")
"""What a text is scored for, in the order of ``Scores``; the first columns of the table."""

VIEWS: Final = ("first", "later", "last", "desk", "desk_last")
"""The parts of a conversation that ``core.judge`` weighs, in the order of ``Reading.sums``."""

COLUMNS: Final = len(HEADS) + len(VIEWS)
"""Eight: a row is read as one 64-bit number."""

_THANKS: Final = "谢"

_MAX_LOGIT: Final = 30.0
"""Beyond it a probability is 0 or 1 to ``DECIMALS`` many times over, and the exponential stays finite."""

_MAX_SIZE: Final = MAX_CHARS + 2
"""Of a text: what is looked at of it, and both marks."""


@dataclass(frozen=True, slots=True)
class Head:
    """One scored quality: ``sigmoid(slope * (scale * sum / size**damping + terms * t) + intercept)``.

    ``sum`` is the integer sum of the column, ``size`` the characters with both marks, ``t`` what the
    terms found say (log odds of displeasure, certainty of anger or abuse).
    """

    scale: float
    damping: float
    slope: float
    intercept: float
    terms: float


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What ``yanshao train`` makes: ``table[bucket, column]``, syllables by code point, the heads.

    ``id`` is a hash of it all: sums of different models must not be added up.
    """

    id: str
    table: npt.NDArray[np.int8]
    syllables: npt.NDArray[np.uint16]
    heads: Mapping[str, Head]

    def __post_init__(self) -> None:
        if self.table.shape != (BUCKETS, COLUMNS) or self.table.dtype != np.int8:
            raise ValueError(f"the table must be int8 of {BUCKETS} x {COLUMNS}")
        if set(self.heads) != set(HEADS):
            raise ValueError(f"the heads must be {', '.join(HEADS)}")

    def sums(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the column sums of each normalised text, and its size in characters with both marks."""
        found = features(texts, self.syllables)
        # A row of eight bytes is gathered as one number: five times as fast as gathering rows.
        rows = self.table.view(np.uint64).ravel().take(found.buckets)
        # Sixteen bits hold the sum of all kinds at one place.
        places = rows.view(np.int8).reshape(*found.buckets.shape, COLUMNS).sum(axis=0, dtype=np.int16)
        bounds = np.empty(2 * len(texts), np.int64)
        bounds[::2], bounds[1::2] = found.starts, found.ends
        sums = np.add.reduceat(places, bounds, axis=0, dtype=np.int64)
        return sums[::2], found.lengths + 2


class LearnedScorer:
    """Scores by the model, shifted by the terms found."""

    __slots__ = ("_damped", "_intercepts", "_model", "_slopes", "_terms")

    def __init__(self, model: Model) -> None:
        self._model = model
        heads = [model.heads[name] for name in HEADS]
        self._slopes = np.array([head.slope for head in heads])
        self._intercepts = np.array([head.intercept for head in heads])
        self._terms = np.array([head.terms for head in heads])
        # Looked up, not worked out in the batch: vectorised powers may differ in the last place.
        self._damped = np.array(
            [[head.scale / max(size, 1) ** head.damping for head in heads] for size in range(_MAX_SIZE + 1)]
        )

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        """Return the scores of each text."""
        return [one.scores for one in self.read(texts, hits, [True] * len(texts)) if one.scores is not None]

    def read(
        self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]], scored: Sequence[bool]
    ) -> list[Reading]:
        """Return what the model makes of each text; scores where they are asked for."""
        if not texts:
            return []
        sums, sizes = self._model.sums(texts)
        chances = self._chances(sums[:, : len(HEADS)] * self._damped[sizes], hits, scored).tolist()
        name = self._model.id
        return [
            Reading(
                Scores._make(values) if wanted else None,
                name,
                tuple(views),
                size,
                text.count("?"),
                text.count("!"),
                _THANKS in text,
            )
            for text, values, views, size, wanted in zip(
                texts, chances, sums[:, len(HEADS) :].tolist(), sizes.tolist(), scored, strict=True
            )
        ]

    def _chances(
        self,
        logits: npt.NDArray[np.float64],
        hits: Sequence[tuple[Hit, ...]],
        scored: Sequence[bool],
    ) -> npt.NDArray[np.float64]:
        """Return the probabilities of all heads, right where asked for; each step goes element by element."""
        for place, found in enumerate(hits):
            if found and scored[place] and (signs := telling(found)):
                logits[place] += self._terms * (shift(signs), *certainties(signs))
        logits = np.minimum(np.maximum(logits * self._slopes + self._intercepts, -_MAX_LOGIT), _MAX_LOGIT)
        return (1 / (1 + np.exp(-logits))).round(DECIMALS)


def reading_of(model: str, sums: tuple[int, ...], size: int, text: str) -> Reading:
    """Return the reading of a normalised text, without scores."""
    return Reading(None, model, sums, size, text.count("?"), text.count("!"), _THANKS in text)
