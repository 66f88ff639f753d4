"""Times that a text names for what will be done: 24小时内, 三个工作日, 明天下午三点前, 周五前, 月底前.

``find_deadlines`` reads them out of a normalised text, ``due`` says when one has passed, given when it was
said and the calendar of whoever said it. Of two readings the later one holds: nobody is called late for
what may still come. So a range ends with its larger number, 周五前 with Friday, and a day with midnight.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple

from stream.core.calendars import DAY_MS, MINUTE_MS, MINUTES, Calendar, end_of_working_day

HOUR_MS: Final = 3_600_000

LONGEST_DAYS: Final = 366
"""A promise for later than a year is none that a clock can keep."""


class Within(NamedTuple):
    """So many milliseconds of wall time from when it was said: 两小时内."""

    amount_ms: int


class WorkingDays(NamedTuple):
    """The end of so many working days after the day it was said; 0 is the end of work that day: 下班前."""

    days: int


class OnDay(NamedTuple):
    """A day so many days on, at a minute of it or at its end: 今天, 明天下午三点, 三天内.

    ``open_half`` where the hour does not say which half of the day it means: 三点前.
    """

    shift: int
    minute: int = MINUTES
    open_half: bool = False


class OnWeekday(NamedTuple):
    """A day of the week, Monday 0: the next that comes, or that of the ``week`` so many weeks on."""

    weekday: int
    week: int | None = None
    minute: int = MINUTES


class OnDate(NamedTuple):
    """A day of the month, of the month that is named or the next that has it; day 0 is the last."""

    day: int
    month: int | None = None
    minute: int = MINUTES


Deadline = Within | WorkingDays | OnDay | OnWeekday | OnDate


class SaidTime(NamedTuple):
    """A time found: half-open offsets into the normalised text."""

    start: int
    end: int
    deadline: Deadline


_DIGITS: Final = {char: value for value, char in enumerate("零一二三四五六七八九")} | {
    "两": 2,
    "几": 9,
    "数": 9,
}
"""几 is less than ten."""

_NUMBER: Final = r"(?:\d{1,3}(?:\.\d)?|[一二两三四五六七八九十百几数]{1,4}|半)"
_RANGE: Final = rf"{_NUMBER}(?:\s*(?:-|~|—|到|至)+\s*{_NUMBER})?"

_SHIFTS: Final = {
    "今天": 0, "今日": 0, "今儿": 0, "今": 0, "当天": 0, "当日": 0,
    "明天": 1, "明日": 1, "明儿": 1, "明": 1, "次日": 1, "第二天": 1, "隔天": 1,
    "后天": 2, "大后天": 3,
}  # fmt: skip

_PARTS: Final = {
    "凌晨": 6, "清晨": 9, "早上": 12, "早晨": 12, "上午": 12, "早": 12, "中午": 14, "下午": 18, "傍晚": 19,
    "晚上": 24, "夜里": 24, "晚间": 24, "晚": 24,
}  # fmt: skip
"""The hour with which a part of the day is over for sure."""

_AFTERNOON: Final = frozenset({"下午", "傍晚", "晚上", "夜里", "晚间", "晚"})


def _clock(name: str) -> str:
    """Return an expression for a time of day, its groups named after what it belongs to."""
    hour = r"(?:\d{1,2}|[一二两三四五六七八九十]{1,3})"
    past = r"(?:半|一刻|三刻|\d{1,2})"
    return rf"(?P<{name}_hour>{hour})(?:点钟?|时(?!间|候|效)|:(?=\d\d))(?P<{name}_past>{past})?分?"


_DAY: Final = "|".join(sorted((word for word in _SHIFTS if len(word) > 1), key=len, reverse=True))
_PART: Final = "|".join(sorted((word for word in _PARTS if len(word) > 1), key=len, reverse=True))
_BY: Final = r"(?:之?前|以前|左右|整)"
_NTH: Final = r"(?:\d{1,2}|[一二三四五六七八九十]{1,3})"

_STARTS: Final = "".join(sorted({word[0] for word in (*_SHIFTS, *_PARTS)})) + "个半下本这周星礼月"
"""What every time begins with, if not with a number."""

_TIME: Final = re.compile(
    rf"""(?=[\d一二两三四五六七八九十百几数{_STARTS}])(?:
    (?P<working>{_RANGE})\s*(?:个|到)?工作日
  | (?P<half>{_NUMBER})?个?半个?(?P<half_unit>小时|钟头|天)
  | (?P<amount>{_RANGE})\s*个?\s*
    (?P<unit>分钟|min|小时|钟头|h(?![a-z])|秒钟?|天(?![猫然气津])|日内
        |周(?![一二三四五六日天末年])|星期(?![一二三四五六日天])|个?月(?=内|之内|以内|左右))
  | (?P<week>下下|下个?|本|这个?)?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天])
    (?:\s*(?P<weekday_part>{_PART}))?(?:\s*{_clock("weekday")})?
  | (?P<month>{_NTH})月(?P<day>{_NTH})[日号]?
  | (?<!\d)(?P<number>[12]?\d|3[01])[号日](?={_BY}|[发寄到给会内]|可以)
  | (?P<week_end>本周内|这周内|周内|本周|这周)(?![一二三四五六日天末])
  | (?P<month_end>月底|本月内|这个月内)
  | (?P<closing>下班)(?={_BY})
  | (?:(?P<shift>{_DAY})|(?P<short>[今明])(?=早|晚))\s*(?P<part>{_PART}|早|晚)?\s*(?:{_clock("day")})?
  | (?P<half_day>{_PART})\s*{_clock("part")}
  | {_clock("bare")}(?=\s*{_BY})
  | (?P<alone>傍晚|下午|晚上|晚间|夜里)(?![好安])
    )""",
    re.VERBOSE,
)

_TO: Final = re.compile(r"\s*[-~—到至]+\s*")
"""Between the ends of a range."""

_UNIT_MS: Final = {
    "秒": 1_000,
    "秒钟": 1_000,
    "分钟": MINUTE_MS,
    "min": MINUTE_MS,
    "小时": HOUR_MS,
    "钟头": HOUR_MS,
    "h": HOUR_MS,
}
_UNIT_DAYS: Final = {"天": 1, "日内": 1, "周": 7, "星期": 7, "月": 30, "个月": 30}
_HINT: Final = re.compile("[天日周月号点时早晚分秒hn:]|星期|礼拜|下班").search
"""What every time is written with: most texts have none of it and are done after one search."""

MARKS_OF_TIMES: Final[frozenset[str]] = frozenset(
    [
        number + unit
        for number in "0123456789一二两三四五六七八九十百几数半"
        for unit in "个工到至-~—小钟天分mh秒日周星月号点时:"
    ]
    + [week + day for week in "周期拜" for day in "一二三四五六日天"]
    + [word[-2:] for word in (*_SHIFTS, *_PARTS) if len(word) > 1]
    + [day + part for day in "今明" for part in "早晚"]
    + ["本周", "这周", "周内", "月底", "月内", "下班"]
)
"""Pairs of characters of which every time without a blank in it has one."""


def find_deadlines(text: str, start: int = 0, end: int = sys.maxsize) -> tuple[SaidTime, ...]:
    """Return the times that ``text[start:end]`` names, normalised, by place in ``text``.

    Linear in its length; raises nothing.
    """
    if _HINT(text, start, end) is None:
        return ()
    return tuple(_read_all(text, start, end))


def due(deadline: Deadline, said_at: int, calendar: Calendar) -> int:
    """Return when a deadline that was said at ``said_at`` has passed, in milliseconds UTC.

    Days are those of the calendar's zone. A time of this day that is over already is the next such time.

    Raises:
        HolidaysUnknownError: Working days lead into a year whose public holidays are not known.
        NoWorkingTimeError: The calendar has not so many working days.
    """
    if isinstance(deadline, Within):
        return said_at + deadline.amount_ms
    if isinstance(deadline, WorkingDays):
        return end_of_working_day(calendar, said_at, deadline.days)
    today = calendar.local(said_at).date()
    if isinstance(deadline, OnDay):
        return _on_day(deadline, said_at, today, calendar)
    if isinstance(deadline, OnWeekday):
        shift = (deadline.weekday - today.weekday()) % 7
        if deadline.week is not None:
            shift = deadline.weekday - today.weekday() + 7 * deadline.week
        return _not_before(said_at, today, shift, deadline.minute, 7, calendar)
    return _on_date(deadline, said_at, today, calendar)


def _on_day(deadline: OnDay, said_at: int, today: date, calendar: Calendar) -> int:
    minute = deadline.minute
    if deadline.open_half and minute < MINUTES // 2:
        if deadline.shift == 0:
            morning = calendar.at(today, minute)
            minute += MINUTES // 2 if morning <= said_at else 0
        elif minute < 8 * 60:
            minute += MINUTES // 2  # nobody promises anything for three in the morning
    return _not_before(said_at, today, deadline.shift, minute, 1, calendar)


def _not_before(said_at: int, today: date, shift: int, minute: int, step: int, calendar: Calendar) -> int:
    moment = calendar.at(today + timedelta(days=shift), minute)
    return moment if moment > said_at else calendar.at(today + timedelta(days=shift + step), minute)


def _on_date(deadline: OnDate, said_at: int, today: date, calendar: Calendar) -> int:
    year, month = today.year, deadline.month or today.month
    for _ in range(14):
        day = _day_of(year, month, deadline.day)
        if day is not None:
            moment = calendar.at(day, deadline.minute)
            if moment > said_at:
                return moment
        if deadline.month is not None:
            year += 1
        else:
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return said_at + LONGEST_DAYS * DAY_MS  # the 30th of February


def _day_of(year: int, month: int, day: int) -> date | None:
    try:
        if day == 0:
            return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return date(year, month, day)
    except ValueError:
        return None


def _read_all(text: str, start: int, end: int) -> Iterator[SaidTime]:
    for match in _TIME.finditer(text, start, end):
        deadline = _read(match)
        if deadline is not None:
            yield SaidTime(*match.span(), deadline)


def _read(match: re.Match[str]) -> Deadline | None:
    for group, read in _READERS:
        if match[group] is not None:
            return read(match)
    return _read_day(match)


def _read_half(found: re.Match[str]) -> Deadline | None:
    return _amount(0.5 + (_larger(found["half"]) if found["half"] else 0), found["half_unit"])


def _read_weekday(found: re.Match[str]) -> Deadline:
    week = {"下": 1, "下个": 1, "下下": 2, "本": 0, "这": 0, "这个": 0}.get(found["week"] or "")
    minute = _minute(found["weekday_hour"], found["weekday_past"], found["weekday_part"])
    return OnWeekday(min("一二三四五六日天".index(found["weekday"]), 6), week, minute or MINUTES)


def _read_date(found: re.Match[str]) -> Deadline | None:
    month, day = int(_number(found["month"])), int(_number(found["day"]))
    return OnDate(day, month) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _read_day(found: re.Match[str]) -> Deadline | None:
    named = found["shift"] or found["short"]
    part = found["part"] or found["half_day"]
    hour, past = (
        found[f"day_{what}"] or found[f"part_{what}"] or found[f"bare_{what}"] for what in ("hour", "past")
    )
    minute = _minute(hour, past, part)
    if hour is not None and minute is None:
        return None
    shift = 0 if named is None else _SHIFTS[named]
    return OnDay(shift, minute or MINUTES, open_half=hour is not None and part is None)


_READERS: Final[tuple[tuple[str, Callable[[re.Match[str]], Deadline | None]], ...]] = (
    ("working", lambda found: _days(WorkingDays, _larger(found["working"]))),
    ("half_unit", _read_half),
    ("amount", lambda found: _amount(_larger(found["amount"]), found["unit"])),
    ("weekday", _read_weekday),
    ("month", _read_date),
    ("number", lambda found: OnDate(int(found["number"])) if int(found["number"]) else None),
    ("week_end", lambda _: OnWeekday(6, 0)),
    ("month_end", lambda _: OnDate(0)),
    ("alone", lambda found: OnDay(0, _PARTS[found["alone"]] * 60)),
    ("closing", lambda _: WorkingDays(0)),
)
"""How each form is read, by the group that only it has."""


def _minute(hour: str | None, past: str | None, part: str | None) -> int | None:
    """Return the minute of the day; of a part of the day its last; ``None`` where nothing says one."""
    if hour is None:
        return None if part is None else _PARTS[part] * 60
    minute = int(_number(hour)) * 60 + {"半": 30, "一刻": 15, "三刻": 45}.get(past or "", 0)
    if past is not None and past.isdigit():
        minute += int(past)
    if (
        part is not None
        and (part in _AFTERNOON or part == "中午")
        and minute < (12 if part != "中午" else 11) * 60
    ):
        minute += MINUTES // 2
    return minute if 0 < minute <= MINUTES else None


def _amount(number: float, unit: str) -> Deadline | None:
    if unit in _UNIT_MS:
        amount_ms = round(number * _UNIT_MS[unit])
        return Within(amount_ms) if 0 < amount_ms <= LONGEST_DAYS * DAY_MS else None
    if number == 0.5:
        return Within(DAY_MS // 2)
    return _days(OnDay, number * _UNIT_DAYS[unit])


def _days(make: type[WorkingDays | OnDay], number: float) -> Deadline | None:
    days = int(number) + (number > int(number))
    return make(days) if 0 < days <= LONGEST_DAYS else None


def _larger(written: str) -> float:
    """Return the larger end of a range, 1-3 or 一到三."""
    return max(_number(part) for part in _TO.split(written) if part)


def _number(written: str) -> float:
    """Return the number of digits, or of Chinese numerals below a thousand; 两三 is three."""
    if written == "半":
        return 0.5
    if written[0].isdigit():
        return float(written)
    total = latest = 0
    for char in written:
        if char in "十百":
            total += (latest or 1) * (10 if char == "十" else 100)
            latest = 0
        else:
            latest = max(latest, _DIGITS[char]) if latest else _DIGITS[char]
    return float(total + latest)
