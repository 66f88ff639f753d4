"""Times as other programs read them, against the plain definition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from alerts.wire import DEFAULT_ZONE, epoch_ms, rfc3339

LATEST = 4_102_444_800_000
"""2100, in milliseconds."""

ZONES = (DEFAULT_ZONE, UTC, timezone(timedelta(hours=-3, minutes=-30)), ZoneInfo("Europe/Berlin"))


def plain(at_ms: int, zone: tzinfo) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return moment.astimezone(zone).isoformat(timespec="milliseconds")


@given(st.integers(-1_000_000_000, LATEST), st.sampled_from(ZONES))
def test_a_time_is_written_with_milliseconds_and_offset_and_read_back(at_ms: int, zone: tzinfo) -> None:
    written = rfc3339(at_ms, zone)
    assert written == plain(at_ms, zone)
    assert epoch_ms(written) == at_ms


def test_the_hour_that_summer_time_repeats_keeps_its_offsets() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = 1_792_888_200_120  # 25 October 2026, 02:30 in summer time
    assert rfc3339(first, berlin) == "2026-10-25T02:30:00.120+02:00"
    assert rfc3339(first + 3_600_000, berlin) == "2026-10-25T02:30:00.120+01:00"
