"""Incidents planted in the demo day and in chats, written before the rules they test, raise their alerts.

`incidents/*.yaml` hold the chats, lot by lot; `stream/resources/demo/incidents.yaml` names those of the day.
How many each lot raised when it was first run is in `docs/detection.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from stream.core.events import Message, Received
from stream.core.outputs import Severity
from stream.core.rules.source import Fields, Items, Mark, Report, Text
from stream.packs.cases import read_cases
from stream.resources.demo import build
from stream.runtime.conversations import Knowledge
from stream.runtime.explain import dialogue
from stream.runtime.knowledge import open_knowledge
from stream.runtime.replay import Replayed, read, replay

LOTS = sorted((Path(__file__).parent / "incidents").glob("*.yaml"))
DAY = build.HERE / "incidents.yaml"

# The share that must be told, and how many incidents there must be at least: what the product promises.
TOLD = 0.9
LEAST = 60


class Incident(NamedTuple):
    """What must be told: a rule at a message (``None``: at any moment) of a conversation."""

    chat: str
    message: str | None
    rule: str


def chats() -> Iterator[dict[str, Any]]:
    for lot in LOTS:
        yield from yaml.safe_load(lot.read_text("utf-8"))["chats"]


def said(chat: dict[str, Any]) -> Iterator[Received]:
    """Return a chat as events; its messages are named ``<chat>/<number of the line>``."""
    spoken = tuple(
        Text(line, Mark(number, 1), quoted=True) for number, line in enumerate(chat["dialogue"], 1)
    )
    test = Fields({"rule": Text("-"), "dialogue": Items(spoken), "hits_at": Items(())}, {})
    report = Report(chat["chat"])
    cases = read_cases(report, Items((test,)))
    assert report.problems == []
    for received in dialogue(cases[0].lines):
        assert isinstance(received.event, Message)
        named = f"{chat['chat']}/{received.event.message_id}"
        event = msgspec.structs.replace(received.event, conversation_id=chat["chat"], message_id=named)
        yield Received(event, received.t)


def planted_in_chats() -> Iterator[Incident]:
    for chat in chats():
        for line, rule in chat["planted"].items():
            yield Incident(chat["chat"], f"{chat['chat']}/{line}", rule)
        for rule in chat.get("after", {}).values():
            yield Incident(chat["chat"], None, rule)


def planted_in_day() -> Iterator[Incident]:
    for one in yaml.safe_load(DAY.read_text("utf-8"))["incidents"]:
        if "needs" not in one:
            message = f"{one['chat']}/{one['message']}" if "message" in one else None
            yield from (Incident(one["chat"], message, rule) for rule in one["rules"])


def told(done: Replayed) -> set[Incident]:
    """Return what alerts told, each also without its message."""
    in_alerts = {finding.finding_id for alert in done.alerts for finding in alert.findings}
    found = [finding for finding in done.findings if finding.finding_id in in_alerts]
    return {
        Incident(one.conversation_id, message, one.rule_id)
        for one in found
        for message in (one.message_id, None)
    }


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return open_knowledge(data_dir=tmp_path_factory.mktemp("data"))


def test_chats_have_a_name_of_their_own() -> None:
    names = [chat["chat"] for chat in chats()]
    assert len(names) == len(set(names))


def test_at_least_sixty_incidents_of_medium_severity_are_planted(known: Knowledge) -> None:
    rules = [known.book.rules.get(one.rule) for one in (*planted_in_chats(), *planted_in_day())]
    notable = [rule for rule in rules if rule is not None and rule.severity.rank >= Severity.MEDIUM.rank]
    assert len(notable) >= LEAST


def test_incidents_in_chats_raise_their_alerts(known: Knowledge) -> None:
    raised = told(replay(known, (event for chat in chats() for event in said(chat))))
    expected = list(planted_in_chats())
    missed = [incident for incident in expected if incident not in raised]
    assert len(missed) <= (1 - TOLD) * len(expected), missed


def test_incidents_in_the_day_raise_their_alerts(known: Knowledge) -> None:
    raised = told(replay(known, read([str(build.TARGET)])))
    expected = list(planted_in_day())
    missed = [incident for incident in expected if incident not in raised]
    assert len(missed) <= (1 - TOLD) * len(expected), missed
