"""What holds for any text, any delay, any order of events."""

from __future__ import annotations

import json
import unicodedata
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.clip import ELLIPSIS, clip, clip_to_fit
from alerts.config import ReceiverConfig, ReceiverType, Secret
from alerts.lane import Lane
from alerts.model import AlertStatus, Link, Notification, Reason, Severity
from alerts.net import AllowPrivate, may_connect
from alerts.receivers import RECEIVERS, dingtalk, feishu, webhook, wecom
from alerts.retry import (
    RETRY_AFTER_CAP_MS,
    Answer,
    Next,
    RetryPolicy,
    Verdict,
    decide,
    judge_status,
    parse_retry_after,
)
from alerts.testing import NOW_MS, sample_alert, sample_notification
from alerts.wire import DEFAULT_ZONE, epoch_ms, rfc3339

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.text(
    '客e\u0301👩\u200d👧👍🏽❤\ufe0f"\\\n<>@', max_size=60
)


@given(texts, st.integers(0, 300))
def test_clipping_never_exceeds_the_limit_nor_splits_a_character(text: str, limit: int) -> None:
    cut = clip(text, limit)
    assert len(cut.encode()) <= limit
    if cut == text:
        return
    assert len(text.encode()) > limit
    assert cut == "" or (cut.endswith(ELLIPSIS) and text.startswith(cut.removesuffix(ELLIPSIS)))


@given(texts, st.integers(0, 300))
def test_clipping_wastes_no_more_than_a_cluster(text: str, limit: int) -> None:
    cut = clip(text, limit)
    if cut in (text, ""):
        return
    kept = cut.removesuffix(ELLIPSIS)
    end = len(kept) + 1
    while end < len(text) and (
        unicodedata.category(text[end]).startswith("M")
        or text[end] == "\u200d"
        or text[end - 1] == "\u200d"
        or "\U0001f3fb" <= text[end] <= "\U0001f3ff"
    ):
        end += 1
    assert len(text[:end].encode()) + len(ELLIPSIS.encode()) > limit


def test_clipping_keeps_clusters_whole() -> None:
    family = "👩\u200d👧"
    assert clip("客户" + family, 6 + 3 + 7) == "客户…"
    assert clip("cafe\u0301 au lait", 4 + 3) == "caf…"
    assert clip("客户", 6) == "客户"
    assert clip("客户", 5) == "…"
    assert clip("客户", 2) == ""


@given(texts, st.integers(0, 400))
def test_clipping_to_fit_finds_the_longest_that_fits(text: str, limit: int) -> None:
    def size(cut: str) -> int:
        return len(json.dumps(cut).encode())

    cut = clip_to_fit(text, size, limit)
    assert size(cut) <= limit or cut == ""


long_texts = st.builds(lambda text, times: text * times, texts, st.sampled_from([0, 1, 7, 300]))


@pytest.mark.parametrize("type_", list(RECEIVERS))
@given(data=st.data())
def test_every_body_is_json_within_its_platforms_limit(type_: ReceiverType, data: st.DataObject) -> None:
    def draw() -> str:
        return str(data.draw(long_texts))

    finding = msgspec.structs.replace(
        sample_alert().findings[0], evidence=draw(), why=draw(), advice=draw(), rule_id=draw(), subject=draw()
    )
    alert = sample_alert(
        conversation_id=draw(),
        title=draw(),
        body=draw(),
        dedup_key=draw(),
        audiences=data.draw(st.lists(texts, max_size=40)),
        labels=data.draw(st.dictionaries(texts, long_texts, max_size=30)),
        links=[Link(rel=draw(), href=draw())] * data.draw(st.sampled_from([0, 1, 50])),
        findings=[finding] * data.draw(st.sampled_from([0, 1, 40])),
        status=data.draw(st.sampled_from(AlertStatus)),
        severity=data.draw(st.sampled_from(Severity)),
    )
    secrets = () if type_ is ReceiverType.WECOM else (Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),)
    receiver = RECEIVERS[type_](ReceiverConfig("r", type_, Secret("https://x/y"), secrets), DEFAULT_ZONE)
    body = receiver.payload(sample_notification(alert), NOW_MS).body
    document = json.loads(body.decode())
    if type_ is ReceiverType.WECOM:
        assert len(document["markdown"]["content"].encode()) <= wecom.CONTENT_LIMIT
    else:
        limits: dict[Any, int] = {
            ReceiverType.DINGTALK: dingtalk.BODY_LIMIT,
            ReceiverType.FEISHU: feishu.BODY_LIMIT,
            ReceiverType.WEBHOOK: webhook.BODY_LIMIT - 1,
        }
        assert len(body) <= limits[type_]


policies = st.builds(
    RetryPolicy,
    base_ms=st.integers(1, 10_000),
    cap_ms=st.integers(1, 10_000_000),
    horizon_ms=st.integers(1, 10**9),
    max_attempts=st.integers(0, 5),
)


@given(policies, st.integers(0, 10**6), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_delays_grow_to_the_cap_and_stay_within(policy: RetryPolicy, a: int, b: int, rng: Random) -> None:
    few, many = sorted((a, b))
    assert policy.ceiling_ms(few) <= policy.ceiling_ms(many) <= policy.cap_ms
    assert 0 <= policy.delay_ms(many, rng) <= policy.ceiling_ms(many)


answers = st.sampled_from([Answer.RETRY, Answer.UNREACHABLE, Answer.THROTTLED])


@given(
    policies,
    st.builds(
        Verdict,
        answers,
        st.just(Reason.UNAVAILABLE),
        st.none(),
        st.none() | st.integers(0, 10**13),
        st.none() | st.integers(0, 10**16),
    ),
    st.integers(1, 50),
    st.integers(0, 10**9),
    st.randoms(use_true_random=False),
)
def test_another_attempt_is_never_past_the_horizon_nor_before_it_was_asked(
    policy: RetryPolicy, verdict: Verdict, attempt: int, age: int, rng: Random
) -> None:
    now = NOW_MS + age
    entry = sample_notification(attempt=attempt, created_at=NOW_MS)
    decision = decide(policy, entry, verdict, failures_in_a_row=attempt, now_ms=now, rng=rng)
    if decision.next is Next.FAILED:
        assert decision.reason in (Reason.HORIZON, Reason.MAX_ATTEMPTS)
        assert decision.at is None
    else:
        assert decision.next is Next.AGAIN
        assert decision.at is not None
        assert now <= decision.at <= NOW_MS + policy.horizon_ms
        assert policy.max_attempts == 0 or attempt < policy.max_attempts
        if verdict.retry_after_ms is not None:
            assert decision.at >= now + min(verdict.retry_after_ms, RETRY_AFTER_CAP_MS)
    assert (decision.rest_until is not None) == (verdict.answer is not Answer.RETRY)
    assert not decision.disable


@given(st.integers(100, 999), st.text(max_size=30))
def test_every_status_and_any_retry_after_has_a_verdict(status: int, retry_after: str) -> None:
    verdict = judge_status(status, {"Retry-After": retry_after})
    assert (verdict.answer is Answer.ACCEPTED) == (200 <= status < 300)
    assert (verdict.reason is None) == (200 <= status < 300)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", (0, None)),
        (" 120 ", (120_000, None)),
        ("9" * 5000, (RETRY_AFTER_CAP_MS, None)),
        ("Wed, 11 Nov 2026 12:00:03 GMT", (None, 1_794_398_403_000)),
        ("-1", (None, None)),
        ("1.5", (None, None)),
        ("１２", (None, None)),
        ("soon", (None, None)),
        ("", (None, None)),
        (None, (None, None)),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_or_not_at_all(
    value: str | None, expected: tuple[int | None, int | None]
) -> None:
    assert parse_retry_after(value) == expected


@given(st.integers(-(10**12), 4 * 10**12))
def test_times_come_back_from_the_wire(at_ms: int) -> None:
    assert epoch_ms(rfc3339(at_ms)) == at_ms


@given(st.ip_addresses())
def test_a_refused_address_stays_refused_when_wrapped_in_ipv6(address: Any) -> None:
    nothing = AllowPrivate()
    if address.version == 4 and not may_connect(str(address), nothing):
        assert not may_connect(f"::ffff:{address}", nothing)
        assert not may_connect(f"64:ff9b::{address}", nothing)
        assert not may_connect(f"::{address}", nothing)


tellings = st.builds(
    lambda conversation, status, step, at, receiver: sample_notification(
        sample_alert(f"c-{conversation}", status=status, step=step, at=NOW_MS + at),
        next_attempt_at=NOW_MS + at,
    ),
    st.integers(0, 4),
    st.sampled_from(AlertStatus),
    st.integers(0, 2),
    st.integers(0, 20),
    st.just("hook"),
)


@given(st.lists(tellings, max_size=25, unique_by=lambda e: e.notification_id), st.data())
def test_a_lane_hands_out_each_entry_once_and_never_two_of_an_alert(
    entries: list[Notification], data: st.DataObject
) -> None:
    lane, flying, done = Lane(), dict[str, Notification](), list[str]()
    waiting, now = list(entries), NOW_MS
    while waiting or len(lane):
        action = data.draw(st.sampled_from(["add", "take", "finish", "again", "later"]))
        if action == "add" and waiting:
            lane.add(waiting.pop())
        elif action == "take" and (taken := lane.take(now)) is not None:
            assert taken.next_attempt_at <= now
            assert taken.alert_id not in {entry.alert_id for entry in flying.values()}
            flying[taken.notification_id] = taken
        elif action == "finish" and flying:
            id_, _ = flying.popitem()
            lane.remove(id_)
            done.append(id_)
        elif action == "again" and flying:
            _, entry = flying.popitem()
            lane.put_back(msgspec.structs.replace(entry, next_attempt_at=now + 1))
        else:
            now += 1
            if waiting:
                lane.add(waiting.pop())
            while (taken := lane.take(now)) is not None:
                flying[taken.notification_id] = taken
            while now > NOW_MS + 60 and flying:
                id_, _ = flying.popitem()
                lane.remove(id_)
                done.append(id_)
        assert lane.in_flight == len(flying)
    assert sorted(done) == sorted(entry.notification_id for entry in entries)
    assert lane.next_at() is None
