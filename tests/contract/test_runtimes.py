"""Every runtime makes the same of the same day: replay, the embedded runtime, Kafka with two workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contract import day as days
from tests.contract.day import AFTER, BEFORE, Day
from tests.contract.runtimes import Json, Part, Play, Records, by_kafka, by_local, by_replay


@dataclass
class Told:
    """What a runtime said, by what names it; of a summary's revisions the last."""

    findings: dict[tuple[str, str], Json] = field(default_factory=dict)
    alerts: dict[tuple[str, str, int], Json] = field(default_factory=dict)
    summaries: dict[str, Json] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, records: Records) -> Told:
        told = cls(refused=Counter(records.refused))
        for finding in records.findings:
            told.findings[finding["finding_id"], finding["status"]] = finding
        for alert in records.alerts:
            alert.pop("source_partition", None)  # only Kafka has partitions
            told.alerts[alert["alert_id"], alert["status"], alert["step"]] = alert
        for summary in records.summaries:
            known = told.summaries.get(summary["conversation_id"])
            if known is None or known["revision"] < summary["revision"]:
                told.summaries[summary["conversation_id"]] = summary
        return told


def played(day: Day) -> Play:
    """Return the day with the packs that change in the middle of it."""
    parts = (Part(BEFORE, day.lines[: day.change_at]), Part(AFTER, day.lines[day.change_at :]))
    return Play(parts, day.end_at)


@pytest.fixture(scope="module")
def day() -> Day:
    return days.build()


@pytest.fixture(scope="module")
def replayed(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told.of(by_replay(played(day), tmp_path_factory.mktemp("replayed")))


@pytest.mark.parametrize("runtime", ["replay", "local", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_every_runtime_tells_the_same_of_the_same_day(
    runtime: str, day: Day, replayed: Told, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if runtime == "replay":
        records = by_replay(played(days.build()), tmp_path)
    elif runtime == "local":
        records = await by_local(played(day), tmp_path)
    else:
        records = await by_kafka(played(day), tmp_path, request)
    told = Told.of(records)
    assert told.findings == replayed.findings
    assert told.alerts == replayed.alerts
    assert told.summaries == replayed.summaries
    assert told.refused == replayed.refused


def test_day_is_the_same_for_the_same_seed(day: Day) -> None:
    assert days.build().lines == day.lines
    assert days.build(seed=1).lines != day.lines


def test_day_holds_what_the_runtimes_must_agree_on(day: Day, replayed: Told) -> None:
    assert len(replayed.summaries) == day.conversations == 2_000
    assert set(day.expected.values()) == {"in_time", "at_target", "late", "never"}
    states = Counter(clock["state"] for one in replayed.summaries.values() for clock in one["clocks"])
    assert min(states[name] for name in ("answered", "answered_late", "missed")) > 50
    at_target = [
        clock
        for one in replayed.summaries.values()
        for clock in one["clocks"]
        if clock["due"] == clock["stopped_at"]
    ]
    assert len(at_target) > 50
    assert {clock["state"] for clock in at_target} <= {"answered", "stopped"}
    counted = Counter[str]()
    for one in replayed.summaries.values():
        counted.update(one["counted"])
    assert counted["duplicate"] > 50
    assert counted["late"] > 50
    assert any(one["inferred"] for one in replayed.summaries.values())
    assert any(one["revision"] > 1 for one in replayed.summaries.values())
    assert sum(replayed.refused.values()) == day.poison >= 6
    assert len(replayed.refused) >= 4
    versions = {finding["pack_version"] for finding in replayed.findings.values()}
    assert {"emotion.day@1", "emotion.day@2", "ola.day@1", "ola.day@2"} <= versions
    statuses = Counter(finding["status"] for finding in replayed.findings.values())
    assert statuses["corrected"] > 20
    assert statuses["raised"] > 500


def test_planted_answers_end_their_clocks_as_planted(day: Day, replayed: Told) -> None:
    """By hand: 12 s is in time, 95 s is late; 30 s is in time before the change and at the target after."""
    wanted = {
        "in_time": {"answered"},
        "at_target": {"answered"},
        "late": {"answered_late", "answered"},
        "never": {"missed"},
    }
    for name, kind in day.expected.items():
        first = next(one for one in replayed.summaries[name]["clocks"] if one["kind"] == "first_response")
        assert first["state"] in wanted[kind], (name, kind, first)


def test_no_personal_data_is_told(replayed: Told, day: Day) -> None:
    assert any(b"13800138000" in raw for raw in day.raws)
    assert "13800138000" not in repr((replayed.findings, replayed.alerts, replayed.summaries))
