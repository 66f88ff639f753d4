"""What a conversation came to: outcome, course, scorecard, figures; and the words that are shown of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core import evidence, summary
from stream.core.annotation import Annotation, Hit, Scores
from stream.core.book import EMPTY_BOOK
from stream.core.evidence import EXCERPT_CHARACTERS, LAST_WORDS_BYTES
from stream.core.outputs import Outcome
from stream.core.privacy import find_personal
from stream.core.state import Issue, State, Turn

PHONE = "13800138000"


def closed(**fields: object) -> State:
    state = State("c-1", 0, 10_000, closed_at=10_000, revision=1)
    for name, value in fields.items():
        setattr(state, name, value)
    return state


ANSWERED, OPEN = Turn(0, 0, 1_000), Turn(5_000)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"turns": [OPEN]}, Outcome.ABANDONED),  # and no person ever wrote
        ({"turns": [ANSWERED, OPEN], "human_at": 1_000}, Outcome.UNRESOLVED),
        ({"turns": [ANSWERED], "issues": [Issue("i", 0, status="resolved")]}, Outcome.RESOLVED),
        (
            {"turns": [ANSWERED], "issues": [Issue("i", 0), Issue("j", 0, status="resolved")]},
            Outcome.UNRESOLVED,
        ),
        ({"turns": [ANSWERED], "pleased": True}, Outcome.RESOLVED),
        ({"turns": [ANSWERED]}, Outcome.UNKNOWN),
    ],
)
def test_outcome_follows_from_what_is_still_owed(fields: dict[str, object], outcome: Outcome) -> None:
    assert summary.of(EMPTY_BOOK, closed(**fields)).outcome is outcome


def test_unhappy_last_words_say_that_nothing_was_solved() -> None:
    state = closed(turns=[ANSWERED])
    summary.add_scores(state, Scores(dissatisfaction=0.9))
    assert summary.of(EMPTY_BOOK, state).outcome is Outcome.UNRESOLVED


def test_dissatisfaction_is_what_its_basis_says() -> None:
    """By hand: mean 0.4, last 0.2, maximum 0.6, nothing unanswered; weights .35 .35 .15 .15."""
    state = closed(turns=[ANSWERED])
    for value in (0.6, 0.4, 0.2):
        summary.add_scores(state, Scores(dissatisfaction=value))
    told = summary.of(EMPTY_BOOK, state)
    assert told.dissatisfaction == pytest.approx(0.4 * 0.35 + 0.2 * 0.35 + 0.6 * 0.15)
    rests_on = sum(one.value * one.weight for one in told.dissatisfaction_basis)
    assert rests_on == pytest.approx(told.dissatisfaction)
    assert (told.emotion["first"], told.emotion["last"], told.emotion["maximum"]) == (0.6, 0.2, 0.6)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_dissatisfaction_is_between_nothing_and_all(values: list[float]) -> None:
    state = closed(turns=[OPEN])
    for value in values:
        summary.add_scores(state, Scores(dissatisfaction=value))
    assert 0 <= summary.of(EMPTY_BOOK, state).dissatisfaction <= 1


def test_figures_of_the_turns() -> None:
    """By hand: waits of 1 s and 4 s, one open turn; 10 s in all."""
    told = summary.of(EMPTY_BOOK, closed(turns=[ANSWERED, Turn(2_000, 0, 4_000), OPEN]))
    figures = {
        name: told.metrics[name] for name in told.metrics if name.startswith(("response", "turns", "dur"))
    }
    assert figures == {
        "duration_seconds": 10.0,
        "response_average_seconds": 2.5,
        "response_first_seconds": 1.0,
        "response_longest_seconds": 4.0,
        "turns": 3,
        "turns_unanswered": 1,
    }


def test_contact_of_an_unknown_customer_goes_by_its_conversation() -> None:
    unknown = summary.contact_of(summary.of(EMPTY_BOOK, closed()))
    assert (unknown.customer_id, unknown.key) == (None, unknown.conversation_id)
    contact = summary.contact_of(summary.of(EMPTY_BOOK, closed(attributes={"customer_id": "u-1"})))
    assert (contact.customer_id, contact.conversation_id, contact.revision) == ("u-1", "c-1", 1)
    assert (contact.key, contact.summary is not None) == ("u-1", True)


@pytest.mark.parametrize(("negated", "pleased"), [(False, True), (True, False)])
def test_thanks_that_are_denied_are_none(negated: bool, pleased: bool) -> None:
    hit = Hit("emotion.gratitude.thanks", "谢谢", 0, 2, negated)
    assert summary.is_pleased(Annotation("谢谢", hits=(hit,))) is pleased


PIECES = st.sampled_from(("客户", "a", "😀", "。", " ", "买的东西还没有到", f"电话{PHONE}。", "，"))
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@given(TEXTS)
def test_last_words_fit_and_hold_no_number(text: str) -> None:
    words = evidence.last_words(Annotation(text, personal=find_personal(text)))
    assert len(words.encode()) <= LAST_WORDS_BYTES
    assert PHONE not in words


@given(TEXTS, st.integers(0, 200), st.integers(0, 80))
def test_an_excerpt_shows_what_was_found_and_cuts_no_number_in_two(
    text: str, start: int, length: int
) -> None:
    start = min(start, len(text))
    end = min(len(text), start + length)
    personal = find_personal(text)
    shown = evidence.excerpt(Annotation(text, personal=personal), [(start, end)])
    assert PHONE not in shown
    # A number at either edge may widen the window, by less than itself.
    assert (
        len(shown) <= EXCERPT_CHARACTERS + max((one.end - one.start for one in personal), default=0) * 2 + 2
    )
