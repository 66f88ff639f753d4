"""`yanshao ola explain` and `ola attainment` on two days worked by hand, as a person would run them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from stream import wire
from stream.cli import main
from stream.resources import demo
from stream.runtime.explain_clocks import explain
from stream.runtime.knowledge import open_knowledge
from stream.runtime.replay import replay

OLA = Path(__file__).parent / "ola"
Run = Callable[..., Result]


def events() -> Iterator[dict[str, Any]]:
    """Yield the events of the day; messages are named by their line, people by the letter they begin with."""
    for number, line in enumerate(yaml.safe_load((OLA / "day.yaml").read_text("utf-8")), 1):
        at = datetime.fromisoformat(f"2026-11-{line.pop('at').replace(' ', 'T')}+08:00").isoformat()
        event = {"type": line.get("type", "message"), "conversation_id": line.pop("c")}
        if event["type"] != "message":
            yield {**line, **event, "at": at}
            continue
        role = "customer" if line["by"].startswith("u") else "agent"
        sender = {"role": role, "id": line["by"]}
        name = f"{event['conversation_id']}/{number}"
        yield {**event, "message_id": name, "sent_at": at, "sender": sender, "content": {"text": "好"}}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YANSHAO_CONFIG", raising=False)
    # The packs of the test alone: policies of the service would tie with its own.
    (tmp_path / "yanshao.yaml").write_text(f"packs: ['{OLA / 'packs'}']\n", encoding="utf-8")
    lines = [json.dumps(event, ensure_ascii=False) for event in events()]
    (tmp_path / "day.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_attainment_is_that_of_the_hand_worked_days(run: Run, tmp_path: Path) -> None:
    expected = (OLA / "attainment.csv").read_text("utf-8")
    result = run("ola", "attainment", "day.jsonl", "--csv", "-")
    assert (result.exit_code, result.stdout) == (0, expected)
    assert run("ola", "attainment", "day.jsonl", "--csv", "kept.csv").exit_code == 0
    assert (tmp_path / "kept.csv").read_text("utf-8") == expected


def test_every_clock_is_explained_as_worked_by_hand(run: Run) -> None:
    expected = (OLA / "explained.txt").read_text("utf-8")
    chosen = re.split(r"(?m)^(?=c-)", expected)[1:]
    for text in chosen:
        name = text.splitlines()[0]
        result = run("ola", "explain", "day.jsonl", "--conversation", name)
        assert (result.exit_code, result.stdout) == (0, text)


def test_one_clock_can_be_asked_for_and_all_conversations_are_told_without(run: Run) -> None:
    one = json.loads(run("ola", "explain", "day.jsonl", "--clock", "leg#1", "--json").stdout)
    found = [clock for story in one for clock in story["clocks"]]
    assert [clock["owes"] for clock in found] == ["仓库", "财务"]
    assert found[1]["happened"][-1] == {
        "at": "2026-11-12T09:30:00.000+08:00",
        "what": "answered late",
        "by": "issue.answered by 财务",
        "over_ms": 600_000,
        "due": None,
    }
    every = run("ola", "explain", "day.jsonl").stdout
    assert re.findall(r"(?m)^c-\d", every) == ["c-1", "c-4", "c-5", "c-6", "c-2", "c-3"]


def test_what_cannot_be_used_is_told_and_an_unknown_conversation_is_wrong_use(
    run: Run, tmp_path: Path
) -> None:
    with (tmp_path / "day.jsonl").open("a") as file:
        file.write("nope\n")
    refused = run("ola", "explain", "day.jsonl", "--conversation", "c-3")
    assert (refused.exit_code, "day.jsonl:30: not_json" in refused.stderr) == (1, True)
    assert "withdrawn (conversation.closed by customer); 30 s left" in refused.stdout
    assert run("ola", "attainment", "day.jsonl").exit_code == 1
    assert run("ola", "explain", "day.jsonl", "--conversation", "c-99").exit_code == 2
    assert run("ola", "explain", "nothing.jsonl").exit_code == 2


def test_explained_clocks_and_legs_are_those_of_the_replay() -> None:
    """The shipped day, whose clocks are many, and the two days of this test, whose issues are."""
    shipped = str(Path(demo.__file__).parent / "day.jsonl")
    for knowledge, lines in (
        (open_knowledge(), [raw for _, raw in wire.read_events(shipped)]),
        (open_knowledge([OLA / "packs"]), [json.dumps(event).encode() for event in events()]),
    ):
        day = [wire.decode(raw, received_at=None) for raw in lines]
        summaries = replay(knowledge, day).summaries
        stories = explain(knowledge, day)
        assert {story.conversation_id for story in stories} == summaries.keys()
        for story in stories:
            summary = summaries[story.conversation_id]
            ended = {clock.clock_id: clock.state for clock in summary.clocks if clock.kind != "rule"}
            assert {clock.clock_id: clock.state for clock in story.clocks} == ended
            assert [issue.issue_id for issue in story.issues] == [one.issue_id for one in summary.issues]
            for issue, outcome in zip(story.issues, summary.issues, strict=True):
                assert {name: length / 1000 for name, length in issue.legs_ms.items()} == outcome.legs
                for leg in issue.legs_ms:
                    spans = [one for one in issue.legs if one.leg == leg and one.until is not None]
                    assert sum((one.until or 0) - one.since for one in spans) <= issue.legs_ms[leg]
