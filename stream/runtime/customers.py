"""The customers of one partition: contacts in, amended summaries and changed records out.

The counterpart of ``stream.runtime.conversations`` for ``stream.core.customers``, and as that one it does
no I/O: it holds the records as bytes and a heap of what comes due, and returns what the runtime must make
durable. A contact whose offset the record already holds is skipped; one that it does not hold tells the
same summaries under the same revisions.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream import wire
from stream.core import customers
from stream.core.customers import Amended, Change, Customer
from stream.core.events import Received, Tick
from stream.core.limits import Limits
from stream.core.outputs import Contact
from stream.core.settling import Correction, Settled
from stream.runtime.conversations import Input, Record

# Stale heap entries are swept when they outnumber the customers so many times over.
_SWEEP_FACTOR = 4
_SWEEP_MINIMUM = 1024


class Contacted(NamedTuple):
    """One contact, its summary packed (empty where there is none), and where it stood."""

    contact: Contact
    packed: bytes
    offset: int = -1


class _Held(NamedTuple):
    raw: bytes
    due: int


@dataclass(slots=True)
class Told:
    """What contacts or the time came to.

    ``changed`` holds the new bytes of every customer that was touched, ``forgotten`` those that are gone.
    ``settled`` and ``corrections`` are for the metrics alone and are not published.
    """

    amended: list[Amended] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    changed: dict[str, bytes] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    counted: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    def add(self, change: Change) -> None:
        """Add what one contact or one customer's time came to."""
        self.amended.extend(change.amended)
        self.settled.extend(change.settled)
        self.corrections.extend(change.corrections)
        self.counted.update(change.counted)

    def merge(self, later: Told) -> None:
        """Add what came after this."""
        for name in ("amended", "settled", "corrections"):
            getattr(self, name).extend(getattr(later, name))
        self.forgotten -= later.changed.keys()
        self.forgotten |= later.forgotten
        for key in later.forgotten:
            self.changed.pop(key, None)
        self.changed.update(later.changed)
        self.counted.update(later.counted)
        self.skipped += later.skipped


class Customers:
    """All customers of one partition (or of the whole embedded runtime) who may come back."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._dues: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._held)

    def state_bytes(self) -> int:
        """Return the size of all records held."""
        return sum(len(held.raw) for held in list(self._held.values()))

    def raw(self) -> Iterator[tuple[str, bytes]]:
        """Yield every customer's key and record."""
        for key, held in self._held.items():
            yield key, held.raw

    def load(self, limits: Limits, key: str, raw: bytes) -> None:
        """Take a record back from durable storage, and its next due moment with it.

        Raises:
            stream.core.state.UnsupportedVersionError: A newer release wrote the record.
        """
        self._hold(key, _Held(raw, customers.due(limits, customers.decode(raw))))

    def apply(self, limits: Limits, contacts: Sequence[Contacted]) -> Told:
        """Apply contacts in order. What was written is held when all are done: a failure changes nothing."""
        told = Told()
        working: dict[str, Customer] = {}
        for contact, packed, offset in contacts:
            key = contact.key
            customer = working.get(key)
            if customer is None and key in self._held:
                customer = customers.decode(self._held[key].raw)
            if customer is not None and 0 <= offset <= customer.applied:
                told.skipped += 1
                continue
            change = customers.apply(limits, wire.unpack_summary, customer, contact, packed)
            told.add(change)
            assert change.customer is not None
            working[key] = change.customer
            if offset >= 0:
                change.customer.applied = offset
        self._commit(limits, working, told)
        return told

    def advance(self, limits: Limits, until: int, most: int | None = None) -> Told:
        """Let what is due before ``until`` come due, of at most so many customers."""
        told = Told()
        done = 0
        while most is None or done < most:
            at = self.next_due()
            if at is None or at >= until:
                break
            _, key = heapq.heappop(self._dues)
            customer = customers.decode(self._held[key].raw)
            change = customers.advance(limits, wire.unpack_summary, customer, until)
            told.add(change)
            self._commit(limits, {key: change.customer}, told)
            done += 1
        return told

    def next_due(self) -> int | None:
        """Return when the next day is to be settled, or the next conversation let go, in milliseconds UTC."""
        while self._dues:
            at, key = self._dues[0]
            held = self._held.get(key)
            if held is not None and held.due == at:
                return at
            heapq.heappop(self._dues)  # superseded
        return None

    def _commit(self, limits: Limits, written: Mapping[str, Customer | None], told: Told) -> None:
        for key, customer in written.items():
            if customer is None:
                del self._held[key]
                told.changed.pop(key, None)
                told.forgotten.add(key)
                continue
            raw = customers.encode(customer)
            self._hold(key, _Held(raw, customers.due(limits, customer)))
            told.changed[key] = raw
            told.forgotten.discard(key)

    def _hold(self, key: str, held: _Held) -> None:
        self._held[key] = held
        heapq.heappush(self._dues, (held.due, key))
        if len(self._dues) > max(_SWEEP_MINIMUM, _SWEEP_FACTOR * len(self._held)):
            self._dues = [(one.due, name) for name, one in self._held.items()]
            heapq.heapify(self._dues)


def contacted(records: Iterable[Record]) -> list[Contacted]:
    """Return the contacts among the records of a batch, for a runtime that hands them on at once."""
    return [
        Contacted(record, b"" if record.summary is None else wire.pack_summary(wire.encode(record.summary)))
        for record in records
        if isinstance(record, Contact)
    ]


def last_tick(inputs: Iterable[Input]) -> int | None:
    """Return up to when the ticks among the inputs let time come."""
    return max(
        (
            entry.item.t
            for entry in inputs
            if isinstance(entry.item, Received) and isinstance(entry.item.event, Tick)
        ),
        default=None,
    )
