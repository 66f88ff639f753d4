"""``yanshao evaluate``: labelled data through the engine, figures, ranges, mistakes, a picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from stream.cli import main
from stream.evaluate.datasets import DIALOGUE, HARD_TURN, TURN, DataError, read
from stream.measure import in_tenth


@pytest.fixture
def chats(tmp_path):
    rows = [
        {
            "dialogue_id": f"c-{number}",
            "overall": 0 if bad else 2,
            "turns": [
                {"role": "customer", "text": "在吗", "satisfaction": None},
                {"role": "agent", "text": "您好"},
                {
                    "role": "customer",
                    "text": "等了三天了到底什么时候发货" if bad else "谢谢,电话13800138000",
                    "satisfaction": 0 if bad else 2,
                },
            ],
        }
        for number, bad in enumerate([True, False] * 10)
    ]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def posts(tmp_path):
    path = tmp_path / "posts.jsonl"
    rows = [{"text": text, "emotion": mood} for text, mood in (("气死我了", "angry"), ("真开心", "happy"))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def evaluate(*args: str):
    return CliRunner().invoke(main, ["evaluate", *args], catch_exceptions=False)


def test_labels_belong_to_turns_and_conversations(chats) -> None:
    labels = read(chats).labels
    assert [len(labels[question]) for question in (TURN, HARD_TURN, DIALOGUE)] == [20, 20, 20]
    assert labels[TURN][0].item == "c-0/2"
    assert labels[DIALOGUE][0].item == "c-0"


def test_the_parts_share_no_row_and_miss_none(chats) -> None:
    whole = len(read(chats).rows)
    tenth = sum(in_tenth(f"c-{number}") for number in range(20))
    assert len(read(chats, "rest").rows) == whole - tenth


def test_figures_ranges_and_mistakes(chats, posts, tmp_path) -> None:
    picture = tmp_path / "curve.svg"
    done = evaluate(
        str(chats), str(posts), "--scorer", "learned", "--scorer", "terms",
        "--resamples", "20", "--errors", "1", "--json", "--chart", str(picture),
    )  # fmt: skip
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    figures = {(row["task"], row["scorer"]): row for row in document["figures"]}
    ours = figures["turn dissatisfied", "learned"]
    assert ours["rows"] == 20
    assert ours["positive"] == 10
    assert ours["auc"] == ours["ap"] == ours["precision_at_recall_half"] == 1.0
    assert ours["auc_range"] == [1.0, 1.0]
    assert figures["post angry", "learned"]["auc"] == 1.0
    assert figures["dialogue dissatisfied", "terms"]["rows"] == 20
    assert "13800138000" not in done.stdout
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_the_table_names_every_scorer(chats) -> None:
    done = evaluate(str(chats), "--scorer", "learned", "--scorer", "plain", "--resamples", "5")
    assert done.exit_code == 0
    assert "learned" in done.stdout
    assert "plain" in done.stdout


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "data.jsonl:1"),
        ('{"emotion": "angry"}', "data.jsonl:1: neither"),
        ('{"text": "a"}', "no labels"),
    ],
)
def test_bad_data_is_refused_by_line(tmp_path, line: str, problem: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=problem):
        read(path)
    assert evaluate(str(path)).exit_code == 2


def test_a_directory_without_a_model_is_refused(chats, tmp_path) -> None:
    assert evaluate(str(chats), "--model", str(tmp_path)).exit_code == 2
