"""What differs between two sets of packs, told by rule: for whoever reviews a change of knowledge.

Works on packs as written, not as compiled, so that a directory which leans on another one can be
compared without it. Of several directories on one side the last that has an id counts, as when loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stream.core.lexicon import Term
from stream.packs.model import RawList, RawPack, RawRule
from stream.packs.written import written

SHORT = 60
"""Two values of so many characters together stand in one line; longer ones stand one below the other."""


class Change(StrEnum):
    """What became of an entry."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not the same on both sides.

    ``what`` is pack, rule, clock, category or terms. ``details`` has a line or two for each field or
    term that differs; none for what was added or removed whole.
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
        if old == new:
            continue
        if len(old) + len(new) <= SHORT:
            yield f"{key}: {old} -> {new}"
        else:
            yield f"- {key}: {old}"
            yield f"+ {key}: {new}"


def _lists(before: dict[str, RawList], after: dict[str, RawList]) -> Iterable[Difference]:
    for name in sorted({*before, *after}):
        if name not in after:
            yield Difference(Change.REMOVED, "terms", name)
        elif name not in before:
            yield Difference(Change.ADDED, "terms", name)
        else:
            details = tuple(_terms(_by_text(before[name]), _by_text(after[name])))
            if details:
                yield Difference(Change.CHANGED, "terms", name, details)


def _by_text(listed: RawList) -> dict[str, Term]:
    return {term.text: term for term in listed.terms}


def _terms(before: dict[str, Term], after: dict[str, Term]) -> Iterable[str]:
    yield from (f"- {text}" for text in before if text not in after)
    yield from (f"+ {text}" for text in after if text not in before)
    for text, term in before.items():
        if text in after:
            old, new = _said(term), _said(after[text])
            gone, come = sorted(old - new), sorted(new - old)
            if gone or come:
                yield f"~ {text}: " + ", ".join(
                    [*(f"- {one}" for one in gone), *(f"+ {one}" for one in come)]
                )


def _said(term: Term) -> set[str]:
    """Return all that a pack says of a term beside its spelling."""
    said = {f"variant {variant}" for variant in term.variants}
    said |= {f"not in {phrase}" for phrase in term.not_in}
    said |= {f"near {phrase}" for phrase in term.near}
    said |= {f"not near {phrase}" for phrase in term.not_near}
    said |= {f"evasion {evasion}" for evasion in term.evasions}
    said |= {f"boundary {term.boundary}", f"degree {term.degree:g}"}
    return said if term.negatable else {*said, "not negatable"}
