"""Dialogues worked by hand: how a case is written, played and held against what a runtime says.

A case is one conversation, named by its file, with its `working`. `packs` names the set it is judged by
(`day` where nothing is said). Events are listed as they arrive, each with its own time: `12s agent 您好`,
a mapping of the wire contract with `at`, or `again: n` (the event of that number once more);
`- change: packs` stands where the set's other packs come into force.

A moment is seconds from `start` (`90s`, `60.001s`; `2h`, `10m`), or a time on the wall of `zone` in the year
of `start`: `10-08T09:30`, `11-01T01:30-05:00` where an hour comes twice. Expected are all findings, all alert
records (with their step) and the named parts of the last summary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import yaml

from stream import wire
from stream.core.outputs import ClockOutcome, Summary
from tests.contract import day
from tests.contract.runtimes import Json, Line, Part, Play, Records

HERE = Path(__file__).parent
FOLDER = HERE / "cases"
# What runs on after the last event of a set; `replay` gives a recorded day as much.
RUN_ON_MS = 24 * 60 * day.MINUTE

_AMOUNT = re.compile(r"-?\d+(\.\d+)?[smh]\Z")
_UNITS = {"s": day.SECOND, "m": day.MINUTE, "h": 60 * day.MINUTE}


def read_packs(*folders: Path) -> dict[str, str]:
    """Return the pack files of the folders, a later one's in place of an earlier one's."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for folder in folders
        for path in sorted(folder.rglob("*.yaml"))
    }


def pack_sets() -> dict[str, tuple[Mapping[str, str], ...]]:
    """Return the packs of each set, in the order in which they come into force."""
    clocks = HERE / "packs"
    return {
        "day": (day.BEFORE,),
        "clocks": (read_packs(clocks), read_packs(clocks, HERE / "packs_changed")),
        "promises": (read_packs(HERE / "packs_promises"),),
    }


@dataclass(frozen=True)
class Dialogue:
    """One case: its events by the packs in force, and what is to come of it."""

    name: str
    packs: str
    start: int
    zone: ZoneInfo | None
    parts: tuple[tuple[Json, ...], ...]
    expect: Json = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Dialogue:
        """Return the case of a file."""
        case = yaml.safe_load(path.read_text("utf-8"))
        assert case["title"]
        assert case["working"]
        start = case.get("start")
        bare = cls(
            path.stem,
            case.get("packs", "day"),
            day.START if start is None else millis(start),
            ZoneInfo(case["zone"]) if "zone" in case else None,
            (),
            case["expect"],
        )
        return cls(bare.name, bare.packs, bare.start, bare.zone, bare._events(case["events"]), bare.expect)

    def moment(self, written: str) -> int:
        """Return a moment as written, in milliseconds UTC."""
        if _AMOUNT.match(written):
            return self.start + round(float(written[:-1]) * _UNITS[written[-1]])
        assert self.zone is not None, f"{self.name}: {written}"
        year = datetime.fromtimestamp(self.start / 1_000, self.zone).year
        at = datetime.fromisoformat(f"{year}-{written}")
        return millis(at if at.tzinfo else at.replace(tzinfo=self.zone))

    def shown(self, at: int) -> str:
        """Return a moment in the words of the case."""
        if self.zone is None:
            return f"{(at - self.start) / 1_000:.12g}s"
        return datetime.fromtimestamp(at / 1_000, self.zone).isoformat(timespec="milliseconds")

    def lines(self, part: int) -> list[Line]:
        """Return the records of a part; none where the dialogue was over before."""
        events = self.parts[part] if part < len(self.parts) else ()
        return [
            (None if event["type"] == "tick" else self.name, json.dumps(event, ensure_ascii=False).encode())
            for event in events
        ]

    @property
    def ticks(self) -> bool:
        """Whether time comes to it by itself."""
        return any(event["type"] == "tick" for part in self.parts for event in part)

    @property
    def last_t(self) -> int:
        return max(_time(event) for part in self.parts for event in part)

    def _events(self, listed: list[Any]) -> tuple[tuple[Json, ...], ...]:
        made: list[Json] = []
        parts: list[list[Json]] = [[]]
        for number, written in enumerate(listed):
            if written == {"change": "packs"}:
                parts.append([])
                continue
            repeats = isinstance(written, dict) and "again" in written
            made.append(made[written["again"]] if repeats else self._event(number, written))
            parts[-1].append(made[-1])
        return tuple(map(tuple, parts))

    def _event(self, number: int, written: str | Json) -> Json:
        if isinstance(written, str):
            at, role, text = written.split(" ", 2)
            return day.message(self.name, f"m-{number}", self.moment(at), role, text)
        named = "sent_at" if written["type"] == "message" else "at"
        rest = {name: value for name, value in written.items() if name != "at"}
        if written["type"] == "message":
            rest = {"message_id": f"m-{number}", **rest}
        return {**rest, "conversation_id": self.name, named: self.moment(written["at"])}

    # What came of it ----------------------------------------------------------------------------------

    def expected(self) -> Json:
        """Return what is to come of it, moments in the words of the case."""
        wanted = {name: self._lines(self.expect.get(name, ())) for name in ("findings", "alerts")}
        wanted |= {name: self.expect[name] for name in ("groups", "distinct") if name in self.expect}
        summary: Json = {}
        for name, value in self.expect.get("summary", {}).items():
            if name in {"opened_at", "closed_at"}:
                summary[name] = self.shown(self.moment(value))
            elif name == "due":
                summary[name] = {clock: self.shown(self.moment(at)) for clock, at in value.items()}
            else:
                summary[name] = value
        return wanted | {"summary": summary}

    def outcome(self, records: Records) -> Json:
        """Return what a runtime made of it: as much as was expected."""
        findings = [one for one in records.findings if one["conversation_id"] == self.name]
        alerts = [one for one in records.alerts if one["conversation_id"] == self.name]
        found: Json = {
            "findings": self._lines(_line(one["at"], one["rule_id"], one["status"]) for one in findings),
            "alerts": self._lines(
                _line(one["at"], one["labels"]["rule_id"], one["status"], one["step"]) for one in alerts
            ),
        }
        if "groups" in self.expect:
            found["groups"] = [
                one["labels"].get("group") for one in sorted(alerts, key=lambda one: millis(one["at"]))
            ]
        if "distinct" in self.expect:
            found["distinct"] = len({one["finding_id"] for one in findings})
        wanted = self.expect.get("summary", {})
        summary = _last(records.summaries, self.name)
        return found | {"summary": {name: self._part(summary, name, value) for name, value in wanted.items()}}

    def _lines(self, written: Iterable[str]) -> list[str]:
        """Return lines in the order of their moments; of one moment and rule as they came."""
        pieces = [line.split(" ", 2) for line in written]
        timed = [
            (millis(at) if at.endswith("Z") else self.moment(at), rule, rest) for at, rule, rest in pieces
        ]
        return [
            f"{self.shown(at)} {rule} {rest}" for at, rule, rest in sorted(timed, key=lambda one: one[:2])
        ]

    def _part(self, summary: Summary, name: str, wanted: Any) -> Any:
        """Return a part of the summary in the words of the case."""
        if name == "due":
            return {one.clock_id: self.shown(one.due) for one in summary.clocks if one.clock_id in wanted}
        if name == "policies":
            return {one.clock_id: one.policy for one in summary.clocks}
        value = getattr(summary, name)
        if name == "clocks":
            return [_clock(one) for one in value]
        if name in {"opened_at", "closed_at"}:
            return self.shown(value)
        if name in {"metrics", "counted"} and isinstance(wanted, dict):
            return {key: value.get(key) for key in wanted}
        if name == "issues" and isinstance(wanted, list) and wanted and "opened_at" not in wanted[0]:
            return [
                {key: msgspec.to_builtins(one)[key] for key in named}
                for one, named in zip(value, wanted, strict=True)
            ]
        return (
            [msgspec.to_builtins(one) for one in value]
            if isinstance(value, tuple)
            else msgspec.to_builtins(value)
        )


def read_dialogues(folder: Path = FOLDER) -> list[Dialogue]:
    """Return every case, by name."""
    return [Dialogue.read(path) for path in sorted(folder.glob("*.yaml"))]


def play_of(dialogues: Iterable[Dialogue]) -> Play:
    """Return dialogues of one set as one play, one after another, packs changing for all at once.

    A tick is everybody's. It finds the dialogues of one part over or not begun and changes nothing for them;
    those that go on when the packs change stand last, and of these one with ticks behind the others.
    """
    listed = sorted(dialogues, key=lambda one: (len(one.parts), one.ticks, one.name))
    assert all(not one.ticks or len(one.parts) == 1 for one in listed[:-1])
    (name,) = {one.packs for one in listed}
    packs = pack_sets()[name][: max(len(one.parts) for one in listed)]
    parts = [
        Part(files, [line for one in listed for line in one.lines(number)])
        for number, files in enumerate(packs)
    ]
    return Play(parts, max(one.last_t for one in listed) + RUN_ON_MS)


def millis(written: str | datetime) -> int:
    """Return an RFC 3339 time as milliseconds UTC."""
    at = written if isinstance(written, datetime) else datetime.fromisoformat(written)
    return round(at.timestamp() * 1_000)


def _time(event: Json) -> int:
    at: int = event["sent_at"] if event["type"] == "message" else event["at"]
    return at


def _line(at: str, *words: object) -> str:
    utc = datetime.fromisoformat(at).astimezone(UTC).isoformat(timespec="milliseconds")
    return " ".join([utc.replace("+00:00", "Z"), *map(str, words)])


def _clock(clock: ClockOutcome) -> str:
    seconds = "-" if clock.seconds is None else f"{clock.seconds:.12g}"
    return f"{clock.clock_id} {clock.state} {seconds}"


def _last(summaries: Iterable[Json], name: str) -> Summary:
    *_, last = (one for one in summaries if one["conversation_id"] == name)
    return wire.read(Summary, json.dumps(last).encode())
