"""The learned scorer and the judge, with the model that ships."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from stream.core import judge as judges
from stream.core.annotation import Hit, Reading
from stream.core.features import BUCKETS, MAX_CHARS
from stream.core.judge import SHAPE, Judge
from stream.core.model import COLUMNS, VIEWS, LearnedScorer, Model
from stream.core.state import Views
from stream.models import (
    PARAMETERS,
    SYLLABLES,
    TABLE,
    ModelMissingError,
    build_annotator,
    normaliser,
    read_model,
    shipped_model,
)

SHIPPED = files("lexicons") / "model"


@pytest.fixture(scope="module")
def scorer() -> LearnedScorer:
    return LearnedScorer(shipped_model().model)


def scores(scorer: LearnedScorer, *texts: str):
    return scorer.score([normaliser().text(text) for text in texts], [()] * len(texts))


def test_shipped_files_fit_the_wheels_budget() -> None:
    assert sum(len((SHIPPED / name).read_bytes()) for name in (TABLE, SYLLABLES, PARAMETERS)) <= 4 << 20


def test_the_card_is_of_the_model_beside_it() -> None:
    card = json.loads((SHIPPED / "card.json").read_bytes())
    assert card["ships"] is True
    assert card["model"] == shipped_model().model.id == shipped_model().judge.model
    names = {corpus["name"] for corpus in card["corpora"]}
    assert "labelled chats" not in names
    assert all(corpus["licence"] for corpus in card["corpora"])


def test_scores_are_in_range_and_rounded(scorer: LearnedScorer) -> None:
    for values in scores(scorer, "", "谢谢", "😡😡", "差" * 5000, "\x02\x03\x00", "[ORDERID_10124449]"):
        for value in values:
            assert 0.0 <= value <= 1.0
            assert value == round(value, 4)


def test_only_the_head_of_a_long_text_is_scored(scorer: LearnedScorer) -> None:
    head = "差好" * (MAX_CHARS // 2)
    first, second = scores(scorer, head, head + "垃圾" * 100)
    assert first == second


@pytest.mark.parametrize(
    ("content", "displeased"),
    [
        ("谢谢", "人呢"),
        ("好的", "到底什么时候发货"),
        ("好的,谢谢客服", "等了三天了还没人处理"),
        ("可以开发票吗", "你们就是骗子"),
    ],
)
def test_short_formulas_are_ordered_by_displeasure(
    scorer: LearnedScorer, content: str, displeased: str
) -> None:
    calm, upset = scores(scorer, content, displeased)
    assert calm.dissatisfaction < 0.25
    assert upset.dissatisfaction > 2 * calm.dissatisfaction


def test_anger_is_not_sadness(scorer: LearnedScorer) -> None:
    angry, sad = scores(scorer, "气死我了,什么玩意,滚", "好难过,想家了,一个人哭了一晚上")
    assert angry.anger > 0.5 > sad.anger


def test_what_sounds_alike_is_abuse_alike(scorer: LearnedScorer) -> None:
    plain, disguised, harmless = scores(scorer, "这帮黑鬼滚回去", "这帮嘿鬼滚回去", "这帮朋友回去了")
    assert harmless.abuse < disguised.abuse
    assert abs(plain.abuse - disguised.abuse) < 0.35


def test_terms_shift_the_scores(scorer: LearnedScorer) -> None:
    text = "这个嘛"
    plain = scorer.score([text], [()])[0]
    hits = (Hit("emotion.anger.anger", "x", 0, 1), Hit("sensitive.abuse.insult", "x", 0, 1))
    shifted = scorer.score([text], [hits])[0]
    assert all(after > before for before, after in zip(plain, shifted, strict=True))


def test_agents_texts_are_read_without_scores() -> None:
    annotator = build_annotator((), "learned")
    said, answered = annotator.annotate(["怎么还不发货", "您好,请稍等"], [True, False])
    assert said.scores is not None
    assert answered.scores is None
    assert answered.reading is not None
    assert len(answered.reading.sums) == len(VIEWS)


def test_a_table_of_another_shape_is_refused() -> None:
    model = shipped_model().model
    with pytest.raises(ValueError, match="int8"):
        replace(model, table=np.zeros((BUCKETS, COLUMNS + 1), np.int8))
    with pytest.raises(ValueError, match="heads"):
        replace(model, heads={})


def test_a_directory_without_a_model_says_so(tmp_path) -> None:
    with pytest.raises(ModelMissingError):
        read_model(tmp_path)
    for name in (TABLE, SYLLABLES, PARAMETERS):
        (tmp_path / name).write_bytes((SHIPPED / name).read_bytes())
    assert read_model(tmp_path).model.id == shipped_model().model.id
    (tmp_path / TABLE).write_bytes((SHIPPED / TABLE).read_bytes()[:1000])
    with pytest.raises(ModelMissingError):
        read_model(tmp_path)


# --- the judge -------------------------------------------------------------------------------------


def hear(*turns: tuple[str, str]) -> Views:
    """Return the views after these turns, each (role, text)."""
    scorer = LearnedScorer(shipped_model().model)
    views = Views()
    for role, text in turns:
        reading = scorer.read([normaliser().text(text)], [()], [False])[0]
        (judges.hear_customer if role == "customer" else judges.hear_desk)(views, reading)
    return views


def judged(*turns: tuple[str, str]) -> float:
    return shipped_model().judge.dissatisfaction(hear(*turns))[0]


def test_the_end_of_a_conversation_decides() -> None:
    start = (("customer", "上网很慢怎么回事"), ("agent", "您好,请提供号码,我们帮您查询"))
    content = judged(*start, ("customer", "好了,谢谢你们"))
    assert content < 0.1
    assert judged(*start, ("customer", "打了几次电话都没人处理,太差劲了,投诉")) > 5 * content


def test_what_it_rests_on_adds_up() -> None:
    judge = shipped_model().judge
    probability, basis = judge.dissatisfaction(hear(("customer", "太差了"), ("agent", "抱歉")))
    logit = sum(one.value for one in basis) + judge.intercept
    assert probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-3)
    assert sum(one.weight for one in basis) == pytest.approx(1, abs=1e-3)


def test_sums_of_two_models_are_not_judged() -> None:
    judge, views = shipped_model().judge, hear(("customer", "太差了"))
    assert judge.judges(views)
    judges.hear_customer(views, Reading(None, "another", (1, 2, 3, 4, 5), 5))
    assert not judge.judges(views)
    judges.hear_customer(views, Reading(None, judge.model, (1, 2, 3, 4, 5), 5))
    assert not judge.judges(views)


def test_a_conversation_without_a_customer_is_not_judged() -> None:
    assert not shipped_model().judge.judges(hear(("agent", "您好")))


def test_scorers_without_a_model_leave_the_views_alone() -> None:
    views = Views()
    judges.hear_customer(views, Reading(None))
    judges.hear_desk(views, Reading(None))
    assert views == Views()


def test_the_course_has_a_name_for_every_feature() -> None:
    assert len(judges.shape(Views())) == len(SHAPE)
    judge: Judge = shipped_model().judge
    assert len(judge.means) == len(judge.deviations) == len(judge.weights) == len(SHAPE)


def test_a_model_is_told_apart_by_its_id() -> None:
    model: Model = shipped_model().model
    assert len(model.id) == 8
