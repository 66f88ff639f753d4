"""Training: the same files give the same bytes, and bad files are refused by line."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("sklearn", reason="training needs the extra yanshao[train]")

from sklearn.metrics import average_precision_score, roc_auc_score

from stream.cli import main
from stream.measure import auc, average_precision, calibration, in_tenth, is_hard, measure
from stream.models import read_model, shipped_model
from stream.train import corpora, heads, recipe

GOOD, BAD = (
    ("谢谢你们", "已经好了", "问题解决了", "非常满意"),
    ("还是不行", "没人处理", "太差劲了", "要投诉你们"),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small labelled files, of sentences made up here."""
    choice = random.Random(3)
    folder = tmp_path_factory.mktemp("corpora")
    dialogues = []
    for number in range(60):
        bad = number % 3 == 0
        words = BAD if bad else GOOD
        dialogues.append(
            {
                "dialogue_id": f"d-{number}",
                "satisfaction": -1.2 if bad else 0.7,
                "turns": [
                    {"role": "customer", "text": f"上网慢{choice.choice('啊呀呢')}"},
                    {"role": "agent", "text": "请提供号码"},
                    {"role": "customer", "text": choice.choice(words), "satisfaction": 0 if bad else 2},
                ],
            }
        )
    posts = [
        {
            "text": f"{choice.choice(['滚回去', '真恶心'] if bad else ['天气好', '去散步'])}{number}",
            "offensive": bad,
            "topic": "ab"[number // 2 % 2],
        }
        for number, bad in enumerate([0, 1] * 40)
    ]
    for name, rows in (("helpdesk", dialogues), ("offensive", posts)):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
    return folder


def train(files, out, *more: str):
    sources = ["--helpdesk", str(files / "helpdesk.jsonl"), "--offensive", str(files / "offensive.jsonl")]
    done = CliRunner().invoke(main, ["train", *sources, "--no-reviews", "--out", str(out), *more])
    assert done.exit_code == 0, done.output
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    """What the small files make, by file name."""
    return train(files, tmp_path_factory.mktemp("trained"))


def test_the_same_files_give_the_same_bytes(files, trained, tmp_path) -> None:
    first, second = trained, train(files, tmp_path)
    assert set(first) == {"table.npy", "syllables.npy", "model.json", "card.json", "MODEL_CARD.md"}
    assert first == second


def test_a_trained_model_can_be_read_and_says_what_it_is_made_of(trained, tmp_path) -> None:
    for name, content in trained.items():
        (tmp_path / name).write_bytes(content)
    learned = read_model(tmp_path)
    assert learned.judge.model == learned.model.id != shipped_model().model.id
    card = json.loads(trained["card.json"])
    assert card["ships"] is True
    assert {one["name"] for one in card["corpora"]} == {
        "Weibo help-desk dialogues",
        "offensive posts",
        "phrases.txt",
        "anger.txt",
    }


def test_a_model_of_own_chats_says_that_it_does_not_ship(files, tmp_path) -> None:
    written = train(files, tmp_path, "--chats", str(files / "helpdesk.jsonl"))
    assert json.loads(written["card.json"])["ships"] is False
    assert "for study only" in written["MODEL_CARD.md"].decode()


def test_turns_of_own_chats_are_measured_on_chats_held_out(files, tmp_path) -> None:
    rows = [json.loads(line) for line in (files / "helpdesk.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        strict = row["turns"][-1] | {"text": row["turns"][-1]["text"] + "，我明天再来看"}
        row["turns"] += [strict, {"role": "customer", "text": "嗯", "satisfaction": 1}]
    chats = tmp_path / "chats.jsonl"
    chats.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    written = train(files, tmp_path / "made", "--chats", str(chats))
    measured = json.loads(written["card.json"])["measured"]
    assert measured["chat turn dissatisfied"]["rows"] == 180
    assert measured["chat turn dissatisfied, 6 characters and more"]["rows"] == 60
    assert measured["chat turn dissatisfied"]["auc"] > 0.9


def test_a_dialogue_whose_rater_is_strict_does_not_blame_its_words() -> None:
    """What all turns of a dialogue share is its own column's to explain, not the everyday word's in it."""
    words = np.array([[number % 2, turn] for number in range(40) for turn in (0, 1)], np.float64)
    strict = np.repeat(np.arange(40) % 2 * (np.arange(40) % 4 != 1), 2)
    labels = (strict == 1) | (words[:, 1] == 1)
    levels = recipe.LEVEL * heads.gathering(np.repeat(np.arange(40), 2), 40).T
    alone = heads.logistic(heads.beside([words]), labels, recipe.CHATS_C)
    beside = heads.logistic(heads.beside([words, levels]), labels, recipe.CHATS_C)
    assert beside.weights[0] / beside.weights[1] < alone.weights[0] / alone.weights[1]


def test_labelled_turns_know_their_dialogue() -> None:
    said = [corpora.Turn("customer", "好", 2), corpora.Turn("agent", "嗯"), corpora.Turn("customer", "唉", 0)]
    chats = [corpora.Dialogue("a", tuple(said)), corpora.Dialogue("b", ()), corpora.Dialogue("c", (said[2],))]
    turns = corpora.labelled_turns(chats)
    assert turns.texts == ["好", "唉", "唉"]
    assert turns.satisfaction.tolist() == [2, 0, 0]
    assert turns.dialogues.tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("text", "hard"),
    [("怎么还没到货", True), ("还没到货呢", False), ("订单[ORDERID_1]呢", False), ("", False)],
)
def test_hard_turns_are_six_characters_and_more_without_masks(text: str, hard: bool) -> None:
    assert is_hard(text) is hard


def test_the_tenth_is_left_out(files, tmp_path) -> None:
    written = train(files, tmp_path, "--without-tenth")
    kept = sum(not in_tenth(f"d-{number}") for number in range(60))
    assert json.loads(written["card.json"])["corpora"][0]["rows"] == kept < 60


@pytest.mark.parametrize(
    ("line", "problem"),
    [("{", "helpdesk.jsonl:2"), ('{"dialogue_id": 7, "turns": []}', "helpdesk.jsonl:2")],
)
def test_a_bad_line_is_named_and_not_repeated(files, tmp_path, line: str, problem: str) -> None:
    good = (files / "helpdesk.jsonl").read_text(encoding="utf-8").splitlines()[0]
    bad = tmp_path / "helpdesk.jsonl"
    bad.write_text(f"{good}\n{line}\n", encoding="utf-8")
    done = CliRunner().invoke(
        main,
        [
            "train",
            "--helpdesk",
            str(bad),
            "--offensive",
            str(files / "offensive.jsonl"),
            "--out",
            str(tmp_path),
        ],
    )
    assert done.exit_code == 2
    assert problem in done.output


def test_own_lists_have_marks_and_no_doubles() -> None:
    for name in ("phrases.txt", "anger.txt"):
        found = corpora.read_list(name)
        certain = [text for text, weight in zip(found.texts, found.weights, strict=True) if weight == 1]
        assert len(set(certain)) == len(certain)
        assert found.labels.any()
        assert not found.labels.all()


def test_homophones_sound_alike_and_are_the_same_for_the_same_seed() -> None:
    sounds = corpora.syllables()
    texts = ["他是谁她是水", "事实是诗"]
    disguised = corpora.homophones(texts, sounds, 1.0, 5)
    assert disguised == corpora.homophones(texts, sounds, 1.0, 5)
    assert disguised != texts
    for before, after in zip("".join(texts), "".join(disguised), strict=True):
        assert sounds[ord(before)] == sounds[ord(after)]


def test_figures_agree_with_scikit_learn() -> None:
    choice = np.random.default_rng(1)
    for _ in range(20):
        labels = choice.random(200) < 0.3
        scores = np.asarray(np.round(choice.random(200) * 0.7 + labels * 0.2, 1), np.float64)
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
        assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_a_perfect_score_has_no_error() -> None:
    labels = np.array([True, False, True, False])
    found = measure(labels, labels.astype(np.float64))
    assert (found.auc, found.ap, found.precision, found.error) == (1.0, 1.0, 1.0, 0.0)
    assert [one.rows for one in calibration(labels, labels.astype(np.float64))] == [2, 2]
