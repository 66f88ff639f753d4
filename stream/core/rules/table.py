"""All rules of a book, indexed by what sets them off.

Most messages say nothing that any rule asks about; for them ``candidates`` costs a dictionary
look-up per hit, a few comparisons of scores, and one pass of one RE2 set over the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import re2

from stream.core.annotation import Annotation, Scores
from stream.core.rules.conditions import feeding_at_close
from stream.core.rules.model import Moment, Role, Rule, Trigger
from stream.core.rules.operators.regex import options

WIRE_ROLES = ("customer", "agent", "bot", "system")

_GROUPS: Mapping[Role, tuple[str, ...]] = MappingProxyType(
    {
        Role.CUSTOMER: ("customer",),
        Role.AGENT: ("agent",),
        Role.BOT: ("bot",),
        Role.SYSTEM: ("system",),
        Role.SERVICE: ("agent", "bot"),
        Role.ANY: WIRE_ROLES,
    }
)

# The default of 8 MiB is shared by all expressions of a set; when the automaton outgrows it RE2
# finds nothing and says so only to standard error. 64 MiB holds a thousand ordinary expressions.
_SET_MEMORY = 64 << 20


def covers(role: Role, wire_role: str) -> bool:
    """Return whether a rule's role group holds a wire role."""
    return wire_role in _GROUPS[role]


class _Index:
    """What sets off which rules, for one wire role. Rules are numbered as in the table."""

    __slots__ = ("always", "by_list", "expressions", "owners", "thresholds")

    def __init__(self, entries: Sequence[tuple[int, Trigger]]) -> None:
        self.always = tuple(sorted({number for number, trigger in entries if trigger.always}))
        self.by_list = _collect((name, number) for number, trigger in entries for name in trigger.lists)
        scores = _collect((score, number) for number, trigger in entries for score in trigger.scores)
        self.thresholds = tuple(
            (Scores._fields.index(name), least, numbers) for (name, least), numbers in scores.items()
        )
        owners = _collect((text, number) for number, trigger in entries for text in trigger.expressions)
        self.owners = tuple(owners.values())
        self.expressions = _expression_set(owners)

    def numbers(self, annotation: Annotation) -> Iterable[int]:
        found: set[int] = set()
        if annotation.hits:
            by_list = self.by_list
            for hit in annotation.hits:
                numbers = by_list.get(hit.terms)
                if numbers is not None:
                    found.update(numbers)
        if annotation.scores is not None:
            for field, least, numbers in self.thresholds:
                if annotation.scores[field] >= least:
                    found.update(numbers)
        if self.expressions is not None and annotation.normalised:
            for matched in self.expressions.Match(annotation.normalised) or ():  # None for no match
                found.update(self.owners[matched])
        if not found:
            return self.always
        found.update(self.always)
        return sorted(found)


class RuleTable:
    """The rules of a book in the order of their ids; immutable."""

    __slots__ = ("_by_id", "_indexes", "_rules", "closing")

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self._by_id = {rule.id: rule for rule in self._rules}
        self.closing = tuple(rule for rule in self._rules if rule.on is Moment.CLOSE)
        self._indexes = {role: _Index(list(self._entries(role))) for role in WIRE_ROLES}

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def get(self, rule_id: str) -> Rule | None:
        """Return a rule by its id."""
        return self._by_id.get(rule_id)

    def candidates(self, role: str, annotation: Annotation) -> Sequence[Rule]:
        """Return the rules that have to look at this message, in the table's order."""
        numbers = self._indexes[role].numbers(annotation)
        if not numbers:
            return ()
        rules = self._rules
        return [rules[number] for number in numbers]

    def _entries(self, wire_role: str) -> Iterator[tuple[int, Trigger]]:
        for number, rule in enumerate(self._rules):
            if covers(rule.role, wire_role):
                closing = rule.on is Moment.CLOSE
                yield number, feeding_at_close(rule.when) if closing else rule.when.trigger
            if rule.unless is not None and covers(rule.unless_role, wire_role):
                yield number, rule.unless.trigger


def _collect(pairs: Iterable[tuple[Any, int]]) -> dict[Any, tuple[int, ...]]:
    """Return the numbers of each key, keys in a settled order."""
    found: dict[Any, set[int]] = {}
    for key, number in pairs:
        found.setdefault(key, set()).add(number)
    return {key: tuple(sorted(found[key])) for key in sorted(found)}


def _expression_set(expressions: Iterable[str]) -> Any:
    chosen = options()
    chosen.max_mem = _SET_MEMORY
    compiled = re2.Set.SearchSet(chosen)
    empty = True
    for expression in expressions:
        compiled.Add(expression)
        empty = False
    if empty:
        return None
    compiled.Compile()
    return compiled
