"""Which head learns what, from which corpus, and how well it does on dialogues it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from stream.core import judge as judges
from stream.core.features import BUCKETS, MAX_CHARS
from stream.core.judge import DAMPING, SHAPE, Judge
from stream.core.model import COLUMNS, HEADS, VIEWS, Head, Model, reading_of
from stream.core.state import Views
from stream.measure import DISSATISFIED, HARD, Measured, is_hard, measure
from stream.train import corpora, heads
from stream.train.corpora import Dialogue, Examples, Post
from stream.train.heads import CHARACTERS, SOUNDS_TOO, Flags, Floats, Linear

TURN_DAMPING: Final = 0.35
"""Short formulas carry much of a turn's mood: dividing by the root of the length mutes them."""

TEXT_DAMPING: Final = 0.5

# Strengths (scikit-learn's C, ridge's alpha) and shares of heads in a mix, chosen by cross-validation on
# nine tenths of the development data; docs/decisions/0020 has what was compared.
REPLIES_C: Final = 0.3
REVIEWS_C: Final = 0.5
REVIEWS_SHARE: Final = 0.5
CHATS_C: Final = 2.0
CHATS_ALPHA: Final = 1.5
CHATS_SEE: Final = (1.4, 1.0, 0.0, 0.0)
CHATS_SHARES: Final = {"logistic": 1.0, "ridge": 0.5, "made without": 0.3, "anger": 0.3}
NEUTRAL_TURN: Final = 0.4
"""Of a dissatisfied turn, what a neutral one counts for the ridge: raters' three classes are an order."""
LEVEL: Final = 2.5
"""Size of a dialogue's own column beside features damped by length. A rater's habit lifts or lowers all
labels of a dialogue; what that column takes up, the words need not explain. It is dropped once fitted."""
CHAT_FOLDS: Final = 10
"""Labelled chats are few, and every doubling of them is worth .017 AUC: a fifth is too much to hold out."""
OFFENSIVE_C: Final = 2.0
CONTRASTED_C: Final = 0.1
CONTRASTED_SHARE: Final = 0.5
ANGER_C: Final = 10.0
ANGER_SHARES: Final = {"replies": 0.5, "offensive": 1.0, "reviews": 0.5, "anger": 2.0}
JUDGE_C: Final = 0.5
JUDGE_ALPHA: Final = 4.0
COURSE_UNIT: Final = 0.3
"""Of a feature of the course beside counts damped by length: they are of this size."""
COURSE_LIMIT: Final = 3.0

HOMOPHONE_SHARE: Final = 0.15
"""Characters of an offensive post that its disguised copy has replaced."""

TERMS: Final = {"dissatisfaction": 0.6, "anger": 1.5, "abuse": 1.5}
"""What the terms found add, in units of the head's mix; see ``core.moods``."""

ANGER_CURVE: Final = (0.9, -2.2)
"""Slope and intercept for anger. No licensed corpus labels it, so its curve cannot be fitted;
docs/detection.md says how wrong this one is."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is learned from. ``chats`` with labelled turns are for studies; what they make never ships."""

    helpdesk: Sequence[Dialogue]
    offensive: Sequence[Post]
    reviews: Examples | None
    chats: Sequence[Dialogue] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, its judge, and what was measured on the way, by task."""

    model: Model
    judge: Judge
    measured: Mapping[str, Measured]


@dataclass(slots=True)
class Kitchen:
    """What all heads share while a model is made."""

    normalise: Callable[[str], str]
    syllables: npt.NDArray[np.uint16]
    tell: Callable[[str], None]
    measured: dict[str, Measured] = field(default_factory=dict)

    def matrix(self, texts: Sequence[str], weights: Sequence[float], damping: float) -> Any:
        """Return the features of texts."""
        found, sizes = heads.counts([self.normalise(text) for text in texts], self.syllables, weights)
        return heads.damped(found, sizes, damping)


STEPS: Final = 6
"""How often ``tell`` is called."""


def train(sources: Sources, normalise: Callable[[str], str], tell: Callable[[str], None]) -> Trained:
    """Return the model that the sources make; ``tell`` is told of each step before it begins."""
    kitchen = Kitchen(normalise, corpora.syllables(), tell)
    columns = np.zeros((BUCKETS, COLUMNS))
    intercepts: dict[str, float] = {}
    curves: dict[str, tuple[float, float]] = {}
    for place, (name, cook) in enumerate(
        {"dissatisfaction": _dissatisfaction, "anger": _anger, "abuse": _abuse}.items()
    ):
        head, curves[name] = cook(kitchen, sources)
        columns[:, place], intercepts[name] = head.weights, head.intercept
    views, course = _judge(kitchen, sources)
    columns[:, len(HEADS) :] = views
    scales = np.abs(columns).max(axis=0) / 127
    table = np.rint(columns / scales).astype(np.int8)
    made = {
        name: Head(
            scale=float(scales[place]),
            damping=TURN_DAMPING if name == "dissatisfaction" and not sources.chats else TEXT_DAMPING,
            slope=curves[name][0],
            intercept=curves[name][0] * intercepts[name] + curves[name][1],
            terms=TERMS[name],
        )
        for place, name in enumerate(HEADS)
    }
    judge = Judge(
        model="",
        scales={name: float(scales[len(HEADS) + place]) for place, name in enumerate(VIEWS)},
        **course,
    )
    return Trained(Model("", table, kitchen.syllables, made), judge, kitchen.measured)


# --- a customer's turn -----------------------------------------------------------------------------


def _dissatisfaction(kitchen: Kitchen, sources: Sources) -> tuple[Linear, tuple[float, float]]:
    kitchen.tell("dissatisfaction of a turn")
    replies, phrases = corpora.last_replies(sources.helpdesk), corpora.read_list("phrases.txt")
    review = _reviews(kitchen, sources, TURN_DAMPING)
    texts = kitchen.matrix(replies.texts, CHARACTERS, TURN_DAMPING)
    own = kitchen.matrix(phrases.texts, CHARACTERS, TURN_DAMPING)

    def fit(rows: npt.NDArray[np.int64]) -> Linear:
        head = heads.logistic(
            heads.stacked(texts[rows], own),
            np.concatenate([replies.labels[rows], phrases.labels]),
            REPLIES_C,
            np.concatenate([replies.weights[rows], phrases.weights]),
        )
        parts = [(head, 1.0)] if review is None else [(head, 1.0), (review, REVIEWS_SHARE)]
        return heads.mixed(parts, texts)

    if sources.chats:
        return _of_chats(kitchen, sources, fit(np.arange(len(replies.texts))))
    return _validated(kitchen, "help-desk reply dissatisfied", texts, replies.labels, fit)


def _of_chats(kitchen: Kitchen, sources: Sources, base: Linear) -> tuple[Linear, tuple[float, float]]:
    """Learn the turns of labelled chats; the head made without them and angry words have a say too."""
    turns = corpora.labelled_turns(sources.chats)
    texts = kitchen.matrix(turns.texts, CHARACTERS, TEXT_DAMPING)
    weighted = (texts @ sparse.diags(heads.by_bucket(CHATS_SEE))).tocsr()
    labels = turns.satisfaction == 0
    unhappy = np.choose(turns.satisfaction, (1.0, NEUTRAL_TURN, 0.0))
    words = _angry_words(kitchen)

    def fit(rows: npt.NDArray[np.int64]) -> Linear:
        levels = LEVEL * heads.gathering(turns.dialogues[rows], len(sources.chats)).T
        seen = heads.beside([weighted[rows], levels])
        learned = {
            "logistic": heads.logistic(seen, labels[rows], CHATS_C),
            "ridge": heads.ridge(seen, unhappy[rows], CHATS_ALPHA),
        }
        # Without intercepts: those share the level with the dialogues' columns, so they differ from fold to
        # fold. The curve sets the level.
        parts = {
            name: Linear(head.weights[:BUCKETS] * heads.by_bucket(CHATS_SEE), 0.0)
            for name, head in learned.items()
        }
        parts |= {"made without": base, "anger": words}
        return heads.mixed([(parts[name], share) for name, share in CHATS_SHARES.items()], texts[rows])

    folds = turns.dialogues % CHAT_FOLDS
    hard = np.array([is_hard(text) for text in turns.texts])
    return _validated(kitchen, "chat turn dissatisfied", texts, labels, fit, folds, {HARD: hard})


def _reviews(kitchen: Kitchen, sources: Sources, damping: float) -> Linear | None:
    if sources.reviews is None:
        return None
    texts = kitchen.matrix(sources.reviews.texts, CHARACTERS, damping)
    return heads.logistic(texts, sources.reviews.labels, REVIEWS_C)


def _validated(
    kitchen: Kitchen,
    task: str,
    texts: Any,
    labels: Flags,
    fit: Callable[[npt.NDArray[np.int64]], Linear],
    groups: npt.NDArray[Any] | None = None,
    parts: Mapping[str, Flags] = MappingProxyType({}),
) -> tuple[Linear, tuple[float, float]]:
    """Fit on all rows; measure and calibrate on decisions about rows not fitted on.

    ``parts`` are rows that are measured by themselves as well.
    """
    logits = np.zeros(len(labels))
    for inside, outside in heads.folds(labels, groups):
        logits[outside] = fit(inside).decide(texts[outside])
    slope, intercept = heads.curve(logits, labels)
    chances = heads.chance(slope * logits + intercept)
    kitchen.measured[task] = measure(labels, chances)
    for part, rows in parts.items():
        if 0 < labels[rows].sum() < rows.sum():
            kitchen.measured[f"{task}, {part}"] = measure(labels[rows], chances[rows])
    return fit(np.arange(len(labels))), (slope, intercept)


# --- a single text ---------------------------------------------------------------------------------


def _anger(kitchen: Kitchen, sources: Sources) -> tuple[Linear, tuple[float, float]]:
    """Mix what displeasure, insults, bad reviews and angry words have in common: none alone is anger."""
    kitchen.tell("anger")
    replies = corpora.last_replies(sources.helpdesk)
    reference = kitchen.matrix(replies.texts, CHARACTERS, TEXT_DAMPING)
    parts = [
        (heads.logistic(reference, replies.labels, REPLIES_C), ANGER_SHARES["replies"]),
        (_angry_words(kitchen), ANGER_SHARES["anger"]),
    ]
    posts = kitchen.matrix([post.text for post in sources.offensive], CHARACTERS, TEXT_DAMPING)
    insults = heads.logistic(posts, _offensive(sources), REVIEWS_C)
    parts.append((insults, ANGER_SHARES["offensive"]))
    review = _reviews(kitchen, sources, TEXT_DAMPING)
    if review is not None:
        parts.append((review, ANGER_SHARES["reviews"]))
    # The reference holds both posts and help-desk turns: each head's spread on one of them alone differs.
    mixed = heads.mixed(
        parts, heads.stacked(reference, posts[:: max(1, posts.shape[0] // len(replies.texts))])
    )
    return mixed, ANGER_CURVE


def _angry_words(kitchen: Kitchen) -> Linear:
    words = corpora.read_list("anger.txt")
    texts = kitchen.matrix(words.texts, CHARACTERS, TEXT_DAMPING)
    return heads.logistic(texts, words.labels, ANGER_C, words.weights)


def _offensive(sources: Sources) -> Flags:
    return np.array([post.offensive == 1 for post in sources.offensive])


def _abuse(kitchen: Kitchen, sources: Sources) -> tuple[Linear, tuple[float, float]]:
    """Learn offensive posts and their disguised copies; validated on topics not learned from.

    Within a topic the labels are nearly given away by its words: cross-validation there says .96.
    """
    kitchen.tell("abuse, plain and disguised")
    labels = _offensive(sources)
    topics = np.array([post.topic for post in sources.offensive])
    plain = [kitchen.normalise(post.text) for post in sources.offensive]
    disguised = corpora.homophones(plain, kitchen.syllables, HOMOPHONE_SHARE, heads.SEED)
    texts, copies = (kitchen.matrix(one, SOUNDS_TOO, TEXT_DAMPING) for one in (plain, disguised))

    def fit(rows: npt.NDArray[np.int64]) -> Linear:
        matrix = heads.stacked(texts[rows], copies[rows])
        twice = np.concatenate([labels[rows], labels[rows]])
        first = heads.logistic(matrix, twice, OFFENSIVE_C)
        second = heads.contrasted(matrix, twice, CONTRASTED_C)
        return heads.mixed([(first, 1.0), (second, CONTRASTED_SHARE)], texts[rows])

    kitchen.tell("abuse, on topics held out")
    groups = topics if len(set(topics.tolist())) > 1 else None
    head, calibrated = _validated(kitchen, "post offensive, topic held out", texts, labels, fit, groups)
    return Linear(head.weights * heads.by_bucket(SOUNDS_TOO), head.intercept), calibrated


# --- a whole conversation --------------------------------------------------------------------------


def _judge(kitchen: Kitchen, sources: Sources) -> tuple[Floats, dict[str, Any]]:
    """Return the views' columns, and the judge's other numbers."""
    kitchen.tell("views of a conversation")
    dialogues = [one for one in sources.helpdesk if one.satisfaction is not None]
    means = np.array([one.satisfaction for one in dialogues], np.float64)
    labels = means <= DISSATISFIED
    matrices, courses = _views(kitchen, dialogues)
    centre, spread = courses.mean(axis=0), np.maximum(courses.std(axis=0), 1e-3)
    standard = np.clip((courses - centre) / spread, -COURSE_LIMIT, COURSE_LIMIT)
    everything = heads.beside([*matrices, standard * COURSE_UNIT])

    def fit(rows: npt.NDArray[np.int64]) -> Linear:
        first = heads.logistic(everything[rows], labels[rows], JUDGE_C)
        second = heads.ridge(everything[rows], -means[rows], JUDGE_ALPHA)
        return heads.mixed([(first, 1.0), (second, 1.0)], everything[rows])

    kitchen.tell("views of a conversation, on dialogues held out")
    head, (slope, intercept) = _validated(kitchen, "help-desk dialogue dissatisfied", everything, labels, fit)
    cut = len(VIEWS) * BUCKETS
    return head.weights[:cut].reshape(len(VIEWS), BUCKETS).T, {
        "means": tuple(centre.tolist()),
        "deviations": tuple(spread.tolist()),
        "weights": tuple((head.weights[cut:] * COURSE_UNIT).tolist()),
        "limit": COURSE_LIMIT,
        "slope": slope,
        "intercept": slope * head.intercept + intercept,
    }


def _views(kitchen: Kitchen, dialogues: Sequence[Dialogue]) -> tuple[list[Any], Floats]:
    """Return a matrix a view, a dialogue a row, and the course of each dialogue.

    The course is worked out by the very functions that run in the engine.
    """
    courses = []
    for dialogue in dialogues:
        views = Views()
        for turn in dialogue.turns:
            text = kitchen.normalise(turn.text)
            reading = reading_of("x", (0,) * len(VIEWS), min(len(text), MAX_CHARS) + 2, text)
            if turn.role == "customer":
                judges.hear_customer(views, reading)
            elif turn.role == "agent":
                judges.hear_desk(views, reading)
        courses.append(judges.shape(views))
    parts: list[list[list[str]]] = [[], [], [], [], []]
    for dialogue in dialogues:
        said, answered = dialogue.of("customer"), dialogue.of("agent")
        for part, texts in zip(parts, (said[:1], said[1:], said[-1:], answered, answered[-1:]), strict=True):
            part.append(texts)
    matrices = [_together(kitchen, part) for part in parts]
    return matrices, np.array(courses).reshape(len(dialogues), len(SHAPE))


def _together(kitchen: Kitchen, part: Sequence[Sequence[str]]) -> Any:
    """Return one row a dialogue: the counts of all its texts in this view, damped by their size."""
    texts = [kitchen.normalise(text) for some in part for text in some]
    owners = np.repeat(np.arange(len(part)), [len(some) for some in part])
    found, sizes = heads.counts(texts, kitchen.syllables, CHARACTERS)
    gather = heads.gathering(owners, len(part))
    return heads.damped(gather @ found, gather @ sizes, DAMPING)
