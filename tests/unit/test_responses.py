"""From events to the units of response metrics: late, repeated, too many, passed on, left, and chosen."""

from __future__ import annotations

from typing import Any

from stream.core.book import RuleBook
from stream.core.engine import advance, step
from stream.core.limits import HOUR_MS, MINUTE_MS, Limits
from stream.core.lines import LINE_LIMIT
from stream.core.outputs import Summary
from stream.core.platforms import DEFINITIONS, told
from stream.core.responses import contributions_of, customer_of
from tests.property.chats import received

# 10:00 in Beijing on 11 November 2026.
TEN = 1_794_362_400_000
LATEST = LINE_LIMIT


def say(number: int, seconds: float, role: str = "customer", **more: Any) -> dict[str, Any]:
    sender = {"role": role}
    if "id" in more:
        sender["id"] = more.pop("id")
    return {
        "type": "message",
        "message_id": f"m-{number}",
        "sent_at": TEN + round(seconds * 1_000),
        "sender": sender,
        "content": {"text": "您好"},
        **more,
    }


def other(kind: str, seconds: float, **more: Any) -> dict[str, Any]:
    return {"type": f"conversation.{kind}", "at": TEN + round(seconds * 1_000), **more}


def told_of(limits: Limits, *events: dict[str, Any]) -> list[Summary]:
    """Return every summary, in order."""
    book, state = RuleBook(limits=limits), None
    found: list[Summary] = []
    for event in events:
        if state is not None:  # as the runtime does: what is over is over before the next event
            before = advance(book, state, (event.get("sent_at") or event["at"]))
            state, found = before.state, [*found, *filter(None, [before.summary])]
        done = step(book, state, received({**event, "conversation_id": "c-1"}))
        state, found = done.state, [*found, *filter(None, [done.summary])]
    return found


def summed(*events: dict[str, Any], **limits: Any) -> Summary:
    """Return the last summary, of a conversation that is closed a second after the last event."""
    last = max(event.get("sent_at") or event["at"] for event in events)
    closed = other("closed", (last - TEN) / 1_000 + 1)
    return told_of(Limits(idle_close_ms=24 * HOUR_MS, **limits), *events, closed)[-1]


def units(summary: Summary, name: str) -> list[str]:
    return [
        f"{one.opened_by}>{one.answered_by} {one.verdict} {one.ms}" for one in contributions_of(summary)[name]
    ]


def test_milliseconds_are_kept() -> None:
    found = summed(say(1, 0.123), say(2, 20.124, "agent"))
    assert units(found, "plain") == ["1>2 counted 20001"]


def test_a_late_message_takes_its_place_by_its_own_time() -> None:
    """The customer's second message arrives after the answer that was given to it."""
    found = summed(say(1, 0), say(3, 30, "agent"), say(2, 10), say(4, 60), say(5, 70, "agent"))
    assert units(found, "douyin_v1") == ["1>3 counted 30000", "2>3 counted 20000", "4>5 counted 10000"]
    assert units(found, "plain") == ["1>3 counted 30000", "4>5 counted 10000"]


def test_a_late_answer_answers_what_was_asked_before_it() -> None:
    found = summed(say(1, 0), say(3, 40), say(2, 20, "agent"), say(4, 50, "agent"))
    assert units(found, "plain") == ["1>2 counted 20000", "3>4 counted 10000"]


def test_a_message_that_comes_twice_is_one() -> None:
    found = summed(say(1, 0), say(1, 0), say(2, 5, "agent"), say(2, 5, "agent"))
    assert units(found, "douyin_v1") == ["1>2 counted 5000"]


def test_lines_keep_their_numbers_where_the_oldest_are_gone() -> None:
    """Two hundred and twenty are kept; here ten more, so the first that is known is the eleventh."""
    spoken = [say(n, 10 * n, "agent" if n % 2 else "customer") for n in range(LATEST + 10)]
    found = summed(*spoken)
    assert found.counted["lines_dropped"] == 10
    assert units(found, "plain")[0] == "11>12 counted 10000"
    assert units(found, "plain")[-1] == f"{LATEST + 9}>{LATEST + 10} counted 10000"


def test_as_many_lines_as_are_kept_lose_none() -> None:
    found = summed(*(say(n, 10 * n, "agent" if n % 2 else "customer") for n in range(LATEST)))
    assert "lines_dropped" not in found.counted
    assert units(found, "plain")[0] == "1>2 counted 10000"


def test_passing_a_customer_on_without_a_reply_leaves_an_unanswered_turn() -> None:
    """Ten minutes for account a, which said nothing; b answered for itself what it was never asked."""
    found = summed(
        other("assigned", 0, agent="a"),
        say(1, 1),
        other("transferred", 20, to_agent="b"),
        say(2, 31, "agent", id="b"),
        say(3, 40),
        say(4, 45, "agent", id="b"),
    )
    assert units(found, "tmall_v1") == ["1>None unanswered 600000", "3>4 counted 5000"]
    assert units(found, "plain") == ["1>2 counted 30000", "3>4 counted 5000"]


def test_an_agent_who_is_not_named_is_the_one_in_charge() -> None:
    found = summed(
        other("assigned", 0, agent="a"), say(1, 1), other("assigned", 9, agent="b"), say(2, 11, "agent")
    )
    assert units(found, "tmall_v1") == ["1>None unanswered 600000"]


def test_a_late_question_is_for_any_account() -> None:
    """It was asked and answered while a was in charge, and comes when b is: nobody knows any more."""
    found = summed(
        other("assigned", 0, agent="a"),
        say(2, 15, "agent", id="a"),
        other("transferred", 20, to_agent="b"),
        say(1, 10),
    )
    assert units(found, "tmall_v1") == ["1>2 counted 5000"]


def test_a_message_left_is_one_by_attribute() -> None:
    for value, left in ((True, True), ("yes", True), (False, False), ("no", False), (0, False)):
        found = summed(say(1, 0, attributes={"left_message": value}), say(2, 5, "agent"))
        assert units(found, "jd_v1") == (["1>2 left_message None"] if left else ["1>2 counted 5000"])


def test_a_later_revision_has_the_units_as_they_then_are() -> None:
    """The answer comes after the close."""
    found = summed(say(1, 0), other("closed", 10), say(2, 20, "agent"))
    assert found.revision == 2
    assert units(found, "plain") == ["1>2 counted 20000"]


def test_an_answer_finds_its_question_as_long_as_the_conversation_is_kept() -> None:
    """Silence closes after 30 minutes; after ten more, or thirty, all is forgotten. Here 45 and 60 pass."""
    asked, hour = say(1, 0), say(2, 3_600, "agent")
    first, _ = told_of(Limits(), asked, say(2, 2_700, "agent"), other("closed", 2_800))
    assert units(first, "pdd_v1") == ["1>None unanswered None"]
    *_, last = told_of(Limits(keep_ms=30 * MINUTE_MS), asked, hour)
    assert units(last, "pdd_v1") == ["1>2 counted 3600000"]


def test_only_the_chosen_definitions_are_measured() -> None:
    found = summed(say(1, 0), definitions=("jd_v1",))
    assert set(found.responses) == {"jd_v1"}
    assert set(summed(say(1, 0)).responses) == set(DEFINITIONS)


def test_a_conversation_without_a_customers_word_has_units_of_none() -> None:
    found = summed(say(1, 0, "agent"))
    assert found.responses == dict.fromkeys(DEFINITIONS, ())


def test_a_conversation_of_nobody_known_is_a_customer_of_its_own() -> None:
    assert customer_of(summed(say(1, 0))) == "c-1"
    assert customer_of(summed(say(1, 0, id="u-9"))) == "u-9"


def test_a_sentence_says_that_days_went_by_and_that_no_turn_began() -> None:
    """14 h 10 min after ten o'clock is ten past midnight."""
    found = summed(say(1, 0), say(2, 50_000), say(3, 51_000, "agent"))
    assert [told(one) for one in contributions_of(found)["douyin_v1"]] == [
        "10:00:00 第1句 → 次日 00:10:00 第3句回复，等了 51000 秒：计入，计 51000 秒",
        "23:53:20 第2句 → 次日 00:10:00 第3句回复，等了 1000 秒：不在考核时段，不计",
    ]
    answered = summed(say(1, 0), say(2, 7), say(3, 9, "agent"))
    assert [told(one) for one in contributions_of(answered)["douyin_v1"]] == [
        "10:00:00 第1句 → 10:00:09 第3句回复，等了 9 秒：计入，计 9 秒",
        "10:00:07 第2句 → 10:00:09 第3句回复，等了 2 秒：计入，不另起一轮，计 2 秒",
    ]
