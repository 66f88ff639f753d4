"""Figures with their uncertainty, and the worst mistakes."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.evaluate.trial import Answers
from stream.measure import Measured, auc, average_precision, measure

SEED: Final = 7

Range = tuple[float, float]


class Row(NamedTuple):
    """One line of the table; ranges hold nineteen of twenty resamples of whole dialogues."""

    dataset: str
    task: str
    scorer: str
    figures: Measured
    auc_range: Range
    ap_range: Range


class Mistake(NamedTuple):
    """One row judged wrongly with much confidence; the text is masked."""

    task: str
    item: str
    score: float
    positive: bool
    text: str


def row(dataset: str, scorer: str, answers: Answers, resamples: int) -> Row | None:
    """Return the line of one question; none where only one class occurs."""
    truth = answers.truth
    if truth.all() or not truth.any():
        return None
    groups = np.array([label.group for label in answers.labels])
    auc_range, ap_range = _ranges(truth, answers.scores, groups, resamples)
    return Row(dataset, answers.question.name, scorer, measure(truth, answers.scores), auc_range, ap_range)


def _ranges(
    truth: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    groups: npt.NDArray[np.str_],
    resamples: int,
) -> tuple[Range, Range]:
    members: defaultdict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups.tolist()):
        members[group].append(place)
    rows = [np.array(places) for places in members.values()]
    choice = np.random.default_rng(SEED)
    found: list[tuple[float, float]] = []
    for _ in range(resamples):
        drawn = np.concatenate([rows[place] for place in choice.integers(len(rows), size=len(rows))])
        if truth[drawn].any() and not truth[drawn].all():
            found.append((auc(truth[drawn], scores[drawn]), average_precision(truth[drawn], scores[drawn])))
    if not found:
        nothing = (float("nan"), float("nan"))
        return nothing, nothing
    low, high = np.quantile(np.array(found), (0.025, 0.975), axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def mistakes(answers: Answers, count: int, masked: list[str]) -> list[Mistake]:
    """Return the ``count`` rows whose score is furthest from the truth, worst first."""
    distance = np.abs(answers.scores - answers.truth)
    worst = np.argsort(-distance, kind="stable")[:count]
    return [
        Mistake(
            answers.question.name,
            answers.labels[place].item,
            float(answers.scores[place]),
            answers.labels[place].positive,
            masked[place],
        )
        for place in worst.tolist()
    ]
