"""What each scorer says of a text."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from stream.core.annotation import Hit, Scores
from stream.core.moods import MAX_CERTAINTY, shift, sigmoid
from stream.core.scores import MAX_SCORED, SCORERS, Scorer, WordOdds
from stream.models import normaliser, resources, segmenter, snownlp_odds

TEXTS = [
    "",
    "谢谢",
    "怎么还不发货，等了三天了",
    "质量太差了，垃圾，再也不买了",
    "非常好，很满意，物流很快",
    "[ORDERID_10124449]",
    "😡😡",
    "差" * 5000,
]


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    return segmenter(tmp_path_factory.mktemp("jieba"))


@pytest.fixture(scope="module", params=sorted(SCORERS.keys() - {"learned"}))
def scorer(request, tmp_path_factory) -> Scorer:
    return SCORERS[request.param](resources(tmp_path_factory.mktemp("jieba")))


def hit(terms: str, *, negated: bool = False, degree: float = 1.0) -> Hit:
    return Hit(terms, "x", 0, 1, negated, degree)


def test_scores_are_in_range_and_rounded(scorer: Scorer) -> None:
    hits = [(hit("emotion.anger.fury", degree=4.0),) * 5, *[()] * (len(TEXTS) - 1)]
    for scores in scorer.score(TEXTS, hits):
        for value in scores:
            assert 0.0 <= value <= 1.0
            assert value == round(value, 4)


def test_the_batch_changes_no_score(scorer: Scorer) -> None:
    together = scorer.score(TEXTS, [()] * len(TEXTS))
    assert together == [scorer.score([text], [()])[0] for text in TEXTS]


def test_snownlp_scorer_equals_snownlps_own_classifier(cut) -> None:
    """The package's classifier, in a process of its own (it takes 4 s and 410 MiB), on the same words."""
    words = [cut(text) for text in TEXTS[1:]]
    code = (
        "import json, sys\n"
        "from snownlp import normal, sentiment\n"
        "bayes = sentiment.classifier.classifier\n"
        "def positive(words):\n"
        "    label, chance = bayes.classify(normal.filter_stop(words))\n"
        "    return chance if label == 'pos' else 1 - chance\n"
        "print(json.dumps([positive(words) for words in json.load(sys.stdin)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(words), capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)
    ours = [snownlp_odds().positive(text) for text in words]
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_nothing_of_snownlp_is_imported() -> None:
    code = (
        "import sys; from stream.models import snownlp_odds\n"
        "snownlp_odds(); sys.exit('snownlp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_word_odds_are_add_one_smoothed_naive_bayes() -> None:
    # As saved: count + 1 for each known word; totals of these. One word more for either class when unseen.
    odds = WordOdds.from_counts({"好": 4, "的": 3}, {"差": 2}, 7.0, 2.0, ["的"])
    likelihood_positive = 7 / 9 * (4 / 7) * (1 / 7)
    likelihood_negative = 2 / 9 * (1 / 2) * (1 / 2)
    expected = likelihood_positive / (likelihood_positive + likelihood_negative)
    assert math.isclose(odds.positive(["好", "的", "新"]), expected)


def test_plain_scorer_orders_texts_by_displeasure() -> None:
    plain = SCORERS["plain"](resources())
    texts = ["质量太差了，垃圾", "你好", "非常好，很满意"]
    scores = [scores.dissatisfaction for scores in plain.score(texts, [()] * 3)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2]


def test_only_the_head_of_a_long_text_is_scored() -> None:
    plain = SCORERS["plain"](resources())
    head = "差" * MAX_SCORED
    assert plain.score([head], [()]) == plain.score([head + "好" * 100], [()])


def test_terms_raise_and_thanks_lower_dissatisfaction() -> None:
    assert shift([hit("emotion.urging.urging")]) > 0
    assert shift([hit("emotion.gratitude.gratitude")]) < 0
    assert shift([hit("category.ecommerce.logistics")]) == 0
    assert shift([hit("emotion.anger.anger")] * 9) == shift([hit("emotion.anger.anger")])


def test_a_denied_term_of_displeasure_says_nothing_and_denied_praise_says_displeasure() -> None:
    assert shift([hit("emotion.anger.anger", negated=True)]) == 0
    assert shift([hit("emotion.praise.praise", negated=True)]) > 0


@pytest.mark.parametrize(
    ("hits", "anger", "abuse"),
    [
        ((), 0.0, 0.0),
        ((hit("emotion.anger.anger"),), 0.6, 0.0),
        ((hit("emotion.anger.anger", degree=0.5),), 0.3, 0.0),
        ((hit("emotion.anger.anger", negated=True),), 0.0, 0.0),
        ((hit("emotion.anger.anger"), hit("emotion.anger.fury")), 0.84, 0.0),
        ((hit("emotion.anger.fury", degree=2.0),), MAX_CERTAINTY, 0.0),
        ((hit("sensitive.abuse.insult"),), 0.0, 0.7),
        ((hit("sensitive.abuser.insult"),), 0.0, 0.0),
    ],
)
def test_anger_and_abuse_come_from_their_terms(hits: tuple[Hit, ...], anger: float, abuse: float) -> None:
    scores = SCORERS["terms"](resources()).score(["x"], [hits])[0]
    assert (scores.anger, scores.abuse) == (anger, abuse)


def test_terms_scorer_is_silent_without_terms() -> None:
    assert SCORERS["terms"](resources()).score(["差"], [()]) == [Scores()]


@pytest.mark.parametrize("logit", [-1e9, -5.0, 0.0, 5.0, 1e9])
def test_sigmoid_does_not_overflow(logit: float) -> None:
    assert 0.0 <= sigmoid(logit) <= 1.0
    assert math.isclose(sigmoid(logit) + sigmoid(-logit), 1.0)


def test_traditional_and_simplified_score_alike() -> None:
    plain = SCORERS["plain"](resources())
    texts = [normaliser().text(text) for text in ("質量太差了", "质量太差了")]
    first, second = plain.score(texts, [(), ()])
    assert first == second
