"""The sentence of a finding: a template with named places, filled once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from stream.core.rules.source import Node, Report, suggest

_PLACE = re.compile(r"\{(\w+)\}")

RULE_PLACES = ("evidence", "terms", "count", "score", "agent", "customer", "seconds")
CLOCK_PLACES = ("seconds", "target", "evidence", "agent", "department")


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
