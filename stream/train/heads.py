"""Linear heads on the buckets of ``core.features``: how they are fitted, calibrated, measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from stream.core.features import BITS, BUCKETS, features

SEED: Final = 7
FOLDS: Final = 5
TOLERANCE: Final = 1e-3
"""Of the optimiser; ten times as fine moves no figure in its third decimal."""

_CHUNK: Final = 2_000
"""Texts turned into features at a time: bounds the memory of the arrays in between."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Linear:
    """A fitted head: ``matrix @ weights + intercept``."""

    weights: Floats
    intercept: float

    def decide(self, matrix: Any) -> Floats:
        """Return the log odds of each row."""
        return np.asarray(matrix @ self.weights).ravel() + self.intercept


CHARACTERS: Final = (1.0, 1.0, 0.0, 0.0)
SOUNDS_TOO: Final = (0.7, 0.7, 1.0, 1.0)
"""What a head sees of a text: a weight for each kind of bucket. Characters weigh less than syllables
where words come in disguise."""


def counts(
    texts: Sequence[str], syllables: npt.NDArray[np.uint16], weights: Sequence[float]
) -> tuple[Any, Floats]:
    """Return the weighted counts of each normalised text's buckets, and the texts' sizes."""
    kinds = [kind for kind, weight in enumerate(weights) if weight]
    parts, sizes = [], []
    for start in range(0, len(texts), _CHUNK):
        found = features(texts[start : start + _CHUNK], syllables)
        spans = found.ends - found.starts
        rows = np.repeat(np.arange(len(spans)), spans)
        places = np.concatenate([np.arange(a, b) for a, b in zip(found.starts, found.ends, strict=True)])
        values = np.repeat([weights[kind] for kind in kinds], len(places))
        columns = found.buckets[kinds][:, places].ravel()
        parts.append(
            sparse.csr_matrix((values, (np.tile(rows, len(kinds)), columns)), shape=(len(spans), BUCKETS))
        )
        sizes.append(found.lengths + 2)
    return sparse.vstack(parts).tocsr(), np.concatenate(sizes).astype(np.float64)


def by_bucket(weights: Sequence[float]) -> Floats:
    """Return each bucket's weight: what a head's coefficients are multiplied with to stand alone."""
    return np.repeat(np.asarray(weights, np.float64), [1 << bits for bits in BITS])


def damped(matrix: Any, sizes: Floats, damping: float) -> Any:
    """Return the rows divided by ``size ** damping``; a row without text stays empty."""
    return sparse.diags(np.maximum(sizes, 1.0) ** -damping) @ matrix


def logistic(matrix: Any, labels: Flags, strength: float, weights: Floats | None = None) -> Linear:
    """Fit a logistic regression; ``strength`` is scikit-learn's C."""
    fitted = LogisticRegression(C=strength, solver="liblinear", tol=TOLERANCE, random_state=SEED)
    fitted.fit(matrix, labels, sample_weight=weights)
    return Linear(fitted.coef_[0], float(fitted.intercept_[0]))


def contrasted(matrix: Any, labels: Flags, strength: float) -> Linear:
    """Fit a logistic regression on features weighted by their naive Bayes log ratio.

    Wang and Manning 2012, "Baselines and Bigrams".
    """
    present = (matrix > 0).astype(np.float64)
    positive = np.asarray(present[labels].sum(axis=0)).ravel() + 1.0
    negative = np.asarray(present[~labels].sum(axis=0)).ravel() + 1.0
    ratio = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
    fitted = logistic((matrix @ sparse.diags(ratio)).tocsr(), labels, strength)
    return Linear(fitted.weights * ratio, fitted.intercept)


def ridge(matrix: Any, targets: Floats, strength: float) -> Linear:
    """Fit a ridge regression on the raters' means."""
    fitted = Ridge(alpha=strength, solver="lsqr", tol=1e-5)
    fitted.fit(matrix, targets)
    return Linear(np.asarray(fitted.coef_).ravel(), float(fitted.intercept_))


def mixed(parts: Sequence[tuple[Linear, float]], reference: Any) -> Linear:
    """Return one head that is the weighted mean of several, each in units of its spread on ``reference``."""
    weights = np.zeros_like(parts[0][0].weights)
    intercept = 0.0
    for part, share in parts:
        unit = share / float(np.std(part.decide(reference)))
        weights += unit * part.weights
        intercept += unit * part.intercept
    return Linear(weights, intercept)


def curve(logits: Floats, labels: Flags, weights: Floats | None = None) -> tuple[float, float]:
    """Return slope and intercept that make log odds of out-of-fold decisions (Platt's scaling)."""
    fitted = LogisticRegression(C=1e6).fit(logits[:, None], labels, sample_weight=weights)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def folds(labels: Flags, groups: npt.NDArray[Any] | None = None) -> Iterator[tuple[Any, Any]]:
    """Yield (training rows, test rows): by group where given, else stratified and shuffled by the seed."""
    if groups is not None:
        for group in sorted(set(groups.tolist())):
            yield np.flatnonzero(groups != group), np.flatnonzero(groups == group)
        return
    order = np.random.default_rng(SEED).permutation(len(labels))
    place = np.empty(len(labels), np.int64)
    for label in (False, True):
        members = order[labels[order] == label]
        place[members] = np.arange(len(members)) % FOLDS
    for fold in range(FOLDS):
        yield np.flatnonzero(place != fold), np.flatnonzero(place == fold)


def chance(logits: Floats) -> Floats:
    """Return probabilities."""
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def stacked(first: Any, second: Any) -> Any:
    """Return the rows of both."""
    return sparse.vstack([first, second]).tocsr()


def beside(parts: Sequence[Any]) -> Any:
    """Return the columns of all parts, dense ones too."""
    return sparse.hstack([sparse.csr_matrix(part) for part in parts]).tocsr()


def gathering(owners: npt.NDArray[np.int64], count: int) -> Any:
    """Return the matrix that adds up the rows of each of ``count`` owners."""
    return sparse.csr_matrix(
        (np.ones(len(owners)), (owners, np.arange(len(owners)))), shape=(count, len(owners))
    )
