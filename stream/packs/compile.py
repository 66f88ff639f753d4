"""Puts packs together into one rule book: later directories override, names are resolved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from stream.core.book import ClockPolicy, PackInfo, RuleBook
from stream.core.calendars import Calendar
from stream.core.category import Category, CategoryTable
from stream.core.kinds import READERS
from stream.core.lexicon import Term
from stream.core.limits import DEFAULT_LIMITS, Limits
from stream.core.promises import NO_VOCABULARY
from stream.core.rules import Rule, RuleTable, Status
from stream.core.rules.context import Context
from stream.core.rules.source import START, Problem, suggest
from stream.packs.clocks import compile_category, compile_clock, ties
from stream.packs.model import KINDS, Expect, RawList, RawPack, RawRule
from stream.packs.promises import NO_PROMISES, PromisePacks
from stream.packs.rules import compile_rule


@dataclass(frozen=True, slots=True)
class Options:
    """What the configuration says beside the files.

    ``disable`` are ids of rules or clocks. With ``drafts`` rules under work are compiled too: for
    checks and back-tests, never for live chats.
    """

    disable: Collection[str] = ()
    drafts: bool = False
    limits: Limits = DEFAULT_LIMITS


DEFAULTS = Options()
NO_CALENDARS: Mapping[str, Calendar] = {}


@dataclass(slots=True)
class _Assembly:
    """What has been put together so far, and the calendars there are."""

    calendars: Mapping[str, Calendar]
    promises: PromisePacks = NO_PROMISES
    lists: dict[str, RawList] = field(default_factory=dict)
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inline: list[Term] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    clocks: list[ClockPolicy] = field(default_factory=list)
    categories: list[Category] = field(default_factory=list)


def compile_packs(
    packs: Sequence[RawPack],
    options: Options = DEFAULTS,
    *,
    calendars: Mapping[str, Calendar] = NO_CALENDARS,
    promises: PromisePacks = NO_PROMISES,
    incomplete: bool = False,
) -> tuple[RuleBook, list[Problem]]:
    """Return the book and every problem found on the way (the packs' own reports are not repeated).

    ``calendars`` are those that clocks may name; ``promises`` is read by where a clock asks for it.

    With an error among them the book lacks what is wrong and must not be used. ``incomplete`` says
    that some file could not be read, so that a name it may define is not called unknown.
    """
    before = {pack.path: len(pack.report.problems) for pack in packs}
    assembly = _Assembly(calendars, promises)
    for pack in packs:
        for listed in pack.lists:
            assembly.lists[listed.name] = listed
    assembly.members = {
        name: tuple(dict.fromkeys(term.text for term in listed.terms))
        for name, listed in assembly.lists.items()
    }
    rules = _winners(packs, lambda pack: (*pack.rules, *pack.clocks))
    problems = list(_unknown(options.disable, rules))
    for pack, raw in rules.values():
        if raw.id not in options.disable:
            _compile_one(assembly, pack, raw, options, incomplete)
    for pack, raw in _winners(packs, lambda pack: pack.categories).values():
        context = Context(pack.report, pack.id, raw.id, assembly.members, incomplete=incomplete)
        category = compile_category(raw, context)
        if category is not None:
            assembly.categories.append(category)
    problems += ties(assembly.clocks)
    for pack in packs:
        _check_cases(pack)
        problems += pack.report.problems[before[pack.path] :]
    return _book(packs, assembly, options), problems


def _compile_one(
    assembly: _Assembly, pack: RawPack, raw: RawRule, options: Options, incomplete: bool
) -> None:
    if raw in pack.clocks:
        clock = compile_clock(pack, raw, assembly.calendars)
        if clock is not None:
            assembly.clocks.append(clock)
        return
    kind = KINDS[pack.folder]
    assert kind is not None  # `category` packs have no rules: the loader refuses the key
    context = Context(pack.report, pack.id, raw.id, assembly.members, incomplete=incomplete)
    rule = compile_rule(pack, kind, raw, context)
    if rule is None or (rule.status is Status.DRAFT and not options.drafts):
        return
    assembly.rules.append(rule)
    for name, terms in context.inline.items():
        assembly.inline += [Term(name, term, pack=pack.stamp) for term in terms]


def _winners(
    packs: Sequence[RawPack], entries: Callable[[RawPack], Iterable[RawRule]]
) -> dict[str, tuple[RawPack, RawRule]]:
    """Return for every id the entry of the last directory that has it."""
    return {raw.id: (pack, raw) for pack in packs for raw in entries(pack)}


def _unknown(disable: Collection[str], rules: Mapping[str, object]) -> Iterable[Problem]:
    for rule_id in disable:
        if rule_id not in rules:
            yield Problem("disable", *START, f"unknown id '{rule_id}'{suggest(rule_id, rules)}")


def _check_cases(pack: RawPack) -> None:
    """Report tests of rules that the file does not have, and rules without a hit and a miss."""
    known = [rule.id for rule in pack.rules]
    covered: set[tuple[str, Expect]] = set()
    for case in pack.cases:
        if case.rule_id not in known:
            hint = suggest(case.rule_id, known)
            pack.report.error(case.at, f"test of a rule that is not in this file: '{case.rule_id}'{hint}")
        covered.add((case.rule_id, case.expect or (Expect.HIT if case.hits_at else Expect.MISS)))
    for rule in pack.rules:
        missing = [expect.value for expect in Expect if (rule.id, expect) not in covered]
        if missing:
            pack.report.error(rule.at, f"rule {rule.id}: no test that is a {' or a '.join(missing)}")


def _content(calendar: Calendar | None) -> str:
    if calendar is None:
        return ""
    days = sorted(calendar.days.items())
    return f"calendar {calendar.id} {calendar.zone} {calendar.week} {calendar.years} {days}"


def _book(packs: Sequence[RawPack], assembly: _Assembly, options: Options) -> RuleBook:
    content = [f"{pack.layer} {pack.path} {pack.hash}" for pack in packs]
    content += sorted(options.disable)
    content.append(f"drafts={options.drafts}")
    content += sorted({_content(policy.worktime.calendar) for policy in assembly.clocks})
    content += sorted({_content(policy.promotions[0]) for policy in assembly.clocks if policy.promotions})
    reads = any(policy.clock in READERS for policy in assembly.clocks)
    if reads:
        content += assembly.promises.content
    terms = [term for listed in assembly.lists.values() for term in listed.terms]
    # The policy that asks for most is tried first.
    clocks = sorted(assembly.clocks, key=lambda policy: (-policy.asks, policy.id))
    return RuleBook(
        version=sha256("\n".join(content).encode()).hexdigest()[:12],
        packs=tuple(PackInfo(pack.id, pack.version, pack.hash, pack.title, pack.path) for pack in packs),
        terms=(*terms, *assembly.inline),
        rules=RuleTable(assembly.rules),
        clocks=tuple(clocks),
        categories=CategoryTable(assembly.categories),
        limits=options.limits,
        calendars=assembly.calendars,
        promises=assembly.promises.vocabulary if reads else NO_VOCABULARY,
    )
