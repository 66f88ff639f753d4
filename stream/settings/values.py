"""What people write in a configuration, and what the program makes of it."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_OFFSET: Final = re.compile(r"([+-])(\d{2}):([0-5]\d)", re.ASCII)
_LONGEST: Final = 366 * _UNITS["d"]


def duration_ms(value: object) -> int:
    """Return a duration such as ``250ms``, ``30s``, ``10m``, ``1h30m`` or ``2d`` in milliseconds.

    Raises:
        ValueError: it is none. A bare number is refused: it would be read as seconds by one person
            and as milliseconds by the next.
    """
    text = str(value).strip()
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        raise ValueError("expected a duration with its unit, such as 20ms, 30s, 10m, 2h, 1h30m")
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def duration_text(ms: int) -> str:
    """Return milliseconds as people write them: the reverse of ``duration_ms``."""
    if ms == 0:
        return "0s"
    written = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, ms = divmod(ms, _UNITS[unit])
        written += f"{count}{unit}" if count else ""
    return written


def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name (``Asia/Shanghai``) or an offset (``+08:00``).

    Raises:
        ValueError: there is no such zone.
    """
    if match := _OFFSET.fullmatch(name):
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes > 14 * 60:
            raise ValueError("no offset is larger than 14:00")
        return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))
    if name in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("no time zone of that name; write +08:00 or Asia/Shanghai") from None


def _zone_name(name: str) -> str:
    zone_of(name)
    return name


def listed(value: object) -> object:
    """Take ``a, b`` for a list: environment variables have no better way to write one."""
    if isinstance(value, str):
        return [item for item in map(str.strip, value.split(",")) if item]
    return value


Duration = Annotated[int, BeforeValidator(duration_ms), Field(ge=0, le=_LONGEST)]
PositiveDuration = Annotated[int, BeforeValidator(duration_ms), Field(gt=0, le=_LONGEST)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]
Port = Annotated[int, Field(ge=0, le=65535)]
Zone = Annotated[str, AfterValidator(_zone_name)]


def is_duration(field: FieldInfo) -> bool:
    """Whether a field of a settings class is a duration."""
    return any(getattr(part, "func", None) is duration_ms for part in field.metadata)
