"""How good scores are: area under the curve, average precision, precision at recall, calibration.

And what training and measuring must agree on: what counts as dissatisfied, and which rows are kept apart.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

BINS: Final = 10
"""Of the calibration error: scores from 0 to 1 in tenths."""

DISSATISFIED: Final = -0.5
"""Mean of the raters, from -2 to 2, at and below which a dialogue counts as dissatisfied."""

HARD: Final = "6 characters and more"
HARD_LENGTH: Final = 6
"""Characters from which a turn is more than a formula (谢谢, 人呢)."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Bin(NamedTuple):
    """Rows whose score lies in one tenth: how many, what was said on average, what was true."""

    rows: int
    said: float
    true: float


class Measured(NamedTuple):
    """Figures of one score on labelled rows.

    ``auc``: the chance that a positive row scores above a negative one. ``ap``: average precision.
    ``precision``: precision at recall .5. ``error``: expected calibration error over tenths.
    """

    rows: int
    positive: int
    auc: float
    ap: float
    precision: float
    error: float
    bins: tuple[Bin, ...]


def in_tenth(key: str) -> bool:
    """Return whether a dialogue's id or a post's text belongs to the tenth that is kept for one last look."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 10 == 0


def is_hard(text: str) -> bool:
    """Return whether a turn is of six characters and more, none of them a masked order number or the like."""
    return len(text) >= HARD_LENGTH and "[" not in text


def measure(labels: Flags, scores: Floats) -> Measured:
    """Return the figures; both classes must occur."""
    recall, precision = precision_recall(labels, scores)
    bins = calibration(labels, scores)
    rows = len(labels)
    return Measured(
        rows=rows,
        positive=int(labels.sum()),
        auc=auc(labels, scores),
        ap=average_precision(labels, scores),
        precision=float(precision[np.searchsorted(recall, 0.5)]),
        error=sum(one.rows * abs(one.said - one.true) for one in bins) / rows,
        bins=bins,
    )


def auc(labels: Flags, scores: Floats) -> float:
    """Return the area under the ROC curve; ties count one half."""
    values, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]
    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative or not len(values):
        return float("nan")
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def precision_recall(labels: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """Return recall (ascending) and precision at every distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ranked = labels[order]
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(ranked)[ends]
    return found / max(1, labels.sum()), found / (ends + 1)


def average_precision(labels: Flags, scores: Floats) -> float:
    """Return the mean of precision over recall, each step with the precision reached there."""
    recall, precision = precision_recall(labels, scores)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def calibration(labels: Flags, scores: Floats) -> tuple[Bin, ...]:
    """Return the tenths that hold any row."""
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    return tuple(
        Bin(int(inside.sum()), float(scores[inside].mean()), float(labels[inside].mean()))
        for inside in (place == tenth for tenth in range(BINS))
        if inside.any()
    )
