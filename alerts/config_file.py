"""The shape of the `alerts:` section as people write it, and its translation into `alerts.config`."""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alerts.config import (
    CONSOLE,
    AlertsConfig,
    AlertsConfigError,
    Locate,
    ReceiverConfig,
    ReceiverType,
    Route,
    Secret,
)
from alerts.hours import Calendars, Hours
from alerts.model import Audience, Severity, is_audience
from alerts.net import AllowPrivate
from alerts.retry import RetryPolicy
from alerts.wire import DEFAULT_ZONE

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_ANY_ADDRESS = "*"
_NOTHING = "none"
_WEBHOOK_KEY_BYTES = range(24, 65)  # Standard Webhooks: 192 to 512 bits
_MAX_IN_FLIGHT = {ReceiverType.WEBHOOK: 8}
"""A group robot shows messages in the order they come; a program can take several at once."""


def _seconds(value: object) -> object:
    """`10s`, `1.5m`, `24h` or a number of seconds, as seconds."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, (str, bool)):
        raise ValueError("expected a duration such as 10s, 5m or 24h")  # noqa: TRY004 - pydantic's protocol
    return value


def _listed(value: object) -> object:
    """One value where a list is expected stands for a list of it."""
    return [value] if isinstance(value, str) else value


def _allowed(value: object) -> object:
    """Yes and no beside a list of hosts and networks: yes is a list of `*`."""
    return ([_ANY_ADDRESS] if value else []) if isinstance(value, bool) else _listed(value)


def _calendar(value: object) -> object:
    """The name of a calendar alone stands for hours with nothing else said of them."""
    if not isinstance(value, (str, Mapping)):
        raise ValueError("expected the name of a calendar")  # noqa: TRY004 - pydantic's protocol
    return {"calendar": value} if isinstance(value, str) else value


def _passes(value: object) -> object:
    """The word for: no severity goes past the hours."""
    if value is None:
        raise ValueError(f"expected a severity, or '{_NOTHING}'")
    return None if value == _NOTHING else value


def _texts(value: object) -> object:
    """A list of strings; YAML reads an id like 1001 as a number, so numbers become strings."""
    values = value if isinstance(value, list) else [value]
    return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in values]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=30 * 86400)]
Names = Annotated[list[str], BeforeValidator(_listed)]
Values = Annotated[list[str], BeforeValidator(_texts), Field(min_length=1)]


class _Section(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", hide_input_in_errors=True)


S = TypeVar("S", bound=_Section)

_WORDS = {
    "model_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "list_type": "expected a list",
    "string_type": "expected a string; put a number in quotes",
}
"""For what pydantic would say in the terms of Python."""


class _Retry(_Section):
    first_delay: Seconds = 1.0
    longest_delay: Seconds = 300.0
    horizon: Seconds = 86400.0
    max_attempts: int = Field(default=0, ge=0)


class _Receiver(_Section):
    type: ReceiverType
    url: str | None = None
    url_env: str | None = None
    url_file: str | None = None
    secret_env: Names = []
    secret_file: Names = []
    timeout: Seconds = 15.0
    max_in_flight: int | None = Field(default=None, ge=1, le=64)
    allow_private: Annotated[list[str], BeforeValidator(_allowed)] = []
    retry: _Retry = _Retry()


class _Hours(_Section):
    calendar: str
    passes: Annotated[Severity | None, BeforeValidator(_passes)] = Field(
        default=Severity.CRITICAL, alias="except"
    )


class _Route(_Section):
    match: dict[str, Values] = {}
    receivers: Names
    hours: Annotated[_Hours | None, BeforeValidator(_calendar)] = None
    go_on: bool = Field(default=False, alias="continue")


class _Alerts(_Section):
    # Receivers and routes are read one by one: a fault in one must not hide those of the others.
    receivers: dict[str, Any] = {}
    routes: list[Any] = []
    default_receivers: Names | None = None
    minimum_severity: Severity = Severity.MEDIUM
    utc_offset: str = "+08:00"


_INNER: Mapping[str | int, type[_Section]] = {"retry": _Retry, "hours": _Hours}
"""Which section stands under a key of another."""


def build(
    raw: Mapping[str, Any],
    *,
    source: str,
    folder: Path,
    env: Mapping[str, str],
    locate: Locate,
    calendars: Callable[[], Calendars],
) -> AlertsConfig:
    """The configuration in `raw`, or every fault of it; see `alerts.config.parse`."""
    problems = _Problems(source, locate)
    section = problems.read((), _Alerts, raw) or _whatever_is_readable(raw)
    reader = _Reader(problems, folder, env)
    receivers = {CONSOLE.name: CONSOLE}
    for name, written in section.receivers.items():
        if (receiver := problems.read(("receivers", name), _Receiver, written)) is not None:
            receivers[name] = reader.receiver(name, receiver)
    known = {CONSOLE.name, *section.receivers}
    written_routes = {
        index: route
        for index, written in enumerate(section.routes)
        if (route := problems.read(("routes", index), _Route, written)) is not None
    }
    there = calendars() if any(route.hours is not None for route in written_routes.values()) else {}
    routes = [_route(problems, index, route, known, there) for index, route in written_routes.items()]
    named = section.default_receivers
    defaults = (CONSOLE.name,) if named is None else tuple(named)
    _check_names(problems, ("default_receivers",), defaults, known)
    zone = _zone(problems, section.utc_offset)
    if problems.lines:
        raise AlertsConfigError(problems.lines)
    return AlertsConfig(receivers, tuple(routes), defaults, section.minimum_severity, zone, there)


def _whatever_is_readable(raw: Any) -> _Alerts:
    """The receivers and routes of a section that has other faults, so that theirs are told as well."""
    written = raw if isinstance(raw, Mapping) else {}
    receivers, routes = written.get("receivers"), written.get("routes")
    return _Alerts(
        receivers={str(k): v for k, v in receivers.items()} if isinstance(receivers, Mapping) else {},
        routes=routes if isinstance(routes, list) else [],
    )


@dataclass(slots=True)
class _Problems:
    source: str
    locate: Locate
    lines: list[str] = field(default_factory=list)

    def add(self, path: Sequence[str | int], text: str) -> None:
        place = self.locate(tuple(path)) or self.source
        dotted = ".".join(map(str, ("alerts", *path)))
        self.lines.append(f"{place}: {dotted}: {text}")

    def read(self, path: tuple[str | int, ...], shape: type[S], raw: object) -> S | None:
        """`raw` in this shape; None, with its faults told, if it has another."""
        try:
            return shape.model_validate(raw)
        except ValidationError as error:
            for below, text in _faults(error, shape):
                self.add((*path, *below), text)
            return None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns receivers as written into receivers as used: reads secrets, checks what a shape cannot."""

    problems: _Problems
    folder: Path
    env: Mapping[str, str]

    def receiver(self, name: str, raw: _Receiver) -> ReceiverConfig:
        path = ("receivers", name)
        type_ = raw.type
        secrets = tuple(self._secrets((*path, "secret_env"), raw.secret_env, self._from_env)) + tuple(
            self._secrets((*path, "secret_file"), raw.secret_file, self._from_file)
        )
        self._check_secrets(path, type_, secrets)
        retry = RetryPolicy(
            base_ms=max(1, round(raw.retry.first_delay * 1000)),
            cap_ms=round(raw.retry.longest_delay * 1000),
            horizon_ms=round(raw.retry.horizon * 1000),
            max_attempts=raw.retry.max_attempts,
        )
        return ReceiverConfig(
            name=name,
            type=type_,
            url=self._url(path, type_, raw),
            secrets=secrets,
            timeout_s=raw.timeout,
            max_in_flight=raw.max_in_flight or _MAX_IN_FLIGHT.get(type_, 1),
            allow_private=self._allow_private((*path, "allow_private"), raw.allow_private),
            retry=retry,
        )

    def _url(self, path: tuple[str, ...], type_: ReceiverType, raw: _Receiver) -> Secret | None:
        given = [key for key in ("url", "url_env", "url_file") if getattr(raw, key) is not None]
        if type_ is ReceiverType.CONSOLE:
            if given:
                self.problems.add((*path, given[0]), "the console has no URL")
            return None
        if len(given) != 1:
            self.problems.add(path, f"needs exactly one of url, url_env, url_file; has {len(given)}")
            return None
        key = given[0]
        read = {"url": lambda _, value: value, "url_env": self._from_env, "url_file": self._from_file}[key]
        value = read((*path, key), getattr(raw, key))
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            self.problems.add((*path, key), "is not an http or https URL")
        return Secret(value)

    def _secrets(self, path: tuple[str, ...], names: list[str], read: Any) -> Iterator[Secret]:
        for name in names:
            if (value := read(path, name)) is not None:
                yield Secret(value)

    def _check_secrets(self, path: tuple[str, ...], type_: ReceiverType, secrets: tuple[Secret, ...]) -> None:
        if type_ in (ReceiverType.CONSOLE, ReceiverType.WECOM) and secrets:
            self.problems.add(path, f"{type_.value} does not sign; remove its secret")
        elif type_ is not ReceiverType.WEBHOOK and len(secrets) > 1:
            self.problems.add(path, "only a webhook can sign with more than one secret")
        elif type_ is ReceiverType.WEBHOOK and not all(map(_is_webhook_key, secrets)):
            self.problems.add(path, "a webhook secret is whsec_ and the base64 of 24 to 64 bytes")

    def _from_env(self, path: tuple[str, ...], name: str) -> str | None:
        value = self.env.get(name, "").strip()
        if not value:
            self.problems.add(path, f"environment variable {name} is not set")
        return value or None

    def _from_file(self, path: tuple[str, ...], name: str) -> str | None:
        try:
            value = (self.folder / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.problems.add(path, f"cannot read {name}: {type(error).__name__}")
            return None
        if not value:
            self.problems.add(path, f"{name} is empty")
        return value or None

    def _allow_private(self, path: tuple[str, ...], entries: list[str]) -> AllowPrivate:
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                hosts.add(entry.lower().rstrip("."))
                if "/" in entry or not entry:
                    self.problems.add(path, f"{entry!r} is neither a host nor a network")
        everything = _ANY_ADDRESS in hosts
        return AllowPrivate(everything, frozenset(hosts - {_ANY_ADDRESS}), tuple(networks))


def _is_webhook_key(secret: Secret) -> bool:
    try:
        key = base64.b64decode(secret.reveal().removeprefix("whsec_") + "==")
    except (binascii.Error, ValueError):
        return False
    return len(key) in _WEBHOOK_KEY_BYTES


def _route(
    problems: _Problems, index: int, raw: _Route, receivers: Collection[str], calendars: Calendars
) -> Route:
    path = ("routes", index)
    _check_names(problems, (*path, "receivers"), raw.receivers, receivers)
    for value in raw.match.get("severity", ()):
        if value not in tuple(Severity):
            problems.add((*path, "match", "severity"), f"{value!r} is no severity" + _hint(value, Severity))
    for value in raw.match.get("audience", ()):
        if not is_audience(value) and not value.endswith("*"):
            problems.add((*path, "match", "audience"), f"{value!r} is no audience" + _hint(value, Audience))
    hours = None
    if raw.hours is not None:
        name = raw.hours.calendar
        if name not in calendars:
            problems.add((*path, "hours"), f"there is no calendar {name!r}" + _hint(name, calendars))
        hours = Hours(name, raw.hours.passes)
    match = {key: tuple(values) for key, values in raw.match.items()}
    return Route(match, tuple(raw.receivers), raw.go_on, hours)


def _check_names(
    problems: _Problems, path: Sequence[str | int], names: Sequence[str], receivers: Collection[str]
) -> None:
    for name in names:
        if name not in receivers:
            problems.add(path, f"there is no receiver {name!r}" + _hint(name, receivers))


def _zone(problems: _Problems, offset: str) -> timezone:
    match = _OFFSET.fullmatch(offset)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        problems.add(("utc_offset",), "expected an offset such as +08:00")
        return DEFAULT_ZONE
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


def _faults(error: ValidationError, shape: type[_Section]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What pydantic found, in our words where its own would not help, never with the value."""
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        path = fault["loc"]
        if fault["type"] == "extra_forbidden":
            inner = next((_INNER[key] for key in path[:-1] if key in _INNER), shape)
            keys = inner.model_fields
            yield (
                path,
                "unknown key" + _hint(str(path[-1]), (info.alias or key for key, info in keys.items())),
            )
        else:
            yield path, _WORDS.get(fault["type"], fault["msg"].removeprefix("Value error, "))


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
