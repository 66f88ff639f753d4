"""The shape of a mapping file, and its translation into what ``mapping`` runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import Annotated, Any, Final, Protocol, get_args, get_origin, get_type_hints

import jmespath
import msgspec

from stream.core.events import AnyEvent, Instant
from stream.wire.mapping_search import MAX_COPIES, copies
from stream.yamltext import Parsed, Path, Problem

VERSION: Final = 1
MAX_RULES: Final = 64  # three times the event types there are
MAX_EXPRESSION: Final = 1_000  # characters; what is longer belongs into code

_TOP: Final = ("mapping", "about", "events")
_RULE: Final = ("type", "about", "where", "each", "fields")
_SOURCE: Final = ("path", "const", "values", "default", "prefix", "unit", "zone")
_SCALES: Final = {"s": 1000, "ms": 1, "us": 0.001}

TYPES: Final[Mapping[str, type[msgspec.Struct]]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(AnyEvent)
}


class Compiled(Protocol):
    """A compiled JMESPath expression, as ``stream.wire.mapping_search`` reads it."""

    parsed: Any
    """Its syntax tree."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where one field of an event comes from. ``scale`` turns a number into milliseconds."""

    target: tuple[str, ...]
    path: Compiled | None = None
    const: Any = None
    values: Mapping[str, Any] | None = None
    default: Any = None
    prefix: str = ""
    scale: float = 1
    zone: tzinfo | None = None
    is_time: bool = False
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One event that a payload may turn into."""

    type: str
    where: Compiled | None
    each: Compiled | None
    sources: tuple[Source, ...]


def compile_rules(parsed: Parsed, problems: list[Problem]) -> tuple[Rule, ...]:
    """Return the rules of a file; what is wrong with it is added to ``problems``."""
    return _Compiler(parsed, problems).rules()


class _Compiler:
    def __init__(self, parsed: Parsed, problems: list[Problem]) -> None:
        self.parsed = parsed
        self.problems = problems

    def fault(self, path: Path, text: str) -> None:
        self.problems.append(Problem(self.parsed.line(path), path, text))

    def rules(self) -> tuple[Rule, ...]:
        document = self.section(self.parsed.value, (), _TOP)
        if document.get("mapping") != VERSION:
            self.fault(("mapping",), f"expected mapping: {VERSION}, the version of this format")
        events = document.get("events")
        if not isinstance(events, list) or not 1 <= len(events) <= MAX_RULES:
            self.fault(("events",), f"expected a list of 1 to {MAX_RULES} events")
            return ()
        rules = [self.rule(raw, ("events", index)) for index, raw in enumerate(events)]
        return tuple(rule for rule in rules if rule is not None)

    def rule(self, raw: Any, path: Path) -> Rule | None:
        section = self.section(raw, path, _RULE)
        kind = TYPES.get(str(section.get("type")))
        if kind is None:
            known = _suggestion(str(section.get("type")), TYPES)
            self.fault((*path, "type"), f"no event type{known}")
            return None
        fields = section.get("fields")
        if not isinstance(fields, dict):
            self.fault((*path, "fields"), "expected fields with where they come from")
            return None
        sources = [self.source(kind, name, raw, (*path, "fields", name)) for name, raw in fields.items()]
        self.check_required(kind, tuple(fields), (*path, "fields"))
        return Rule(
            str(section["type"]),
            self.expression(section.get("where"), (*path, "where")),
            self.expression(section.get("each"), (*path, "each")),
            tuple(source for source in sources if source is not None),
        )

    def source(self, kind: type[msgspec.Struct], name: str, raw: Any, path: Path) -> Source | None:
        target = tuple(name.split("."))
        hint = self.target_type(kind, target, path)
        if isinstance(raw, str):
            raw = {"path": raw}
        section = self.section(raw, path, _SOURCE)
        if ("path" in section) == ("const" in section):
            self.fault(path, "needs either path or const")
            return None
        values = section.get("values")
        if values is not None and not isinstance(values, dict):
            self.fault((*path, "values"), "expected values of theirs with values of ours")
            values = None
        if str(section.get("unit", "ms")) not in _SCALES:
            self.fault((*path, "unit"), "expected s, ms or us")
        return Source(
            target,
            path=self.expression(section.get("path"), (*path, "path")) if "path" in section else None,
            const=section.get("const"),
            values=values,
            default=section.get("default"),
            prefix=str(section.get("prefix", "")),
            scale=_SCALES.get(str(section.get("unit", "ms")), 1),
            zone=self.zone(section.get("zone"), (*path, "zone")),
            is_time=hint == Instant,
            is_text=hint is str,
        )

    def section(self, raw: Any, path: Path, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(raw, dict):
            self.fault(path, f"expected keys: {', '.join(known)}")
            return {}
        for key in raw:
            if key not in known:
                self.fault((*path, key), "unknown key" + _suggestion(key, known))
        return raw

    def expression(self, raw: Any, path: Path) -> Compiled | None:
        if raw is None:
            return None
        if not isinstance(raw, str) or not raw.strip() or len(raw) > MAX_EXPRESSION:
            self.fault(path, f"expected a JMESPath expression of at most {MAX_EXPRESSION} characters")
            return None
        try:
            compiled: Compiled = jmespath.compile(raw)
        except (jmespath.exceptions.JMESPathError, RecursionError) as error:
            self.fault(path, f"no JMESPath: {str(error).splitlines()[0] or type(error).__name__}")
            return None
        if copies(compiled.parsed) > MAX_COPIES:
            self.fault(path, f"its lists in lists may repeat a payload more than {MAX_COPIES} times")
            return None
        return compiled

    def zone(self, raw: Any, path: Path) -> tzinfo | None:
        if raw is None:
            return None
        text = str(raw)
        try:
            sign = {"+": 1, "-": -1}[text[0]]
            hours, minutes = text[1:].split(":")
            return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes)))
        except (KeyError, IndexError, ValueError):
            self.fault(path, "expected an offset such as +08:00")
            return None

    def target_type(self, kind: type[msgspec.Struct], target: tuple[str, ...], path: Path) -> Any:
        """Return the plain type of a field of an event; a field that is not there is a fault."""
        hint: Any = kind
        for depth, part in enumerate(target):
            if depth and target[0] == "attributes":
                return None
            fields = _fields(hint)
            if part not in fields:
                self.fault(path, f"{_tag(kind)} has no field {part!r}" + _suggestion(part, fields))
                return None
            hint = fields[part]
        return hint

    def check_required(self, kind: type[msgspec.Struct], given: tuple[str, ...], path: Path) -> None:
        for info in msgspec.structs.fields(kind):
            nested = any(name.startswith(f"{info.encode_name}.") for name in given)
            if info.required and info.encode_name not in given and not nested:
                self.fault(path, f"{_tag(kind)} needs {info.encode_name}")
        if kind is TYPES["message"] and not {"sender", "sender.role"} & set(given):
            self.fault(path, "message needs sender.role")


def _fields(hint: Any) -> dict[str, Any]:
    """Return name on the wire and plain type of each field of a struct; nothing for other types."""
    if not (isinstance(hint, type) and issubclass(hint, msgspec.Struct)):
        return {}
    hints = get_type_hints(hint, include_extras=True)
    names = dict(zip(hint.__struct_fields__, hint.__struct_encode_fields__, strict=True))
    return {wire: _plain(hints[name]) for name, wire in names.items()}


def _plain(hint: Any) -> Any:
    """Return a type without ``| None`` and without its bounds; an instant is left as it is."""
    if hint == Instant:
        return hint
    choices = [choice for choice in get_args(hint) if choice is not type(None)]
    if get_origin(hint) is Annotated:
        return _plain(choices[0])
    if len(choices) == 1 and type(None) in get_args(hint):
        return _plain(choices[0])
    return hint


def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
