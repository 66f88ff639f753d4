"""The platforms' sheet once more, through the whole: events in, packed lines, summaries, the command.

What is expected is the sheet (platforms/sheet.yaml), which was worked by hand, and nothing else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stream import wire
from stream.cli import main
from stream.core.limits import HOUR_MS, Limits
from stream.core.outputs import Summary
from stream.core.platforms import DEFINITIONS, figures_of
from stream.core.responses import contribution_of, contributions_of, unit_of
from stream.runtime.conversations import Conversations, Input
from stream.runtime.knowledge import open_knowledge
from stream.runtime.replay import replay
from tests.golden.test_platforms import CONVERSATIONS, SHEET, at, line, told
from tests.property.chats import received, wire_bytes

# The sheet says when each conversation was closed, whatever silence was in it.
LIMITS = Limits(idle_close_ms=24 * HOUR_MS)
ENVIRONMENT = {"YANSHAO_CONVERSATION__IDLE_CLOSE": "24h"}
WHY = {
    "counted": "计入",
    "capped": "超过上限",
    "unanswered": "未获有效回复",
    "out_of_hours": "不在考核时段",
    "automatic": "机器人独立接待",
    "left_message": "留言",
}

every_definition = pytest.mark.parametrize("name", DEFINITIONS)
every_conversation = pytest.mark.parametrize("written", SHEET["conversations"], ids=lambda one: one["id"])


def events_of(written: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Who is in charge is told as chat systems tell it: by an assignment before the customer writes."""
    name, in_charge = written["id"], ""
    shared = {"conversation_id": name, "customer": {"id": written["customer"]}}
    if written.get("left_message") == "yes":
        shared["attributes"] = {"left_message": True}
    for number, text in enumerate(written["lines"], 1):
        said = line(text)
        if said.role == "customer" and said.account != in_charge:
            in_charge = said.account
            yield {**shared, "type": "conversation.assigned", "at": said.at, "agent": in_charge}
        sender = {"role": said.role, "mode": said.mode}
        if said.role == "agent" and said.account:
            in_charge = sender["id"] = said.account
        yield {
            **shared,
            "type": "message",
            "message_id": f"{name}/{number}",
            "sent_at": said.at,
            "sender": sender,
            "content": {"text": "您好"},
        }
    yield {**shared, "type": "conversation.closed", "at": at(written["closed"])}


def when(event: dict[str, Any]) -> int:
    return int(event.get("sent_at") or event["at"])


EVENTS = sorted((event for written in SHEET["conversations"] for event in events_of(written)), key=when)


@pytest.fixture(scope="module")
def summaries() -> dict[str, Summary]:
    return replay(open_knowledge(limits=LIMITS), map(received, EVENTS)).summaries


@every_definition
@every_conversation
def test_a_summary_has_every_unit_as_worked(
    summaries: dict[str, Summary], name: str, written: dict[str, Any]
) -> None:
    found = contributions_of(summaries[written["id"]])[name]
    assert [told(one) for one in found] == written["expect"][name]


@every_definition
@every_conversation
def test_a_summary_has_what_the_definition_says_of_the_lines(
    summaries: dict[str, Summary], name: str, written: dict[str, Any]
) -> None:
    """Times too, and after the way over the wire and back."""
    read = wire.read(Summary, wire.encode(summaries[written["id"]]))
    assert contributions_of(read)[name] == DEFINITIONS[name].contribute(CONVERSATIONS[written["id"]])


@every_definition
def test_the_units_of_all_summaries_come_to_the_figures_as_worked(
    summaries: dict[str, Summary], name: str
) -> None:
    units = [one for summary in summaries.values() for one in contributions_of(summary)[name]]
    expected = {key: [float(one) for one in value] for key, value in SHEET["figures"][name].items()}
    assert {
        key: [value.numerator, value.denominator]
        for key, value in figures_of(DEFINITIONS[name], units).items()
    } == expected


@pytest.mark.parametrize("seed", range(4))
def test_any_batches_and_the_order_of_conversations_give_the_same(
    summaries: dict[str, Summary], seed: int
) -> None:
    chance = random.Random(seed)
    known = open_knowledge(limits=LIMITS)
    conversations, found = Conversations(), {}
    shuffled = [list(map(received, events_of(written))) for written in SHEET["conversations"]]
    chance.shuffle(shuffled)
    inputs = [Input(event) for events in shuffled for event in events]
    while inputs:
        size = chance.choice((1, 2, 7, 50))
        for record in conversations.apply(known, inputs[:size]).records:
            if isinstance(record, Summary):
                found[record.conversation_id] = record.responses
        inputs = inputs[size:]
    assert found == {name: summary.responses for name, summary in summaries.items()}


@every_definition
def test_a_unit_is_a_contribution_without_what_its_summary_says(name: str) -> None:
    for conversation in CONVERSATIONS.values():
        for one in DEFINITIONS[name].contribute(conversation):
            shared = (name, conversation.id, conversation.customer, conversation.closed_at)
            assert contribution_of(unit_of(one), *shared) == one


# The command -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "day.jsonl"
    path.write_bytes(b"".join(wire_bytes(event) + b"\n" for event in EVENTS))
    return path


@every_conversation
def test_the_command_tells_each_line_of_the_sheet(recording: Path, written: dict[str, Any]) -> None:
    arguments = ["metrics", "explain", written["id"], str(recording)]
    shown = CliRunner().invoke(main, arguments, env=ENVIRONMENT, catch_exceptions=False)
    assert shown.exit_code == 0
    blocks = dict(block.split(", by ", 1) for block in shown.stdout.split("\n\n")[1:])
    assert list(blocks) == list(DEFINITIONS)
    for name, block in blocks.items():
        lines = [text for text in block.splitlines() if "第" in text]
        for text, unit in zip(lines, written["expect"][name], strict=True):
            number, verdict, seconds = unit.removeprefix("~").split(" ")
            assert text.startswith(f"  {clock(written, int(number))} 第{number}句")
            assert f"：{WHY[verdict]}" in text
            assert f"[{written['id']}/{number}" in text
            assert text.partition("，计 ")[2].partition(" 秒")[0] == seconds.replace("-", "")


def clock(written: dict[str, Any], number: int) -> str:
    hours, rest = written["lines"][number - 1].split(" ")[0].split(":", 1)
    return f"{int(hours) % 24:02}:{rest}"


def test_the_command_tells_programs_the_same(recording: Path) -> None:
    for written in SHEET["conversations"]:
        arguments = ["metrics", "explain", written["id"], str(recording), "--json"]
        shown = CliRunner().invoke(main, arguments, env=ENVIRONMENT, catch_exceptions=False)
        (document,) = json.loads(shown.stdout)["summaries"]
        assert {
            name: [
                f"{'' if unit['opens_turn'] else '~'}{unit['opened_by']} {unit['verdict']} "
                f"{'-' if unit['counted_ms'] is None else format(unit['counted_ms'] / 1000, 'g')}"
                for unit in definition["units"]
            ]
            for name, definition in document["definitions"].items()
        } == written["expect"]


def test_the_command_adds_the_units_up(recording: Path) -> None:
    """C2 by hand: 600 + 180 + 181 + 600 seconds in 4 turns, one of them within three minutes."""
    arguments = ["metrics", "explain", "C2", str(recording), "--definition", "tmall_v1"]
    shown = CliRunner().invoke(main, arguments, env=ENVIRONMENT, catch_exceptions=False)
    assert "  average_seconds = 1561 / 4 = 390.25\n  answered_in_180s = 1 / 4 = 0.25\n" in shown.stdout
    assert "plain" not in shown.stdout


def test_the_documents_example_is_what_the_command_shows(tmp_path: Path) -> None:
    """It is C2 of the sheet under shorter ids."""
    page = Path(__file__).parents[2] / "docs" / "response-metrics.md"
    asked, _, shown = page.read_text("utf-8").partition("```\n$ ")[2].partition("```")[0].partition("\n")
    text = b"".join(wire_bytes(event) + b"\n" for event in EVENTS if event["conversation_id"] == "C2")
    path = tmp_path / "day.jsonl"
    path.write_bytes(text.replace(b"C2/", b"m-").replace(b"C2", b"c-2"))
    arguments = [str(path) if word == path.name else word for word in asked.split()[1:]]
    told = CliRunner().invoke(main, arguments, env=ENVIRONMENT, catch_exceptions=False)
    assert told.stdout == shown
