"""Reads calendars and tables of public holidays; what the core gets is plain data.

The Chinese public holidays and their make-up workdays come from the package chinesecalendar, loaded when
a calendar first asks for them. A file of holidays replaces what the package says of a year, or adds one
that it does not know yet.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from stream.core.calendars import LONGEST_SPAN, MINUTES, Calendar, DayKind, DayPlan, Span, Spans
from stream.core.rules import reading
from stream.core.rules.source import START, Fields, Items, Mark, Node, Problem, Report, Text, suggest
from stream.packs.document import parse_document
from stream.packs.folders import File, read_folder
from stream.packs.loader import SHIPPED
from stream.packs.model import PackError

FOLDER: Final = "calendar"

CHINA: Final = "china"
NONE: Final = "none"

NOTICE_DAYS: Final = 45
"""The State Council announces a year's holidays in November: from the middle of it a warning helps."""

LONGEST_RUN: Final = 92
"""Days of one promotion or holiday: longer is another calendar, or a typing error in the year."""

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOURS: Final = ("workday", "weekend", *_WEEKDAYS, "holiday", "make_up")
_COMMON: Final = ("pack", "version", "title")
_SPAN: Final = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\Z")
_DATE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\s*\.\.\s*(\d{4}-\d{2}-\d{2}))?\Z")
_YEAR: Final = re.compile(r"\d{4}\Z")


@dataclass(slots=True)
class _Holidays:
    """What is known of public holidays: dates off, weekend dates worked, and of which years."""

    off: dict[date, str] = field(default_factory=dict)
    worked: dict[date, str] = field(default_factory=dict)
    years: set[int] = field(default_factory=set)

    def known(self, year: int) -> tuple[int, int]:
        """Return the unbroken run of known years round ``year``, or up to the last one before it."""
        last = max((one for one in self.years if one <= year), default=min(self.years))
        first = last
        while first - 1 in self.years:
            first -= 1
        while last + 1 in self.years:
            last += 1
        return first, last


@dataclass(frozen=True, slots=True)
class _Set:
    """A date with hours of its own, and where that is written."""

    plan: DayPlan
    at: Mark


def load_calendars(
    directories: Sequence[str | Path | Traversable] = (SHIPPED,), today: date | None = None
) -> Mapping[str, Calendar]:
    """Return the calendars by id; raises ``PackError`` with every problem of every file."""
    calendars, problems = read_calendars(directories, today)
    if any(problem.severity == "error" for problem in problems):
        raise PackError(problems)
    return calendars


def read_calendars(
    directories: Sequence[str | Path | Traversable] = (SHIPPED,), today: date | None = None
) -> tuple[Mapping[str, Calendar], list[Problem]]:
    """Return the calendars of the directories by id, without ``calendar.``, and all problems by place.

    A later directory's file replaces the earlier one of the same name. With ``today`` it is a warning when
    a calendar does not know this year's public holidays, or will not soon.
    """
    files, problems = read_folder(directories, FOLDER)
    chosen: dict[str, File] = {}
    for file in files:
        if file.id in chosen and chosen[file.id].layer == file.layer:
            file.report.error(START, f"'{file.id}' is already in {chosen[file.id].report.path}")
        chosen[file.id] = file
    documents = [(file, document) for file in chosen.values() if (document := _document(file)) is not None]
    tables = [(file, entries) for file, entries in documents if "years" in entries]
    holidays = _china() if any(_asks_for_china(entries) for _, entries in documents) else _Holidays()
    for file, entries in tables:
        _read_table(file.report, entries["years"], holidays)
    calendars: dict[str, Calendar] = {}
    for file, entries in documents:
        if "years" not in entries:
            calendar = _calendar(file, entries, holidays, today)
            if calendar is not None:
                calendars[calendar.id] = calendar
    for file in chosen.values():
        problems += file.report.problems
    return calendars, sorted(problems)


def _document(file: File) -> Mapping[str, Node] | None:
    """Return a file's entries with their names checked."""
    report = file.report
    root = parse_document(report, file.data)
    if root is None:
        return None
    is_table = isinstance(root, Fields) and "years" in root.entries
    entries = (
        reading.fields(report, root, "holidays", (*_COMMON, "years"))
        if is_table
        else reading.fields(
            report, root, "calendar", (*_COMMON, "zone", "hours"), ("holidays", "days", "promotions")
        )
    )
    if entries is None:
        return None
    name = reading.text(report, entries["pack"], "pack")
    if name is not None and name != file.id:
        report.error(entries["pack"], f"pack: '{reading.shorten(name)}' must mirror the path: '{file.id}'")
    reading.integer(report, entries["version"], "version", 1)
    return entries


def _asks_for_china(entries: Mapping[str, Node]) -> bool:
    node = entries.get("holidays")
    return isinstance(node, Text) and node.value == CHINA


def _china() -> _Holidays:
    """Return what the installed chinesecalendar knows."""
    from chinese_calendar import constants  # noqa: PLC0415  # only where a calendar asks for it

    holidays = _Holidays()
    for day, name in constants.holidays.items():
        holidays.off[day] = constants.Holiday(name).chinese
        holidays.years.add(day.year)
    for day, name in constants.workdays.items():
        holidays.worked[day] = constants.Holiday(name).chinese
    return holidays


def _read_table(report: Report, node: Node, holidays: _Holidays) -> None:
    """Put a file's years in place of what was known of them."""
    if not isinstance(node, Fields) or not node.entries:
        report.error(node, f"years: expected years, each with its dates, got {reading.kind_of(node)}")
        return
    for written, listed in node.entries.items():
        entries = reading.fields(report, listed, f"year {written}", ("off",), ("worked",))
        if not _YEAR.match(written):
            report.error(
                node.keys[written], f"years: expected a year such as 2027, got '{reading.shorten(written)}'"
            )
            continue
        if entries is None:
            continue
        year = int(written)
        off = dict(_dates(report, entries["off"], "off"))
        worked = dict(_dates(report, entries["worked"], "worked")) if "worked" in entries else {}
        for day, at in (*off.items(), *worked.items()):
            if day.year != year:
                report.error(at, f"{day} is not in {year}")
        for day in off.keys() & worked.keys():
            report.error(worked[day], f"{day} is a holiday on line {off[day].line}, and worked here")
        for known in (holidays.off, holidays.worked):
            for day in [day for day in known if day.year == year]:
                del known[day]
        holidays.off.update(dict.fromkeys(off, ""))
        holidays.worked.update(dict.fromkeys(worked, ""))
        holidays.years.add(year)


def _calendar(
    file: File, entries: Mapping[str, Node], holidays: _Holidays, today: date | None
) -> Calendar | None:
    report = file.report
    before = len(report.problems)
    title = reading.text(report, entries["title"], "title")
    zone = _zone(report, entries["zone"])
    source: str | None = NONE
    if "holidays" in entries:
        source = reading.choice(report, entries["holidays"], "holidays", (CHINA, NONE))
    hours = _hours(report, entries["hours"], public=source == CHINA)
    days: dict[date, _Set] = {}
    if "days" in entries:
        _special_days(report, entries["days"], days)
    if "promotions" in entries:
        _promotions(report, entries["promotions"], days)
    if zone is None or title is None or len(report.problems) > before:
        return None
    plans = {} if source != CHINA else _public(holidays, hours)
    plans |= {day: one.plan for day, one in days.items()}
    years = None
    if source == CHINA:
        years = holidays.known(max(holidays.years) if today is None else today.year)
        if today is not None:
            _judge_years(report, entries["holidays"], years, today)
    week = tuple(hours[day] for day in _WEEKDAYS)
    assert len(week) == 7
    return Calendar(file.id.removeprefix(f"{FOLDER}."), zone, week, plans, years, title)


def _judge_years(report: Report, at: Node, years: tuple[int, int], today: date) -> None:
    if not years[0] <= today.year <= years[1]:
        report.warning(
            at,
            f"holidays: those of {today.year} are not known (known: {years[0]} to {years[1]}),"
            " days go by the week; update chinesecalendar, or write them into a file in calendar/",
        )
    elif (date(years[1], 12, 31) - today).days < NOTICE_DAYS:
        report.warning(
            at,
            f"holidays: known until the end of {years[1]} only;"
            " update chinesecalendar, or write the next year into a file of holidays in calendar/",
        )


def _public(holidays: _Holidays, hours: Mapping[str, Spans]) -> dict[date, DayPlan]:
    off = {day: DayPlan(hours["holiday"], DayKind.HOLIDAY, name) for day, name in holidays.off.items()}
    worked = {day: DayPlan(hours["make_up"], DayKind.MAKE_UP, name) for day, name in holidays.worked.items()}
    return off | worked


def _zone(report: Report, node: Node) -> zoneinfo.ZoneInfo | None:
    name = reading.text(report, node, "zone", 64)
    if name is None:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        why = suggest(name, known) if known else "; this system has no time zone data (install tzdata)"
        report.error(node, f"zone: unknown time zone '{reading.shorten(name)}'{why}")
        return None


def _hours(report: Report, node: Node, *, public: bool) -> dict[str, Spans]:
    """Return the spans of the seven weekdays, of holidays and of make-up workdays."""
    if isinstance(node, Text) and node.value == "always":
        whole: Spans = (Span(0, MINUTES),)
        return dict.fromkeys((*_WEEKDAYS, "holiday", "make_up"), whole)
    entries = reading.fields(report, node, "hours", (), _HOURS)
    found = {} if entries is None else {key: _spans(report, value, key) for key, value in entries.items()}
    if entries is not None:
        for key in ("holiday", "make_up"):
            if key in entries and not public:
                report.error(entries[key], f"hours: '{key}' needs 'holidays: {CHINA}'")
    workday = found.get("workday", ())
    for number, day in enumerate(_WEEKDAYS):
        found.setdefault(day, workday if number < 5 else found.get("weekend", ()))
    found.setdefault("make_up", workday)
    found.setdefault("holiday", ())
    if entries is not None and not any(found[day] for day in _WEEKDAYS):
        report.error(node, "hours: no day of the week has any, so no clock would ever run")
    return found


def _spans(report: Report, node: Node, what: str) -> Spans:
    """Return the spans of a day: ``'09:00-12:00'``, past midnight ``'22:00-06:00'``; apart and by time."""
    listed = Items((node,), node.at) if isinstance(node, Text) else node
    found: list[Span] = []
    for item in reading.items(report, listed, what) or ():
        span = _span(report, item, what)
        if span is None:
            continue
        if found and span.start < found[-1].end:
            report.error(item, f"{what}: overlaps the span before it, or stands out of order")
        found.append(span)
    if found and found[-1].end - MINUTES > found[0].start:
        report.error(node, f"{what}: the night shift runs into the same day's first span")
    return tuple(found)


def _span(report: Report, node: Node, what: str) -> Span | None:
    match = _SPAN.match(node.value) if isinstance(node, Text) else None
    if match is None:
        report.error(node, f"{what}: expected a span such as '09:00-18:00', got {reading.kind_of(node)}")
        return None
    hour, minute, to_hour, to_minute = map(int, match.groups())
    start, end = hour * 60 + minute, to_hour * 60 + to_minute
    if minute > 59 or to_minute > 59 or start >= MINUTES or end > MINUTES:
        report.error(
            node, f"{what}: '{reading.shorten(match[0])}' is no time of day; midnight at the end is 24:00"
        )
        return None
    if end <= start:
        end += MINUTES
    if end - start > MINUTES or end > LONGEST_SPAN:
        report.error(node, f"{what}: a span is at most a day")
        return None
    return Span(start, end)


def _special_days(report: Report, node: Node, days: dict[date, _Set]) -> None:
    for item in reading.items(report, node, "days") or ():
        entries = reading.fields(report, item, "day", ("on", "hours"), ("title",))
        if entries is None:
            continue
        title = reading.text(report, entries["title"], "title") if "title" in entries else ""
        spans = _spans(report, entries["hours"], "hours")
        for day, at in _dates(report, entries["on"], "on"):
            _set(report, days, day, _Set(DayPlan(spans, DayKind.SPECIAL, title or ""), at))


def _promotions(report: Report, node: Node, days: dict[date, _Set]) -> None:
    for item in reading.items(report, node, "promotions") or ():
        entries = reading.fields(report, item, "promotion", ("title", "on", "hours"))
        if entries is None:
            continue
        title = reading.text(report, entries["title"], "title")
        spans = _spans(report, entries["hours"], "hours")
        for day, at in _dates(report, entries["on"], "on"):
            _set(report, days, day, _Set(DayPlan(spans, DayKind.PROMOTION, title or ""), at))


def _set(report: Report, days: dict[date, _Set], day: date, plan: _Set) -> None:
    """Give a date its hours; two of one kind are a mistake, a promotion goes before a special day."""
    other = days.get(day)
    if other is not None and other.plan.kind is plan.plan.kind:
        report.error(plan.at, f"{day} has hours already, from line {other.at.line}")
        return
    days[day] = plan


def _dates(report: Report, node: Node, what: str) -> Iterator[tuple[date, Mark]]:
    """Yield the dates of ``2026-11-11``, ``2026-11-01..2026-11-11`` or a list of these."""
    listed = Items((node,), node.at) if isinstance(node, Text) else node
    for item in reading.items(report, listed, what) or ():
        match = _DATE.match(item.value) if isinstance(item, Text) else None
        try:
            first, last = (
                (date.fromisoformat(one) for one in (match[1], match[2] or match[1]))
                if match
                else (None, None)
            )
        except ValueError:
            first = last = None
        if first is None or last is None:
            report.error(
                item,
                f"{what}: expected 2026-11-11 or 2026-11-01..2026-11-11, got {reading.kind_of(item)}",
            )
        elif not 0 <= (last - first).days < LONGEST_RUN:
            report.error(item, f"{what}: from {first} to {last} is not between 1 and {LONGEST_RUN} days")
        else:
            for shift in range((last - first).days + 1):
                yield first + timedelta(days=shift), item.at
