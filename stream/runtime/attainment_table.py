"""Attainment as a table: by day, policy, who owed and agent, how many clocks were kept, how late the others.

Counted from summaries, of each conversation the latest revision: a clock stands in it as it stands now. Of
a miss that was told and taken back the findings tell.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from statistics import median
from typing import IO, Final, NamedTuple

from stream import wire
from stream.core import clocks
from stream.core.attainment import VERDICTS, Verdict
from stream.core.book import RuleBook
from stream.core.ids import stable_id
from stream.core.outputs import ClockOutcome, Finding, FindingStatus, Summary
from stream.core.worktime import ALWAYS

_DIGITS: Final = 4
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet begins a formula with."""


class Row(NamedTuple):
    """One line. ``day`` is that of the clock's start; ``attainment`` is met of met and missed, None of none.

    ``over_p50_seconds`` and ``over_max_seconds`` are how far past the target, in the policy's time, the
    answer or else the end came, of the missed clocks that have ended.
    """

    day: str
    policy: str
    kind: str
    leg: str
    agent: str
    started: int
    open: int
    met: int
    missed: int
    withdrawn: int
    corrected: int
    attainment: float | None
    over_p50_seconds: float | None
    over_max_seconds: float | None


class _Key(NamedTuple):
    day: str
    policy: str
    kind: str
    leg: str
    agent: str


@dataclass(slots=True)
class _Tally:
    started: int = 0
    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    over_ms: list[int] = field(default_factory=list)


_Told = Mapping[tuple[str, str], Sequence[int]]
"""When a breach was told that was none: by conversation and clock, which a later use of both may share."""


def tabulate(
    book: RuleBook, summaries: Iterable[Summary], findings: Iterable[Finding], zone: tzinfo
) -> list[Row]:
    """Return the table, ordered by its first five columns. The waits of rules are not in it."""
    taken_back = _misses_taken_back(book, findings)
    tallies: dict[_Key, _Tally] = {}
    for summary in summaries:
        for clock in summary.clocks:
            if clock.kind == clocks.RULE:
                continue
            day = f"{datetime.fromtimestamp(clock.started_at / 1000, zone):%Y-%m-%d}"
            key = _Key(day, clock.policy, clock.kind, clock.leg, summary.agent or "")
            told = taken_back.get((summary.conversation_id, clock.clock_id), ())
            back = any(clock.started_at < at <= clock.due for at in told)
            _enter(tallies.setdefault(key, _Tally()), book, clock, taken_back=back)
    return [_row(key, tally) for key, tally in sorted(tallies.items())]


def _enter(tally: _Tally, book: RuleBook, clock: ClockOutcome, *, taken_back: bool) -> None:
    tally.started += 1
    verdict = VERDICTS.get(clock.state)
    if verdict is None:
        return
    tally.verdicts[verdict] += 1
    if verdict is not Verdict.MISSED:
        tally.verdicts[Verdict.CORRECTED] += taken_back
    elif clock.stopped_at is not None and clock.stopped_at > clock.due:
        policy = book.clock_policy_by_id(clock.policy)
        worktime = ALWAYS if policy is None else policy.worktime
        tally.over_ms.append(worktime.measure(clock.due, clock.stopped_at))


def _row(key: _Key, tally: _Tally) -> Row:
    met, missed, withdrawn, corrected = (tally.verdicts[verdict] for verdict in Verdict)
    decided, over = met + missed, tally.over_ms
    return Row(
        *key,
        started=tally.started,
        open=tally.started - decided - withdrawn,
        met=met,
        missed=missed,
        withdrawn=withdrawn,
        corrected=corrected,
        attainment=round(met / decided, _DIGITS) if decided else None,
        over_p50_seconds=median(over) / 1000 if over else None,
        over_max_seconds=max(over) / 1000 if over else None,
    )


def _misses_taken_back(book: RuleBook, findings: Iterable[Finding]) -> _Told:
    """Return of which clocks a breach was told that was none, and when."""
    raised: set[str] = set()
    corrected: dict[str, Finding] = {}
    for finding in findings:
        if finding.clock_id is None:
            continue
        if finding.status is FindingStatus.RAISED:
            raised.add(finding.finding_id)
            corrected.pop(finding.finding_id, None)
        else:
            corrected[finding.finding_id] = finding
    told: dict[tuple[str, str], list[int]] = {}
    for id_, one in corrected.items():
        if id_ in raised and _is_breach(book, one):
            told.setdefault((one.conversation_id, one.clock_id or ""), []).append(one.at)
    return told


def _is_breach(book: RuleBook, finding: Finding) -> bool:
    """Whether a clock's finding is of its target: ids tell the moment, warnings and steps have others."""
    policy = book.clock_policy_by_id(finding.rule_id)
    return policy is not None and finding.finding_id == stable_id(
        "clock", finding.conversation_id, finding.clock_id or "", finding.at, len(policy.warn_ms)
    )


def write_csv(rows: Sequence[Row], file: IO[str]) -> None:
    """Write the table with a line of names on top; what is None is left empty.

    A name that a spreadsheet would take for a formula gets an apostrophe before it
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows([_inert(cell) for cell in row] for row in rows)


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def stored(connection: sqlite3.Connection) -> tuple[list[Summary], Iterator[Finding]]:
    """Return the latest summary of every conversation of the embedded store, and all findings.

    A conversation that was forgotten and began anew under its id counts each time.
    """
    lives: dict[str, list[Summary]] = {}
    for (body,) in connection.execute("SELECT body FROM records WHERE kind = 'conversation' ORDER BY seq"):
        summary = wire.read(Summary, body)
        _keep(lives.setdefault(summary.conversation_id, []), summary)
    findings = connection.execute("SELECT body FROM records WHERE kind = 'finding' ORDER BY seq")
    return [one for known in lives.values() for one in known], (
        wire.read(Finding, body) for (body,) in findings
    )


def _keep(lives: list[Summary], summary: Summary) -> None:
    """Let a summary take the place of an earlier one of the same life of a conversation."""
    for place, known in enumerate(lives):
        if summary.opened_at <= known.closed_at and summary.closed_at >= known.opened_at:
            if summary.revision >= known.revision:
                lives[place] = summary
            return
    lives.append(summary)
