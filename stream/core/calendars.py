"""Working time: when a service works, and sums over it in whole milliseconds.

An instant is working time where the clock on the wall of the calendar's zone then shows a time within a
span of that day, or within the part after midnight of a span of the day before. That one sentence settles
the days on which clocks are changed: an hour that does not happen is not worked, an hour that happens
twice is worked twice.

A calendar is plain data. The zone and the dates of public holidays are read by ``stream.packs.calendars``;
nothing here reads a file. Working spans are worked out once for each 24 hours and kept, so that sums are
walks over a few integers; what is kept never changes a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
MINUTES: Final = 1_440

LONGEST_SPAN: Final = 2 * MINUTES
"""A span may run past midnight, at most to the end of the next day."""

MOST_DAYS_KEPT: Final = 4_096
"""Days kept worked out, started afresh when full: eleven years, some 1 MiB."""

FARTHEST_DAYS: Final = 20 * 366
"""How far ``add`` looks for working time: targets are at most a year, so a calendar in which that takes
twenty years never works."""

_EDGE_MS: Final = 16 * 3_600_000
"""No zone has ever been sixteen hours from UTC."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


class DayKind(StrEnum):
    """Why a day has the hours it has, the last that applies first."""

    PROMOTION = "promotion"
    SPECIAL = "special"
    HOLIDAY = "holiday"
    MAKE_UP = "make_up"
    WEEK = "week"


class Span(NamedTuple):
    """Working time of one day, half open: minutes from its midnight; past 1440 is the next day."""

    start: int
    end: int


Spans = tuple[Span, ...]

WHOLE_DAY: Final[Spans] = (Span(0, MINUTES),)


class DayPlan(NamedTuple):
    """A date that does not go by the week: its hours, why, and what it is called."""

    spans: Spans
    kind: DayKind
    title: str = ""


class HolidaysUnknownError(ValueError):
    """The public holidays of a year are not known, so its working time is not either."""

    def __init__(self, calendar: str, year: int) -> None:
        self.calendar, self.year = calendar, year
        super().__init__(
            f"calendar {calendar}: the public holidays of {year} are not known;"
            " update the package chinesecalendar, or write them into a file of holidays"
        )


class NoWorkingTimeError(ValueError):
    """The calendar has less working time ahead than was asked for."""


class _Worked(NamedTuple):
    """24 hours: their working spans in milliseconds UTC, by time and apart, and their sum."""

    spans: tuple[tuple[int, int], ...]
    total: int


@dataclass(frozen=True)
class Calendar:
    """When a service works. Immutable; equal where the data are equal.

    ``week`` has the spans of Monday to Sunday, ``days`` the dates that differ. ``years`` are those, first
    and last, whose public holidays are known; outside them sums raise ``HolidaysUnknownError``, unless
    ``by_week`` made the calendar go on by the week. ``None`` where public holidays play no part.
    """

    id: str
    zone: tzinfo
    week: tuple[Spans, Spans, Spans, Spans, Spans, Spans, Spans]
    days: Mapping[date, DayPlan] = field(default_factory=dict)
    years: tuple[int, int] | None = None
    title: str = ""
    _kept: dict[int, _Worked] = field(default_factory=dict, init=False, repr=False, compare=False)
    _shift: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Let the days that are worked out begin at local midnight, at least at the turn of a year."""
        turn = date(2026 if self.years is None else self.years[1] + 1, 1, 1)
        object.__setattr__(self, "_shift", _offset(self.zone, (turn.toordinal() - _EPOCH_DAY) * DAY_MS))

    def __hash__(self) -> int:
        """Return a hash that goes with equality: equal calendars have equal ids."""
        return hash(self.id)

    def by_week(self) -> Calendar:
        """Return the calendar that goes by the week in years whose holidays are not known."""
        return self if self.years is None else replace(self, years=None)

    def knows(self, t: int) -> bool:
        """Return whether the public holidays of the instant's local year are known or play no part."""
        return self.years is None or self.years[0] <= self.local(t).year <= self.years[1]

    def local(self, t: int) -> datetime:
        """Return milliseconds UTC as local time; raises ``OverflowError`` outside the years 1 to 9999."""
        return (_EPOCH + timedelta(milliseconds=t)).astimezone(self.zone)

    def at(self, day: date, minute: int) -> int:
        """Return the first instant of a date at or after a local minute of it, in milliseconds UTC.

        ``minute`` may be 1440 and more, for the days after. A time that clocks skip is the instant at
        which they skip it; one that comes twice is the first.
        """
        day, minute = day + timedelta(days=minute // MINUTES), minute % MINUTES
        naive = datetime(day.year, day.month, day.day, minute // 60, minute % 60)  # noqa: DTZ001 - local
        early, late = (naive.replace(tzinfo=self.zone, fold=fold).utcoffset() for fold in (0, 1))
        wall = (naive - _EPOCH.replace(tzinfo=None)) // timedelta(milliseconds=1)
        first = wall - _millis(early)
        if early == late or _millis(early) > _millis(late):
            return first
        return _transition(self.zone, wall - _millis(late), first)  # skipped

    def plan(self, day: date) -> DayPlan:
        """Return the hours of a date and why it has them.

        Raises:
            HolidaysUnknownError: The year is outside ``years`` and no promotion or special day is set.
        """
        plan = self.days.get(day)
        if plan is not None:
            return plan
        if self.years is not None and not self.years[0] <= day.year <= self.years[1]:
            raise HolidaysUnknownError(self.id, day.year)
        return DayPlan(self.week[day.weekday()], DayKind.WEEK)

    def promotion(self, t: int) -> str:
        """Return the title of the promotion that the instant's date belongs to, or nothing."""
        plan = self.days.get(self.local(t).date())
        return plan.title if plan is not None and plan.kind is DayKind.PROMOTION else ""

    def works(self, t: int) -> bool:
        """Return whether the instant is working time."""
        return any(start <= t < end for start, end in self._day(self._number(t)).spans)

    def _number(self, t: int) -> int:
        return (t + self._shift) // DAY_MS

    def _day(self, number: int) -> _Worked:
        worked = self._kept.get(number)
        if worked is None:
            if len(self._kept) >= MOST_DAYS_KEPT:
                self._kept.clear()
            worked = self._kept[number] = self._work_out(number)
        return worked

    def _work_out(self, number: int) -> _Worked:
        """Work out one day from the dates that can reach into it."""
        low = number * DAY_MS - self._shift
        high = low + DAY_MS
        found: list[tuple[int, int]] = []
        for shift in (-2, -1, 0, 1):
            day = date.fromordinal(_EPOCH_DAY + number + shift)
            midnight = (number + shift) * DAY_MS
            for span in self._spans_reaching(day, midnight, low, high):
                for start, end in _instants(self.zone, *span):
                    if start < high and end > low:
                        found.append((max(start, low), min(end, high)))
        spans = _joined(found)
        return _Worked(spans, sum(end - start for start, end in spans))

    def _spans_reaching(self, day: date, midnight: int, low: int, high: int) -> list[tuple[int, int]]:
        """Return a date's spans in wall milliseconds; none where it cannot reach into the day."""
        if midnight - _EDGE_MS >= high or midnight + 2 * DAY_MS + _EDGE_MS <= low:
            return []
        if self.years is not None and self.at(day, 0) >= high:
            return []  # that date may be in a year that is not known; this one does not depend on it
        plan = self.plan(day)
        return [(midnight + start * MINUTE_MS, midnight + end * MINUTE_MS) for start, end in plan.spans]


def add(calendar: Calendar, start_ms: int, amount_ms: int) -> int:
    """Return the first instant until which ``amount_ms`` of working time have passed since ``start_ms``.

    So ``measure(calendar, start_ms, add(calendar, start_ms, n)) == n``, and nothing that comes earlier
    measures ``n``. An amount of zero is ``start_ms``. Times are milliseconds UTC.

    Raises:
        HolidaysUnknownError: The way leads through a year whose holidays are not known.
        NoWorkingTimeError: There is no such amount within ``FARTHEST_DAYS``.
        ValueError: The amount is negative.
    """
    if amount_ms < 0:
        raise ValueError("an amount of working time is not negative")
    if amount_ms == 0:
        return start_ms
    left = amount_ms
    first = calendar._number(start_ms)
    for number in range(first, first + FARTHEST_DAYS):
        spans, total = calendar._day(number)
        if number > first and total < left:
            left -= total
            continue
        for start, end in spans:
            begin = max(start, start_ms)
            if end - begin >= left:
                return begin + left
            left -= max(0, end - begin)
    raise NoWorkingTimeError(f"calendar {calendar.id} has no {amount_ms} ms of working time in twenty years")


def measure(calendar: Calendar, a_ms: int, b_ms: int) -> int:
    """Return the working time in ``[a_ms, b_ms)``, in milliseconds; negative where ``b_ms`` is earlier.

    Additive: ``measure(a, b) + measure(b, c) == measure(a, c)``. Raises ``HolidaysUnknownError`` where
    the interval touches a year whose holidays are not known.
    """
    if b_ms < a_ms:
        return -measure(calendar, b_ms, a_ms)
    if a_ms == b_ms:
        return 0
    first, last = calendar._number(a_ms), calendar._number(b_ms - 1)
    if first == last:
        return _within(calendar._day(first).spans, a_ms, b_ms)
    total = _within(calendar._day(first).spans, a_ms, b_ms)
    for number in range(first + 1, last):
        total += calendar._day(number).total
    return total + _within(calendar._day(last).spans, a_ms, b_ms)


def next_working(calendar: Calendar, t: int) -> int:
    """Return the first instant of working time at or after ``t``; raises as ``add`` does."""
    return add(calendar, t, 1) - 1


def end_of_working_day(calendar: Calendar, start_ms: int, days: int) -> int:
    """Return when the ``days``-th working day after the instant's date ends.

    Three working days said on a Friday end with Wednesday: the day itself does not count, a working day is
    a date whose plan has hours, and it ends with the last of them, or with those of a day before that
    reach beyond. ``days`` of 0 is the end of this
    date's own hours, or of the next working day's where they are over or there are none.

    Raises:
        HolidaysUnknownError: The way leads through a year whose holidays are not known.
        NoWorkingTimeError: There are not so many within ``FARTHEST_DAYS``.
    """
    today = calendar.local(start_ms).date()
    latest, left = start_ms, days
    for shift in range(FARTHEST_DAYS):
        day = today + timedelta(days=shift)
        spans = calendar.plan(day).spans
        if not spans:
            continue
        latest = max(latest, calendar.at(day, max(span.end for span in spans)))
        left -= 1 if shift or not days else 0
        if left <= 0 and latest > start_ms:
            return latest
    raise NoWorkingTimeError(f"calendar {calendar.id} has not so many working days in twenty years")


def _within(spans: tuple[tuple[int, int], ...], a: int, b: int) -> int:
    return sum(max(0, min(end, b) - max(start, a)) for start, end in spans)


def _joined(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return spans by time, those that meet or overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _instants(zone: tzinfo, wall_start: int, wall_end: int) -> list[tuple[int, int]]:
    """Return the instants at which the wall clock shows a time in ``[wall_start, wall_end)``.

    Walls are milliseconds as if the zone were UTC. There is at most one change of clocks in two days and
    a night in any zone there is.
    """
    low, high = wall_start - _EDGE_MS, wall_end + _EDGE_MS
    before, after = _offset(zone, low), _offset(zone, high)
    if before == after:
        return [(wall_start - before, wall_end - before)]
    change = _transition(zone, low, high)
    pieces = (
        (wall_start - before, min(wall_end - before, change)),
        (max(wall_start - after, change), wall_end - after),
    )
    return [(start, end) for start, end in pieces if start < end]


def _transition(zone: tzinfo, low: int, high: int) -> int:
    """Return the instant in ``(low, high]`` from which the offset is that of ``high``; whole seconds."""
    after = _offset(zone, high)
    first, last = low // 1_000, -(-high // 1_000)
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(zone, middle * 1_000) == after:
            last = middle
        else:
            first = middle
    return last * 1_000


def _offset(zone: tzinfo, t: int) -> int:
    """Return the zone's offset from UTC at an instant, in milliseconds."""
    return _millis((_EPOCH + timedelta(milliseconds=t)).astimezone(zone).utcoffset())


def _millis(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // timedelta(milliseconds=1)
