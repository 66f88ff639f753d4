"""The sentence of a finding: a template with named places, filled once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from stream.core.rules.source import Node, Report, suggest

_PLACE = re.compile(r"\{(\w+)\}")

RULE_PLACES = ("evidence", "terms", "count", "score", "agent", "customer", "seconds", "waited")
CLOCK_PLACES = (
    "seconds",
    "target",
    "waited",
    "limit",
    "over",
    "evidence",
    "agent",
    "department",
    "promise",
    "deadline",
)

_UNITS = ((86_400, "天"), (3_600, "小时"), (60, "分"), (1, "秒"))
# People say 24 小时 and 36 小时, and then 3 天.
_DAYS_FROM_S = 48 * 3_600


def spoken(ms: int) -> str:
    """Return a duration as people say it, in its two largest units: ``3 分 20 秒``, ``2 小时 5 分``.

    Rounded down to the second, and to the minute or the hour where these are the smaller unit; what is
    negative is ``0 秒``.
    """
    left = max(0, ms) // 1_000
    units = _UNITS if left >= _DAYS_FROM_S else _UNITS[1:]
    first = next((number for number, (size, _) in enumerate(units) if left >= size), len(units) - 1)
    said: list[str] = []
    for size, name in units[first : first + 2]:
        count, left = divmod(left, size)
        if count or not said:
            said.append(f"{count} {name}")
    return " ".join(said)


def render_why(template: str, values: Mapping[str, object]) -> str:
    """Return the template with every ``{name}`` replaced by its value, or by nothing.

    Filled in one pass: braces inside a value stay what they are.
    """
    return _PLACE.sub(lambda match: str(values.get(match[1], "")), template)


def check_template(report: Report, node: Node, template: str, places: Collection[str]) -> None:
    """Report unknown places and stray braces."""
    for name in _PLACE.findall(template):
        if name not in places:
            report.error(node, f"unknown place '{{{name}}}'{suggest(name, places)}")
    if any(brace in _PLACE.sub("", template) for brace in "{}"):
        report.error(node, "a brace that is not part of a {name}")
