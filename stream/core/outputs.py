"""Wire contract, version 1: the records that go out (alerts are in ``alerts.model``).

Inside the process times (``At``) are integer milliseconds UTC; ``stream.wire`` writes them as
RFC 3339, and floats to four decimals. Types here are the single source of the published schemas.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from stream.core.events import At
from stream.core.platforms.model import Verdict


class Severity(StrEnum):
    """How much a finding matters, least first."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Position from 0 (info) to 4 (critical)."""
        return _RANK[self]


_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class FindingKind(StrEnum):
    """What sort of thing was found; it follows from the pack's folder."""

    EMOTION = "emotion"
    SENSITIVE = "sensitive"
    OLA = "ola"
    SCRIPT = "script"
    PROTOCOL = "protocol"
    PRIVACY = "privacy"
    SERVICE = "service"


class Subject(StrEnum):
    """Whom a finding is about."""

    CUSTOMER = "customer"
    AGENT = "agent"
    BOT = "bot"
    DEPARTMENT = "department"


class FindingStatus(StrEnum):
    """``corrected``: an earlier finding of the same id is taken back (a late answer proved in time)."""

    RAISED = "raised"
    CORRECTED = "corrected"


class Finding(Struct, frozen=True, kw_only=True, gc=False):
    """One detection: rule, severity, who, which message, which characters, why.

    ``spans`` are half-open character offsets into the original text of ``message_id``;
    ``evidence`` is masked: words of that message or, without one, what the customer said last;
    ``why`` is one Chinese sentence a manager understands.
    """

    finding_id: str
    status: FindingStatus = FindingStatus.RAISED
    kind: FindingKind
    rule_id: str
    pack_version: str
    severity: Severity
    conversation_id: str
    issue_id: str | None = None
    message_id: str | None = None
    subject: Subject
    at: At
    spans: tuple[tuple[int, int], ...] = ()
    evidence: str = ""
    score: float | None = None
    why: str
    advice: str = ""
    audiences: tuple[str, ...] = ()
    clock_id: str | None = None
    inferred: bool = False


class Score(Struct, frozen=True, kw_only=True, gc=False):
    """How one customer message reads, each in [0, 1], judged with nothing later known."""

    conversation_id: str
    message_id: str
    dissatisfaction: float
    anger: float
    abuse: float


class Outcome(StrEnum):
    """How a conversation ended."""

    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    ABANDONED = "abandoned"
    UNKNOWN = "unknown"


class BotOutcome(StrEnum):
    """How the bot's stage of a conversation ended: without a person, at a person, or there was none."""

    NONE = "none"
    CONTAINED = "contained"
    HANDED_OVER = "handed_over"


class Basis(Struct, frozen=True, kw_only=True, gc=False):
    """One thing a number rests on: its name, its value, and how much it weighed."""

    name: str
    value: float
    weight: float


class ScorecardEntry(Struct, frozen=True, kw_only=True, gc=False):
    """Points added or taken for one rule, with the reason."""

    rule_id: str
    points: float
    count: int
    why: str


class ClockOutcome(Struct, frozen=True, kw_only=True, gc=False):
    """How one clock of the conversation went.

    ``seconds`` is from start to answer, breach or stop, in the time its policy counts in and without
    that in which it stood still; ``leg`` is who owed.
    """

    clock_id: str
    kind: str
    policy: str
    leg: str
    state: str
    started_at: At
    due: At
    stopped_at: At | None
    seconds: float | None


class IssueOutcome(Struct, frozen=True, kw_only=True, gc=False):
    """How one issue went; ``legs`` is how many seconds each party owed its next word."""

    issue_id: str
    category: str | None
    state: str
    opened_at: At
    resolved_at: At | None
    inferred: bool
    reopened: int
    legs: dict[str, float]


class ResponseUnit(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One unit of a response metric: ``core.platforms.model.Contribution`` without what the summary says.

    Lines are numbered from 1 by time. ``ms`` is the wait as the definition counts it, none where none
    counts; it began with ``since``, where that is not ``opened_at``. ``opens_turn`` is false for a message
    that came while an earlier one still waited. A summary has dozens: what is not said is left out.
    """

    opened_at: At
    opened_by: int
    verdict: Verdict
    since: At | None = None
    answered_at: At | None = None
    answered_by: int | None = None
    ms: int | None = None
    opens_turn: bool = True


class Summary(Struct, frozen=True, kw_only=True, gc=False):
    """What a conversation came to, told at close; a higher ``revision`` replaces a lower one.

    ``followed_by`` are the conversations in which the customer came back with the same matter; then it is
    ``reopened``. ``repeat_contact`` says that this one came soon after another of the same customer.
    ``responses`` has every unit of each response metric by its definition's id: figures are sums of units,
    of one conversation or of many (``core.responses``).
    """

    conversation_id: str
    revision: int
    shop_id: str | None
    channel: str | None
    group: str | None
    agent: str | None
    customer_id: str | None
    tier: str | None
    opened_at: At
    closed_at: At
    inferred: bool
    category: str | None
    category_source: str | None
    outcome: Outcome
    rating: float | None
    dissatisfaction: float
    dissatisfaction_basis: tuple[Basis, ...]
    metrics: dict[str, float | None]
    emotion: dict[str, float]
    findings: dict[str, int]
    scorecard_points: float
    scorecard: tuple[ScorecardEntry, ...]
    clocks: tuple[ClockOutcome, ...]
    issues: tuple[IssueOutcome, ...] = ()
    counted: dict[str, int] = field(default_factory=dict)
    bot_outcome: BotOutcome = BotOutcome.NONE
    followed_by: tuple[str, ...] = ()
    reopened: bool = False
    repeat_contact: bool = False
    responses: dict[str, tuple[ResponseUnit, ...]] = field(default_factory=dict)


class Contact(Struct, frozen=True, kw_only=True, gc=False):
    """One conversation seen from the customer's side; reopening is judged on it.

    Written when the category is known (``revision`` 0; not closed yet) and with every revision of the
    summary, which it carries. ``source_partition`` is that of the conversation, where there are any.
    """

    customer_id: str | None
    conversation_id: str
    revision: int
    shop_id: str | None
    category: str | None
    opened_at: At
    closed_at: At | None
    outcome: Outcome | None
    rating: float | None
    summary: Summary | None = None
    source_partition: int | None = None

    @property
    def key(self) -> str:
        """Whose contact it is: the customer's; of one who is not known, the conversation's own."""
        return self.conversation_id if self.customer_id is None else self.customer_id
