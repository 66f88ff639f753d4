"""What makes a conversation reopened or a repeat, what is told again and under which revision. By hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from stream import wire
from stream.core import customers, returns
from stream.core.customers import Amended, Change, Customer
from stream.core.limits import DEFAULT_LIMITS, HOUR_MS, MINUTE_MS
from stream.core.outputs import Basis, Contact, Outcome, ResponseUnit, Summary
from stream.core.platforms import day_end
from stream.core.platforms.model import Verdict
from stream.core.settling import Correction, Settled
from stream.core.state import UnsupportedVersionError

DAY = 24 * HOUR_MS
T = day_end(1_794_358_800_000) + 10 * HOUR_MS  # ten in the morning in Beijing


def summary_of(name: str, opened_at: int, closed_at: int, **fields: Any) -> Summary:
    values: dict[str, Any] = {
        "conversation_id": name,
        "revision": 1,
        "shop_id": "s-1",
        "channel": None,
        "group": None,
        "agent": "a-1",
        "customer_id": "u-1",
        "tier": None,
        "opened_at": opened_at,
        "closed_at": closed_at,
        "inferred": False,
        "category": "refund",
        "category_source": "text",
        "outcome": Outcome.UNKNOWN,
        "rating": None,
        "dissatisfaction": 0.2,
        "dissatisfaction_basis": (Basis(name="last", value=0.2, weight=1.0),),
        "metrics": {"turns": 1.0},
        "emotion": {"last": 0.2},
        "findings": {},
        "scorecard_points": 0.0,
        "scorecard": (),
        "clocks": (),
    }
    return Summary(**{**values, **fields})


def contact_of(summary: Summary) -> Contact:
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
        source_partition=3,
    )


def closed(name: str, opened_at: int, closed_at: int, **fields: Any) -> Contact:
    return contact_of(summary_of(name, opened_at, closed_at, **fields))


def opened(name: str, at: int, **fields: Any) -> Contact:
    """The contact of a conversation under way."""
    contact = closed(name, at, at, **fields)
    return replace(contact, revision=0, closed_at=None, outcome=None, summary=None)


class Told:
    """One customer, and every summary told of the conversations, the latest by id."""

    def __init__(self) -> None:
        self.customer: Customer | None = None
        self.latest: dict[str, Summary] = {}
        self.changes: list[Change] = []

    def take(self, *contacts: Contact) -> list[Amended]:
        amended: list[Amended] = []
        for contact in contacts:
            if contact.summary is not None:
                self._tell(contact.summary)
            packed = b"" if contact.summary is None else wire.pack_summary(wire.encode(contact.summary))
            change = customers.apply(DEFAULT_LIMITS, wire.unpack_summary, self.customer, contact, packed)
            self._keep(change)
            amended += change.amended
        for one in amended:
            self._tell(one.summary)
        return amended

    def advance(self, until: int) -> Change:
        assert self.customer is not None
        change = customers.advance(DEFAULT_LIMITS, wire.unpack_summary, self.customer, until)
        self._keep(change)
        return change

    def _keep(self, change: Change) -> None:
        # Through its bytes, as every runtime holds it.
        self.customer = (
            None if change.customer is None else customers.decode(customers.encode(change.customer))
        )
        self.changes.append(change)

    def _tell(self, summary: Summary) -> None:
        known = self.latest.get(summary.conversation_id)
        if known is None or known.revision < summary.revision:
            self.latest[summary.conversation_id] = summary


@pytest.fixture
def told() -> Told:
    return Told()


def test_same_matter_again_within_a_day_reopens_the_conversation_before(told: Told) -> None:
    told.take(closed("a", T, T + MINUTE_MS))
    (amended,) = told.take(opened("b", T + HOUR_MS))
    assert amended.source_partition == 3
    assert (amended.summary.conversation_id, amended.summary.revision) == ("a", 2)
    assert (amended.summary.reopened, amended.summary.followed_by) == (True, ("b",))
    assert amended.summary.repeat_contact is False
    (repeated,) = told.take(closed("b", T + HOUR_MS, T + 2 * HOUR_MS))
    assert (repeated.summary.conversation_id, repeated.summary.revision) == ("b", 2)
    assert (repeated.summary.repeat_contact, repeated.summary.reopened) == (True, False)


@pytest.mark.parametrize(("after", "reopened"), [(0, True), (DAY, True), (DAY + 1, False), (-1, False)])
def test_window_counts_from_the_close_and_holds_its_last_millisecond(
    told: Told, after: int, reopened: bool
) -> None:
    closed_at = T + MINUTE_MS
    told.take(closed("a", T, closed_at), opened("b", closed_at + after))
    told.take(closed("b", closed_at + after, closed_at + after + MINUTE_MS))
    assert told.latest["a"].reopened is reopened
    assert told.latest["b"].repeat_contact is reopened


@pytest.mark.parametrize(
    ("fields", "reopened", "repeat"),
    [
        ({"category": "logistics"}, False, True),
        ({"category": None}, False, True),
        ({"shop_id": "s-2"}, False, False),
        ({"shop_id": None}, True, True),
    ],
)
def test_what_must_agree(told: Told, fields: dict[str, Any], reopened: bool, repeat: bool) -> None:
    told.take(closed("a", T, T + 1), closed("b", T + 10, T + 20, **fields))
    assert (told.latest["a"].reopened, told.latest["b"].repeat_contact) == (reopened, repeat)


def test_unknown_customer_is_nobodys_follower(told: Told) -> None:
    told.take(closed("a", T, T + 1, customer_id=None), closed("a2", T + 10, T + 20))
    assert not told.latest["a"].reopened
    assert not told.latest["a2"].repeat_contact


def test_only_the_latest_before_it_is_charged(told: Told) -> None:
    told.take(closed("a", T, T + 1), closed("b", T + 10, T + 20), closed("c", T + 30, T + 40))
    assert [told.latest[name].followed_by for name in "abc"] == [("b",), ("c",), ()]
    # a: 1 and one follower; b: 1, one follower and a repeat; c: 1 and a repeat.
    assert [told.latest[name].revision for name in "abc"] == [2, 3, 2]


def test_of_several_before_it_the_one_that_closed_last_is_charged(told: Told) -> None:
    """a opened first and closed last: c comes after both, and a had the last word."""
    told.take(closed("a", T, T + 30), closed("b", T + 10, T + 20), closed("c", T + 40, T + 50))
    assert [told.latest[name].followed_by for name in "abc"] == [("c",), (), ()]


def test_of_two_within_one_millisecond_one_comes_after_the_other(told: Told) -> None:
    told.take(closed("b", T, T), closed("a", T, T))
    assert told.customer is not None
    a, b = told.customer.visits
    assert returns.comes_after(b, a, DAY)
    assert not returns.comes_after(a, b, DAY)
    assert [told.latest[name].followed_by for name in "ab"] == [("b",), ()]


def test_two_that_come_back_side_by_side_are_both_charged(told: Told) -> None:
    told.take(closed("a", T, T + 1), closed("b", T + 10, T + 50), closed("c", T + 20, T + 40))
    assert told.latest["a"].followed_by == ("b", "c")
    assert told.latest["a"].revision == 3


def test_a_charge_that_proves_wrong_is_taken_back_by_a_higher_revision(told: Told) -> None:
    told.take(closed("a", T, T + 1), closed("c", T + 30, T + 40))
    assert told.latest["a"].followed_by == ("c",)
    told.take(closed("b", T + 10, T + 20))  # told late: b lies between
    assert told.latest["a"].followed_by == ("b",)
    assert told.latest["a"].revision == 3
    told.take(closed("b", T + 10, T + 20, revision=2, category="logistics"))
    assert told.latest["a"].followed_by == ("c",)
    told.take(closed("c", T + 30, T + 40, revision=2, category="logistics"))
    assert (told.latest["a"].reopened, told.latest["a"].revision) == (False, 5)
    assert told.latest["a"].dissatisfaction == 0.2


def test_unrated_and_back_counts_as_dissatisfied(told: Told) -> None:
    told.take(closed("a", T, T + 1), opened("b", T + 10))
    judged = told.latest["a"]
    assert (judged.dissatisfaction, judged.outcome) == (0.7, Outcome.UNRESOLVED)
    assert judged.dissatisfaction_basis[-1] == Basis(name=returns.BASIS, value=0.7, weight=0.5)
    assert judged.dissatisfaction_basis[:-1] == (Basis(name="last", value=0.2, weight=1.0),)


def test_what_was_judged_worse_stays_and_abandoned_stays_abandoned(told: Told) -> None:
    told.take(closed("a", T, T + 1, dissatisfaction=0.9, outcome=Outcome.ABANDONED), opened("b", T + 10))
    judged = told.latest["a"]
    assert (judged.dissatisfaction, judged.outcome, judged.reopened) == (0.9, Outcome.ABANDONED, True)


def test_a_rating_that_comes_late_is_the_customers_own_word(told: Told) -> None:
    told.take(closed("a", T, T + 1), opened("b", T + 10))
    (amended,) = told.take(closed("a", T, T + 1, revision=2, rating=1.0, outcome=Outcome.RESOLVED))
    assert amended.summary.revision == 3
    assert (amended.summary.reopened, amended.summary.rating) == (True, 1.0)
    assert (amended.summary.dissatisfaction, amended.summary.outcome) == (0.2, Outcome.RESOLVED)


def test_contact_again_tells_nothing(told: Told) -> None:
    contacts = closed("a", T, T + 1), closed("b", T + 10, T + 20)
    told.take(*contacts)
    assert told.take(*contacts) == []
    assert told.changes[-1].counted == ("contact_superseded",)


def test_an_id_used_again_is_another_conversation(told: Told) -> None:
    """Where a desk has one id for a customer's whole history, coming back under it is coming back."""
    told.take(closed("a", T, T + 1), closed("a", T + HOUR_MS, T + 2 * HOUR_MS))
    first, second = told.changes[-1].amended
    assert (first.summary.opened_at, first.summary.followed_by) == (T, ("a",))
    assert (second.summary.opened_at, second.summary.repeat_contact) == (T + HOUR_MS, True)


def test_shared_id_is_bounded(told: Told) -> None:
    for number in range(customers.VISIT_LIMIT + 5):
        told.take(closed(f"c-{number:03}", T + number, T + number, category=f"k-{number}"))
    assert told.customer is not None
    assert len(told.customer.visits) == customers.VISIT_LIMIT
    assert told.customer.visits[0].conversation_id == "c-005"
    assert "contact_dropped" in told.changes[-1].counted


# Time.


def test_conversation_is_kept_a_window_and_a_day(told: Told) -> None:
    told.take(closed("a", T, T + 1))
    assert told.customer is not None
    told.advance(T + 1 + 2 * DAY)
    assert told.customer is not None
    told.advance(T + 2 + 2 * DAY)
    assert told.customer is None


def test_what_a_later_conversation_rests_on_is_not_taken_back_when_it_expires(told: Told) -> None:
    told.take(closed("a", T, T + 1), closed("b", T + DAY, T + DAY + 1))
    told.advance(T + 2 + 2 * DAY)
    assert told.customer is not None
    assert [(one.conversation_id, one.spent) for one in told.customer.visits] == [("a", True), ("b", False)]
    (amended,) = told.take(closed("b", T + DAY, T + DAY + 1, revision=2, rating=0.5))
    assert amended.summary.repeat_contact
    told.advance(T + 2 + 3 * DAY)
    assert told.customer is None


def units(*times: int, verdict: Verdict = Verdict.COUNTED, ms: int = 5_000) -> dict[str, Any]:
    found = tuple(
        ResponseUnit(opened_at=at, opened_by=1, verdict=verdict, answered_at=at + ms, answered_by=2, ms=ms)
        for at in times
    )
    return {"responses": {"jd_v1": found, "pdd_v1": found}}


def figures(settled: tuple[Settled, ...]) -> dict[tuple[str, str], tuple[float, int]]:
    return {(one.definition, one.figure): (one.numerator, one.denominator) for one in settled}


def test_day_is_settled_once_an_hour_after_it_ended_with_sessions_and_customers_merged(told: Told) -> None:
    """Two conversations eight minutes apart: one session of JD's, one customer-day of Pinduoduo's."""
    told.take(closed("a", T, T + MINUTE_MS, **units(T)))
    told.take(closed("b", T + 9 * MINUTE_MS, T + 12 * MINUTE_MS, **units(T + 9 * MINUTE_MS)))
    assert told.customer is not None
    settles_at = day_end(T) + HOUR_MS
    assert customers.due(DEFAULT_LIMITS, told.customer) == settles_at
    assert told.advance(settles_at).settled == ()
    assert figures(told.advance(settles_at + 1).settled) == {
        ("jd_v1", "first_answered_in_30s"): (1, 1),
        ("jd_v1", "first_average_seconds"): (5.0, 1),
        ("pdd_v1", "customers_answered"): (1, 1),
        ("pdd_v1", "first_answered_in_300s"): (1, 1),
    }
    assert told.advance(settles_at + DAY).settled == ()


def test_what_comes_after_the_settlement_is_a_correction(told: Told) -> None:
    told.take(closed("a", T, T + MINUTE_MS, **units(T)))
    told.advance(day_end(T) + HOUR_MS + 1)
    told.take(closed("a", T, T + MINUTE_MS, revision=2, rating=1.0, **units(T)))
    assert not told.changes[-1].corrections
    told.take(closed("b", T + HOUR_MS, T + 2 * HOUR_MS, **units(T + HOUR_MS)))
    assert told.changes[-1].corrections == (Correction("jd_v1", 1), Correction("pdd_v1", 1))
    assert told.advance(day_end(T) + 2 * HOUR_MS).settled == ()


def test_units_belong_to_the_day_in_which_they_opened(told: Told) -> None:
    late, early = day_end(T) - MINUTE_MS, day_end(T) + 10 * HOUR_MS
    told.take(closed("a", late, early + HOUR_MS, **units(late, early)))
    first = figures(told.advance(day_end(T) + HOUR_MS + 1).settled)
    second = figures(told.advance(day_end(T) + DAY + HOUR_MS + 1).settled)
    assert first["pdd_v1", "customers_answered"] == second["pdd_v1", "customers_answered"] == (1, 1)


# Bytes.


def test_record_of_a_newer_release_is_not_read() -> None:
    raw = msgspec.msgpack.encode([customers.VERSION + 1, ["u-1", 5, "unheard of"]])
    with pytest.raises(UnsupportedVersionError):
        customers.decode(raw)
    assert customers.applied_of(raw) == 5


def test_record_reads_back_and_shows_its_offset(told: Told) -> None:
    told.take(closed("a", T, T + 1), closed("b", T + 2, T + 3))
    assert told.customer is not None
    told.customer.applied = 2**40
    raw = customers.encode(told.customer)
    assert customers.decode(raw) == told.customer
    assert customers.applied_of(raw) == 2**40
