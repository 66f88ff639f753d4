"""How dissatisfied, angry, abusive a text reads: a registry of scorers with one interface.

``terms`` looks at the terms found and nothing else: explainable, and silent on the many dissatisfied
texts that hold no such term. ``snownlp`` is SnowNLP's naive Bayes classifier, number for number, on the
words of the segmenter it is given. ``plain``, the default, joins both: SnowNLP's word odds, words taken
by longest match (as good as jieba's on service chats, and twenty times as fast), averaged over the text
and put on a scale that means something, shifted by the terms found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import ahocorasick_rs

from stream.core.annotation import Hit, Scores
from stream.core.lexicon import Segmenter

MAX_SCORED: Final = 1_000
"""Characters of a text that are scored: a long complaint has said by then what it thinks."""

DECIMALS: Final = 4
"""Scores are compared with thresholds of two decimals; more would only invite comparing noise."""


class Scorer(Protocol):
    """Scores normalised texts; the scores of one depend on nothing but itself and its hits."""

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        """Return the scores of each text, each in [0, 1], rounded to ``DECIMALS``."""
        ...


@dataclass(frozen=True, slots=True)
class WordOdds:
    """A two-class naive Bayes classifier as log odds of positive against negative.

    ``odds`` of the known words, ``unknown`` of any other, ``prior`` of an empty text; ``ignored`` words
    count for nothing.
    """

    odds: Mapping[str, float]
    unknown: float
    prior: float
    ignored: frozenset[str] = frozenset()

    @classmethod
    def from_counts(
        cls,
        positive: Mapping[str, int],
        negative: Mapping[str, int],
        positive_total: float,
        negative_total: float,
        ignored: Iterable[str] = (),
    ) -> WordOdds:
        """Return the odds of add-one smoothed counts (an unseen word counts 1 in either class)."""
        stop = frozenset(ignored)
        prior = math.log(positive_total) - math.log(negative_total)
        odds = {
            word: math.log(positive.get(word, 1)) - math.log(negative.get(word, 1)) - prior
            for word in positive.keys() | negative.keys()
            if word not in stop
        }
        return cls(odds, -prior, prior, stop)

    def positive(self, words: Iterable[str]) -> float:
        """Return the probability that a text of these words is positive."""
        odds, unknown, ignored = self.odds, self.unknown, self.ignored
        return sigmoid(
            math.fsum((self.prior, *(odds.get(word, unknown) for word in words if word not in ignored)))
        )


@dataclass(frozen=True, slots=True)
class Resources:
    """What scorers are made from; each part is loaded when first asked for."""

    odds: Callable[[], WordOdds]
    segment: Callable[[], Segmenter]


# --- terms -----------------------------------------------------------------------------------------

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

MAX_SHIFT: Final = 3.0
"""Terms together move the odds at most twentyfold either way."""


class TermScorer:
    """Scores by the terms found alone."""

    __slots__ = ()

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        """Return the scores; a text without terms has none."""
        return [
            Scores(round(1 - 1 / (1 + max(0.0, math.expm1(shift(found)))), DECIMALS), *_certainties(found))
            if found
            else Scores()
            for _, found in zip(texts, hits, strict=True)
        ]


class BayesScorer:
    """SnowNLP's classifier: dissatisfaction is the probability of its negative class.

    It knows nothing of anger and abuse; these come from the terms.
    """

    __slots__ = ("_odds", "_segment")

    def __init__(self, odds: WordOdds, segment: Segmenter) -> None:
        self._odds = odds
        self._segment = segment

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        """Return the scores; an empty text is as negative as the training data are."""
        return [
            Scores(
                round(1 - self._odds.positive(self._segment(text[:MAX_SCORED])), DECIMALS),
                *_certainties(found),
            )
            for text, found in zip(texts, hits, strict=True)
        ]


class PlainScorer:
    """The default: mean word odds on a calibrated scale, shifted by the terms found.

    Naive Bayes adds words up as if each were news, so long texts end at 0 or 1; the mean orders service
    messages better. Slope and level put 0.2 on a text without any sign and 0.4 on one of clearly
    negative words, which is how often such customer turns are dissatisfied.
    """

    SLOPE: Final = 1.4
    LEVEL: Final = -1.4
    MAX_ODDS: Final = 1.5
    """Of one word. Reviews know 请问 and 没法 from complaints only; no word alone makes a score above 0.5."""

    __slots__ = ("_automaton", "_odds")

    def __init__(self, odds: WordOdds) -> None:
        words = sorted(filter(None, odds.odds))
        self._automaton = ahocorasick_rs.AhoCorasick(
            words, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest
        )
        self._odds = [max(-self.MAX_ODDS, min(self.MAX_ODDS, odds.odds[word])) for word in words]

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        """Return the scores; a text of unknown words has that of a text without any sign."""
        return [
            Scores(
                round(
                    sigmoid(self.LEVEL - self.SLOPE * self._mean(text) + (shift(found) if found else 0.0)),
                    DECIMALS,
                ),
                *(_certainties(found) if found else (0.0, 0.0)),
            )
            for text, found in zip(texts, hits, strict=True)
        ]

    def _mean(self, text: str) -> float:
        odds = self._odds
        found: list[tuple[int, int, int]] = self._automaton.find_matches_as_indexes(text[:MAX_SCORED])
        # One is added to the count: a single word is not yet a mood.
        return sum([odds[index] for index, _, _ in found]) / (len(found) + 1)


SCORERS: Final[Mapping[str, Callable[[Resources], Scorer]]] = {
    "plain": lambda resources: PlainScorer(resources.odds()),
    "snownlp": lambda resources: BayesScorer(resources.odds(), resources.segment()),
    "terms": lambda _: TermScorer(),
}
"""Scorers by name. To add one: a class with ``score``, a line here, its row in tests/unit/test_scores.py."""


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
    return ".".join(hit.terms.split(".", 2)[:2])


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + e^-x) without overflow."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    grown = math.exp(logit)
    return grown / (1 + grown)


def _certainties(hits: Sequence[Hit]) -> tuple[float, float]:
    """Return anger and abuse: the chance that not every term of it means nothing."""
    return _certainty(hits, ANGER), _certainty(hits, ABUSE)


def _certainty(hits: Sequence[Hit], packs: Mapping[str, float]) -> float:
    doubt = 1.0
    for hit in hits:
        weight = packs.get(pack_of(hit))
        if weight is not None and not hit.negated:
            doubt *= 1 - min(MAX_CERTAINTY, weight * hit.degree)
    return round(min(MAX_CERTAINTY, 1 - doubt), DECIMALS)
