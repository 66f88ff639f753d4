"""Foreign payloads to events, by a mapping file: one JMESPath a field.

A file says, for each event that a payload may turn into, when it does (``where``) and where each field
comes from. It is compiled once; all its faults are reported at once, as ``file:line``. Its author is
trusted, the payload is not: payload size and the number of events from one payload are bounded, and
what comes out is checked against the contract's types.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jmespath
import msgspec

from stream import yamltext
from stream.core.events import AnyEvent
from stream.wire.errors import InvalidMessage, Reason
from stream.wire.inbound import explain, mend_surrogates
from stream.wire.mapping_file import Compiled, Rule, Source, compile_rules
from stream.wire.mapping_search import MAX_STEPS, Search, TooCostlyError

MAX_PAYLOAD: Final = 1024 * 1024
"""Bytes of a foreign payload. Webhooks repeat the conversation in every event, so it is more than the
64 KiB of one of our own records."""

MAX_EVENTS: Final = 1_000
"""Events from one payload; a larger export is a file for `yanshao send`, not a webhook."""


class MappingError(ValueError):
    """A mapping file cannot be used. ``problems`` has one line a fault, with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def shipped() -> tuple[str, ...]:
    """Return the names of the mappings that come with the program."""
    folder = resources.files("stream") / "resources" / "mappings"
    return tuple(sorted(item.name.removesuffix(".yaml") for item in folder.iterdir()))


def load(path: str | Path) -> Mapping:
    """Return the mapping in a file, or a shipped one by its name (``chatwoot``, ``rasa``).

    Raises:
        MappingError: with every fault of the file.
    """
    if str(path) in shipped():
        name = f"{path}.yaml"
        text = (resources.files("stream") / "resources" / "mappings" / name).read_text("utf-8")
        return parse(text, source=name)
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError([f"{path}: cannot be read: {type(error).__name__}"]) from None
    return parse(text, source=str(path))


def parse(text: str, *, source: str) -> Mapping:
    """Return the mapping that a YAML text says; ``source`` stands in its error messages.

    Raises:
        MappingError: with every fault of the text.
    """
    parsed = yamltext.parse(text)
    problems = list(parsed.problems)
    rules: tuple[Rule, ...] = ()
    if not problems:
        rules = compile_rules(parsed, problems)
    if problems:
        ordered = sorted(problems, key=lambda problem: problem.line)
        raise MappingError([problem.said_of(source) for problem in ordered])
    return Mapping(source, rules)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A compiled mapping file: gives the events of one payload, in the order of the file."""

    source: str
    rules: tuple[Rule, ...]

    def apply(self, payload: bytes | Any) -> list[AnyEvent]:
        """Return the events that a payload stands for; none where no rule wants it.

        Args:
            payload: JSON, or what it decodes to.

        Raises:
            InvalidMessage: it is no JSON, too large, or a rule that wants it cannot make its event.
        """
        value = _decoded(payload) if isinstance(payload, bytes) else payload
        search = Search(len(payload) if isinstance(payload, bytes) else MAX_PAYLOAD)
        events: list[AnyEvent] = []
        for number, rule in enumerate(self.rules):
            place = f"events.{number} ({rule.type})"
            for view in _views(rule, value, place, search):
                if len(events) == MAX_EVENTS:
                    raise InvalidMessage(Reason.NOT_MAPPED, f"more than {MAX_EVENTS} events in one payload")
                events.append(_event(rule, view, place, search))
        return events


def _decoded(payload: bytes) -> Any:
    if len(payload) > MAX_PAYLOAD:
        raise InvalidMessage(Reason.TOO_LARGE, f"{len(payload)} bytes, at most {MAX_PAYLOAD}")
    try:
        return msgspec.json.decode(payload)
    except UnicodeDecodeError:
        raise InvalidMessage(Reason.NOT_UTF8, "bytes that are no UTF-8") from None
    except RecursionError:
        raise InvalidMessage(Reason.TOO_DEEP, "nested too deep to be read") from None
    except msgspec.DecodeError as error:
        mended = mend_surrogates(payload)
        if mended != payload:
            return _decoded(mended)
        raise InvalidMessage(Reason.NOT_JSON, str(error)) from None


def _views(rule: Rule, payload: Any, place: str, search: Search) -> Iterator[Any]:
    """Yield what the rule's expressions look at: the payload, or each item with the payload beside it."""
    if rule.each is None:
        views = [payload]
    else:
        items = _search(rule.each, payload, f"{place}: each", search)
        views = [{"item": item, "payload": payload} for item in items] if isinstance(items, list) else []
    for view in views:
        if rule.where is None or _holds(_search(rule.where, view, f"{place}: where", search)):
            yield view


def _event(rule: Rule, view: Any, place: str, search: Search) -> AnyEvent:
    document: dict[str, Any] = {"type": rule.type}
    for source in rule.sources:
        value = _value(source, view, place, search)
        if value is not None:
            _put(document, source.target, value)
    try:
        event: AnyEvent = msgspec.convert(document, AnyEvent)
    except msgspec.ValidationError as error:
        refusal = explain(error)
        raise InvalidMessage(Reason.NOT_MAPPED, f"{place}: {refusal.detail}") from None
    return event


def _value(source: Source, view: Any, place: str, search: Search) -> Any:
    field = f"{place}: {'.'.join(source.target)}"
    value = source.const if source.path is None else _search(source.path, view, field, search)
    if source.values is not None:
        value = source.values.get(_name(value), source.default)
    elif value is None:
        value = source.default
    if value is None:
        return None
    if source.is_time:
        return _time(source, value, field)
    if source.is_text and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # ids are numbers in many systems, texts in ours
    return f"{source.prefix}{value}" if source.prefix and isinstance(value, str) else value


def _time(source: Source, value: Any, field: str) -> Any:
    """Return a time as the contract wants it: epoch milliseconds, or RFC 3339 to be checked."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        try:
            return round(value * source.scale)
        except (OverflowError, ValueError):
            value = ""
    if not isinstance(value, str):
        return value
    # "2020-03-03 13:05:57 UTC" is how Ruby prints a time.
    text = value.strip().removesuffix(" UTC") + ("Z" if value.strip().endswith(" UTC") else "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidMessage(Reason.NOT_MAPPED, f"{field}: not a time") from None
    return moment.replace(tzinfo=source.zone) if moment.tzinfo is None else moment


def _name(value: Any) -> str:
    """Return a value as it stands on the left side of a value map."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _put(document: dict[str, Any], target: tuple[str, ...], value: Any) -> None:
    for part in target[:-1]:
        document = document.setdefault(part, {})
    document[target[-1]] = value


def _search(expression: Compiled, view: Any, place: str, search: Search) -> Any:
    """Evaluate an expression.

    Where a function does not fit what the payload holds, the payload is refused: to go on with null
    would let an event vanish because its `where` could not be judged.
    """
    try:
        return search.find(expression, view)
    except TooCostlyError:
        what = f"the expressions need more than {MAX_STEPS} steps for this payload"
        raise InvalidMessage(Reason.NOT_MAPPED, f"{place}: {what}") from None
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError, RecursionError) as error:
        what = f"the expression does not fit the payload ({type(error).__name__})"
        raise InvalidMessage(Reason.NOT_MAPPED, f"{place}: {what}") from None


def _holds(value: Any) -> bool:
    """Whether a value counts as true, by JMESPath's own rule (0 does)."""
    return value is not None and value is not False and value not in ("", [], {})
