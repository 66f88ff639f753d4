"""Turns clock policies and categories as written into values of the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from stream.core.book import ClockPolicy, Telling
from stream.core.calendars import Calendar, DayKind, NoWorkingTimeError
from stream.core.category import Category
from stream.core.events import Mode
from stream.core.findings import OWING
from stream.core.kinds import KINDS
from stream.core.kinds.promise import HOLD
from stream.core.outputs import Severity
from stream.core.rules import reading
from stream.core.rules.context import Context
from stream.core.rules.source import Fields, Items, Node, Problem, Report, Text
from stream.core.rules.why import CLOCK_PLACES, check_template
from stream.core.said import TITLES
from stream.core.worktime import ALWAYS, Worktime
from stream.packs.model import RawPack, RawRule
from stream.packs.rules import read_audience, read_scope, without

_STAGES = ("warn", "breach")
_REQUIRED = ("id", "clock", "severity", "why")
_OPTIONAL = (
    "title", "target", "warn", "warn_before", "grace", "audience", "counts", "advice", "match", "escalate",
    "calendar",
)  # fmt: skip
# What only a clock has whose target is the policy's, and what only one whose target is what was promised.
_TIMED = ("target", "warn")
_PROMISED = ("warn_before", "grace")

# What a clock's policy may ask for beyond what a rule may.
_MATCHED = ("agent_level", "deadline", "department", "priority", "promise", "severity", "step")
# The values that a promise's clock can have for them.
_PROMISES = (HOLD, *TITLES)
_DEADLINES = ("said", "vague")

# An answer typed by a person, or written by a machine and sent by a person.
_PERSONAL = frozenset({Mode.HUMAN.value, Mode.ASSIST.value})


def compile_clock(pack: RawPack, raw: RawRule, calendars: Mapping[str, Calendar]) -> ClockPolicy | None:
    """Return the policy; what is wrong goes to the pack's report."""
    report = pack.report
    before = len(report.problems)
    entries = reading.fields(report, raw.node, f"clock {raw.id}", _REQUIRED, _OPTIONAL)
    if entries is None:
        return None
    clock = reading.choice(report, entries["clock"], "clock", tuple(KINDS))
    times = _times(report, raw, entries, clock)
    stages = _STAGES if times.warn or times.warn_before else ("breach",)
    severity = _severities(report, entries["severity"], stages)
    audience = _audiences(report, entries.get("audience"))
    why = _sentences(report, entries["why"], stages)
    counts = _PERSONAL
    if "counts" in entries:
        counts = _modes(report, entries["counts"])
    advice = reading.text(report, entries["advice"], "advice") if "advice" in entries else ""
    asked = _matched(report, entries.get("match"), calendars)
    escalate = _escalations(report, entries.get("escalate"))
    worktime = _worktime(report, entries.get("calendar"), calendars)
    promised = clock is not None and KINDS[clock].promised
    if clock is None or any(p.severity == "error" for p in report.problems[before:]):
        return None
    return ClockPolicy(
        id=raw.id,
        clock=clock,
        pack_version=pack.stamp,
        target_ms=times.target,
        warn_ms=times.warn,
        severity=severity,
        audience=audience,
        counts=counts,
        why=why,
        advice=advice or "",
        match=asked.match,
        promotions=asked.promotions,
        path=pack.path,
        line=raw.at.line,
        escalate=escalate,
        worktime=ALWAYS if promised else worktime,
        warn_before_ms=times.warn_before,
        grace_ms=times.grace,
        days=worktime.calendar if promised else None,
    )


class _Times(NamedTuple):
    """When a clock's moments are, in milliseconds; of a promise's clock none is the policy's alone."""

    target: int = 0
    warn: tuple[int, ...] = ()
    warn_before: tuple[int, ...] = ()
    grace: int = 0


def _times(report: Report, raw: RawRule, entries: Mapping[str, Node], clock: str | None) -> _Times:
    """Return the policy's times; what its kind of clock has no use for is an error."""
    if clock is None:
        return _Times()
    promised = KINDS[clock].promised
    for key in _TIMED if promised else _PROMISED:
        if key in entries:
            target = "what was promised" if promised else "the policy's"
            report.error(entries[key], f"{key}: the target of a {clock} is {target}")
    if not promised:
        if "target" not in entries:
            report.error(raw.node, f"clock {raw.id}: missing 'target'")
            return _Times()
        amount = reading.duration(report, entries["target"], "target")
        return _Times(amount or 0, _warnings(report, entries.get("warn"), amount))
    if "calendar" not in entries:
        report.error(
            raw.node,
            f"clock {raw.id}: missing 'calendar': the zone and working days that promises are read by",
        )
    before = _warnings(report, entries.get("warn_before"), None, "warn_before")
    grace = 0
    if "grace" in entries:
        grace = reading.duration(report, entries["grace"], "grace", least_ms=0) or 0
    return _Times(warn_before=tuple(reversed(before)), grace=grace)


class _Asked(NamedTuple):
    """What a policy asks for."""

    match: tuple[tuple[str, frozenset[str]], ...] = ()
    promotions: tuple[Calendar, frozenset[str]] | None = None


def _matched(report: Report, node: Node | None, calendars: Mapping[str, Calendar]) -> _Asked:
    """Return what must hold: attributes, and `promotion` with the calendar and the titles of its periods."""
    if isinstance(node, Fields):
        for key, known in (("promise", _PROMISES), ("deadline", _DEADLINES)):
            for value in reading.texts(report, node.entries[key], key) or () if key in node.entries else ():
                if value not in known:
                    report.error(
                        node.entries[key], f"{key}: expected one of {', '.join(known)}, got '{value}'"
                    )
    if not isinstance(node, Fields) or "promotion" not in node.entries:
        return _Asked(read_scope(report, node, "match", more=_MATCHED))
    match = read_scope(report, without(node, "promotion"), "match", more=_MATCHED)
    period = node.entries["promotion"]
    entries = reading.fields(report, period, "promotion", ("calendar", "title"), ())
    if entries is None:
        return _Asked(match)
    name = reading.choice(report, entries["calendar"], "calendar", tuple(calendars))
    titles = reading.texts(report, entries["title"], "title", at_least=1)
    if name is None or titles is None:
        return _Asked(match)
    for title in titles:
        if title not in _promotions(calendars[name]):
            report.error(entries["title"], f"title: calendar {name} has no promotion '{title}'")
    return _Asked(match, (calendars[name], frozenset(titles)))


def _promotions(calendar: Calendar) -> set[str]:
    return {plan.title for plan in calendar.days.values() if plan.kind is DayKind.PROMOTION}


def _worktime(report: Report, node: Node | None, calendars: Mapping[str, Calendar]) -> Worktime:
    name = None if node is None else reading.choice(report, node, "calendar", tuple(calendars))
    if node is None or name is None:
        return ALWAYS
    worktime = Worktime(calendars[name])
    try:
        worktime.add(0, 1)
    except NoWorkingTimeError:
        report.error(node, f"calendar: {name} has no working time, so that nothing would ever come due")
    return worktime


def ties(policies: Sequence[ClockPolicy]) -> Iterator[Problem]:
    """Yield the policies of a clock of which neither is more specific, where both may hold at once."""
    for first, second in combinations(policies, 2):
        if first.clock != second.clock or first.asks != second.asks:
            continue
        if first.promotions and second.promotions and _apart(first.promotions, second.promotions):
            continue
        asked = dict(first.match)
        if all(known & asked.get(key, known) for key, known in second.match):
            yield Problem(
                second.path,
                second.line,
                1,
                f"clock {second.id}: as specific as {first.id} at {first.path}:{first.line}, and both may "
                "hold at once; let one match more, or give it the other's id to take its place",
            )


def _apart(one: tuple[Calendar, frozenset[str]], other: tuple[Calendar, frozenset[str]]) -> bool:
    """Return whether two policies ask for promotions of one calendar that are not the same."""
    return one[0] is other[0] and not one[1] & other[1]


def compile_category(raw: RawRule, context: Context) -> Category | None:
    """Return the category; what is wrong goes to the context's report."""
    entries = reading.fields(
        context.report, raw.node, f"category {raw.id}", ("id", "title", "any"), ("priority",)
    )
    if entries is None:
        return None
    title = reading.text(context.report, entries["title"], "title")
    lists = context.resolve(entries["any"], "any")
    priority: int | None = 100
    if "priority" in entries:
        priority = reading.integer(context.report, entries["priority"], "priority", 1, 1_000)
    if title is None or lists is None or priority is None:
        return None
    return Category(raw.id, title, frozenset(lists), priority)


def _warnings(report: Report, node: Node | None, target: int | None, what: str = "warn") -> tuple[int, ...]:
    if node is None:
        return ()
    listed = Items((node,), node.at) if isinstance(node, Text) else node
    found = []
    for item in reading.items(report, listed, what) or ():
        moment = reading.duration(report, item, what)
        if moment is not None and target is not None and moment >= target:
            report.error(item, "warn: a warning comes before the target")
        if moment is not None:
            found.append(moment)
    return tuple(sorted(set(found)))


def _severities(report: Report, node: Node, stages: tuple[str, ...]) -> Mapping[str, Severity]:
    entries = reading.fields(report, node, "severity", stages, _STAGES) or {}
    found = {
        stage: reading.choice(report, value, f"severity {stage}", tuple(Severity))
        for stage, value in entries.items()
    }
    return {stage: severity for stage, severity in found.items() if severity is not None}


def _audiences(report: Report, node: Node | None) -> Mapping[str, tuple[str, ...]]:
    entries = {} if node is None else reading.fields(report, node, "audience", (), _STAGES) or {}
    return {stage: _audience(report, entries.get(stage), f"audience {stage}") for stage in _STAGES}


def _audience(report: Report, node: Node | None, what: str) -> tuple[str, ...]:
    """Return who is told; `department` alone is the one that owes."""
    return read_audience(report, node, what, more=(OWING,))


def _escalations(report: Report, node: Node | None) -> tuple[tuple[int, Telling], ...]:
    if node is None:
        return ()
    found: list[tuple[int, Telling]] = []
    for item in reading.items(report, node, "escalate", at_least=1) or ():
        entries = reading.fields(report, item, "escalate", ("after", "severity", "audience", "why"), ())
        if entries is None:
            continue
        after = reading.duration(report, entries["after"], "after")
        severity = reading.choice(report, entries["severity"], "severity", tuple(Severity))
        audience = _audience(report, entries["audience"], "audience")
        why = reading.text(report, entries["why"], "why")
        if after is None or severity is None or why is None:
            continue
        check_template(report, entries["why"], why, CLOCK_PLACES)
        if found and after <= found[-1][0]:
            report.error(entries["after"], "escalate: each step comes later than the one before")
        found.append((after, Telling(severity, audience, why)))
    return tuple(found)


def _sentences(report: Report, node: Node, stages: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for stage, value in (reading.fields(report, node, "why", stages, _STAGES) or {}).items():
        sentence = reading.text(report, value, f"why {stage}")
        if sentence is not None:
            check_template(report, value, sentence, CLOCK_PLACES)
            found[stage] = sentence
    return found


def _modes(report: Report, node: Node) -> frozenset[str]:
    listed = Items((node,), node.at) if isinstance(node, Text) else node
    written = reading.items(report, listed, "counts", at_least=1) or ()
    modes = [reading.choice(report, item, "counts", tuple(Mode)) for item in written]
    return frozenset(mode.value for mode in modes if mode is not None)
