"""When a contact is written, and what it says of the bot's stage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stream import wire
from stream.core.outputs import BotOutcome, Contact, Summary
from stream.runtime.conversations import Conversations, Input, Knowledge
from tests.contract import day as days

T = days.START
OF = {"conversation_id": "c-1", "customer": {"id": "u-1"}}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return days.knowledge(days.BEFORE, tmp_path_factory.mktemp("packs"))


def says(role: str, second: int) -> dict[str, Any]:
    return days.message("c-1", f"m-{second}", T + second * days.SECOND, role, "你好") | OF


def event(kind: str, second: int, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "at": T + second * days.SECOND, **OF, **fields}


def records(known: Knowledge, *events: dict[str, Any], partition: int | None = None) -> list[Any]:
    inputs = [Input(wire.decode(json.dumps(one).encode(), received_at=None)) for one in events]
    return Conversations(source_partition=partition).apply(known, inputs).records


def contacts(known: Knowledge, *events: dict[str, Any], partition: int | None = None) -> list[Contact]:
    return [one for one in records(known, *events, partition=partition) if isinstance(one, Contact)]


def summary(known: Knowledge, *events: dict[str, Any]) -> Summary:
    found = [one for one in records(known, *events) if isinstance(one, Summary)]
    return found[-1]


OPENED = event("issue.opened", 2, issue_id="i-1", category="refund")
CLOSED = event("conversation.closed", 60)


def test_contact_is_written_when_the_category_is_known_and_with_each_summary(known: Knowledge) -> None:
    rated = event("conversation.rated", 90, score=5)
    found = contacts(known, says("customer", 0), OPENED, says("agent", 5), CLOSED, rated, partition=4)
    assert [one.revision for one in found] == [0, 1, 2]
    early, closed, again = found
    assert (early.category, early.closed_at, early.outcome, early.summary) == ("refund", None, None, None)
    assert (closed.closed_at, closed.rating, again.rating) == (T + 60 * days.SECOND, None, 1.0)
    assert again.summary is not None
    assert again.summary.revision == 2
    assert {one.source_partition for one in found} == {4}


def test_a_second_category_writes_no_contact_of_its_own(known: Knowledge) -> None:
    other = event("issue.opened", 3, issue_id="i-2", category="logistics")
    assert len(contacts(known, says("customer", 0), OPENED, other)) == 1


def test_reopened_before_it_is_forgotten_tells_its_category_at_the_next_close(known: Knowledge) -> None:
    """Revision 0 is before the first summary; what comes later has revisions of its own."""
    later = OPENED | {"at": T + 80 * days.SECOND}
    closed = CLOSED | {"at": T + 120 * days.SECOND}
    found = contacts(known, says("customer", 0), CLOSED, says("customer", 70), later, closed)
    assert [(one.revision, one.category) for one in found] == [(1, None), (2, "refund")]


def test_unknown_customer_has_a_contact_at_the_close_alone(known: Knowledge) -> None:
    nobody = [{**one, "customer": {}} for one in (says("customer", 0), OPENED, CLOSED)]
    (contact,) = contacts(known, *nobody)
    assert (contact.customer_id, contact.key, contact.revision) == (None, "c-1", 1)


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([says("agent", 5)], BotOutcome.NONE),
        ([says("bot", 1)], BotOutcome.CONTAINED),
        ([says("bot", 1), says("agent", 5)], BotOutcome.HANDED_OVER),
        ([says("bot", 1), event("conversation.assigned", 3, agent="a-1")], BotOutcome.HANDED_OVER),
        ([says("agent", 5), says("bot", 9)], BotOutcome.NONE),
    ],
)
def test_stage_of_a_bot(known: Knowledge, events: list[dict[str, Any]], outcome: BotOutcome) -> None:
    assert summary(known, says("customer", 0), *events, CLOSED).bot_outcome is outcome
