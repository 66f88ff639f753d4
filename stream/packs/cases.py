"""Reads the tests of a pack: texts that must and must not fire a rule, and dialogues."""

from __future__ import annotations

import re

from stream.core.rules import reading
from stream.core.rules.source import Fields, Items, Node, Report, Text, suggest
from stream.core.rules.table import WIRE_ROLES
from stream.packs.model import Case, Expect, Line

CLOSE = "close"
# What `hits_at` holds for the close of a dialogue.
AT_CLOSE = 0

# When a dialogue says nothing else, a second passes between two lines.
_PAUSE_MS = 1_000

_SAID = re.compile(r"([a-z]+)\s*[:：]\s*(.+)\Z", re.DOTALL)


def read_cases(report: Report, node: Node | None) -> tuple[Case, ...]:
    """Return the cases of a ``tests:`` section."""
    found: list[Case] = []
    for item in () if node is None else reading.items(report, node, "tests") or ():
        is_dialogue = isinstance(item, Fields) and "dialogue" in item.entries
        required = ("rule", "dialogue", "hits_at") if is_dialogue else ("rule",)
        optional = ("scope",) if is_dialogue else ("hit", "miss", "scope")
        entries = reading.fields(report, item, "test", required, optional)
        rule_id = None if entries is None else reading.text(report, entries["rule"], "rule")
        if entries is None or rule_id is None:
            continue
        scope = _scope(report, entries.get("scope"))
        at = entries["rule"].at
        if is_dialogue:
            lines, rest_ms = _dialogue(report, entries["dialogue"])
            hits_at = _hits_at(report, entries["hits_at"], len(lines) + bool(rest_ms))
            found.append(Case(rule_id, at, lines, None, hits_at, rest_ms, scope))
            continue
        if "hit" not in entries and "miss" not in entries:
            report.error(item, "test: expected 'hit', 'miss' or 'dialogue'")
        for expect in Expect:
            listed = entries.get(expect)
            written = (
                (listed,) if isinstance(listed, Text) else listed.items if isinstance(listed, Items) else ()
            )
            if listed is not None and not written:
                report.error(listed, f"{expect}: expected texts, got {reading.kind_of(listed)}")
            for text_node in written:
                text = reading.text(report, text_node, expect)
                if text is not None:
                    line = Line(text_node.at, "", text)
                    found.append(Case(rule_id, text_node.at, (line,), expect, scope=scope))
    return tuple(found)


def _dialogue(report: Report, node: Node) -> tuple[tuple[Line, ...], int]:
    """Return the lines that are spoken, and the time that passes after the last."""
    lines: list[Line] = []
    pause: int | None = 0  # the first line comes at once
    for item in reading.items(report, node, "dialogue", at_least=1) or ():
        if isinstance(item, Text) and item.value.startswith("+"):
            passed = reading.duration(report, Text(item.value[1:], item.at), "dialogue", least_ms=1)
            pause = (pause or 0) + (passed or 0)
            continue
        said = _SAID.match(item.value) if isinstance(item, Text) else None
        if said is None:
            report.error(item, "dialogue: expected 'who: text' or '+30s'")
            continue
        if said[1] not in WIRE_ROLES:
            report.error(item, f"dialogue: unknown role '{said[1]}'{suggest(said[1], WIRE_ROLES)}")
            continue
        lines.append(Line(item.at, said[1], said[2], _PAUSE_MS if pause is None else pause))
        pause = None
    return tuple(lines), pause or 0


def _hits_at(report: Report, node: Node, lines: int) -> tuple[int, ...]:
    """Return sorted positions; ``close`` is ``AT_CLOSE``."""
    if isinstance(node, Text):
        node = Items((node,), node.at)
    found = []
    for item in reading.items(report, node, "hits_at") or ():
        if isinstance(item, Text) and item.value == CLOSE:
            found.append(AT_CLOSE)
            continue
        position = reading.integer(report, item, "hits_at", 1, max(1, lines))
        if position is not None:
            found.append(position)
    return tuple(sorted(found))


def _scope(report: Report, node: Node | None) -> dict[str, str]:
    if node is None:
        return {}
    if not isinstance(node, Fields):
        report.error(node, f"scope: expected a mapping, got {reading.kind_of(node)}")
        return {}
    values = {key: reading.text(report, value, f"scope {key}") for key, value in node.entries.items()}
    return {key: value for key, value in values.items() if value is not None}
