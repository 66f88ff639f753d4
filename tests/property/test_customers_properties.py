"""What is told of a customer's conversations depends on the contacts by their times, not on their arrival."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stream import wire
from stream.core import customers, returns
from stream.core.customers import Customer
from stream.core.limits import DEFAULT_LIMITS, HOUR_MS
from stream.core.outputs import Contact, Outcome, Summary
from stream.runtime.customers import Contacted, Customers, Told, contacted

START = 1_794_358_800_000
WINDOW = DEFAULT_LIMITS.reopen_ms

# Few moments, so that closes and openings meet each other and the window's edge.
HOURS = st.sampled_from((0, 1, 2, 23, 24, 25, 26, 47, 48, 49))
OPTIONAL = st.none() | st.sampled_from(("x", "y"))


@st.composite
def conversations(draw: st.DrawFn) -> list[Contact]:
    """A customer's contacts: of each conversation the first words, and one to three revisions."""
    contacts: list[Contact] = []
    for number in range(draw(st.integers(1, 5))):
        opened_at = START + draw(HOURS) * HOUR_MS
        name, shop = f"c-{number}", draw(OPTIONAL)
        closed_at = opened_at
        early = _contact(_summary(name, opened_at, opened_at, 0, shop, draw(OPTIONAL), None))
        contacts.append(replace(early, closed_at=None, outcome=None, summary=None))
        for revision in range(1, draw(st.integers(0, 3)) + 1):
            closed_at += draw(st.sampled_from((0, 1, HOUR_MS, 24 * HOUR_MS)))
            rating = draw(st.sampled_from((None, None, 0.2, 1.0)))
            summary = _summary(name, opened_at, closed_at, revision, shop, draw(OPTIONAL), rating)
            contacts.append(_contact(summary))
    return contacts


def _summary(
    name: str,
    opened_at: int,
    closed_at: int,
    revision: int,
    shop: str | None,
    category: str | None,
    rating: float | None,
) -> Summary:
    values: dict[str, Any] = dict.fromkeys(Summary.__struct_fields__)
    del values["responses"], values["bot_outcome"], values["issues"]
    values |= {
        "conversation_id": name,
        "revision": revision,
        "shop_id": shop,
        "customer_id": "u-1",
        "opened_at": opened_at,
        "closed_at": closed_at,
        "inferred": False,
        "category": category,
        "outcome": Outcome.UNKNOWN,
        "rating": rating,
        "dissatisfaction": 0.1,
        "dissatisfaction_basis": (),
        "followed_by": (),
        "reopened": False,
        "repeat_contact": False,
        "scorecard_points": 0.0,
    }
    values |= dict.fromkeys(("scorecard", "clocks"), ())
    values |= {name: {} for name in ("metrics", "emotion", "findings", "counted")}
    return Summary(**values)


def _contact(summary: Summary) -> Contact:
    return Contact(
        customer_id=summary.customer_id,
        conversation_id=summary.conversation_id,
        revision=summary.revision,
        shop_id=summary.shop_id,
        category=summary.category,
        opened_at=summary.opened_at,
        closed_at=summary.closed_at,
        outcome=summary.outcome,
        rating=summary.rating,
        summary=summary,
    )


def tell(contacts: Sequence[Contact]) -> tuple[dict[str, Summary], list[Summary]]:
    """Return the record of each conversation that counts for a reader, and those told by the customer's side.

    A conversation's own records come in the order of its revisions, whatever becomes of its contacts.
    """
    latest: dict[str, Summary] = {}
    for contact in sorted(contacts, key=lambda one: one.revision):
        if contact.summary is not None:
            latest[contact.conversation_id] = contact.summary
    customer: Customer | None = None
    told: list[Summary] = []
    for contact in contacts:
        packed = b"" if contact.summary is None else wire.pack_summary(wire.encode(contact.summary))
        change = customers.apply(DEFAULT_LIMITS, wire.unpack_summary, customer, contact, packed)
        assert change.customer is not None
        customer = customers.decode(customers.encode(change.customer))
        told += [one.summary for one in change.amended]
    for summary in told:
        if summary.revision > latest[summary.conversation_id].revision:
            latest[summary.conversation_id] = summary
    return latest, told


def content(latest: dict[str, Summary]) -> dict[str, Summary]:
    return {name: replace(summary, revision=0) for name, summary in latest.items()}


@given(conversations(), st.randoms())
def test_any_order_of_arrival_tells_the_same(contacts: list[Contact], random: Random) -> None:
    shuffled = list(contacts)
    random.shuffle(shuffled)
    assert content(tell(shuffled)[0]) == content(tell(contacts)[0])


@given(conversations(), st.randoms())
def test_revisions_ascend_and_the_last_is_complete(contacts: list[Contact], random: Random) -> None:
    random.shuffle(contacts)
    latest, told = tell(contacts)
    seen: dict[str, int] = {}
    for summary in told:
        assert summary.revision > seen.get(summary.conversation_id, 0)
        seen[summary.conversation_id] = summary.revision
    for name, (followed_by, repeat) in expected(contacts).items():
        if name in latest:
            summary = latest[name]
            assert (set(summary.followed_by), summary.repeat_contact) == (followed_by, repeat)
            assert summary.reopened is bool(followed_by)
            lifted = bool(followed_by) and summary.rating is None
            assert summary.dissatisfaction == (returns.BACK_UNRATED if lifted else 0.1)
            assert summary.outcome is (Outcome.UNRESOLVED if lifted else Outcome.UNKNOWN)


def expected(contacts: Sequence[Contact]) -> dict[str, tuple[set[str], bool]]:
    """Return by the words of the definition, one pair after another, what each conversation is."""
    last = {one.conversation_id: one for one in sorted(contacts, key=lambda one: one.revision)}
    followers: dict[str, set[str]] = {name: set() for name in last}
    repeats = dict.fromkeys(last, False)
    for name, later in last.items():
        before = [
            earlier
            for other, earlier in last.items()
            if other != name
            and earlier.closed_at is not None
            and earlier.closed_at <= later.opened_at <= earlier.closed_at + WINDOW
            and (earlier.opened_at, other) < (later.opened_at, name)
            and (None in (earlier.shop_id, later.shop_id) or earlier.shop_id == later.shop_id)
        ]
        repeats[name] = bool(before)
        alike = [one for one in before if one.category == later.category and one.category is not None]
        if alike:
            charged = max(alike, key=lambda one: (one.closed_at or 0, one.opened_at, one.conversation_id))
            followers[charged.conversation_id].add(name)
    return {name: (followers[name], repeats[name]) for name in last}


@given(conversations())
def test_in_the_order_of_time_a_revision_is_raised_by_what_is_amended(contacts: list[Contact]) -> None:
    """And by no more, unless something had to be taken back: then it only has to be higher."""
    latest, told = tell(contacts)
    own = {one.conversation_id: one.revision for one in contacts}
    for name, summary in latest.items():
        weight = len(summary.followed_by) + summary.repeat_contact
        if weight and sum(one.conversation_id == name for one in told) == 1:
            assert summary.revision == own[name] + weight


@given(conversations(), st.data())
def test_any_batches_and_a_restart_between_them_tell_the_same(
    contacts: list[Contact], data: st.DataObject
) -> None:
    """And what is read again after the restart is skipped where the records hold it."""
    inputs = [
        Contacted(one, b"" if one.summary is None else wire.pack_summary(wire.encode(one.summary)), offset)
        for offset, one in enumerate(contacts)
    ]
    at_once = Customers()
    told = at_once.apply(DEFAULT_LIMITS, inputs)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(inputs)))) | {0, len(inputs)})
    pieces, again = Customers(), Told()
    for start, end in pairwise(cuts):
        pieces = restarted(pieces)
        reread = data.draw(st.integers(0, start))
        again.merge(pieces.apply(DEFAULT_LIMITS, inputs[reread:end]))
    assert again.amended == told.amended
    assert dict(pieces.raw()) == dict(at_once.raw())
    assert pieces.next_due() == at_once.next_due()


def restarted(customers_: Customers) -> Customers:
    fresh = Customers()
    for key, raw in customers_.raw():
        fresh.load(DEFAULT_LIMITS, key, raw)
    return fresh


@given(conversations())
def test_time_lets_everybody_go_and_tells_nothing_again(contacts: list[Contact]) -> None:
    held = Customers()
    held.apply(DEFAULT_LIMITS, [Contacted(one, b"") for one in contacts if one.summary is None])
    held.apply(DEFAULT_LIMITS, contacted(one for one in contacts if one.summary is not None))
    steps = 0
    while (at := held.next_due()) is not None:
        told = held.advance(DEFAULT_LIMITS, at + 1, 1)
        assert not told.amended
        assert told.changed or told.forgotten
        steps += 1
        assert steps < 100
    assert len(held) == 0


@given(conversations(), st.data())
def test_a_contact_again_changes_nothing(contacts: list[Contact], data: st.DataObject) -> None:
    repeated = [*contacts, *data.draw(st.lists(st.sampled_from(contacts), max_size=4))]
    assert tell(repeated) == tell(contacts)
