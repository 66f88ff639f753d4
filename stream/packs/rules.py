"""Turns a rule as written into a rule of the core."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import TypeVar

from stream.core.kinds import BY_RULE
from stream.core.outputs import FindingKind, Severity, Subject
from stream.core.rules import Deed, Fire, Firing, Moment, Role, Rule, Status, reading
from stream.core.rules.conditions import decidable_at_close, parse_condition
from stream.core.rules.context import Context
from stream.core.rules.model import WHOLE_CONVERSATION, Condition
from stream.core.rules.source import Fields, Items, Node, Report, Text, suggest
from stream.core.rules.why import RULE_PLACES, check_template
from stream.packs.model import RawPack, RawRule

SCOPE_KEYS = ("shop_id", "channel", "group", "category", "tier", "country", "product")
AUDIENCES = ("agent", "mentor", "supervisor", "manager")
_DEPARTMENT = re.compile(r"department:\S{1,64}\Z")

# Every message of a window may leave a trace in the state; a longer look back is `conversation`.
WIDEST_WINDOW = 100

_REQUIRED = ("id", "title", "severity", "role", "when", "why")
# A rule that moves a clock tells nothing: the clock's policy has the words.
_REQUIRED_OF_DEEDS = ("id", "title", "role", "when")
_OPTIONAL_OF_DEEDS = (*Deed, "status", "scope", "window")
_OPTIONAL = (
    "subject", "status", "scope", "window", "on", "wait", "unless", "fire", "points", "audience", "advice",
    "topic",
)  # fmt: skip

# What a rule's memory depends on. Its wording, severity, scope and audience may change under it.
_REMEMBERED = ("role", "when", "window", "on", "wait", "unless", "fire")

E = TypeVar("E", bound=StrEnum)

_SUBJECTS: Mapping[Role, Subject] = {
    Role.CUSTOMER: Subject.CUSTOMER,
    Role.AGENT: Subject.AGENT,
    Role.BOT: Subject.BOT,
    Role.SYSTEM: Subject.BOT,
    Role.SERVICE: Subject.AGENT,
    Role.ANY: Subject.CUSTOMER,
}


@dataclass(frozen=True, slots=True)
class _Timing:
    """When a rule is decided."""

    on: Moment
    when: Condition
    wait_ms: int = 0
    unless: Condition | None = None
    unless_role: Role = Role.ANY


def compile_rule(pack: RawPack, kind: FindingKind, raw: RawRule, context: Context) -> Rule | None:
    """Return the rule; what is wrong goes to the pack's report, and then nothing is returned."""
    report = pack.report
    before = len(report.problems)
    if any(deed in raw.node.entries for deed in Deed):
        return _compile_deed(pack, kind, raw, context)
    entries = reading.fields(report, raw.node, f"rule {raw.id}", _REQUIRED, _OPTIONAL)
    if entries is None:
        return None
    role = reading.choice(report, entries["role"], "role", tuple(Role))
    severity = reading.choice(report, entries["severity"], "severity", tuple(Severity))
    title = reading.text(report, entries["title"], "title")
    why = reading.text(report, entries["why"], "why")
    if why is not None:
        check_template(report, entries["why"], why, RULE_PLACES)
    status = _optional(report, entries, "status", Status.ACTIVE)
    subject = _optional(report, entries, "subject", _SUBJECTS[role or Role.ANY])
    context.window = _window(report, entries)
    when = parse_condition(entries["when"], context)
    timing = None if when is None else _timing(entries, when, context)
    fire = _fire(report, entries.get("fire"))
    advice = reading.text(report, entries["advice"], "advice") if "advice" in entries else ""
    topic = reading.text(report, entries["topic"], "topic") if "topic" in entries else ""
    points = reading.number(report, entries["points"], "points", -100, 100) if "points" in entries else 0.0
    scope = read_scope(report, entries.get("scope"), "scope")
    audience = read_audience(report, entries.get("audience"), "audience")
    failed = any(problem.severity == "error" for problem in report.problems[before:])
    if failed or role is None or severity is None or when is None or timing is None:
        return None
    return Rule(
        id=raw.id,
        title=title or "",
        kind=kind,
        pack_version=pack.stamp,
        severity=severity,
        role=role,
        subject=subject,
        status=status,
        when=timing.when,
        on=timing.on,
        why=why or "",
        hash=_hash(entries),
        advice=advice or "",
        topic=topic or raw.id,
        fire=fire,
        scope=scope,
        wait_ms=timing.wait_ms,
        unless=timing.unless,
        unless_role=timing.unless_role,
        points=points or 0.0,
        audiences=audience,
        path=pack.path,
        line=raw.at.line,
    )


def _compile_deed(pack: RawPack, kind: FindingKind, raw: RawRule, context: Context) -> Rule | None:
    """Return a rule that starts, answers or stops a clock."""
    report = pack.report
    before = len(report.problems)
    entries = reading.fields(report, raw.node, f"rule {raw.id}", _REQUIRED_OF_DEEDS, _OPTIONAL_OF_DEEDS)
    if entries is None:
        return None
    deeds = [deed for deed in Deed if deed in entries]
    if len(deeds) > 1:
        report.error(raw.node, f"rule {raw.id}: only one of {', '.join(deeds)}")
    clock = reading.choice(report, entries[deeds[0]], deeds[0], BY_RULE)
    role = reading.choice(report, entries["role"], "role", tuple(Role))
    title = reading.text(report, entries["title"], "title")
    status = _optional(report, entries, "status", Status.ACTIVE)
    context.window = _window(report, entries)
    when = parse_condition(entries["when"], context)
    scope = read_scope(report, entries.get("scope"), "scope")
    if when is not None and decidable_at_close(when):
        report.error(entries["when"], "when: that something never happens is known at close only")
    failed = any(problem.severity == "error" for problem in report.problems[before:])
    if failed or role is None or when is None or clock is None:
        return None
    return Rule(
        id=raw.id,
        title=title or "",
        kind=kind,
        pack_version=pack.stamp,
        severity=Severity.INFO,
        role=role,
        subject=_SUBJECTS[role],
        status=status,
        when=when,
        on=Moment.MESSAGE,
        why="",
        hash=_hash(entries),
        topic=raw.id,
        fire=Fire(Firing.EVERY),
        scope=scope,
        path=pack.path,
        line=raw.at.line,
        deed=deeds[0],
        clock=clock,
    )


def read_scope(
    report: Report, node: Node | None, what: str, *, more: tuple[str, ...] = ()
) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return what must hold of the conversation: for each attribute the values it may have.

    `more` are names that only stand here.
    """
    if node is None:
        return ()
    entries = reading.fields(report, node, what, (), (*SCOPE_KEYS, *more)) or {}
    found = {key: reading.texts(report, value, f"{what} {key}", at_least=1) for key, value in entries.items()}
    return tuple((key, frozenset(values)) for key, values in sorted(found.items()) if values is not None)


def read_audience(
    report: Report, node: Node | None, what: str, *, more: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return who is told; `more` are names that only stand here."""
    if node is None:
        return ()
    names = reading.texts(report, node, what) or ()
    for name in names:
        if name not in (*AUDIENCES, *more) and not _DEPARTMENT.match(name):
            known = ", ".join((*AUDIENCES, *more, "department:<name>"))
            hint = suggest(name, (*AUDIENCES, *more))
            report.error(node, f"{what}: expected {known}, got '{reading.shorten(name)}'{hint}")
    return tuple(dict.fromkeys(names))


def _window(report: Report, entries: Mapping[str, Node]) -> int:
    """Return the window in messages; a rule decided at close looks at the whole conversation."""
    node, on = entries.get("window"), entries.get("on")
    at_close = isinstance(on, Text) and on.value == Moment.CLOSE
    if node is None:
        return WHOLE_CONVERSATION if at_close else 1
    if isinstance(node, Text) and node.value == "conversation":
        return WHOLE_CONVERSATION
    width = reading.integer(report, node, "window", 1, WIDEST_WINDOW)
    if at_close and width is not None:
        report.error(node, "window: a rule decided at close looks at the whole conversation")
    return width or 1


def _timing(entries: Mapping[str, Node], when: Condition, context: Context) -> _Timing | None:
    """Infer when the rule is decided, and hold what is written against it."""
    report = context.report
    written = None
    if "on" in entries:
        written = reading.choice(report, entries["on"], "on", tuple(Moment))
        if written is None:
            return None
    negative = decidable_at_close(when)
    timing: _Timing | None = _Timing(Moment.CLOSE if negative else written or Moment.MESSAGE, when)
    if "wait" in entries or "unless" in entries:
        timing = _waiting(entries, when, context)
        if timing is not None and negative:
            report.error(entries["when"], "when: that something never happens is known at close only")
            return None
    if timing is not None and written is not None and written is not timing.on:
        report.error(entries["on"], f"on: this rule is decided at '{timing.on}', not '{written}'")
    if written is Moment.TIMER and timing is not None and timing.unless is None:
        report.error(entries["on"], "on: a timer needs 'wait' and 'unless'")
    return timing


def _waiting(entries: Mapping[str, Node], when: Condition, context: Context) -> _Timing | None:
    report = context.report
    if "wait" not in entries or "unless" not in entries:
        here = entries.get("wait") or entries["unless"]
        report.error(here, "'wait' and 'unless' go together")
        return None
    wait_ms = reading.duration(report, entries["wait"], "wait")
    node = entries["unless"]
    if not isinstance(node, Fields) or "role" not in node.entries:
        report.error(node, "unless: expected a condition with a 'role'")
        return None
    role = reading.choice(report, node.entries["role"], "role", tuple(Role))
    # The condition looks at all that came since the rule began to wait.
    since = replace(context, window=WHOLE_CONVERSATION)
    unless = parse_condition(without(node, "role"), since)
    if unless is None or role is None or wait_ms is None:
        return None
    if not unless.needs_fresh:
        report.error(node, "unless: must name something that is said, not something that is absent")
        return None
    return _Timing(Moment.TIMER, when, wait_ms, unless, role)


def _fire(report: Report, node: Node | None) -> Fire:
    if isinstance(node, Fields):
        entries = reading.fields(report, node, "fire", ("cooldown",)) or {}
        cooldown = reading.duration(report, entries["cooldown"], "cooldown") if entries else None
        return Fire(Firing.COOLDOWN, cooldown or 0)
    if node is None:
        return Fire()
    return Fire(reading.choice(report, node, "fire", (Firing.ONCE, Firing.EVERY)) or Firing.ONCE)


def _optional(report: Report, entries: Mapping[str, Node], key: str, default: E) -> E:
    """Return a word of the default's set, or the default."""
    if key not in entries:
        return default
    return reading.choice(report, entries[key], key, tuple(type(default))) or default


def without(node: Fields, key: str) -> Fields:
    """Return a mapping without one of its keys."""
    entries = {name: value for name, value in node.entries.items() if name != key}
    return Fields(entries, {name: mark for name, mark in node.keys.items() if name != key}, node.at)


def _hash(entries: Mapping[str, Node]) -> int:
    """Return 32 bits of what the rule's memory depends on: another condition, another memory."""
    meaning = {key: _plain(entries[key]) for key in _REMEMBERED if key in entries}
    return int.from_bytes(blake2b(repr(sorted(meaning.items())).encode(), digest_size=4).digest(), "big")


def _plain(node: Node) -> object:
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Items):
        return [_plain(item) for item in node.items]
    return sorted((key, _plain(value)) for key, value in node.entries.items())
