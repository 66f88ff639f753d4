"""How often an address may ask: worked by hand, in time that is given."""

from __future__ import annotations

import pytest

from stream.runtime.buckets import MOST_KEYS, Buckets, owner_of


def test_two_seconds_worth_at_once_then_one_at_a_time() -> None:
    buckets = Buckets(4)
    assert [buckets.take("a", 10.0) for _ in range(8)] == [0.0] * 8
    assert buckets.take("a", 10.0) == pytest.approx(0.25)
    assert buckets.take("a", 10.25) == 0
    assert buckets.take("a", 10.25) == pytest.approx(0.25)


def test_being_turned_away_costs_nothing() -> None:
    buckets = Buckets(1)
    assert [buckets.take("a", 0.0) for _ in range(2)] == [0.0, 0.0]
    for _ in range(1_000):
        assert buckets.take("a", 0.5) == pytest.approx(0.5)
    assert buckets.take("a", 1.0) == 0


def test_over_a_long_time_no_more_than_the_rate_is_let_in() -> None:
    buckets = Buckets(100)
    let_in = sum(buckets.take("a", number / 1_000) == 0 for number in range(10_000))
    assert let_in == 200 + 999  # ten seconds less a millisecond, and what is given at once


def test_addresses_do_not_share() -> None:
    buckets = Buckets(1)
    assert [buckets.take(key, 0.0) for key in "aabb"] == [0.0] * 4
    assert buckets.take("a", 0.0) > 0


def test_memory_is_bounded_and_the_quiet_are_forgotten_first() -> None:
    buckets = Buckets(1)
    for _ in range(3):
        buckets.take("busy", 0.0)
    for number in range(MOST_KEYS * 3):
        buckets.take(f"k-{number}", 0.0)
        if number % 100 == 0:
            buckets.take("busy", number / 100)
    assert len(buckets) == MOST_KEYS
    assert buckets.take("busy", MOST_KEYS * 3 / 100) > 0, "remembered: it has used its allowance"
    assert buckets.take("k-0", 0.0) == 0, "forgotten"


def test_an_ipv6_customer_is_one_owner_whatever_address_he_takes() -> None:
    assert owner_of("2001:db8:1:2::1") == owner_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::"
    assert owner_of("2001:db8:1:3::1") != owner_of("2001:db8:1:2::1")
    assert owner_of("::ffff:192.0.2.7") == owner_of("192.0.2.7") == "192.0.2.7"
    assert owner_of("fe80::1%eth0") == owner_of("fe80::2%eth0")
    assert owner_of("a path") == "a path"
