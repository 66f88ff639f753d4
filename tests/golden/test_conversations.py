"""Small dialogues whose outcome was worked out by hand: `cases/*.yaml`, each with its working.

Events are listed as they arrive, each with its own time in seconds from the start: `12s agent 您好`, a
mapping of the wire contract with `at`, or `again: n` (the event of that number once more). Expected are
all findings, all alert records (with their step) and the named parts of the last summary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from stream.core.outputs import Summary
from stream.runtime.conversations import Knowledge
from stream.runtime.replay import Replayed, replay
from tests.contract import day
from tests.property.chats import received

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return day.knowledge(day.BEFORE, tmp_path_factory.mktemp("packs"))


def moment(written: str) -> int:
    return day.START + round(float(written.removesuffix("s")) * 1_000)


def shown(at: int) -> str:
    return f"{(at - day.START) / 1_000:g}s"


def event(number: int, written: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(written, str):
        at, role, text = written.split(" ", 2)
        return day.message("c-1", f"m-{number}", moment(at), role, text)
    named = "sent_at" if written["type"] == "message" else "at"
    rest = {name: value for name, value in written.items() if name != "at"}
    return {**rest, "conversation_id": "c-1", named: moment(written["at"])}


def events(listed: list[Any]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number, written in enumerate(listed):
        repeats = isinstance(written, dict) and "again" in written
        made.append(made[written["again"]] if repeats else event(number, written))
    return made


def clock_line(clock: Any) -> str:
    return f"{clock.clock_id} {clock.state} {clock.seconds:g}"


def part(summary: Summary, name: str, wanted: Any) -> Any:
    """Return a part of the summary in the words of the case."""
    value = getattr(summary, name)
    if name == "clocks":
        return [clock_line(one) for one in value]
    if name in {"opened_at", "closed_at"}:
        return shown(value)
    if name in {"metrics", "counted"} and isinstance(wanted, dict):
        return {key: value.get(key) for key in wanted}
    return (
        [msgspec.to_builtins(one) for one in value]
        if isinstance(value, tuple)
        else msgspec.to_builtins(value)
    )


def rules_of(done: Replayed) -> dict[str, str]:
    return {finding.finding_id: finding.rule_id for finding in done.findings}


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_dialogue_comes_out_as_worked_by_hand(path: Path, known: Knowledge) -> None:
    case = yaml.safe_load(path.read_text("utf-8"))
    assert case["working"]
    done = replay(known, map(received, events(case["events"])))
    expected = case["expect"]
    findings = sorted(done.findings, key=lambda one: (one.at, one.finding_id))
    assert [f"{shown(one.at)} {one.rule_id} {one.status}" for one in findings] == expected.get("findings", [])
    alerts = sorted(done.alerts, key=lambda one: one.at)
    lines = [f"{shown(one.at)} {one.labels['rule_id']} {one.status} {one.step}" for one in alerts]
    assert sorted(lines) == sorted(expected.get("alerts", []))
    if "groups" in expected:
        assert [one.labels.get("group") for one in alerts] == expected["groups"]
    if "distinct" in expected:
        assert len(rules_of(done)) == expected["distinct"]
    (summary,) = done.summaries.values()
    wanted = expected["summary"]
    assert {name: part(summary, name, value) for name, value in wanted.items()} == wanted
