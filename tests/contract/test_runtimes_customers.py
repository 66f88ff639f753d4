"""Customers who come back, by every runtime: what is charged to whom is worked by hand, by the minute.

A conversation here lasts two minutes and says what it is about; `a1` is followed by `a2` and so on. Each
play is given to many customers at once, so that on Kafka their conversations and they lie in all partitions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.contract.day import BEFORE, MINUTE, SECOND, START, message
from tests.contract.runtimes import Json, Line, Part, Play, by_kafka, by_local, by_replay

HOUR = 60 * MINUTE
DAY = 24 * HOUR
LASTS = 2 * MINUTE
CUSTOMERS = 12


class Talk(NamedTuple):
    """One conversation of the play; its times are from the play's start."""

    name: str
    at: int
    category: str | None = "refund"
    customer: bool = True
    shop: str = "s-1"
    rated_after: int | None = None
    bot: str = ""


class Wanted(NamedTuple):
    """What its last summary says."""

    followed_by: str = ""
    repeat: bool = False
    outcome: str = "resolved"
    revision: int = 1


TALKS: dict[str, list[tuple[Talk, Wanted]]] = {
    # Back after an hour with the same matter: a1 is charged, and unrated counts as not solved.
    "same": [
        (Talk("a1", 0), Wanted("a2", False, "unresolved", 2)),
        (Talk("a2", HOUR), Wanted("", True, "resolved", 2)),
    ],
    "other category": [
        (Talk("b1", 0), Wanted()),
        (Talk("b2", HOUR, "logistics"), Wanted("", True, revision=2)),
    ],
    "unknown category": [(Talk("n1", 0), Wanted()), (Talk("n2", HOUR, None), Wanted("", True, "unknown", 2))],
    # c1 closes at 0:02; a day later to the millisecond is within the window, one more is not.
    "at the window's end": [
        (Talk("c1", 0), Wanted("c2", False, "unresolved", 2)),
        (Talk("c2", LASTS + DAY), Wanted("", True, revision=2)),
    ],
    "past the window's end": [(Talk("d1", 0), Wanted()), (Talk("d2", LASTS + DAY + 1), Wanted())],
    # Rated nine minutes after the close, when e2 is over: the customer's own word stands. 1, rated 2, back 3.
    "rated late": [
        (Talk("e1", 0, rated_after=9 * MINUTE), Wanted("e2", False, "resolved", 3)),
        (Talk("e2", LASTS + 5 * MINUTE), Wanted("", True, revision=2)),
    ],
    "no customer": [(Talk("f1", 0, customer=False), Wanted()), (Talk("f2", HOUR, customer=False), Wanted())],
    # Each is charged with the next only: g2 is one follower and a repeat.
    "three times": [
        (Talk("g1", 0), Wanted("g2", False, "unresolved", 2)),
        (Talk("g2", HOUR), Wanted("g3", True, "unresolved", 3)),
        (Talk("g3", 25 * HOUR), Wanted("", True, revision=2)),
    ],
    # Two at once after the first: neither follows the other.
    "side by side": [
        (Talk("h1", 0), Wanted("h2 h3", False, "unresolved", 3)),
        (Talk("h2", HOUR), Wanted("", True, revision=2)),
        (Talk("h3", HOUR + MINUTE), Wanted("", True, revision=2)),
    ],
    "another shop": [(Talk("i1", 0), Wanted()), (Talk("i2", HOUR, shop="s-2"), Wanted())],
    "a bot at first": [
        (Talk("j1", 0, bot="handed_over"), Wanted("j2", False, "unresolved", 2)),
        (Talk("j2", HOUR, bot="contained"), Wanted("", True, revision=2)),
    ],
}


def events_of(talk: Talk, customer: str) -> Iterator[tuple[int, Json]]:
    """Yield the events of a conversation with the times at which they arrive."""
    name, at = f"{talk.name}-{customer}", START + talk.at
    of: dict[str, Any] = {"conversation_id": name, "shop_id": talk.shop}
    if talk.customer:
        of["customer"] = {"id": f"u-{talk.name[0]}-{customer}"}
    yield at, message(name, f"{name}-1", at, "customer", "你好，请问还有货吗") | of
    if talk.bot:
        yield at + SECOND, message(name, f"{name}-2", at + SECOND, "bot", "您好") | of
    if talk.bot != "contained":
        yield (
            at + 9 * SECOND,
            message(name, f"{name}-3", at + 9 * SECOND, "agent", "您好，在的", id="a-1") | of,
        )
    issue = of | {"issue_id": f"i-{name}"}
    if talk.category is not None:
        opened = {"type": "issue.opened", "at": at + 20 * SECOND, "category": talk.category}
        yield at + 20 * SECOND, issue | opened
        yield at + MINUTE, issue | {"type": "issue.resolved", "at": at + MINUTE}
    yield at + LASTS, of | {"type": "conversation.closed", "at": at + LASTS, "by": "agent"}
    if talk.rated_after is not None:
        rated_at = at + LASTS + talk.rated_after
        yield rated_at, of | {"type": "conversation.rated", "at": rated_at, "score": 5}


def play() -> Play:
    events = [
        event
        for number in range(CUSTOMERS)
        for talks in TALKS.values()
        for talk, _ in talks
        for event in events_of(talk, str(number))
    ]
    events.sort(key=lambda event: event[0])
    lines: list[Line] = [(event["conversation_id"], json.dumps(event).encode()) for _, event in events]
    return Play([Part(BEFORE, lines)], events[-1][0] + DAY)


def last_of(summaries: list[Json]) -> dict[str, Json]:
    """Return of each conversation the summary of the highest revision, whatever the order."""
    latest: dict[str, Json] = {}
    for summary in sorted(summaries, key=lambda one: one["revision"]):
        latest[summary["conversation_id"]] = summary
    return latest


def wanted() -> dict[str, Wanted]:
    return {
        f"{talk.name}-{number}": expected._replace(
            followed_by=" ".join(f"{name}-{number}" for name in expected.followed_by.split())
        )
        for number in range(CUSTOMERS)
        for talks in TALKS.values()
        for talk, expected in talks
    }


def told(summary: Json) -> Wanted:
    assert summary["reopened"] is bool(summary["followed_by"])
    return Wanted(
        " ".join(summary["followed_by"]),
        summary["repeat_contact"],
        summary["outcome"],
        summary["revision"],
    )


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    return last_of(by_replay(play(), tmp_path_factory.mktemp("replayed")).summaries)


def test_replay_tells_what_was_worked_by_hand(replayed: dict[str, Json]) -> None:
    assert {name: told(summary) for name, summary in replayed.items()} == wanted()


def test_stage_of_a_bot_is_told(replayed: dict[str, Json]) -> None:
    outcomes = {name: summary["bot_outcome"] for name, summary in replayed.items()}
    assert (outcomes["j1-0"], outcomes["j2-0"], outcomes["a1-0"]) == ("handed_over", "contained", "none")


def test_dissatisfaction_is_raised_with_its_reason_where_nobody_rated(replayed: dict[str, Json]) -> None:
    for name, summary in replayed.items():
        reasons = [one["name"] for one in summary["dissatisfaction_basis"]]
        lifted = bool(summary["followed_by"]) and summary["rating"] is None
        assert ("unrated_and_back" in reasons) is lifted, name
        assert not lifted or summary["dissatisfaction"] >= 0.7, name


async def test_embedded_runtime_tells_the_same(replayed: dict[str, Json], tmp_path: Path) -> None:
    assert last_of((await by_local(play(), tmp_path)).summaries) == replayed


@pytest.mark.kafka
async def test_two_workers_on_kafka_tell_the_same(
    replayed: dict[str, Json], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Contacts cross over from worker to worker in any order, so revisions may be higher, never lower."""
    records = await by_kafka(play(), tmp_path, request)
    latest = last_of(records.summaries)
    without: Callable[[Json], Json] = lambda summary: {**summary, "revision": 0}  # noqa: E731
    assert {name: without(one) for name, one in latest.items()} == {
        name: without(one) for name, one in replayed.items()
    }
    for name, summary in latest.items():
        assert summary["revision"] >= replayed[name]["revision"], name
