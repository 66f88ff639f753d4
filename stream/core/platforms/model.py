"""What the response metrics of platforms are made from: lines of a chat, units that count, figures.

A definition turns one conversation into *contributions*: every unit it looked at (a turn, a session, a
message), whether it counts, with how much, and why. Figures are sums over contributions, of one
conversation or of many; so each number can be told line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
SECOND_MS: Final = 1_000

CHINA_MS: Final = 8 * HOUR_MS
"""The platforms' hours and days are those of Beijing, eight hours from UTC the whole year since 1991."""


class Line(NamedTuple):
    """One message of a conversation: when (milliseconds UTC), and the wire's role and mode of the sender.

    ``account`` is the service account that wrote it, or, of a customer's message, that was in charge of the
    conversation then; empty where it is not known: then it is taken for any.
    """

    at: int
    role: str
    mode: str = "human"
    account: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as metrics see it. ``lines`` in the order of time.

    ``left_message`` where the platform took it as a message left while all were offline. What most
    definitions ask of every line is answered once: ``customers`` whether the customer wrote it, ``people``
    whether a person answered there (``is_person``), ``bots`` whether a bot did by itself (``is_bot``),
    ``reached`` whether a customer's message there is for people (``reaches_people``).
    """

    id: str
    customer: str
    lines: tuple[Line, ...]
    closed_at: int
    left_message: bool = False
    customers: Sequence[bool] = field(init=False, repr=False, compare=False)
    people: Sequence[bool] = field(init=False, repr=False, compare=False)
    bots: Sequence[bool] = field(init=False, repr=False, compare=False)
    reached: Sequence[bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "customers", [is_customer(line) for line in self.lines])
        object.__setattr__(self, "people", [is_person(line) for line in self.lines])
        object.__setattr__(self, "bots", [is_bot(line) for line in self.lines])
        object.__setattr__(self, "reached", reaches_people(self.lines))


class Verdict(StrEnum):
    """What became of a unit."""

    COUNTED = "counted"
    CAPPED = "capped"  # answered, later than the longest time that is counted
    UNANSWERED = "unanswered"  # counts as such
    OUT_OF_HOURS = "out_of_hours"  # counts in neither side, as all that follow
    AUTOMATIC = "automatic"  # a bot without a person received it
    LEFT_MESSAGE = "left_message"
    JOINED = "joined"  # goes on with the session before


EXCLUDED: Final = frozenset({Verdict.OUT_OF_HOURS, Verdict.AUTOMATIC, Verdict.LEFT_MESSAGE, Verdict.JOINED})


class Contribution(NamedTuple):
    """One unit of one conversation. Lines are numbered from 1; times are milliseconds UTC.

    ``since`` is when the wait began (``opened_at``, but for a session that began with a bot), ``ms`` the
    wait as the definition counts it; ``None`` where there is none to count. ``opens_turn`` is false for a
    message that comes while an earlier one still waits. ``closed_at`` is the conversation's end.
    """

    definition: str
    conversation: str
    customer: str
    opened_at: int
    opened_by: int
    since: int
    answered_at: int | None
    answered_by: int | None
    verdict: Verdict
    ms: int | None
    closed_at: int
    opens_turn: bool = True

    @property
    def counts(self) -> bool:
        """Whether it stands in the denominator."""
        return self.verdict not in EXCLUDED

    @property
    def wait_ms(self) -> int | None:
        """The wait as it was; ``None`` without an answer."""
        return None if self.answered_at is None else self.answered_at - self.since


class Figure(NamedTuple):
    """A share, or a mean in seconds: ``numerator`` over ``denominator``."""

    numerator: float
    denominator: int

    @property
    def value(self) -> float | None:
        """The quotient; ``None`` of nothing."""
        return self.numerator / self.denominator if self.denominator else None


Contribute = Callable[[Conversation], tuple[Contribution, ...]]
Sum = Callable[[Sequence[Contribution]], Mapping[str, Figure]]


@dataclass(frozen=True, slots=True)
class Definition:
    """One platform's metrics. ``merge`` joins what several conversations of one customer give as a unit.

    ``merge`` takes contributions of any number of conversations in any order and returns those that
    figures are summed from, by time; most definitions change nothing.
    """

    id: str
    unit: str
    sources: tuple[str, ...]
    contribute: Contribute
    sum: Sum
    merge: Callable[[Iterable[Contribution]], tuple[Contribution, ...]]


def by_time(contributions: Iterable[Contribution]) -> tuple[Contribution, ...]:
    """Return contributions in the order in which their units opened."""
    return tuple(sorted(contributions, key=lambda one: (one.opened_at, one.conversation, one.opened_by)))


def is_customer(line: Line) -> bool:
    """Whether the customer wrote it."""
    return line.role == "customer"


def is_person(line: Line) -> bool:
    """Whether a person answered, alone or with a machine's help: not greetings, not automatic replies."""
    return (line.role == "agent" and line.mode in {"human", "assist"}) or (
        line.role == "bot" and line.mode == "assist"
    )


def is_bot(line: Line) -> bool:
    """Whether a bot answered by itself."""
    return line.role == "bot" and line.mode != "assist"


def reaches_people(lines: Sequence[Line]) -> list[bool]:
    """Return of each line whether a customer's message there is for people, and not for a bot.

    It is for whoever of the service side writes next (a greeting of an agent's account too), or, where
    nobody does, for whoever wrote last; with nobody at all, for people.
    """
    reached: list[bool] = []
    latest: bool | None = None
    for line in lines:
        if line.role in {"agent", "bot"}:
            latest = not is_bot(line)
        reached.append(latest if latest is not None else True)
    following: bool | None = None
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].role in {"agent", "bot"}:
            following = reached[number]
        elif following is not None:
            reached[number] = following
    return reached


def day_of(t: int) -> int:
    """Return the number of the day in Beijing."""
    return (t + CHINA_MS) // DAY_MS


def day_end(t: int) -> int:
    """Return when the day of Beijing ends that the instant is in: what belongs to it is settled then."""
    return (day_of(t) + 1) * DAY_MS - CHINA_MS


def within_hours(t: int, first_hour: int, last_hour: int) -> bool:
    """Whether Beijing's clock is in ``[first_hour, last_hour)``."""
    return first_hour * HOUR_MS <= (t + CHINA_MS) % DAY_MS < last_hour * HOUR_MS


class Turn(NamedTuple):
    """From a customer's first unanswered message to a person's answer; numbers count from 0.

    Where every message counts by itself, ``opens`` is whether none for people was still waiting then.
    """

    opened: int
    answered: int | None
    for_people: bool
    opens: bool = True


def turns(conversation: Conversation, *, by_account: bool = False) -> Iterator[Turn]:
    """Yield the turns by time; what a bot receives is a turn of its own, which no person answers.

    ``by_account``: a turn ends unanswered where the customer writes to, or is answered by, another account.
    """
    lines, people, reached = conversation.lines, conversation.people, conversation.reached
    opened: int | None = None
    for number, by_customer in enumerate(conversation.customers):
        if opened is not None:
            other = by_account and reached[opened] and _differ(lines[opened].account, lines[number].account)
            if by_customer:
                ends = other or reached[opened] is not reached[number]
            else:
                ends = people[number] if reached[opened] else conversation.bots[number]
            if ends:
                answered = reached[opened] and not other and not by_customer
                yield Turn(opened, number if answered else None, reached[opened])
                opened = None
        if opened is None and by_customer:
            opened = number
    if opened is not None:
        yield Turn(opened, None, reached[opened])


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def next_answers(answers: Sequence[bool]) -> list[int | None]:
    """Return of each line the number of the first answer after it."""
    found: list[int | None] = []
    latest: int | None = None
    for number in range(len(answers) - 1, -1, -1):
        found.append(latest)
        if answers[number]:
            latest = number
    found.reverse()
    return found


def messages(
    conversation: Conversation, answers: Sequence[bool], for_people: Sequence[bool]
) -> Iterator[Turn]:
    """Yield each of the customer's messages with the answer that came first after it."""
    first_after = next_answers(answers)
    waiting = False
    for number, by_customer in enumerate(conversation.customers):
        if answers[number]:
            waiting = False
        if by_customer:
            reached = for_people[number]
            yield Turn(number, first_after[number] if reached else None, reached, reached and not waiting)
            waiting = waiting or reached


def share(contributions: Iterable[Contribution], most_ms: int) -> Figure:
    """Return the share of the units that count which were answered within ``most_ms``."""
    counted = [one for one in contributions if one.counts]
    in_time = sum(one.wait_ms is not None and one.wait_ms <= most_ms for one in counted)
    return Figure(in_time, len(counted))


def mean(contributions: Iterable[Contribution]) -> Figure:
    """Return the mean of the waits that count, in seconds."""
    waits = [one.ms for one in contributions if one.counts and one.ms is not None]
    return Figure(sum(waits) / SECOND_MS, len(waits))


def made(
    definition: str, conversation: Conversation, turn: Turn, verdict: Verdict, ms: int | None
) -> Contribution:
    """Return the contribution of a turn."""
    opened = conversation.lines[turn.opened]
    answered = turn.answered
    return Contribution(
        definition,
        conversation.id,
        conversation.customer,
        opened.at,
        turn.opened + 1,
        opened.at,
        None if answered is None else conversation.lines[answered].at,
        None if answered is None else answered + 1,
        verdict,
        ms,
        conversation.closed_at,
        turn.opens,
    )
