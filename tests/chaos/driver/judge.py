"""The verdict on a round: what came out, beside the pure core over the same log and the sum by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alerts.model import Alert, AlertStatus
from stream import wire
from stream.core import clocks
from stream.core import state as states
from stream.core.events import Received, Tick
from stream.core.outputs import Finding, FindingStatus, Summary
from stream.core.state import ClockState, Counted
from stream.runtime.conversations import Conversations, Input, Knowledge
from tests.chaos.clockoracle import effects
from tests.chaos.driver import byhand
from tests.chaos.driver.byhand import Outcome
from tests.chaos.driver.hook import Hook
from tests.chaos.driver.load import TARGETS, Load

STANDS: Mapping[Outcome, ClockState] = {
    Outcome.ANSWERED: ClockState.ANSWERED,
    Outcome.LATE: ClockState.ANSWERED_LATE,
    Outcome.MISSED: ClockState.BREACHED,
    Outcome.STOPPED: ClockState.STOPPED,
    Outcome.STOPPED_LATE: ClockState.MISSED,
    Outcome.PAUSED: ClockState.PAUSED,
}

SHOWN = 3
"""Names shown of each kind of problem; a lost partition would show thousands."""


@dataclass
class Oracle:
    """What the pure core makes of a log, partition by partition, with its clocks run to the end."""

    findings: list[Finding] = field(default_factory=list)
    alerts: set[str] = field(default_factory=set)
    summaries: list[Summary] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(
        cls, known: Knowledge, log: Mapping[int | None, Sequence[tuple[int, bytes]]], until: int
    ) -> Oracle:
        """Read (offset, value) by partition, None where there are none; the broken is left out."""
        oracle = cls()
        for number, values in log.items():
            part = Conversations(source_partition=number)
            inputs = [Input(item, offset=offset) for offset, item in _decoded(values)]
            oracle._note(part.apply(known, inputs).records)
            oracle._note(part.apply(known, [Input(Received(Tick(at=until), until))]).records)
            oracle.kept |= dict(part.raw())
        return oracle

    def _note(self, records: Iterable[Any]) -> None:
        for record in records:
            if isinstance(record, Finding):
                self.findings.append(record)
            elif isinstance(record, Summary):
                self.summaries.append(record)
            elif isinstance(record, Alert) and record.status is AlertStatus.FIRING:
                self.alerts.add(record.alert_id)


def _decoded(values: Iterable[tuple[int, bytes]]) -> Iterable[tuple[int, Received]]:
    for offset, raw in values:
        try:
            yield offset, wire.decode(raw, received_at=None)
        except wire.InvalidMessage:
            continue


@dataclass
class CameOut:
    """What a runtime told and kept: JSON records in the order written, states by conversation."""

    findings: list[Finding]
    alerts: list[dict[str, Any]]
    summaries: list[dict[str, Any]]
    states: dict[str, bytes]
    refused: int
    """Events refused for good: answered so, or among the dead letters; each counted once."""


@dataclass
class Verdict:
    """What was wrong, and the figures of the round."""

    problems: list[str]
    expected: int
    received: int
    repeats: int
    taken_back: int
    breaches: int

    def wrong(self, what: str, names: Iterable[object]) -> None:
        """Note a problem where there are any names."""
        found = sorted(map(str, names))
        if found:
            self.problems.append(f"{len(found)} {what}: {', '.join(found[:SHOWN])}")


def standing(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return by id what was told and not taken back."""
    last = {one.finding_id: one for one in findings}
    return {name: one for name, one in last.items() if one.status is FindingStatus.RAISED}


def judge(load: Load, oracle: Oracle, out: CameOut, hook: Hook, repeats_allowed: int) -> Verdict:
    """Return everything that is wrong with a round, and its figures."""
    told, received = standing(out.findings), hook.alerts()
    verdict = Verdict(
        [], len(oracle.alerts), len(received), hook.repeats(), len({*_ids(out)} - told.keys()), 0
    )
    _judge_accounts(verdict, load, oracle, out)
    wanted = standing(oracle.findings)
    verdict.wrong("findings lost", wanted.keys() - told.keys())
    verdict.wrong("findings that nothing says", told.keys() - wanted.keys())
    verdict.wrong("findings under a second id", _second_ids(told.values()))
    _judge_alerts(verdict, oracle, out, received)
    _judge_summaries(verdict, oracle, out)
    _judge_by_hand(verdict, load, out, hook)
    if verdict.repeats > repeats_allowed:
        verdict.problems.append(f"{verdict.repeats} repeats, {repeats_allowed} were in flight at most")
    return verdict


def _ids(out: CameOut) -> Iterable[str]:
    return (one.finding_id for one in out.findings)


def _judge_accounts(verdict: Verdict, load: Load, oracle: Oracle, out: CameOut) -> None:
    """Accepted and refused are what was sent; every effect is in the states, once."""
    poison = sum(isinstance(one.body, bytes) for one in load.events)
    if out.refused != poison:
        verdict.problems.append(f"{out.refused} refused, {poison} were to be")
    verdict.wrong("conversations lost", oracle.kept.keys() - out.states.keys())
    verdict.wrong("conversations out of nothing", out.states.keys() - oracle.kept.keys())
    both = oracle.kept.keys() & out.states.keys()
    changed = (name for name in both if oracle.kept[name] != out.states[name])
    wrong = [name for name in changed if _effects(oracle.kept[name]) != _effects(out.states[name])]
    verdict.wrong("conversations with other effects", wrong)


def _effects(raw: bytes) -> dict[str, Any]:
    """What the events did; what the figures said of a clock on the way depends on what was heard when."""
    state = states.decode(raw)
    for clock in clocks.all_of(state):
        clock.counted = Counted.NOTHING
    return effects(states.encode(state))


def _second_ids(findings: Iterable[Finding]) -> list[str]:
    """What stands must stand once; what was taken back may have had another moment, so another id."""
    ids: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
    for one in findings:
        ids[one.conversation_id, one.rule_id, one.message_id, one.clock_id].add(one.finding_id)
    return [str(key) for key, names in ids.items() if len(names) > 1]


def _judge_alerts(verdict: Verdict, oracle: Oracle, out: CameOut, received: set[str]) -> None:
    ended = {one["alert_id"] for one in out.alerts if one["status"] == "resolved"}
    written = {one["alert_id"] for one in out.alerts if one["status"] == "firing"}
    verdict.wrong("alerts not written", oracle.alerts - written)
    verdict.wrong("alerts not received", oracle.alerts - received)
    verdict.wrong("alerts received that nobody wrote", received - written)
    # What was told too soon and taken back has an alert as well, and that has ended.
    verdict.wrong("alerts that nothing says and that go on", written - oracle.alerts - ended)


def _judge_summaries(verdict: Verdict, oracle: Oracle, out: CameOut) -> None:
    wanted = {one.conversation_id: one for one in oracle.summaries}
    found = {one["conversation_id"]: one for one in sorted(out.summaries, key=lambda one: one["revision"])}
    verdict.wrong("summaries lost", wanted.keys() - found.keys())
    verdict.wrong("summaries out of nothing", found.keys() - wanted.keys())
    other = [
        name
        for name in wanted.keys() & found.keys()
        if _gist(msgspec.json.decode(wire.encode(wanted[name]))) != _gist(found[name])
    ]
    verdict.wrong("summaries that say something else", other)


def _gist(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary but for what depends on when things were heard."""
    return {name: value for name, value in summary.items() if name not in ("revision", "counted")}


def _judge_by_hand(verdict: Verdict, load: Load, out: CameOut, hook: Hook) -> None:
    """Every clock as the second oracle has it: its state, its breach at its very moment, its alert."""
    timers = byhand.clocks(load.good, TARGETS)
    wanted = Counter((one.conversation, one.kind, one.started_at, STANDS[one.outcome].name) for one in timers)
    found = Counter(clock for name, raw in out.states.items() for clock in _clocks(name, raw))
    verdict.wrong("clocks lost or otherwise", (wanted - found).elements())
    verdict.wrong("clocks doubled or otherwise", (found - wanted).elements())
    due = Counter(
        (one.conversation, f"ola.chaos.{one.kind}", one.due) for one in timers if one.outcome.breaches
    )
    told = Counter(
        (one.conversation_id, one.rule_id, one.at)
        for one in standing(out.findings).values()
        if one.rule_id.startswith("ola.")
    )
    verdict.breaches = due.total()
    verdict.wrong("breaches lost or at another moment", (due - told).elements())
    verdict.wrong("breaches doubled or false", (told - due).elements())
    told_of = {(body["conversation_id"], body["labels"]["rule_id"]) for body in hook.firing()}
    verdict.wrong("breaches that nobody was told of", {one[:2] for one in due} - told_of)


def _clocks(name: str, raw: bytes) -> Iterable[tuple[str, str, int, str]]:
    state = states.decode(raw)
    for clock in clocks.all_of(state):
        kind = state.names[clock.kind]
        if kind in TARGETS:
            yield name, kind, clock.started_at, ClockState(clock.state).name
