"""What an operator's parser may ask: the report, the window, the term lists in reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.core.rules.reading import text, texts
from stream.core.rules.source import Items, Node, Report, suggest


@dataclass(slots=True)
class Context:
    """The surroundings of one condition.

    ``lists`` maps every qualified list name to its canonical terms. ``inline`` receives the terms
    written inside conditions, under names of their own, so that the one automaton finds them too.
    ``incomplete`` says that some file could not be read: an unknown name may be defined there and
    is then not reported.
    """

    report: Report
    pack_id: str
    rule_id: str
    lists: Mapping[str, tuple[str, ...]]
    window: int = 1
    incomplete: bool = False
    inline: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def resolve(self, node: Node, what: str) -> tuple[str, ...] | None:
        """Return the qualified names of one list or several."""
        names = texts(self.report, node, what, at_least=1)
        if names is None:
            return None
        nodes = node.items if isinstance(node, Items) else (node,)
        found = [self._qualified(name, at) for name, at in zip(names, nodes, strict=True)]
        kept = tuple(name for name in found if name is not None)
        return kept if len(kept) == len(found) else None

    def members(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the distinct canonical terms of the named lists."""
        terms = (term for name in names for term in self.lists.get(name) or self.inline.get(name, ()))
        return tuple(dict.fromkeys(terms))

    def add_inline(self, node: Items, what: str) -> tuple[str, ...] | None:
        """Name the terms written in a condition as a list of their own and return its name."""
        values = [text(self.report, item, what, longest=64) for item in node.items]
        terms = tuple(dict.fromkeys(value for value in values if value is not None))
        if not terms or None in values:
            return None
        name = f"{self.rule_id}#{len(self.inline) + 1}"
        self.inline[name] = terms
        return (name,)

    def _qualified(self, name: str, at: Node) -> str | None:
        own = f"{self.pack_id}.{name}"
        if own in self.lists:
            return own
        if name in self.lists:
            return name
        if not self.incomplete:
            prefix = f"{self.pack_id}."
            short = (full.removeprefix(prefix) for full in self.lists if full.startswith(prefix))
            known = [*self.lists, *short]
            self.report.error(at, f"unknown term list '{name}'{suggest(name, known)}")
        return None
