"""Working time at the edges: nights, holidays, changes of clocks, years nobody knows yet."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stream.core.calendars import (
    WHOLE_DAY,
    Calendar,
    DayKind,
    HolidaysUnknownError,
    NoWorkingTimeError,
    Span,
    add,
    end_of_working_day,
    measure,
    next_working,
)
from stream.packs import PackError
from stream.packs.calendars import load_calendars, read_calendars

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR, MINUTE = 3_600_000, 60_000
TODAY = date(2026, 6, 1)

OFFICE = load_calendars()["office"]
NIGHT = Calendar("night", SHANGHAI, ((Span(22 * 60, 30 * 60),),) * 5 + ((), ()))


def at(text: str, zone: str = "Asia/Shanghai", fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def told(t: int, zone: str = "Asia/Shanghai") -> str:
    return datetime.fromtimestamp(t / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def every_day(zone: str, *spans: Span) -> Calendar:
    return Calendar("x", ZoneInfo(zone), (spans,) * 7)


@pytest.mark.parametrize(
    ("start", "amount", "due"),
    [
        ("2026-06-01 10:00", 1 * HOUR, "2026-06-01 11:00"),
        ("2026-06-01 11:30", 1 * HOUR, "2026-06-01 13:30"),  # over lunch
        ("2026-06-01 11:00", 1 * HOUR, "2026-06-01 12:00"),  # to the last moment, not to after lunch
        ("2026-06-01 17:30", 1 * HOUR, "2026-06-02 09:30"),  # over night
        ("2026-06-05 17:30", 1 * HOUR, "2026-06-08 09:30"),  # over a weekend
        ("2026-06-06 03:00", 1 * HOUR, "2026-06-08 10:00"),  # from a weekend
        ("2026-06-01 20:00", 0, "2026-06-01 20:00"),  # nothing is owed: nothing is waited for
        # The first week of October 2026 is off; Saturday the 10th is worked for it.
        ("2026-09-30 17:00", 2 * HOUR, "2026-10-08 10:00"),
        ("2026-10-09 17:00", 2 * HOUR, "2026-10-10 10:00"),
    ],
)
def test_working_time_is_added_over_what_is_not_worked(start: str, amount: int, due: str):
    assert told(add(OFFICE, at(start), amount)) == due
    assert measure(OFFICE, at(start), at(due)) == amount


def test_a_span_past_midnight_belongs_to_the_day_it_begins_on():
    # Friday's night shift ends on Saturday at six; Saturday and Sunday have none.
    assert told(add(NIGHT, at("2026-06-05 23:00"), 8 * HOUR)) == "2026-06-08 23:00"
    assert NIGHT.works(at("2026-06-06 05:59"))
    assert not NIGHT.works(at("2026-06-06 06:00"))
    assert not NIGHT.works(at("2026-06-06 23:00"))
    assert not NIGHT.works(at("2026-06-08 01:00"))  # no shift began on Sunday


def test_around_the_clock_is_wall_time():
    always = load_calendars()["always"]
    start = at("2026-02-17 03:04")
    assert add(always, start, 777 * HOUR + 1) == start + 777 * HOUR + 1
    assert measure(always, start, start + 5) == 5


@pytest.mark.parametrize(
    ("zone", "start", "amount", "due"),
    [
        # On 2026-03-29 Berlin's clocks go from two to three: from one to four are two hours.
        ("Europe/Berlin", "2026-03-29 01:00", 2 * HOUR, "2026-03-29 04:00"),
        # On 2026-10-25 they go from three back to two: from one to four are four.
        ("Europe/Berlin", "2026-10-25 01:00", 4 * HOUR, "2026-10-25 04:00"),
        ("America/New_York", "2026-03-08 01:00", 2 * HOUR, "2026-03-08 04:00"),
        ("America/New_York", "2026-11-01 01:00", 4 * HOUR, "2026-11-01 04:00"),
    ],
)
def test_an_hour_skipped_is_not_worked_and_one_repeated_is_worked_twice(
    zone: str, start: str, amount: int, due: str
):
    calendar = every_day(zone, Span(60, 240))
    assert told(add(calendar, at(start, zone), amount), zone) == due


def test_a_span_that_begins_inside_the_repeated_hour_is_worked_as_the_wall_shows_it():
    calendar = every_day("Europe/Berlin", Span(150, 240))  # 02:30 to 04:00
    first, second = (at("2026-10-25 02:30", "Europe/Berlin", fold) for fold in (0, 1))
    assert [calendar.works(t) for t in (first - 1, first, first + 30 * MINUTE, second - 1, second)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert measure(calendar, first, at("2026-10-25 04:00", "Europe/Berlin")) == 2 * HOUR


def test_a_local_time_that_is_skipped_is_the_moment_of_skipping_and_a_repeated_one_the_first():
    berlin = every_day("Europe/Berlin", Span(0, 60))
    assert berlin.at(date(2026, 3, 29), 150) == at("2026-03-29 03:00", "Europe/Berlin")
    assert berlin.at(date(2026, 10, 25), 150) == at("2026-10-25 02:30", "Europe/Berlin", fold=0)
    assert berlin.at(date(2026, 10, 25), 30 * 60) == at("2026-10-26 06:00", "Europe/Berlin")


def test_past_the_years_that_are_known_sums_say_so_and_by_week_they_go_on():
    eve = at("2026-12-31 10:00")
    assert told(add(OFFICE, eve, 6 * HOUR)) == "2026-12-31 17:00"  # today does not depend on tomorrow
    with pytest.raises(HolidaysUnknownError, match="office: the public holidays of 2027 are not known"):
        add(OFFICE, eve, 8 * HOUR)
    with pytest.raises(HolidaysUnknownError):
        measure(OFFICE, eve, at("2027-01-01 00:00") + 1)
    assert measure(OFFICE, eve, at("2027-01-01 00:00")) == 7 * HOUR
    assert OFFICE.knows(at("2026-12-31 23:59"))
    assert not OFFICE.knows(at("2027-01-01 00:00"))
    assert told(add(OFFICE.by_week(), eve, 8 * HOUR)) == "2027-01-01 10:00"


def test_a_calendar_that_never_works_says_so_instead_of_looking_for_ever():
    never = every_day("Asia/Shanghai")
    with pytest.raises(NoWorkingTimeError):
        add(never, 0, 1)
    with pytest.raises(NoWorkingTimeError):
        end_of_working_day(never, 0, 1)
    with pytest.raises(ValueError, match="not negative"):
        add(never, 0, -1)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-06-05 10:00", 3, "2026-06-10 18:00"),  # Friday: Monday, Tuesday, Wednesday
        ("2026-06-06 10:00", 1, "2026-06-08 18:00"),
        ("2026-06-05 10:00", 0, "2026-06-05 18:00"),
        ("2026-06-05 18:00", 0, "2026-06-08 18:00"),  # the day is over
        ("2026-09-30 10:00", 3, "2026-10-10 18:00"),  # Thursday 8th, Friday 9th, and the Saturday worked
    ],
)
def test_working_days_count_from_the_day_after(start: str, days: int, end: str):
    assert told(end_of_working_day(OFFICE, at(start), days)) == end


@pytest.mark.parametrize("days", [1, 2])
def test_a_night_that_reaches_beyond_the_next_days_hours_ends_both(days: int):
    # Tuesday's night ends on Wednesday at 00:02, after Wednesday's own hour has.
    week = ((), (Span(2, 24 * 60 + 2),), (Span(0, 1),), (), (), (), ())
    calendar = Calendar("x", SHANGHAI, week)
    assert told(end_of_working_day(calendar, at("2026-06-01 10:00"), days)) == "2026-06-03 00:02"


def test_the_first_working_moment_is_the_present_one_where_work_is_on():
    assert next_working(OFFICE, at("2026-06-01 10:00")) == at("2026-06-01 10:00")
    assert told(next_working(OFFICE, at("2026-06-05 18:00"))) == "2026-06-08 09:00"


def test_a_year_of_working_time_is_quick_after_the_first_time():
    start = at("2026-01-05 09:00")
    add(OFFICE, start, 200 * 8 * HOUR)
    assert len(OFFICE._kept) < 400  # days, each worked out once


# Files -------------------------------------------------------------------------------------------

GOOD = """\
pack: calendar.shop
version: 1
title: 店铺
zone: Asia/Shanghai
holidays: china
hours:
  workday: ['09:00-12:00', '22:00-06:00']
  weekend: '10:00-16:00'
  holiday: '10:00-12:00'
days:
  - {on: 2026-12-31, hours: [], title: 盘点}
promotions:
  - {title: 双11, on: 2026-11-10..2026-11-12, hours: '00:00-24:00'}
"""
TABLE = """\
pack: calendar.china_next
version: 1
title: 放假安排
years:
  2027:
    off: [2027-01-01..2027-01-03, 2027-02-06..2027-02-12]
    worked: [2027-02-14]
"""


def write(root: Path, text: str = GOOD, name: str = "shop") -> Path:
    file = root / "calendar" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return root


def messages(root: Path, today: date | None = TODAY) -> list[str]:
    return [str(problem).partition("/calendar/")[2] for problem in read_calendars([root], today)[1]]


def test_a_file_becomes_plain_data(tmp_path: Path):
    shop = load_calendars([write(tmp_path)], TODAY)["shop"]
    assert shop.week[0] == (Span(540, 720), Span(1320, 1800))
    assert shop.week[6] == (Span(600, 960),)
    assert shop.plan(date(2026, 10, 1)) == ((Span(600, 720),), DayKind.HOLIDAY, "国庆节")
    assert shop.plan(date(2026, 10, 10)).spans == shop.week[0]
    assert shop.plan(date(2026, 10, 10)).kind is DayKind.MAKE_UP
    assert shop.plan(date(2026, 12, 31)) == ((), DayKind.SPECIAL, "盘点")
    assert shop.plan(date(2026, 11, 11)) == (WHOLE_DAY, DayKind.PROMOTION, "双11")
    assert shop.promotion(at("2026-11-12 23:59")) == "双11"
    assert shop.promotion(at("2026-11-13 00:00")) == ""
    assert shop.years == (2004, 2026)


def test_a_table_of_holidays_adds_a_year_and_replaces_a_known_one(tmp_path: Path):
    write(write(tmp_path), TABLE, "china_next")
    shop = load_calendars([tmp_path], TODAY)["shop"]
    assert shop.years == (2004, 2027)
    assert shop.plan(date(2027, 2, 8)).kind is DayKind.HOLIDAY
    assert shop.plan(date(2027, 2, 14)).kind is DayKind.MAKE_UP
    write(tmp_path, TABLE.replace("2027", "2026"), "china_next")
    shop = load_calendars([tmp_path], TODAY)["shop"]
    assert shop.plan(date(2026, 10, 1)).kind is DayKind.WEEK


def test_a_later_directory_replaces_a_calendar(tmp_path: Path):
    mine = GOOD.replace("calendar.shop", "calendar.office").replace("title: 店铺", "title: 我的")
    write(tmp_path, mine, "office")
    calendars = load_calendars(["shipped", tmp_path], TODAY)
    assert calendars["office"].title == "我的"
    assert {"always", "service"} <= calendars.keys()


@pytest.mark.parametrize(
    ("today", "message"),
    [
        (date(2026, 11, 16), ""),
        (date(2026, 11, 17), "shop.yaml:5:11: warning: holidays: known until the end of 2026 only;"),
        (date(2027, 1, 1), "shop.yaml:5:11: warning: holidays: those of 2027 are not known (known: 2004"),
    ],
)
def test_years_that_are_not_known_are_told_at_load_and_before(tmp_path: Path, today: date, message: str):
    told = messages(write(tmp_path), today)
    assert [line[: len(message)] for line in told] == ([message] if message else [])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "Asia/Shanghai",
            "Asia/Shanghi",
            "4:7: zone: unknown time zone 'Asia/Shanghi'; did you mean 'Asia/Shanghai'?",
        ),
        (
            "holidays: china",
            "holidays: chna",
            "5:11: holidays: expected one of china, none, got 'chna'; did you mean",
        ),
        ("holidays: china", "holidays: none", "9:12: hours: 'holiday' needs 'holidays: china'"),
        ("'09:00-12:00', ", "'9-12', ", "7:13: workday: expected a span such as '09:00-18:00', got '9-12'"),
        ("09:00-12:00", "09:00-24:30", "7:13: workday: '09:00-24:30' is no time of day"),
        ("09:00-12:00", "09:00-22:30", "7:28: workday: overlaps the span before it"),
        ("22:00-06:00", "22:00-10:00", "7:12: workday: the night shift runs into the same day's first span"),
        ("2026-12-31", "2026-02-30", "11:10: on: expected 2026-11-11 or 2026-11-01..2026-11-11"),
        (
            "2026-11-10..",
            "2026-01-01..",
            "13:22: on: from 2026-01-01 to 2026-11-12 is not between 1 and 92 days",
        ),
        ("workday:", "workdays:", "7:3: hours: unknown key 'workdays'; did you mean 'workday'?"),
        ("calendar.shop", "calendar.shp", "1:7: pack: 'calendar.shp' must mirror the path: 'calendar.shop'"),
        ("promotions:", "promotion:", "12:1: calendar: unknown key 'promotion'; did you mean 'promotions'?"),
        (
            "promotions:\n",
            "promotions:\n  - {title: 预售, on: 2026-11-10, hours: []}\n",
            "14:22: 2026-11-10 has hours already, from line 13",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str):
    assert old in GOOD
    told = messages(write(tmp_path, GOOD.replace(old, new, 1)))
    assert any(line.startswith(f"shop.yaml:{message}") for line in told), told


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2027:\n", "'27':\n", "5:3: years: expected a year such as 2027, got '27'"),
        ("[2027-02-14]", "[2028-02-14]", "7:14: 2028-02-14 is not in 2027"),
        ("[2027-02-14]", "[2027-02-12]", "7:14: 2027-02-12 is a holiday on line 6, and worked here"),
    ],
)
def test_a_fault_in_a_table_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str):
    assert old in TABLE
    told = messages(write(write(tmp_path), TABLE.replace(old, new, 1), "china_next"))
    assert any(line.startswith(f"china_next.yaml:{message}") for line in told), told


def test_all_faults_of_all_files_are_raised_at_once(tmp_path: Path):
    write(tmp_path, GOOD.replace("china", "chna"))
    write(
        tmp_path,
        GOOD.replace("calendar.shop", "calendar.other").replace("zone: Asia", "zone: Asien"),
        "other",
    )
    with pytest.raises(PackError) as caught:
        load_calendars([tmp_path])
    assert {problem.path.rsplit("/", 1)[1] for problem in caught.value.problems} == {
        "shop.yaml",
        "other.yaml",
    }


def test_a_week_without_hours_is_refused(tmp_path: Path):
    text = "pack: calendar.shop\nversion: 1\ntitle: x\nzone: UTC\nhours: {workday: []}\n"
    assert any("no day of the week has any" in line for line in messages(write(tmp_path, text)))


def test_the_shipped_calendars_are_sound_today():
    calendars, problems = read_calendars(["shipped"], date(2026, 7, 1))
    assert problems == []
    assert calendars.keys() >= {"always", "office", "service"}
    assert calendars["office"].plan(date(2026, 1, 1)).spans == ()
