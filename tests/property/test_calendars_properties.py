"""Working time against laws, and against an oracle that looks at the wall clock every second."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.calendars import (
    MINUTES,
    Calendar,
    DayKind,
    DayPlan,
    Span,
    Spans,
    add,
    end_of_working_day,
    measure,
    next_working,
)

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
# Days on which clocks change in one of these zones, and quiet ones: 2026, local noon in milliseconds UTC.
TURNS = [date(2026, *day) for day in ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1), (2, 28), (12, 31))]
DAY_MS = 86_400_000


@st.composite
def spans(draw: st.DrawFn) -> Spans:
    """Up to three spans of a day, apart, the last one possibly over midnight."""
    cuts = sorted(draw(st.lists(st.integers(0, MINUTES), min_size=0, max_size=6, unique=True)))
    found = [Span(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False)]
    if found:
        last = found[-1]
        longer = draw(st.integers(0, MINUTES - (last.end - last.start)))
        found[-1] = Span(last.start, last.end + longer)
    return tuple(span for span in found if span.start < MINUTES)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """Calendars that work on at least one day of the week, with some dates of their own."""
    week = (*(draw(spans()) for _ in range(6)), (Span(540, 1080),))
    own = draw(st.dictionaries(st.sampled_from(TURNS), spans(), max_size=4))
    plans = {day: DayPlan(hours, DayKind.SPECIAL) for day, hours in own.items()}
    return Calendar("x", ZoneInfo(draw(st.sampled_from(ZONES))), week, plans)  # type: ignore[arg-type]


@st.composite
def moments(draw: st.DrawFn) -> int:
    """Instants within two days of a turn, to the millisecond."""
    turn = draw(st.sampled_from(TURNS))
    noon = (turn - date(1970, 1, 1)).days * DAY_MS + DAY_MS // 2
    return noon + draw(st.integers(-2 * DAY_MS, 2 * DAY_MS))


amounts = st.one_of(st.integers(0, 3_600_000), st.integers(0, 40 * 3_600_000))


def is_working(calendar: Calendar, second: int) -> bool:
    """What the module says of itself, read literally: the wall clock shows a time within a span."""
    wall = datetime.fromtimestamp(second, calendar.zone)
    minute = wall.hour * 60 + wall.minute
    today, before = calendar.plan(wall.date()), calendar.plan(wall.date() - timedelta(days=1))
    return any(span.start <= minute < span.end for span in today.spans) or any(
        span.start <= minute + MINUTES < span.end for span in before.spans
    )


@given(calendars(), moments(), st.integers(0, 6 * 3600))
@settings(max_examples=60, deadline=None)
def test_measuring_is_counting_seconds_one_by_one(calendar: Calendar, a: int, seconds: int):
    start = a // 1000
    counted = sum(is_working(calendar, second) for second in range(start, start + seconds))
    assert measure(calendar, start * 1000, (start + seconds) * 1000) == counted * 1000


@given(calendars(), moments(), st.integers(1, 3 * 3600))
@settings(max_examples=40, deadline=None)
def test_adding_is_waiting_second_by_second(calendar: Calendar, a: int, seconds: int):
    start = a // 1000
    due = add(calendar, start * 1000, seconds * 1000)
    if due - start * 1000 > DAY_MS // 2:
        return  # the oracle takes its time
    left, second = seconds, start
    while left:
        left -= is_working(calendar, second)
        second += 1
    assert due == second * 1000


@given(calendars(), moments(), amounts)
@settings(deadline=None)
def test_adding_then_measuring_gives_back_the_amount(calendar: Calendar, start: int, amount: int):
    due = add(calendar, start, amount)
    assert measure(calendar, start, due) == amount
    assert due >= start
    # Nothing earlier does: the last millisecond before the due time was worked.
    assert amount == 0 or measure(calendar, start, due - 1) == amount - 1


@given(calendars(), moments(), amounts, amounts)
@settings(deadline=None)
def test_adding_is_monotone_and_in_steps_is_the_same(calendar: Calendar, start: int, one: int, two: int):
    assert add(calendar, add(calendar, start, one), two) == add(calendar, start, one + two)
    assert (one < two) == (add(calendar, start, one) < add(calendar, start, two))


@given(calendars(), moments(), moments(), amounts)
@settings(deadline=None)
def test_a_later_start_is_never_due_earlier(calendar: Calendar, a: int, b: int, amount: int):
    a, b = sorted((a, b))
    assert add(calendar, a, amount) <= add(calendar, b, amount)


@given(calendars(), moments(), moments(), moments())
@settings(deadline=None)
def test_measuring_is_additive_and_never_more_than_the_wall(calendar: Calendar, a: int, b: int, c: int):
    assert measure(calendar, a, b) + measure(calendar, b, c) == measure(calendar, a, c)
    assert measure(calendar, a, b) == -measure(calendar, b, a)
    assert abs(measure(calendar, a, b)) <= abs(b - a)


@given(calendars(), moments())
@settings(deadline=None)
def test_the_next_working_moment_works_and_nothing_before_it_does(calendar: Calendar, t: int):
    moment = next_working(calendar, t)
    assert calendar.works(moment)
    assert moment >= t
    assert measure(calendar, t, moment) == 0


@given(calendars(), moments(), st.integers(0, 12))
@settings(deadline=None)
def test_working_days_end_later_the_more_there_are(calendar: Calendar, t: int, days: int):
    assert t < end_of_working_day(calendar, t, days) <= end_of_working_day(calendar, t, days + 1)


@given(calendars(), moments(), moments(), amounts)
@settings(deadline=None)
def test_what_was_asked_before_changes_nothing(calendar: Calendar, a: int, b: int, amount: int):
    fresh = Calendar(calendar.id, calendar.zone, calendar.week, calendar.days)
    measure(calendar, a, b)
    assert add(calendar, a, amount) == add(fresh, a, amount)
    assert calendar == fresh
