"""Sends labelled data through the engine as it ships, and joins what comes out with the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stream import wire
from stream.core.annotation import Scores
from stream.core.events import Received
from stream.core.outputs import Severity
from stream.evaluate.datasets import DIALOGUE, Dataset, Field, Label, Question
from stream.runtime.conversations import Knowledge
from stream.runtime.replay import replay

_BATCH = 256

ALARM = Severity.MEDIUM
"""From this severity on a finding is an alarm: somebody is told."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one scorer said to one question: a score beside each label."""

    question: Question
    labels: tuple[Label, ...]
    scores: npt.NDArray[np.float64]

    @property
    def truth(self) -> npt.NDArray[np.bool_]:
        """What is true of each."""
        return np.array([label.positive for label in self.labels])


@dataclass(frozen=True, slots=True)
class Trial:
    """What one scorer made of one file; ``alarms`` and ``messages`` are of dialogues, by role."""

    answers: tuple[Answers, ...]
    alarms: Mapping[tuple[str, str], int]
    messages: Mapping[str, int]


def run(
    dataset: Dataset, knowledge: Knowledge, tell: Callable[[int], None], only: Field | None = None
) -> Trial:
    """Return a scorer's answers to all questions of a file; ``tell`` is told of rows done.

    ``only`` names the one score that a scorer has; it then answers whatever is asked of single texts.
    """
    if dataset.is_dialogues:
        return _dialogues(dataset, knowledge, tell)
    return _texts(dataset, knowledge, tell, only)


def _texts(dataset: Dataset, knowledge: Knowledge, tell: Callable[[int], None], only: Field | None) -> Trial:
    texts = dataset.texts()
    scores: list[Scores] = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        annotations = knowledge.annotator.annotate(batch, [True] * len(batch))
        scores += [one.scores or Scores() for one in annotations]
        tell(len(batch))
    return Trial(
        tuple(
            Answers(
                question,
                tuple(labels),
                np.array([getattr(scores[int(label.item)], only or question.field) for label in labels]),
            )
            for question, labels in dataset.labels.items()
        ),
        {},
        {},
    )


def _dialogues(dataset: Dataset, knowledge: Knowledge, tell: Callable[[int], None]) -> Trial:
    def events() -> Iterator[Received]:
        for raw in dataset.events():
            if b'"conversation.closed"' in raw[:40]:
                tell(1)
            yield wire.decode(raw, received_at=None)

    done = replay(knowledge, events())
    turns = {score.message_id: score for score in done.scores}
    roles: Counter[str] = Counter(turn.role for row in dataset.rows for turn in row.turns)
    alarms = Counter(
        (str(finding.kind), str(finding.subject))
        for finding in done.findings
        if finding.severity.rank >= ALARM.rank
    )
    answers = []
    for question, labels in dataset.labels.items():
        if question == DIALOGUE:
            values = [done.summaries[label.item].dissatisfaction for label in labels]
        else:
            values = [getattr(turns[label.item], question.field) for label in labels]
        answers.append(Answers(question, tuple(labels), np.array(values, np.float64)))
    return Trial(tuple(answers), alarms, roles)
