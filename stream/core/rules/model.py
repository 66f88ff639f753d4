"""The values of the rule language: what a rule is, what it sees, what it remembers, what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct, field

from stream.core.annotation import Annotation, Hit, Span
from stream.core.outputs import FindingKind, Severity, Subject

# In an operator's ``window``: all messages of the role, from the first on.
WHOLE_CONVERSATION = 0

OperatorState = tuple[int, ...]


class Role(StrEnum):
    """Whose messages a rule looks at; ``service`` is agent and bot."""

    CUSTOMER = "customer"
    AGENT = "agent"
    BOT = "bot"
    SYSTEM = "system"
    SERVICE = "service"
    ANY = "any"


class Deed(StrEnum):
    """What a rule does to a clock; such a rule tells nothing itself."""

    STARTS = "starts"
    ANSWERS = "answers"
    STOPS = "stops"


class Moment(StrEnum):
    """When a rule is decided."""

    MESSAGE = "message"
    TIMER = "timer"
    CLOSE = "close"


class Status(StrEnum):
    """``staged`` rules are counted, not told; ``draft`` ones are checked and tested, never loaded."""

    DRAFT = "draft"
    STAGED = "staged"
    ACTIVE = "active"


class Counts(NamedTuple):
    """How many messages each role has written in the conversation so far, the present one included."""

    customer: int = 0
    agent: int = 0
    bot: int = 0
    system: int = 0

    def of(self, role: Role) -> int:
        """Return the count of a rule's role group."""
        if role is Role.SERVICE:
            return self.agent + self.bot
        if role is Role.ANY:
            return sum(self)
        count: int = getattr(self, role)
        return count

    def plus(self, role: str) -> Counts:
        """Return the counts after one more message of a wire role."""
        return self._replace(**{role: getattr(self, role) + 1})


class View(NamedTuple):
    """One message as the rules see it.

    ``role`` and ``mode`` are the wire's words, ``t`` milliseconds UTC. ``scope`` holds shop_id,
    channel, group, category, tier, country, product, as far as they are known.
    """

    role: str
    t: int
    counts: Counts
    annotation: Annotation
    mode: str = "human"
    scope: Mapping[str, str | None] = {}


class Look(NamedTuple):
    """What an operator sees: one message, or at close none (then ``annotation`` is empty).

    ``ordinal`` is the message's number among those of the rule's role, from 1; at close the number
    of the last one. ``hits`` are the annotation's hits by term list.
    """

    ordinal: int
    annotation: Annotation
    hits: Mapping[str, Sequence[Hit]]


class Found(NamedTuple):
    """What made a condition hold.

    ``fresh``: something of it is in the message looked at. ``amount``: how many of what was asked
    for (terms, occurrences, messages).
    """

    fresh: bool = False
    spans: tuple[Span, ...] = ()
    terms: tuple[str, ...] = ()
    amount: int = 0
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a message must bring before an operator needs to see it.

    One of: a hit in one of ``lists``, a match of one of ``expressions``, or a score of the named
    kind that reaches the threshold (``scores``). ``always``: every message of the role.
    """

    lists: frozenset[str] = frozenset()
    expressions: frozenset[str] = frozenset()
    scores: frozenset[tuple[str, float]] = frozenset()
    always: bool = False

    def __or__(self, other: Trigger) -> Trigger:
        """Return the trigger that either is."""
        return Trigger(
            self.lists | other.lists,
            self.expressions | other.expressions,
            self.scores | other.scores,
            self.always or other.always,
        )


Step = Callable[[Any, OperatorState, Look], tuple[OperatorState, Found | None]]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One operator of a condition with its arguments."""

    operator: str
    args: Any
    step: Step
    trigger: Trigger
    positive: bool  # holds because something is there; ``none`` is the one that is not
    latches: bool = False  # over the whole conversation, what it remembers settles it for good
    lists: frozenset[str] = frozenset()  # all term lists it reads, those that set it off among them


class Gate(StrEnum):
    """How conditions combine."""

    AND = "and"
    OR = "or"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Logic:
    """A gate over parts; a part is a leaf's number or another gate."""

    gate: Gate
    parts: tuple[Logic | int, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Operators in written order, and the logic over them.

    ``trigger`` is what a message must bring before this condition needs to see it. With
    ``needs_fresh`` a rule fires only at a message that adds something to what holds.
    """

    leaves: tuple[Leaf, ...]
    logic: Logic | int
    trigger: Trigger
    window: int = 1
    needs_fresh: bool = True


class Firing(StrEnum):
    """How often a rule may fire in one conversation."""

    ONCE = "once"
    EVERY = "every"
    COOLDOWN = "cooldown"


@dataclass(frozen=True, slots=True)
class Fire:
    """The fire policy; ``cooldown_ms`` is the least time between two firings."""

    firing: Firing = Firing.ONCE
    cooldown_ms: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule, compiled. ``hash`` covers what its memory depends on, not its wording.

    With a ``deed`` a hit does that to the clock of the kind ``clock`` and is no finding; nothing of it is
    remembered. Rules of one ``topic`` share an open alert: a later one of higher severity tells it again,
    another does not. Without one of its own a rule's topic is its id.
    """

    id: str
    title: str
    kind: FindingKind
    pack_version: str
    severity: Severity
    role: Role
    subject: Subject
    status: Status
    when: Condition
    on: Moment
    why: str
    hash: int
    advice: str = ""
    topic: str = ""
    fire: Fire = Fire()
    scope: tuple[tuple[str, frozenset[str]], ...] = ()
    wait_ms: int = 0
    unless: Condition | None = None
    unless_role: Role = Role.ANY
    points: float = 0.0
    audiences: tuple[str, ...] = ()
    path: str = ""
    line: int = 0
    deed: Deed | None = None
    clock: str = ""

    @property
    def staged(self) -> bool:
        """Whether hits are counted and not told."""
        return self.status is Status.STAGED


class Waiting(Struct, array_like=True, gc=False):
    """A rule whose condition held and whose ``unless`` has not, yet."""

    due: int
    armed_at: int
    count: int = 0
    score: float | None = None
    terms: list[str] = field(default_factory=list)


class Told(Struct, array_like=True, gc=False):
    """A wait that came due: what it was, so that an ``unless`` from before its due time undoes it.

    ``last_at`` is the firing before this one, ``unless_states`` what was remembered until now.
    """

    waiting: Waiting
    last_at: int
    unless_states: list[OperatorState] = field(default_factory=list)


class RuleMemory(Struct, array_like=True, gc=False):
    """What one conversation remembers of one rule; a plain MessagePack array.

    Lives in the conversation's state under the rule's id, made when there is something to
    remember, replaced when ``hash`` is not the rule's. ``states`` follow the operators of
    ``when``, ``unless_states`` those of ``unless`` since it began to wait.
    """

    hash: int
    fired: int = 0
    last_at: int = 0
    states: list[OperatorState] = field(default_factory=list)
    waiting: Waiting | None = None
    unless_states: list[OperatorState] = field(default_factory=list)
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule fired.

    ``spans`` are original offsets into the present message (none for a timer or at close),
    ``terms`` the canonical spellings found in the window, ``ordinal`` the n-th firing of this rule
    in the conversation, from 1. Where ``rule.staged`` it is counted and not told.
    """

    rule: Rule
    at: int
    ordinal: int
    spans: tuple[Span, ...] = ()
    terms: tuple[str, ...] = ()
    count: int = 0
    score: float | None = None


class Arm(NamedTuple):
    """Call ``on_due`` for this rule at ``due``."""

    rule_id: str
    due: int


class Disarm(NamedTuple):
    """The rule's clock for ``due`` is no longer wanted, or was wrong to fire."""

    rule_id: str
    due: int
