"""Laws of packed lines: what goes in comes out, by time, and of too many the oldest go."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from stream.core import lines
from stream.core.events import LAST_MS, Content, Message, Mode, Role, Sender
from stream.core.lines import DROPPED, LINE_LIMIT, NAME_LIMIT
from stream.core.state import State, decode, encode

times = st.integers(0, LAST_MS) | st.integers(1_794_326_400_000, 1_794_326_400_000 + 86_400_000)
packed = st.lists(st.tuples(times, st.integers(0, 100_000)), max_size=LINE_LIMIT)
said = st.lists(
    st.tuples(
        times,
        st.sampled_from(Role),
        st.sampled_from(Mode),
        st.sampled_from((None, "", "a-1", "a-2", "first_response")),
    ),
    max_size=LINE_LIMIT + 20,
)


def message(number: int, role: Role, mode: Mode, account: str | None) -> Message:
    sender = Sender(role=role, id=account, mode=mode)
    return Message(
        conversation_id="c-1", message_id=f"m-{number}", at=0, sender=sender, content=Content(text="x")
    )


def heard(events: Sequence[tuple[int, Role, Mode, str | None]]) -> State:
    state = State("c-1", 0, 0)
    for number, (t, role, mode, account) in enumerate(events):
        lines.hear(state, message(number, role, mode, account), t)
        state.last_at = max(state.last_at, t)
    return state


@given(packed)
def test_what_was_packed_is_unpacked_in_the_order_of_arrival(entries: list[tuple[int, int]]) -> None:
    raw = b""
    for t, whose in entries:
        raw = lines.add(raw, t, whose)
    assert lines.unpack(raw) == entries


@given(packed.filter(bool))
def test_without_the_oldest_the_others_are_as_they_were(entries: list[tuple[int, int]]) -> None:
    raw = b""
    for t, whose in entries:
        raw = lines.add(raw, t, whose)
    assert lines.unpack(lines.without_oldest(raw)) == entries[1:]


@given(said)
def test_lines_are_the_latest_messages_by_time(events: list[tuple[int, Role, Mode, str | None]]) -> None:
    state = heard(events)
    kept = events[-LINE_LIMIT:]
    found, dropped = lines.of(state)
    assert dropped == len(events) - len(kept) == state.counts.get(DROPPED, 0)
    # How a message of the customer or of the system came about is not kept: nothing asks for it.
    spoken = {Role.AGENT, Role.BOT}
    expected = [(t, role, mode if role in spoken else Mode.HUMAN) for t, role, mode, _ in kept]
    assert [one[:3] for one in found] == sorted(expected, key=lambda one: one[0])


@given(said)
def test_an_agents_line_has_the_account_that_wrote_it(
    events: list[tuple[int, Role, Mode, str | None]],
) -> None:
    mine = [one for one in events if one[1] is Role.AGENT and one[3]]
    found, _ = lines.of(heard(mine))
    expected = [(t, account) for t, _, _, account in mine[-LINE_LIMIT:]]
    assert [(one.at, one.account) for one in found] == sorted(expected, key=lambda one: one[0])


@given(said)
def test_lines_survive_the_record(events: list[tuple[int, Role, Mode, str | None]]) -> None:
    state = heard(events)
    assert lines.of(decode(encode(state))) == lines.of(state)


def test_a_sender_with_a_new_name_for_each_message_does_not_fill_the_state() -> None:
    state = heard([(t, Role.AGENT, Mode.HUMAN, f"a-{t}") for t in range(LINE_LIMIT)])
    assert len(state.names) == NAME_LIMIT
    found, _ = lines.of(state)
    assert [one.account for one in found] == [f"a-{t}" if t < NAME_LIMIT else "" for t in range(LINE_LIMIT)]


def test_a_line_of_a_chat_takes_four_bytes() -> None:
    seconds = (0, 20, 31, 300, 900)
    events = [(1_794_326_400_000 + at * 1_000 + 123, Role.AGENT, Mode.HUMAN, "a-1") for at in seconds]
    # Seven in front; the first line is written with no step, which takes one byte of three.
    assert len(heard(events).lines) == 7 + 2 + 4 * (len(events) - 1)
