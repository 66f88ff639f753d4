"""What differs between two sets of packs, told by rule: for whoever reviews a change of knowledge.

Works on packs as written, not as compiled, so that a directory which leans on another one can be
compared without it. Of several directories on one side the last that has an id counts, as when loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stream.core.lexicon import Term
from stream.core.rules.source import Items, Node, Text
from stream.packs.model import RawList, RawPack, RawRule


class Change(StrEnum):
    """What became of an entry."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not the same on both sides.

    ``what`` is pack, rule, clock, category or terms. ``details`` has a line for each field or term,
    ``old -> new``, ``+ term`` or ``- term``; none for what was added or removed whole.
    """

    change: Change
    what: str
    id: str
    details: tuple[str, ...] = ()


def compare(before: Sequence[RawPack], after: Sequence[RawPack]) -> list[Difference]:
    """Return every difference, by kind of entry and id. Tests and wording of comments are not compared."""
    found: list[Difference] = []
    found += _entries("pack", _packs(before), _packs(after))
    for what, of in _RULES.items():
        found += _entries(what, _rules(before, of), _rules(after, of))
    found += _lists(_term_lists(before), _term_lists(after))
    return found


_RULES: Mapping[str, Callable[[RawPack], tuple[RawRule, ...]]] = {
    "rule": lambda pack: pack.rules,
    "clock": lambda pack: pack.clocks,
    "category": lambda pack: pack.categories,
}

_Entries = dict[str, dict[str, str]]


def _packs(packs: Iterable[RawPack]) -> _Entries:
    return {pack.id: {"version": str(pack.version), "title": pack.title} for pack in packs}


def _rules(packs: Iterable[RawPack], of: Callable[[RawPack], tuple[RawRule, ...]]) -> _Entries:
    return {
        rule.id: {key: written(node) for key, node in rule.node.entries.items()}
        for pack in packs
        for rule in of(pack)
    }


def _term_lists(packs: Iterable[RawPack]) -> dict[str, RawList]:
    return {listed.name: listed for pack in packs for listed in pack.lists}


def _entries(what: str, before: _Entries, after: _Entries) -> Iterable[Difference]:
    for name in sorted({*before, *after}):
        if name not in after:
            yield Difference(Change.REMOVED, what, name)
        elif name not in before:
            yield Difference(Change.ADDED, what, name)
        elif before[name] != after[name]:
            yield Difference(Change.CHANGED, what, name, tuple(_fields(before[name], after[name])))


def _fields(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[str]:
    for key in sorted({*before, *after}):
        old, new = before.get(key, "(none)"), after.get(key, "(none)")
        if old != new:
            yield f"{key}: {old} -> {new}"


def _lists(before: Mapping[str, RawList], after: Mapping[str, RawList]) -> Iterable[Difference]:
    for name in sorted({*before, *after}):
        if name not in after:
            yield Difference(Change.REMOVED, "terms", name)
        elif name not in before:
            yield Difference(Change.ADDED, "terms", name)
        else:
            old = {_term(term) for term in before[name].terms}
            new = {_term(term) for term in after[name].terms}
            details = [f"- {term}" for term in sorted(old - new)] + [
                f"+ {term}" for term in sorted(new - old)
            ]
            if details:
                yield Difference(Change.CHANGED, "terms", name, tuple(details))


def _term(term: Term) -> str:
    """Return a term with all that is said of it beside its spelling."""
    said = [f"variants {', '.join(term.variants)}"] if term.variants else []
    said += [f"boundary {term.boundary}"] if term.boundary != "any" else []
    said += [f"not in {', '.join(term.not_in)}"] if term.not_in else []
    said += [f"degree {term.degree:g}"] if term.degree != 1 else []
    said += [] if term.negatable else ["not negatable"]
    return f"{term.text} ({'; '.join(said)})" if said else term.text


def written(node: Node) -> str:
    """Return a node as one line of YAML's short form."""
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Items):
        return f"[{', '.join(map(written, node.items))}]"
    return "{" + ", ".join(f"{key}: {written(value)}" for key, value in node.entries.items()) + "}"
