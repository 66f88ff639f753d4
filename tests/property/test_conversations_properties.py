"""Laws of a partition's conversations: batches, crashes and timers change nothing that matters."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.model import Alert, AlertStatus
from stream.core import aside, clocks, engine
from stream.core import state as states
from stream.core.annotation import EMPTY
from stream.core.events import Message, Received, Role, Tick, Timer
from stream.core.outputs import Finding, FindingStatus, Score, Summary
from stream.core.state import Source
from stream.runtime.conversations import Applied, Conversations, Input, Knowledge, Record
from tests.contract import day
from tests.property.chats import NAME, last_status, logs, standing, tick

IDLE_END = 31 * day.MINUTE
# Forty minutes without an open issue, a week with one; and a little.
FORGOTTEN = 8 * 24 * 60 * day.MINUTE


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return day.knowledge(day.BEFORE, tmp_path_factory.mktemp("packs"))


def end_of(log: list[Received]) -> int:
    return max(one.t for one in log)


def of(kind: type, records: list[Record]) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


def plain(records: list[Record]) -> list[bytes]:
    return [msgspec.json.encode(record) for record in records]


def run(known: Knowledge, batches: list[list[Input]]) -> tuple[Conversations, list[Record]]:
    conversations = Conversations()
    records: list[Record] = []
    for batch in batches:
        records += conversations.apply(known, batch).records
    return conversations, records


def numbered(log: list[Received]) -> list[Input]:
    return [Input(item, Source.MESSAGES, offset) for offset, item in enumerate(log)]


@given(logs(names=3), st.data())
def test_any_split_into_batches_gives_the_same_records_and_states(
    known: Knowledge, log: list[Received], data: st.DataObject
) -> None:
    inputs = numbered([*log, tick(end_of(log) + IDLE_END)])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(inputs)))))
    pieces = [inputs[a:b] for a, b in zip([0, *cuts], [*cuts, len(inputs)], strict=True)]
    whole, records = run(known, [inputs])
    split, same = run(known, pieces)
    assert plain(records) == plain(same)
    assert dict(whole.raw()) == dict(split.raw())


@given(logs(names=3))
def test_a_batch_finds_what_the_engine_finds_event_by_event(known: Knowledge, log: list[Received]) -> None:
    """Looking rules up for many texts together, reading and writing a state once, laying ended clocks aside:
    it changes nothing.
    """
    states_by_name: dict[str, states.State | None] = {}
    found: list[Finding] = []
    summaries: list[Summary] = []
    for one in log:
        name = engine.conversation_of(one.event)
        if name is None:
            continue
        annotation = EMPTY
        if isinstance(one.event, Message) and one.event.content.text:
            scored = one.event.sender.role is Role.CUSTOMER
            (annotation,) = known.annotator.annotate([one.event.content.text], [scored])
        step = engine.step(known.book, states_by_name.get(name), one, annotation)
        states_by_name[name] = step.state
        found += step.findings
        summaries += [step.summary] if step.summary is not None else []
    for size in (1, len(log)):
        _, records = run(known, [numbered(log)[at : at + size] for at in range(0, len(log), size)])
        assert of(Finding, records) == found
        # A step that also ended what came before it gives the later summary of the two.
        assert set(plain(list(summaries))) <= set(plain(of(Summary, records)))


@given(logs(names=3), st.data())
def test_what_was_applied_already_gives_nothing_again(
    known: Knowledge, log: list[Received], data: st.DataObject
) -> None:
    """Also of conversations that were forgotten meanwhile, by the ticks among the events or at the end."""
    inputs = numbered(log)
    ticks = [Input(tick(one.t)) for one in log if data.draw(st.booleans())]
    for one in ticks:
        inputs.insert(data.draw(st.integers(0, len(inputs))), one)
    inputs.append(
        Input(tick(end_of(log) + data.draw(st.sampled_from((1, IDLE_END, 42 * day.MINUTE, FORGOTTEN)))))
    )
    conversations, _ = run(known, [inputs])
    before = dict(conversations.raw())
    again = conversations.apply(known, inputs[data.draw(st.integers(0, len(inputs))) :])
    assert again.records == []
    assert again.applied == 0
    assert dict(conversations.raw()) == before


@given(logs(names=3), st.data())
def test_a_crash_between_two_batches_makes_the_same_records_again(
    known: Knowledge, log: list[Received], data: st.DataObject
) -> None:
    """Outputs went out, the states of that batch did not: whatever is kept, nothing new is said."""
    inputs = numbered([*log, tick(end_of(log) + IDLE_END)])
    cut = data.draw(st.integers(0, len(inputs)))
    conversations, told = run(known, [inputs[:cut]])
    kept = dict(conversations.raw())
    lost = conversations.apply(known, inputs[cut:])
    durable = {name: raw for name, raw in dict(conversations.raw()).items() if data.draw(st.booleans())}
    recovered = Conversations()
    for name, raw in {**kept, **durable}.items():
        recovered.load(known, name, raw)
    again = recovered.apply(known, inputs)
    assert dict(recovered.raw()) == dict(conversations.raw())
    first = {(one.finding_id, one.status) for one in of(Finding, told + lost.records)}
    assert {(one.finding_id, one.status) for one in of(Finding, again.records)} <= first
    alerts = {(one.alert_id, one.status, one.step) for one in of(Alert, told + lost.records)}
    assert {(one.alert_id, one.status, one.step) for one in of(Alert, again.records)} <= alerts


def with_timers(
    known: Knowledge, conversations: Conversations, log: list[Received], data: st.DataObject
) -> list[Record]:
    """Apply the log with timer records at places and in an order that only chance knows.

    The clock that ends a conversation's memory is not brought early: what comes after it finds nothing
    to belong to, and no record can bring that back (docs/events.md).
    """
    records: list[Record] = []
    written: list[Timer] = []
    for item in log:
        for _ in range(data.draw(st.integers(0, 2))):
            raw = dict(conversations.raw()).get(NAME)
            if raw is not None:
                written += [
                    Timer(conversation_id=NAME, clock_id=due.clock_id, due=due.at)
                    for due in clocks.upcoming(states.decode(raw), known.book.limits)
                    if due.clock_id != clocks.FORGET
                ]
            if written:
                timer = data.draw(st.sampled_from(written))
                if not forgets(known, raw, timer):
                    records += conversations.apply(known, [Input(timer)]).records
        records += conversations.apply(known, [Input(item)]).records
    return records


def forgets(known: Knowledge, raw: bytes | None, timer: Timer) -> bool:
    return raw is not None and engine.on_timer(known.book, states.decode(raw), timer).state is None


def comparable(raw: bytes) -> dict[str, Any]:
    """Return a state without what tells how it came about: revisions, told sentences, settling order.

    So it is with what was counted of a clock: a breach that a timer told too early was counted and corrected.
    """
    state = states.decode(raw)
    state.revision = 0
    state.alerts = {}
    aside.recall(state)
    state.settled.sort(key=lambda clock: (clock.kind, clock.number))
    for clock in clocks.all_of(state):
        clock.counted = states.Counted.NOTHING
    for entry in state.points.values():
        entry.why = ""
    values: dict[str, Any] = msgspec.to_builtins(
        dict(zip(state.__struct_fields__, _values(state), strict=True))
    )
    return values


def _values(state: states.State) -> list[Any]:
    return [getattr(state, name) for name in state.__struct_fields__]


def figures(summary: Summary) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(summary)
    values["revision"] = 0
    values["counted"].pop("duplicate", None)  # one that comes after the close makes no new revision
    for entry in values["scorecard"]:
        entry["why"] = ""
    return values


@given(logs(silences=True), st.data())
def test_timers_early_late_twice_or_missing_add_corrected_findings_and_nothing_else(
    known: Knowledge, log: list[Received], data: st.DataObject
) -> None:
    stream, wall = Conversations(), Conversations()
    told: list[Record] = stream.apply(known, [Input(item) for item in log]).records
    live = with_timers(known, wall, log, data)
    end = tick(end_of(log) + IDLE_END)
    told += stream.apply(known, [Input(end)]).records
    live += wall.apply(known, [Input(end)]).records

    assert standing(of(Finding, live)) == standing(of(Finding, told))
    known_ids = {one.finding_id for one in of(Finding, told)}
    more = {id_: status for id_, status in last_status(of(Finding, live)).items() if id_ not in known_ids}
    assert set(more.values()) <= {FindingStatus.CORRECTED}
    assert of(Score, live) == of(Score, told)
    assert {one.alert_id for one in of(Alert, told)} <= {one.alert_id for one in of(Alert, live)}
    assert [comparable(raw) for _, raw in wall.raw()] == [comparable(raw) for _, raw in stream.raw()]
    assert [figures(one) for one in of(Summary, live)[-1:]] == [
        figures(one) for one in of(Summary, told)[-1:]
    ]


@given(logs(names=2), st.data())
def test_every_alert_that_fires_is_resolved_in_the_end_but_what_a_close_concludes(
    known: Knowledge, log: list[Received], data: st.DataObject
) -> None:
    conversations = Conversations()
    records = conversations.apply(known, [Input(item) for item in log]).records
    records += conversations.apply(known, [Input(tick(end_of(log) + FORGOTTEN))]).records
    assert len(conversations) == 0
    last = {one.alert_id: one for one in of(Alert, records)}
    still = [one for one in last.values() if one.status is AlertStatus.FIRING]
    closes: dict[str, list[int]] = {one.conversation_id: [] for one in of(Summary, records)}
    for one in of(Summary, records):
        closes[one.conversation_id].append(one.closed_at)
    # What fires at a close or after it has no end to wait for.
    assert all(one.at >= min(closes[one.conversation_id]) for one in still)


@given(logs())
def test_a_second_run_with_every_message_twice_gives_the_same(known: Knowledge, log: list[Received]) -> None:
    once, twice = Conversations(), Conversations()
    first = once.apply(known, [Input(item) for item in log])
    doubled: list[Input] = []
    for item in log:
        doubled += [Input(item)] * (
            2 if not isinstance(item.event, Tick) and hasattr(item.event, "message_id") else 1
        )
    second = twice.apply(known, doubled)
    assert standing(of(Finding, first.records)) == standing(of(Finding, second.records))
    assert of(Score, first.records) == of(Score, second.records)
    for (_, one), (_, other) in zip(once.raw(), twice.raw(), strict=True):
        a, b = comparable(one), comparable(other)
        a["counts"].pop("duplicate", None)
        b["counts"].pop("duplicate", None)
        assert a == b


def test_applied_merges_what_was_forgotten_and_what_came_back() -> None:
    first, later = Applied(), Applied()
    first.changed["a"], later.forgotten["a"] = b"x", (1, -1, -1)
    later.changed["b"], first.forgotten["b"] = b"y", (2, -1, -1)
    first.merge(later)
    assert first.changed == {"b": b"y"}
    assert first.forgotten == {"a": (1, -1, -1)}
