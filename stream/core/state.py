"""What is kept of a conversation between two events: one compact, versioned record.

No transcript is in it: hashes of the last message ids, sums of scores, turns, clocks, what the
rules remember, and the customer's last words, masked. The bytes are a MessagePack array whose first
element is the version; fields are only ever added at the end (an older record then reads with their
defaults), and any other change raises ``VERSION`` and adds a step to ``MIGRATIONS``. None of these
values can be part of a cycle, so the collector need not know them (``gc=False``): with it, reading
states back costs several times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from stream.core.rules import RuleMemory

VERSION = 3

# A chat system that sends again does so within moments; 64 covers the busiest minute we have seen in
# recorded chats several times over.
SEEN_LIMIT = 64
# At 10^8 messages a day a new one is taken for one of the 64 before it once in a century.
MARK_SIZE = 6
# The longest of 3,290 recorded chats has 45 turns of the customer.
TURN_LIMIT = 64
# Settled clocks kept for corrections and for the summary; running ones are never dropped.
SETTLED_LIMIT = 64
# Texts that findings quote, kept once each; what comes after these is kept wherever it is said.
QUOTE_LIMIT = 16
# Stands for the quote in a sentence that holds it.
QUOTED = "\0"


class Source(IntEnum):
    """Where an applied offset belongs: one per source topic.

    Contacts go to customers' records (``stream.core.customers``), the others to conversations'. Nothing is
    read from ``CONTROL``, commands about a conversation; its place is part of every record of version 2.
    """

    MESSAGES = 0
    TIMERS = 1
    CONTROL = 2
    CONTACTS = 3


APPLIED = (Source.MESSAGES, Source.TIMERS, Source.CONTROL)
"""What ``State.applied`` holds, in this order."""


class ClockState(IntEnum):
    """Where a clock stands; the moves between these are ``clocks.TRANSITIONS``."""

    RUNNING = 0
    BREACHED = 1
    ANSWERED = 2
    ANSWERED_LATE = 3
    STOPPED = 4
    MISSED = 5
    PAUSED = 6
    ABANDONED = 7


class Counted(IntEnum):
    """What the figures say of a clock already; ``core.attainment`` alone sets it."""

    NOTHING = 0
    # That it was missed, and also by how much.
    MISSED = 1
    OVER = 2
    FINAL = 3


class Turn(Struct, array_like=True, gc=False):
    """A customer's turn: from the first unanswered message to a person's answer.

    ``last_ms`` and ``answered_ms`` are milliseconds from ``opened_at``, which take half the bytes.
    """

    opened_at: int
    last_ms: int = 0
    answered_ms: int | None = None

    @property
    def last_at(self) -> int:
        """The customer's latest message of the turn."""
        return self.opened_at + self.last_ms

    @last_at.setter
    def last_at(self, at: int) -> None:
        self.last_ms = at - self.opened_at

    @property
    def answered_at(self) -> int | None:
        """The answer of a person; None while there is none."""
        return None if self.answered_ms is None else self.opened_at + self.answered_ms


class Clock(Struct, array_like=True, gc=False):
    """One OLA timer. ``kind``, ``policy``, ``issue`` and ``party`` are indexes into ``State.names``.

    ``moments`` are milliseconds from ``started_at``: the warning points, the target, and the steps
    of escalation after it; ``target`` is the target's index, counted from the end where negative.
    ``fired`` counts the moments that have come and were told. ``party`` owes, where it is not the
    agent. ``stood_ms`` is how long the clock has stood still, in its own time (working time, where its
    policy has a calendar) and without the pause it may be in.
    """

    kind: int
    number: int
    policy: int
    started_at: int
    moments: list[int]
    fired: int = 0
    state: ClockState = ClockState.RUNNING
    stopped_at: int | None = None
    target: int = -1
    issue: int | None = None
    party: int | None = None
    paused_at: int | None = None
    stood_ms: int = 0
    counted: Counted = Counted.NOTHING

    @property
    def target_at(self) -> int:
        """The last moment at which an answer is in time."""
        return self.started_at + self.moments[self.target]


class Issue(Struct, array_like=True, gc=False):
    """One customer problem, as far as events told of it.

    ``leg`` is the party that owes the next word since ``leg_since``; ``legs_ms`` is how long each
    has owed it before. ``answered_at`` is the latest answer of a department. ``from_text``: no event told
    of it, and ``leg_from_text``: none of who owes; both are what people wrote.
    """

    issue_id: str
    opened_at: int
    category: str | None = None
    leg: str = "agent"
    leg_since: int = 0
    status: str = "open"
    inferred: bool = False
    legs_ms: dict[str, int] = field(default_factory=dict)
    answered_at: int | None = None
    resolved_at: int | None = None
    reopened: int = 0
    priority: str | None = None
    from_text: bool = False
    leg_from_text: bool = False


class Views(Struct, array_like=True, gc=False):
    """What was said so far as sums a view: what ``core.judge`` needs of a conversation, and no word of it.

    Sums are in units of the model ``model``; sizes are characters, two more for each text.
    """

    model: str = ""
    first: int = 0
    first_size: int = 0
    later: int = 0
    later_size: int = 0
    last: int = 0
    last_size: int = 0
    desk: int = 0
    desk_size: int = 0
    desk_last: int = 0
    desk_last_size: int = 0
    customer_turns: int = 0
    desk_turns: int = 0
    questions: int = 0
    exclamations: int = 0
    last_questions: int = 0
    last_exclamations: int = 0
    thanks: int = 0
    last_thanks: bool = False
    customer_spoke_last: bool = False


class ScoreSums(Struct, array_like=True, gc=False):
    """The course of the customer's dissatisfaction, as sums that grow turn by turn."""

    count: int = 0
    total: float = 0.0
    maximum: float = 0.0
    first: float = 0.0
    last: float = 0.0
    anger: float = 0.0
    abuse: float = 0.0
    views: Views = field(default_factory=Views)


class Points(Struct, array_like=True, gc=False):
    """What one rule added to the scorecard; ``why`` is that of its latest firing.

    With ``quote`` a NUL in ``why`` stands for the text of that index in ``State.quotes``.
    """

    points: float
    count: int
    why: str
    quote: int | None = None


class State(Struct, array_like=True, gc=False):
    """One conversation. Whoever holds a value of this owns it: the engine changes it in place."""

    conversation_id: str
    opened_at: int
    last_at: int
    applied: list[int] = field(default_factory=lambda: [-1, -1, -1])
    attributes: dict[str, str] = field(default_factory=dict)
    closed_at: int | None = None
    closed_by: str | None = None
    close_inferred: bool = False
    revision: int = 0
    rating: float | None = None
    category_source: str | None = None
    seen: bytes = b""
    turns: list[Turn] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    # Clocks with a moment still to come, in the order they were started; the others are settled, in the
    # order in which that came about.
    running: list[Clock] = field(default_factory=list)
    settled: list[Clock] = field(default_factory=list)
    # How many clocks of each kind (an index into ``names``) have been started.
    clock_counts: dict[int, int] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    rules: dict[str, RuleMemory] = field(default_factory=dict)
    # Opaque here: the section that stream.openalerts alone reads and writes.
    alerts: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    scores: ScoreSums = field(default_factory=ScoreSums)
    points: dict[str, Points] = field(default_factory=dict)
    last_words: str = ""
    last_role: str = ""
    # Whether the customer's latest words were thanks or praise.
    pleased: bool = False
    # The latest answer of a person; an earlier question that comes late was answered by it.
    human_at: int | None = None
    # A bot is in charge: nobody owes a person's answer until the conversation reaches people.
    bot_stage: bool = False
    # The rules that fired at the close, staged ones too: a reopening takes that back.
    close_rules: list[str] = field(default_factory=list)
    # The book that the latest event was applied with; another one may not know these rules.
    book: str = ""
    # Clocks that stand still: nothing of theirs comes due until they go on.
    paused: list[Clock] = field(default_factory=list)
    # The rank of the gravest finding on a message so far: policies may ask for it.
    gravest: int = 0
    # Who wrote when, packed: ``core.lines`` alone reads and writes it.
    lines: bytes = b""
    # Clocks whose state the figures have not looked at yet; a step leaves none of them behind.
    moved: list[Clock] = field(default_factory=list)
    # By the kind (an index into ``names``) of a clock that rules run: the latest word that settles it.
    settling: dict[int, int] = field(default_factory=dict)
    # Texts that findings on messages quote; open alerts and the scorecard say the same ones.
    quotes: list[str] = field(default_factory=list)
    # Settled clocks that have ended, packed: ``core.aside`` alone reads and writes it.
    aside: bytes = b""

    def quote(self, text: str) -> int | None:
        """Return the index of ``text`` among the quotes; None where there is no room for another."""
        if text in self.quotes:
            return self.quotes.index(text)
        if len(self.quotes) >= QUOTE_LIMIT:
            return None
        self.quotes.append(text)
        return len(self.quotes) - 1

    def intern(self, name: str) -> int:
        """Return the index of ``name``, so that records repeat a number and not a text."""
        try:
            return self.names.index(name)
        except ValueError:
            self.names.append(name)
            return len(self.names) - 1

    def count(self, name: str, by: int = 1) -> None:
        """Count a happening for the summary."""
        total = self.counts.get(name, 0) + by
        if total:
            self.counts[name] = total
        else:  # taken back: as if it had never been
            self.counts.pop(name, None)

    def clock_id(self, clock: Clock) -> str:
        """Return the clock's id, unique within the conversation: its kind and its number."""
        return f"{self.names[clock.kind]}#{clock.number}"


class UnsupportedVersionError(ValueError):
    """A record was written by a newer release; reading it would lose what that release knew."""


class _Record(Struct, array_like=True, gc=False):
    version: int
    state: State


def _to_2(fields: list[Any]) -> list[Any]:
    """Shorten marks from 8 bytes, and tell a turn's times from its opening.

    Open alerts were longer too; ``stream.openalerts`` reads both forms.
    """
    if len(fields) > _TURNS:
        marks = fields[_SEEN]
        fields[_SEEN] = b"".join(marks[at : at + MARK_SIZE] for at in range(0, len(marks), 8))
        fields[_TURNS] = [
            [opened_at, last_at - opened_at, None if answered_at is None else answered_at - opened_at]
            for opened_at, last_at, answered_at in fields[_TURNS]
        ]
    return fields


def _to_3(fields: list[Any]) -> list[Any]:
    """Change nothing: clocks are laid aside at the next writing, which who reads must know."""
    return fields


# Where they stand in version 1.
_SEEN, _TURNS = 11, 12

# From a version to the next, on the decoded array of fields.
MIGRATIONS: Mapping[int, Callable[[list[Any]], list[Any]]] = {1: _to_2, 2: _to_3}

# fixarray(2), then the version as a positive fixint: so begins every record that this code writes.
_BEGINS = bytes((0x92, VERSION))

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)
_plain = msgspec.msgpack.Decoder(list[Any])


def encode(state: State) -> bytes:
    """Return the record of ``state``: its bytes in the changelog and in memory."""
    return _encoder.encode(_Record(VERSION, state))


def decode(
    raw: bytes,
    *,
    version: int = VERSION,
    migrations: Mapping[int, Callable[[list[Any]], list[Any]]] = MIGRATIONS,
) -> State:
    """Return the state of a record, migrated where an older release wrote it.

    Raises:
        UnsupportedVersionError: The record is newer than this release.
        msgspec.DecodeError: The bytes are no record.
        msgspec.ValidationError: The record's fields have wrong types.
    """
    if version == VERSION and raw.startswith(_BEGINS):
        return _decoder.decode(raw).state
    found, fields = _plain.decode(raw)
    if found > version:
        raise UnsupportedVersionError(f"state record of version {found}; this release reads up to {version}")
    for step in range(found, version):
        fields = migrations[step](fields)
    return msgspec.convert(fields, State)
