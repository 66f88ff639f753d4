"""How dissatisfied, angry, abusive a text reads: a registry of scorers with one interface.

``learned`` is the shipped model (``core.model``). ``terms`` looks at the terms found and nothing else:
explainable, and silent on the many dissatisfied texts that hold no such term. ``snownlp`` is SnowNLP's
naive Bayes classifier, number for number, on the words of the segmenter it is given. ``plain`` joins
both: SnowNLP's word odds, words taken by longest match (as good as jieba's on service chats, and twenty
times as fast), averaged over the text and put on a scale that means something, shifted by the terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import ahocorasick_rs

from stream.core.annotation import Hit, Reading, Scores
from stream.core.lexicon import Segmenter
from stream.core.model import LearnedScorer, Model
from stream.core.moods import DECIMALS, certainties, shift, sigmoid

MAX_SCORED: Final = 1_000
"""Characters of a text that are scored: a long complaint has said by then what it thinks."""


class Scorer(Protocol):
    """Scores normalised texts; the scores of one depend on nothing but itself and its hits."""

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        """Return the scores of each text, each in [0, 1], rounded to ``DECIMALS``."""
        ...

    def read(
        self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]], scored: Sequence[bool]
    ) -> list[Reading]:
        """Return what is made of each text, with its scores where ``scored`` asks for them."""
        ...


class _ScoresOnly:
    """Reads a text by scoring it, where scores are asked for."""

    __slots__ = ()

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        raise NotImplementedError

    def read(
        self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]], scored: Sequence[bool]
    ) -> list[Reading]:
        """Return the scores of the texts that are to be scored."""
        places = [place for place, wanted in enumerate(scored) if wanted]
        readings = [_NOTHING_READ] * len(texts)
        scores = self.score([texts[place] for place in places], [hits[place] for place in places])
        for place, value in zip(places, scores, strict=True):
            readings[place] = Reading(value)
        return readings


_NOTHING_READ: Final = Reading(None)


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
    model: Callable[[], Model]


class TermScorer(_ScoresOnly):
    """Scores by the terms found alone."""

    __slots__ = ()

    def score(self, texts: Sequence[str], hits: Sequence[tuple[Hit, ...]]) -> list[Scores]:
        """Return the scores; a text without terms has none."""
        return [
            Scores(round(1 - 1 / (1 + max(0.0, math.expm1(shift(found)))), DECIMALS), *certainties(found))
            if found
            else Scores()
            for _, found in zip(texts, hits, strict=True)
        ]


class BayesScorer(_ScoresOnly):
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
                *certainties(found),
            )
            for text, found in zip(texts, hits, strict=True)
        ]


class PlainScorer(_ScoresOnly):
    """Mean word odds on a calibrated scale, shifted by the terms found.

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
                *(certainties(found) if found else (0.0, 0.0)),
            )
            for text, found in zip(texts, hits, strict=True)
        ]

    def _mean(self, text: str) -> float:
        odds = self._odds
        found: list[tuple[int, int, int]] = self._automaton.find_matches_as_indexes(text[:MAX_SCORED])
        # One is added to the count: a single word is not yet a mood.
        return sum([odds[index] for index, _, _ in found]) / (len(found) + 1)


SCORERS: Final[Mapping[str, Callable[[Resources], Scorer]]] = {
    "learned": lambda resources: LearnedScorer(resources.model()),
    "plain": lambda resources: PlainScorer(resources.odds()),
    "snownlp": lambda resources: BayesScorer(resources.odds(), resources.segment()),
    "terms": lambda _: TermScorer(),
}
"""Scorers by name. To add one: a class with ``score``, a line here, its row in tests/unit/test_scores.py."""
