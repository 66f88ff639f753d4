"""How dissatisfied the customer leaves, judged on the whole conversation.

The first thing a customer says, what follows, the last of it, all that the desk answers and its last
answer tell different things, so each has weights of its own: five *views*, each a sum over its texts,
damped by its length, and beside them the course of the conversation (who spoke last, how often, how
long, questions, thanks). All of it grows text by text; nothing of what was said has to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stream.core.annotation import Reading
from stream.core.moods import DECIMALS, sigmoid
from stream.core.outputs import Basis
from stream.core.state import Views

DAMPING: Final = 0.5
"""The root of a view's length: long texts say more, but not in proportion."""

SHAPE: Final = (
    "customer_turns",
    "desk_turns",
    "customer_spoke_last",
    "first_size",
    "customer_size",
    "last_size",
    "desk_size",
    "desk_last_size",
    "questions",
    "exclamations",
    "last_questions",
    "last_exclamations",
    "thanks",
    "last_thanks",
    "one_turn",
)
"""Features of the course, in order; counts and sizes as logarithms."""


MIXED: Final = "mixed"
"""Stands for the model of sums that two models had a part in; no judge judges them."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Weights of the views and of the course.

    ``scales`` turn a view's sum into log odds. A feature of the course counts as its distance from
    ``means`` in ``deviations``, at most ``limit`` of them: what was never seen in training is not taken
    further than what was.
    """

    model: str
    scales: Mapping[str, float]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    limit: float
    slope: float
    intercept: float

    def judges(self, views: Views) -> bool:
        """Return whether these sums are of this judge's model and there is anything to judge."""
        return views.model == self.model and views.customer_turns > 0

    def dissatisfaction(self, views: Views) -> tuple[float, tuple[Basis, ...]]:
        """Return the probability that the customer is dissatisfied, and what it rests on.

        The value of each basis is the log odds it adds, its weight the share it has in all of them.
        """
        parts = {
            "first_words": self._view("first", views.first, views.first_size),
            "later_words": self._view("later", views.later, views.later_size),
            "last_words": self._view("last", views.last, views.last_size),
            "agent_words": self._view("desk", views.desk, views.desk_size),
            "agent_last_words": self._view("desk_last", views.desk_last, views.desk_last_size),
            "course": self.slope * self._course(views),
        }
        total = math.fsum(abs(value) for value in parts.values()) or 1.0
        basis = tuple(
            Basis(name=name, value=round(value, DECIMALS), weight=round(abs(value) / total, DECIMALS))
            for name, value in parts.items()
        )
        return round(sigmoid(math.fsum(parts.values()) + self.intercept), DECIMALS), basis

    def _view(self, name: str, value: int, size: int) -> float:
        return self.slope * self.scales[name] * value / size**DAMPING if size else 0.0

    def _course(self, views: Views) -> float:
        return math.fsum(
            weight * max(-self.limit, min(self.limit, (value - mean) / deviation))
            for value, mean, deviation, weight in zip(
                shape(views), self.means, self.deviations, self.weights, strict=True
            )
        )


def shape(views: Views) -> tuple[float, ...]:
    """Return the features of the course, in the order of ``SHAPE``."""
    log = math.log1p
    return (
        log(views.customer_turns),
        log(views.desk_turns),
        float(views.customer_spoke_last),
        log(views.first_size),
        log(views.first_size + views.later_size),
        log(views.last_size),
        log(views.desk_size),
        log(views.desk_last_size),
        log(views.questions),
        log(views.exclamations),
        float(views.last_questions > 0),
        float(views.last_exclamations > 0),
        float(views.thanks > 0),
        float(views.last_thanks),
        float(views.customer_turns <= 1),
    )


def hear_customer(views: Views, reading: Reading) -> None:
    """Add what a customer said."""
    if not _same_model(views, reading):
        return
    first, later, last, _, _ = reading.sums
    if views.customer_turns == 0:
        views.first, views.first_size = first, reading.size
    else:
        views.later += later
        views.later_size += reading.size
    views.last, views.last_size = last, reading.size
    views.customer_turns += 1
    views.questions += reading.questions
    views.exclamations += reading.exclamations
    views.last_questions, views.last_exclamations = reading.questions, reading.exclamations
    views.thanks += reading.thanks
    views.last_thanks = reading.thanks
    views.customer_spoke_last = True


def hear_desk(views: Views, reading: Reading) -> None:
    """Add what a person on the service side answered."""
    if not _same_model(views, reading):
        return
    _, _, _, desk, last = reading.sums
    views.desk += desk
    views.desk_size += reading.size
    views.desk_last, views.desk_last_size = last, reading.size
    views.desk_turns += 1
    views.customer_spoke_last = False


def _same_model(views: Views, reading: Reading) -> bool:
    """Return whether the reading can be added; sums of another model than the first one's stay as they are.

    A conversation under way while the model is exchanged is then judged by its turns' scores.
    """
    if not reading.model:
        return False
    if views.customer_turns == views.desk_turns == 0:
        views.model = reading.model
    elif views.model != reading.model:
        views.model = MIXED
    return views.model == reading.model
