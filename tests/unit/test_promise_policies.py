"""Policies of promises: what they ask for, what is refused, and the book that reads by packs as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.packs import PackError, open_book
from stream.packs.books import Books
from stream.runtime.knowledge import of_book, open_knowledge
from tests.contract.day import write_packs
from tests.golden.dialogues import pack_sets

POLICY = """
pack: ola.more
version: 1
title: 更多
clocks:
  - {{id: ola.more.one, clock: {clock}, {times}, match: {{shop_id: [s-9], {match}}},
     severity: {{breach: low}}, why: {{breach: x}}}}
"""


def files() -> dict[str, str]:
    (packs,) = pack_sets()["promises"]
    return dict(packs)


@pytest.mark.parametrize(
    ("clock", "times", "match", "message"),
    [
        ("promise", "calendar: desk, target: 3m", "tier: [a]", "target: the target of a promise is what was"),
        (
            "call_back",
            "calendar: desk, warn: [3m]",
            "tier: [a]",
            "warn: the target of a call_back is what was",
        ),
        (
            "leg",
            "target: 3m, warn_before: [1m]",
            "tier: [a]",
            "warn_before: the target of a leg is the policy's",
        ),
        ("leg", "target: 3m, grace: 1m", "tier: [a]", "grace: the target of a leg is the policy's"),
        ("leg", "calendar: desk", "tier: [a]", "clock ola.more.one: missing 'target'"),
        ("promise", "grace: 1m", "tier: [a]", "clock ola.more.one: missing 'calendar'"),
        ("promise", "calendar: desk", "promise: [shp]", "promise: expected one of hold, reply, check, ship"),
        (
            "promise",
            "calendar: desk",
            "deadline: [soon]",
            "deadline: expected one of said, vague, got 'soon'",
        ),
    ],
)
def test_a_fault_of_a_policy_is_told(
    tmp_path: Path, clock: str, times: str, match: str, message: str
) -> None:
    written = POLICY.format(clock=clock, times=times, match=match)
    with pytest.raises(PackError) as caught:
        open_book([write_packs(files() | {"ola/more.yaml": written}, tmp_path)])
    assert any(problem.message.startswith(message) for problem in caught.value.problems)


def test_a_warning_that_would_come_before_the_promise_is_left_out(tmp_path: Path) -> None:
    policy = open_book([write_packs(files(), tmp_path)]).clock_policy_by_id("ola.promise.rest")
    assert policy is not None
    minute = 60_000
    assert policy.moments_until(1_000, 1_000 + 11 * minute, 1_000) == ([minute, 11 * minute], 1)
    assert policy.moments_until(1_000, 1_000 + 10 * minute, 1_000) == ([10 * minute], 0)


def test_texts_are_read_for_promises_only_where_a_policy_asks(tmp_path: Path) -> None:
    asked = open_knowledge([write_packs(files(), tmp_path / "asked")])
    plain = open_knowledge(
        [write_packs({name: text for name, text in files().items() if name[:3] != "ola"}, tmp_path / "plain")]
    )
    said = [len(known.annotator.annotate(["您稍等"], [False])[0].said) for known in (asked, plain)]
    assert said == [1, 0]


def test_a_change_of_what_promises_are_read_by_is_another_book(tmp_path: Path) -> None:
    root = write_packs(files(), tmp_path)
    books = Books([root], build=of_book, monotonic=lambda: 0.0)
    before = books.current
    changed = files()["promise/shop.yaml"].replace("within: 3m", "within: 5m")
    write_packs({"promise/shop.yaml": changed}, tmp_path)
    assert books.reload().ok
    assert books.current.book.version != before.book.version
    (told,) = books.current.annotator.annotate(["您稍等"], [False])[0].said
    (once,) = before.annotator.annotate(["您稍等"], [False])[0].said
    assert (told.deadline, once.deadline) == ((300_000,), (180_000,))


def test_a_promise_pack_that_fails_its_own_tests_changes_nothing(tmp_path: Path) -> None:
    root = write_packs(files(), tmp_path)
    books = Books([root], build=of_book, monotonic=lambda: 0.0)
    before = books.current
    write_packs(
        {"promise/shop.yaml": files()["promise/shop.yaml"].replace("say: [稍等]", "say: [等等]")}, tmp_path
    )
    result = books.reload()
    assert not result.ok
    assert "promise.shop.wait" in result.problems[0].message
    assert books.current is before
