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
from stream.core.moods import DECIMALS, certainties, shift, sigmoid

HEADS: Final = ("dissatisfaction", "anger", "abuse")
"""What a text is scored for, in the order of ``Scores``; the first columns of the table."""

VIEWS: Final = ("first", "later", "last", "desk", "desk_last")
"""The parts of a conversation that ``core.judge`` weighs, in the order of ``Reading.sums``."""

COLUMNS: Final = len(HEADS) + len(VIEWS)
"""Eight: a row is read as one 64-bit number."""

_THANKS: Final = "谢"

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
        rows = self.table.view(np.uint64).ravel()[found.buckets]
        places = rows.view(np.int8).reshape(*found.buckets.shape, COLUMNS).sum(axis=0, dtype=np.int32)
        bounds = np.empty(2 * len(texts), np.int64)
        bounds[::2], bounds[1::2] = found.starts, found.ends
        return np.add.reduceat(places, bounds, axis=0)[::2].astype(np.int64), found.lengths + 2


class LearnedScorer:
    """Scores by the model, shifted by the terms found."""

    __slots__ = ("_damped", "_heads", "_model")

    def __init__(self, model: Model) -> None:
        self._model = model
        self._heads = [model.heads[name] for name in HEADS]
        # Looked up, not computed in the batch: vectorised powers may differ in the last place.
        self._damped = [
            [head.scale / max(size, 1) ** head.damping for size in range(_MAX_SIZE + 1)]
            for head in self._heads
        ]

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
        readings = []
        for text, found, wanted, columns, size in zip(
            texts, hits, scored, sums.tolist(), sizes.tolist(), strict=True
        ):
            reading = reading_of(self._model.id, tuple(columns[len(HEADS) :]), size, text)
            readings.append(reading._replace(scores=self._score(columns, size, found)) if wanted else reading)
        return readings

    def _score(self, columns: Sequence[int], size: int, hits: tuple[Hit, ...]) -> Scores:
        terms = (shift(hits), *certainties(hits)) if hits else (0.0, 0.0, 0.0)
        return Scores(
            *(
                round(
                    sigmoid(
                        head.slope * (columns[place] * self._damped[place][size] + head.terms * terms[place])
                        + head.intercept
                    ),
                    DECIMALS,
                )
                for place, head in enumerate(self._heads)
            )
        )


def reading_of(model: str, sums: tuple[int, ...], size: int, text: str) -> Reading:
    """Return the reading of a normalised text, without scores."""
    return Reading(None, model, sums, size, text.count("?"), text.count("!"), _THANKS in text)
