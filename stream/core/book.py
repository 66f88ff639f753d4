"""The rule book: everything the packs say, validated, compiled and immutable.

A worker holds one book and swaps the reference when a new one has been validated whole. What needs
native code or a scorer (the automaton) is built from ``terms`` at the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.core.calendars import Calendar
from stream.core.category import CategoryTable
from stream.core.judge import Judge
from stream.core.lexicon import Term
from stream.core.limits import DEFAULT_LIMITS, Limits
from stream.core.outputs import Severity
from stream.core.promises import NO_VOCABULARY, Vocabulary
from stream.core.rules import RuleTable
from stream.core.worktime import ALWAYS, Worktime


@dataclass(frozen=True, slots=True)
class Telling:
    """What a clock's moment says, how grave it is, and to whom."""

    severity: Severity
    audience: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """One clock: how long, whom to tell, what counts as an answer.

    ``severity``, ``audience`` and ``why`` are by ``warn`` and ``breach``. Times count in
    ``worktime``. ``warn_ms`` are from the start, ascending, below ``target_ms``; an answer at the
    target is in time. ``escalate`` are the steps after the breach, each with milliseconds from there,
    ascending. ``counts`` are sender modes. ``match`` narrows the policy as a rule's scope does,
    ``promotions`` to those times of a calendar; all must hold.

    A clock whose target is not the policy's but what was promised has ``warn_before_ms`` before it, longest
    first, ``grace_ms`` after it, and ``days``, whose zone and working days promises are read by.
    """

    id: str
    clock: str
    pack_version: str
    target_ms: int
    warn_ms: tuple[int, ...]
    severity: Mapping[str, Severity]
    audience: Mapping[str, tuple[str, ...]]
    counts: frozenset[str]
    why: Mapping[str, str]
    advice: str = ""
    match: tuple[tuple[str, frozenset[str]], ...] = ()
    path: str = ""
    line: int = 0
    escalate: tuple[tuple[int, Telling], ...] = ()
    worktime: Worktime = ALWAYS
    promotions: tuple[Calendar, frozenset[str]] | None = None
    warn_before_ms: tuple[int, ...] = ()
    grace_ms: int = 0
    days: Calendar | None = None
    _amounts_ms: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        after = (self.target_ms + after for after, _ in self.escalate)
        object.__setattr__(self, "_amounts_ms", (*self.warn_ms, self.target_ms, *after))

    @property
    def asks(self) -> int:
        """How much the policy asks for: of two that hold the one that asks for more counts."""
        return len(self.match) + (self.promotions is not None)

    def holds(self, attributes: Mapping[str, str], t: int) -> bool:
        """Return whether the policy is for a clock that starts at ``t`` where these attributes hold."""
        if self.promotions is not None:
            calendar, titles = self.promotions
            if calendar.promotion(t) not in titles:
                return False
        return not self.match or all(attributes.get(key) in known for key, known in self.match)

    def moments(self, start: int, stood_ms: int = 0) -> list[int]:
        """Return when something is told of a clock that started at ``start`` and stood still so long.

        In milliseconds from the start; the target is number ``len(warn_ms)``.
        """
        if self.worktime.calendar is None:  # the same wherever it starts
            return [amount + stood_ms for amount in self._amounts_ms]
        return [self.worktime.add(start, amount + stood_ms) - start for amount in self._amounts_ms]

    def moments_until(self, start: int, deadline: int, since: int) -> tuple[list[int], int]:
        """Return the moments of a clock whose target is ``deadline``, and which of them that is.

        In milliseconds from ``start``. A warning that would not come after ``since`` is left out.
        """
        warn = [deadline - before for before in self.warn_before_ms if deadline - before > since]
        target = deadline + self.grace_ms
        after = [self.worktime.add(target, after) for after, _ in self.escalate]
        return [moment - start for moment in (*warn, target, *after)], len(warn)

    def telling(self, step: int) -> Telling:
        """Return what is told at a moment: below 0 a warning, 0 the breach, above it an escalation."""
        if step > 0 and self.escalate:
            return self.escalate[min(step, len(self.escalate)) - 1][1]
        stage = "warn" if step < 0 and "warn" in self.why else "breach"
        return Telling(self.severity[stage], self.audience[stage], self.why[stage])


@dataclass(frozen=True, slots=True)
class PackInfo:
    """Which pack, at which version, with which content."""

    id: str
    version: int
    hash: str
    title: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All knowledge of one moment; ``version`` is a short hash of what the packs contain.

    ``clocks`` stand in the order in which they are tried; ``parties`` are the departments that they name and
    those that are ``known`` beside them.
    ``judge`` is the learned one's, for whole conversations; without it these are judged by the scores of
    their turns. ``calendars`` are all there are: alerts keep hours that no clock counts in.
    ``promises`` is what promises and hand-offs are read by; empty where no policy asks for them.
    """

    version: str = "empty"
    packs: tuple[PackInfo, ...] = ()
    terms: tuple[Term, ...] = ()
    rules: RuleTable = field(default_factory=RuleTable)
    clocks: tuple[ClockPolicy, ...] = ()
    categories: CategoryTable = field(default_factory=CategoryTable)
    limits: Limits = DEFAULT_LIMITS
    judge: Judge | None = None
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    promises: Vocabulary = NO_VOCABULARY
    parties: frozenset[str] = field(init=False, repr=False, compare=False)
    _clock_by_id: Mapping[str, ClockPolicy] = field(init=False, repr=False, compare=False)
    _clocks_of: Mapping[str, tuple[ClockPolicy, ...]] = field(init=False, repr=False, compare=False)
    _asking: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Of two with one id the first counts: they stand in the order in which they are tried.
        object.__setattr__(self, "_clock_by_id", {policy.id: policy for policy in reversed(self.clocks)})
        asked = [known for policy in self.clocks for key, known in policy.match if key == "department"]
        object.__setattr__(self, "parties", self.known.union(*asked))
        kinds: dict[str, tuple[ClockPolicy, ...]] = {}
        for policy in self.clocks:
            kinds[policy.clock] = (*kinds.get(policy.clock, ()), policy)
        object.__setattr__(self, "_clocks_of", kinds)
        object.__setattr__(self, "_asking", frozenset(one.clock for one in self.clocks if one.match))

    def times(self, kind: str) -> bool:
        """Return whether some policy times clocks of that kind."""
        return kind in self._clocks_of

    def asks(self, kind: str) -> bool:
        """Return whether it depends on attributes which policy holds for clocks of that kind."""
        return kind in self._asking

    def clock_policy(self, kind: str, attributes: Mapping[str, str], t: int) -> ClockPolicy | None:
        """Return the policy for a clock that starts at ``t``: of those that hold the first in order."""
        for policy in self._clocks_of.get(kind, ()):
            if policy.holds(attributes, t):
                return policy
        return None

    def clock_policy_by_id(self, policy_id: str) -> ClockPolicy | None:
        """Return a policy by its id."""
        return self._clock_by_id.get(policy_id)


EMPTY_BOOK = RuleBook()
