"""``all``: every term of a list occurs in the window.

The same as ``any`` with as many distinct terms as there are; only the writing differs.
"""

from __future__ import annotations

from stream.core.rules.context import Context
from stream.core.rules.operators.any_ import MOST, Args, step, trigger
from stream.core.rules.operators.selection import Negated, select
from stream.core.rules.operators.selection import parse as parse_selection
from stream.core.rules.reading import fields, items
from stream.core.rules.source import Fields, Items, Node, Text

__all__ = ["Args", "parse", "step", "trigger"]


def parse(node: Node, context: Context) -> Args | None:
    """Read terms written in place, a list's name, or ``{terms, negated}``."""
    if isinstance(node, Fields):
        entries = fields(context.report, node, "all", ("terms",), ("negated",))
        if entries is None:
            return None
        selection = parse_selection(context, entries["terms"], entries.get("negated"), "all")
    elif isinstance(node, Text):
        selection = parse_selection(context, node, None, "all")
    else:
        written = items(context.report, node, "all", at_least=1)
        names = None if written is None else context.add_inline(Items(written, node.at), "all")
        selection = None if names is None else select(context, names, Negated.NO)
    if selection is None:
        return None
    wanted = len(selection.names)
    if wanted > MOST:
        context.report.error(node, f"all: {wanted} terms; at most {MOST} can be asked for")
        return None
    return Args(selection, max(1, wanted), context.window)
