"""Runs the tests written in pack files, through the functions that live chats go through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stream.core.annotation import Annotation
from stream.core.book import RuleBook
from stream.core.rules import Counts, Moment, Role, Rule, RuleTable, View, on_close, on_due, on_message
from stream.core.rules.model import RuleMemory
from stream.core.rules.reading import shorten
from stream.core.rules.source import Mark, Problem
from stream.packs.cases import AT_CLOSE
from stream.packs.model import Case, Expect, RawPack

# Folders whose lists the scorers read besides the rules.
_SCORED_FOLDERS = frozenset({"emotion"})

# Lists of words that only expressions read: they stand there for the tricks they are recognised in.
_DISGUISED = "disguised"

_SPEAKER: Mapping[Role, str] = {Role.SERVICE: "agent", Role.ANY: "customer"}


class Annotates(Protocol):
    """What the texts of a batch are annotated by."""

    def annotate(self, texts: Sequence[str], wants_scores: Sequence[bool] | None = None) -> list[Annotation]:
        """Return one annotation a text, in order."""
        ...


def run(book: RuleBook, annotator: Annotates, packs: Iterable[RawPack]) -> list[Problem]:
    """Return a problem for every test that does not come out as written.

    Tests of rules that a later directory overrides, or that are switched off, are not run; compile
    with ``drafts`` to test rules under work.
    """
    chosen = [(pack, case, rule) for pack in packs for case, rule in _cases(book, pack)]
    said = {(line.text, _speaker(rule, line.role)) for _, case, rule in chosen for line in case.lines}
    keys = sorted(said)
    annotations = annotator.annotate([text for text, _ in keys], [role == "customer" for _, role in keys])
    known = dict(zip(keys, annotations, strict=True))
    tables = {rule.id: RuleTable([rule]) for _, _, rule in chosen}
    problems = []
    for pack, case, rule in chosen:
        for at, message in judge(tables[rule.id], rule, case, known):
            problems.append(Problem(pack.path, at.line, at.column, message))
    return problems


def judge(
    table: RuleTable, rule: Rule, case: Case, annotations: Mapping[tuple[str, str], Annotation]
) -> Iterator[tuple[Mark, str]]:
    """Yield what a case expects and does not get."""
    chat = _Chat(table, rule, _scope(rule, case))
    fired = tuple(sorted(chat.play(case, annotations)))
    if case.expect is None:
        if fired != case.hits_at:
            got, wanted = _told(fired), _told(case.hits_at)
            yield case.at, f"{rule.id}: fires at {got}, expected {wanted}"
    elif bool(fired) is not (case.expect is Expect.HIT):
        verb = "does not fire" if case.expect is Expect.HIT else "fires"
        yield case.at, f"{rule.id} {verb} on '{shorten(case.lines[0].text)}'"


def unused_lists(book: RuleBook, packs: Iterable[RawPack]) -> list[Problem]:
    """Return a warning for every term list that no rule, category or scorer reads."""
    used = {name for rule in book.rules for name in _lists_of(rule)}
    used |= {name for category in book.categories for name in category.lists}
    return [
        Problem(pack.path, *listed.at, f"terms {listed.name}: no rule uses this list", "warning")
        for pack in packs
        if pack.folder not in _SCORED_FOLDERS
        for listed in pack.lists
        if listed.name not in used and not listed.name.endswith(f".{_DISGUISED}")
    ]


def _lists_of(rule: Rule) -> Iterator[str]:
    for condition in (rule.when, rule.unless):
        for leaf in () if condition is None else condition.leaves:
            yield from leaf.lists


@dataclass(slots=True)
class _Chat:
    """One conversation of a test, with one rule."""

    table: RuleTable
    rule: Rule
    scope: Mapping[str, str | None]
    memory: dict[str, RuleMemory] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    t: int = 0
    due: int | None = None

    def play(self, case: Case, annotations: Mapping[tuple[str, str], Annotation]) -> list[int]:
        """Return the positions of the lines at which the rule fires."""
        fired: list[int] = []
        for position, line in enumerate(case.lines, start=1):
            self.t += line.pause_ms
            # An answer at the very moment is in time.
            fired += [position] * self._wait(self.t - 1)
            role = _speaker(self.rule, line.role)
            fired += [position] * self._say(role, annotations[line.text, role])
        self.t += case.rest_ms if case.expect is None else self.rule.wait_ms
        fired += [len(case.lines) + 1] * self._wait(self.t)
        if self.rule.on is Moment.CLOSE:
            hits = on_close(self.table, self.memory, self.scope, self.t, self.counts)
            fired += [AT_CLOSE] * len(hits)
        return fired

    def _say(self, role: str, annotation: Annotation) -> int:
        self.counts = self.counts.plus(role)
        view = View(role, self.t, self.counts, annotation, "human", self.scope)
        outcome = on_message(self.table, self.memory, view)
        if outcome.disarms:
            self.due = None
        for arm in outcome.arms:
            self.due = arm.due
        return len(outcome.hits)

    def _wait(self, until: int) -> int:
        """Let a clock that is due by then fire; return how many did."""
        if self.due is None or self.due > until:
            return 0
        hit = on_due(self.table, self.memory, self.rule.id, self.due)
        self.due = None
        return int(hit is not None)


def _cases(book: RuleBook, pack: RawPack) -> Iterator[tuple[Case, Rule]]:
    for case in pack.cases:
        rule = book.rules.get(case.rule_id)
        if rule is not None and rule.path == pack.path:
            yield case, rule


def _speaker(rule: Rule, role: str) -> str:
    """Return who says a line; in a case of one text it is the rule's own role."""
    return role or _SPEAKER.get(rule.role, rule.role.value)


def _scope(rule: Rule, case: Case) -> Mapping[str, str | None]:
    """Return a conversation in the rule's scope, changed as the case says."""
    return {key: min(values) for key, values in rule.scope} | dict(case.scope)


def _told(positions: tuple[int, ...]) -> str:
    names = ["close" if position == AT_CLOSE else str(position) for position in positions]
    return f"[{', '.join(names)}]"
