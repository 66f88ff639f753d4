"""The values that travel through delivery: an alert, and one notification of it to one receiver.

All of them are immutable msgspec structs, so any of them is a record (JSON or MessagePack) without
further code. Times inside are epoch milliseconds, UTC; `alerts.wire` writes them for people and for
other programs as RFC 3339.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

ID_LENGTH = 32
"""Hex digits of an id: 128 bits keep a collision out of reach for any number of alerts ever sent."""

DEPARTMENT_PREFIX = "department:"
"""`department:<name>` is the one audience with a parameter."""


class Severity(StrEnum):
    """How bad it is. Compare by `rank`: as strings, `critical` would sort before `low`."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for `info` up to 4 for `critical`."""
        return _RANKS[self]

    def at_most(self) -> tuple[Severity, ...]:
        """This severity and all below it, the lowest first."""
        return _AT_MOST[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
_AT_MOST = {severity: tuple(Severity)[: rank + 1] for severity, rank in _RANKS.items()}


class AlertStatus(StrEnum):
    """Where an alert stands in its life."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Audience(StrEnum):
    """Who is told; `department:<name>` comes on top of these."""

    AGENT = "agent"
    MENTOR = "mentor"
    SUPERVISOR = "supervisor"
    MANAGER = "manager"


def is_audience(name: str) -> bool:
    """Whether `name` is one of `Audience` or `department:` with a name behind it."""
    return name in tuple(Audience) or (name.startswith(DEPARTMENT_PREFIX) and name != DEPARTMENT_PREFIX)


class Outcome(StrEnum):
    """What became of a notification. All but `PENDING` are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class Reason(StrEnum):
    """Why a notification was not made, not sent, not accepted, or given up.

    The one closed list: log field, metric label and test expectation alike.
    """

    # Decided before an attempt: by policy, by the ledger, by the state of the receiver.
    BELOW_MINIMUM_SEVERITY = "below_minimum_severity"
    NO_RECEIVER = "no_receiver"  # the deciding route names none: silence by configuration
    NOT_TOLD = "not_told"  # an end is not told to a receiver that never heard the beginning
    UNKNOWN_RECEIVER = "unknown_receiver"  # in the ledger, no longer in the configuration
    RECEIVER_DISABLED = "receiver_disabled"  # it answered 410 earlier in this run
    RESOLVED_IN_QUIET_HOURS = "resolved_in_quiet_hours"  # over before its route's hours opened
    SUPERSEDED_IN_QUIET_HOURS = "superseded_in_quiet_hours"  # a later telling of the alert goes instead

    # What an attempt met.
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    ADDRESS_REFUSED = "address_refused"  # our own guard: a private address that nobody allowed
    INVALID_URL = "invalid_url"
    REDIRECTED = "redirected"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"  # 408, 5xx, or the platform's "busy"
    REJECTED = "rejected"  # other 3xx and 4xx, or a platform's error code
    UNAUTHORIZED = "unauthorized"  # 401, 403, or a platform's token or signature error
    GONE = "gone"  # 410: the receiver asks never to be called again
    BAD_RESPONSE = "bad_response"  # 200 whose body does not say what the platform promises
    INTERNAL = "internal"  # our own fault

    # Why it was given up although another attempt could have helped.
    HORIZON = "horizon"
    MAX_ATTEMPTS = "max_attempts"


class AlertFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One detection as a person is told it. `evidence` is masked before it comes here.

    `subject` is whose doing it is: customer, agent, bot or department. `at` is its business time.
    Without a `message_id` it is about a silence, and `evidence` is what the customer said last.
    """

    finding_id: str
    rule_id: str
    kind: str
    severity: Severity
    at: int
    subject: str
    message_id: str | None = None
    evidence: str = ""
    why: str = ""
    advice: str = ""
    pack_version: str = ""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go from here: `rel` says what for (`conversation`, `ack`, `snooze`, …)."""

    rel: str
    href: str


AGENT = "agent"
"""The party of an answer that is owed, where it is no department."""


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody owes, as a clock has it: `what` is what people call it, `party` a department or `agent`.

    Owed since `since` and due by `until`; `over_ms` is how long over it was at the alert's `at`, in the
    time that the clock counts in (a night may not count).
    """

    what: str
    party: str
    since: int
    until: int
    over_ms: int = 0


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told: findings, an audience, and a place in a life cycle.

    `at` is the business time of this record, `starts_at` that of the first. `step` rises each time
    the same alert is told again at a higher severity. `title` and `body` are plain text, not markup;
    the first line of `body` says what happened, and what follows repeats in prose what the other
    fields say, for readers without a layout of their own.
    `labels` is what routes match on: kind, rule_id, shop_id, channel, group, agent, category, ….
    `source_partition` leads an acknowledgement back to the conversation's worker. An alert of a clock says
    what is `owed`.
    """

    alert_id: str
    status: AlertStatus
    severity: Severity
    audiences: list[str]
    title: str
    dedup_key: str
    starts_at: int
    at: int
    conversation_id: str
    body: str = ""
    findings: list[AlertFinding] = msgspec.field(default_factory=list)
    ends_at: int | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    links: list[Link] = msgspec.field(default_factory=list)
    source_partition: int | None = None
    step: int = 0
    owed: Owed | None = None


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One alert to one receiver at one step: an entry of the ledger.

    Audiences that share a receiver share the notification: a group robot does not say the same thing
    twice. `attempt` counts attempts made; `reason` belongs to the outcome, `last_error` and
    `last_code` (HTTP status or platform code) to the latest attempt that failed.
    `hours` are the calendars in whose open hours it may go, in any of them; none: at any hour.
    `held_until` is the opening it waits or waited for (epoch milliseconds).
    """

    notification_id: str
    alert_id: str
    receiver: str
    audiences: list[str]
    status: AlertStatus
    step: int
    alert: Alert
    created_at: int
    next_attempt_at: int
    attempt: int = 0
    outcome: Outcome = Outcome.PENDING
    reason: Reason | None = None
    last_error: Reason | None = None
    last_code: int | None = None
    hours: list[str] = msgspec.field(default_factory=list)
    held_until: int | None = None

    @property
    def open(self) -> bool:
        """Whether it still has to be sent."""
        return self.outcome is Outcome.PENDING

    @property
    def held(self) -> bool:
        """Whether what it waits for is an opening, and no retry."""
        return self.open and self.held_until == self.next_attempt_at

    @property
    def owed_since(self) -> int:
        """Since when it could have been told: its entry into the ledger, or the opening it waited for."""
        return max(self.created_at, self.held_until or 0)


def audience_key(audiences: Iterable[str]) -> str:
    """The audiences of one notification as one string: sorted, without doubles, joined by commas."""
    return ",".join(sorted(set(audiences)))


def alert_id(dedup_key: str, first_finding_id: str) -> str:
    """The id of the alert that `first_finding_id` opened under `dedup_key`."""
    return _digest("alert", dedup_key, first_finding_id)


def notification_id(alert_id: str, receiver: str, audience: str, status: AlertStatus, step: int) -> str:
    """The id of one telling, the same after any crash or replay; it is sent as `webhook-id`.

    `audience` is an `audience_key`.
    """
    return _digest("notification", alert_id, receiver, audience, status.value, str(step))


def _digest(*parts: str) -> str:
    # A JSON array keeps the parts apart: ("a", "bc") and ("ab", "c") have different encodings.
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:ID_LENGTH]
