"""One customer across conversations: what was reopened, what was repeated, what the day's metrics come to.

``apply`` takes a contact and says which summaries have to be told again. What it decides depends on the
set of contacts by their own times and never on the order in which they arrive; only how far a revision
number was raised may tell that something had to be taken back. Each summary is kept, packed, for as long
as a later conversation can still change it, since the conversation itself is forgotten soon after its close.

The record is a MessagePack array with a version in front, as that of ``core.state``: fields are only ever
added at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct, field

from stream.core import returns, settling
from stream.core.limits import Limits
from stream.core.outputs import Contact, Summary
from stream.core.returns import Judgement
from stream.core.settling import Correction, Settled
from stream.core.state import UnsupportedVersionError

VERSION = 1

# A person has a handful of conversations in two days. An id with more is that of a shared account or of
# "anonymous": its record must not grow with every visitor of the shop.
VISIT_LIMIT = 64


class Visit(Struct, array_like=True, gc=False):
    """One conversation of the customer, by its latest contact.

    ``known`` is false where the contact named no customer: such a one belongs to nobody's history.
    ``packed`` is the summary, empty while there is none and once nothing can change it any more.
    ``told`` is the highest revision that was told from here, of the base revision ``base`` with
    ``followed_by`` and ``repeat``; 0 where the conversation's own summary stands as it is.
    """

    conversation_id: str
    revision: int
    opened_at: int
    closed_at: int | None
    category: str | None
    shop_id: str | None
    known: bool
    partition: int | None
    packed: bytes = b""
    told: int = 0
    base: int = 0
    followed_by: list[str] = field(default_factory=list)
    repeat: bool = False

    @property
    def ends_at(self) -> int:
        """The close, or of an open conversation its opening."""
        return self.opened_at if self.closed_at is None else self.closed_at

    @property
    def spent(self) -> bool:
        """Whether it is only kept because a later one comes after it."""
        return self.closed_at is not None and not self.packed


class Customer(Struct, array_like=True, gc=False):
    """One customer. Whoever holds a value of this owns it: it is changed in place.

    ``applied`` is the offset of the latest contact applied. Days up to ``settled`` were counted.
    """

    key: str
    applied: int = -1
    settled: int = -1
    visits: list[Visit] = field(default_factory=list)


class Amended(Struct, frozen=True, gc=False):
    """The next revision of a summary, and the partition of its conversation, where there are any."""

    summary: Summary
    source_partition: int | None


class Change(Struct, frozen=True, gc=False):
    """What a contact or the time came to; without a ``customer`` nothing of them is kept any more."""

    customer: Customer | None
    amended: tuple[Amended, ...] = ()
    settled: tuple[Settled, ...] = ()
    corrections: tuple[Correction, ...] = ()
    counted: tuple[str, ...] = ()


Unpack = Callable[[bytes], Summary]
"""Returns a packed summary; how it is packed is the wire's affair (``stream.wire.packing``)."""


def apply(
    limits: Limits, unpack: Unpack, customer: Customer | None, contact: Contact, packed: bytes
) -> Change:
    """Take a contact of the customer (``contact.key``); ``packed`` is its summary, empty without one."""
    if customer is None:
        customer = Customer(contact.key)
    visit = _visit_of(contact, packed)
    known = next((one for one in customer.visits if _same(one, visit)), None)
    if known is not None and _rank(visit) <= _rank(known):
        return Change(customer, counted=("contact_superseded",))
    corrections = _corrections(customer, unpack, known, visit)
    if known is not None:
        visit.told, visit.base = known.told, known.base
        visit.followed_by, visit.repeat = known.followed_by, known.repeat
        customer.visits.remove(known)
    customer.visits.append(visit)
    customer.visits.sort(key=returns.place)
    settled: tuple[Settled, ...] = ()
    counted: tuple[str, ...] = ()
    if len(customer.visits) > VISIT_LIMIT:
        counted = ("contact_dropped",)
        settled = _settle_alone(customer, unpack, customer.visits.pop(0))
    amended, noticed = _judge(limits, unpack, customer)
    return Change(customer, amended, settled, corrections, counted + noticed)


def advance(limits: Limits, unpack: Unpack, customer: Customer, until: int) -> Change:
    """Settle the days, and let go of the conversations, whose time is over before ``until``."""
    days = [day for day in _pending(customer) if settling.end_of(day) + limits.settle_ms < until]
    settled: tuple[Settled, ...] = ()
    if days:
        summaries = [unpack(one.packed) for one in customer.visits if one.packed]
        settled = settling.settle(summaries, customer.settled + 1, max(days))
        customer.settled = max(days)
    _let_go(limits, customer, until)
    return Change(customer if customer.visits else None, settled=settled)


def _let_go(limits: Limits, customer: Customer, until: int) -> None:
    """Drop what expired; what a later conversation rests on stays, without its summary."""
    whole: list[Visit] = []
    expired: list[Visit] = []
    for visit in customer.visits:
        (expired if visit.spent or _expires(limits, visit) < until else whole).append(visit)
    for visit in expired:
        visit.packed = b""
    kept = [*whole, *(one for one in expired if _rests_on(limits, whole, one))]
    customer.visits = sorted(kept, key=returns.place)


def _rests_on(limits: Limits, whole: Sequence[Visit], expired: Visit) -> bool:
    return any(returns.comes_after(later, expired, limits.reopen_ms) for later in whole)


def due(limits: Limits, customer: Customer) -> int:
    """Return when something of the customer's comes due, in milliseconds UTC."""
    moments = [_expires(limits, one) for one in customer.visits if not one.spent]
    moments += (settling.end_of(day) + limits.settle_ms for day in _pending(customer))
    return min(moments, default=0)


# Visits.


def _visit_of(contact: Contact, packed: bytes) -> Visit:
    return Visit(
        contact.conversation_id,
        contact.revision,
        contact.opened_at,
        contact.closed_at,
        contact.category,
        contact.shop_id,
        contact.customer_id is not None,
        contact.source_partition,
        packed,
    )


def _same(one: Visit, other: Visit) -> bool:
    """Whether both are of one life of a conversation: an id may be used again after the close."""
    return (
        one.conversation_id == other.conversation_id
        and one.opened_at <= other.ends_at
        and other.opened_at <= one.ends_at
    )


def _rank(visit: Visit) -> tuple[int, int, int]:
    """Return what contacts of one conversation are compared by: the revision, and where equal the span."""
    return visit.revision, visit.ends_at, -visit.opened_at


def _expires(limits: Limits, visit: Visit) -> int:
    return visit.ends_at + limits.reopen_ms + limits.contact_late_ms


# Reopened and repeated.


def _judge(limits: Limits, unpack: Unpack, customer: Customer) -> tuple[tuple[Amended, ...], tuple[str, ...]]:
    """Return the summaries that are to be told again, and what happened for the first time."""
    amended: list[Amended] = []
    noticed: list[str] = []
    judgements = returns.judge(customer.visits, limits.reopen_ms)
    for visit, judgement in zip(customer.visits, judgements, strict=True):
        if not visit.packed:
            continue
        if judgement.followed_by and not visit.followed_by:
            noticed.append("conversation_reopened")
        if judgement.repeat and not visit.repeat:
            noticed.append("repeat_contact")
        revision = _next_revision(visit, judgement)
        visit.base, visit.followed_by = visit.revision, list(judgement.followed_by)
        visit.repeat = judgement.repeat
        if revision is not None:
            visit.told = revision
            summary = returns.amended(unpack(visit.packed), judgement, revision)
            amended.append(Amended(summary, visit.partition))
    return tuple(amended), tuple(noticed)


def _next_revision(visit: Visit, judgement: Judgement) -> int | None:
    """Return the revision to tell; None where what was told last is complete.

    A summary with nothing to amend is told again only to take back what was amended: where its own
    revision is the higher one already, that does.
    """
    if not visit.told and not judgement.weight:
        return None
    same = visit.followed_by == list(judgement.followed_by) and visit.repeat == judgement.repeat
    if visit.told and visit.base == visit.revision and same:
        return None
    if not judgement.weight and visit.revision > visit.told:
        return None
    return max(visit.revision + judgement.weight, visit.told + 1)


# Metrics of the day.


def _pending(customer: Customer) -> list[int]:
    """Return the days that units may belong to and that are not settled."""
    found: set[int] = set()
    for visit in customer.visits:
        if visit.packed:
            found.update(settling.days_of(visit.opened_at, visit.ends_at))
    return [day for day in found if day > customer.settled]


def _settle_alone(customer: Customer, unpack: Unpack, visit: Visit) -> tuple[Settled, ...]:
    if not visit.packed:
        return ()
    days = settling.days_of(visit.opened_at, visit.ends_at)
    return settling.settle([unpack(visit.packed)], customer.settled + 1, days[-1])


def _corrections(
    customer: Customer, unpack: Unpack, before: Visit | None, now: Visit
) -> tuple[Correction, ...]:
    if not now.packed or settling.days_of(now.opened_at, now.ends_at)[0] > customer.settled:
        return ()
    if before is not None and before.spent:
        return ()  # what stood there is not known any more
    known = None if before is None or not before.packed else unpack(before.packed)
    return settling.corrections(known, unpack(now.packed), customer.settled)


# Bytes.


class _Record(Struct, array_like=True, gc=False):
    version: int
    customer: Customer


class _Head(Struct, array_like=True, gc=False):
    key: str
    applied: int


class _Start(Struct, array_like=True, gc=False):
    version: int
    head: _Head


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)
_start = msgspec.msgpack.Decoder(_Start)


def encode(customer: Customer) -> bytes:
    """Return the customer's record."""
    return _encoder.encode(_Record(VERSION, customer))


def decode(raw: bytes) -> Customer:
    """Return the customer of a record.

    Raises:
        UnsupportedVersionError: The record is newer than this release.
        msgspec.MsgspecError: The bytes are no record.
    """
    # As in core.state: fixarray(2), then the version. Another one cannot be older than the first.
    if raw[:2] != bytes((0x92, VERSION)):
        version = _start.decode(raw).version
        raise UnsupportedVersionError(
            f"customer record of version {version}; this release reads up to {VERSION}"
        )
    return _decoder.decode(raw).customer


def applied_of(raw: bytes) -> int:
    """Return the applied offset of a record without reading the rest of it.

    Raises:
        msgspec.MsgspecError: The bytes are no record.
    """
    return _start.decode(raw).head.applied
