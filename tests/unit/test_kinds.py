"""Kinds of clocks beside responses and issues: a protocol's steps, what rules run, whoever leaves."""

from __future__ import annotations

from typing import Any

import pytest

from stream.core import clocks, engine, kinds
from stream.core import state as states
from stream.core.book import ClockPolicy, RuleBook
from stream.core.events import Mode
from stream.core.kinds import KINDS, abandonment, protocol_step
from stream.core.kinds.by_rule import act
from stream.core.outputs import Finding, FindingStatus, Severity
from stream.core.rules import Deed
from stream.core.state import ClockState, State
from tests.contract.day import message
from tests.property.chats import received

SECOND = 1_000
VERIFY, REFUND = "refund/verify", "refund/pay"


def policy(name: str, kind: str, target: int, **more: Any) -> ClockPolicy:
    severity = {"warn": Severity.LOW, "breach": Severity.MEDIUM}
    audience = {"warn": ("agent",), "breach": ("supervisor",)}
    why = {"warn": "{seconds}", "breach": "{seconds}"}
    warn = more.pop("warn", ())
    counts = more.pop("counts", frozenset({Mode.HUMAN, Mode.ASSIST}))
    return ClockPolicy(name, kind, "ola@1", target, warn, severity, audience, counts, why, **more)


BOOK = RuleBook(
    clocks=(
        policy("ola.verify", "protocol_step", 60_000, warn=(30_000,), match=(("step", frozenset({VERIFY})),)),
        policy("ola.pay", "protocol_step", 90_000, match=(("step", frozenset({REFUND})),)),
        policy("ola.comfort", "comfort", 60_000, warn=(40_000,)),
        policy("ola.leaving", "abandonment", 120_000, warn=(50_000,)),
    )
)


def conversation() -> State:
    return State(conversation_id="c", opened_at=0, last_at=0)


def told(step: engine.Step) -> list[tuple[str | None, float, str]]:
    return [(one.clock_id, one.at / SECOND, one.status.value) for one in step.findings]


# The steps of a protocol ----------------------------------------------------------------------------------


def test_step_that_is_done_at_its_target_is_in_time() -> None:
    state = conversation()
    clock = protocol_step.begin(BOOK, state, VERIFY, 10_000)
    assert clock is not None
    assert told(engine.advance(BOOK, state, 70_000)) == [(f"protocol_step:{VERIFY}#1", 40, "raised")]
    assert protocol_step.done(state, VERIFY, 70_000) == ()
    assert (clock.state, clock.stopped_at) == (ClockState.ANSWERED, 70_000)


def test_step_that_is_late_is_told_and_answered_late() -> None:
    state = conversation()
    clock = protocol_step.begin(BOOK, state, VERIFY, 0)
    assert clock is not None
    assert [at for _, at, _ in told(engine.advance(BOOK, state, 60_001))] == [30, 60]
    protocol_step.done(state, VERIFY, 60_001)
    assert clock.state is ClockState.ANSWERED_LATE


def test_step_done_in_time_and_told_of_late_proves_the_breach_wrong() -> None:
    state = conversation()
    clock = protocol_step.begin(BOOK, state, VERIFY, 0)
    engine.advance(BOOK, state, 100_000)
    wrong = protocol_step.done(state, VERIFY, 45_000)
    assert [(one.clock, one.step, one.due) for one in wrong] == [(clock, 0, 60_000)]


def test_step_that_is_dropped_is_owed_no_more() -> None:
    state = conversation()
    clock = protocol_step.begin(BOOK, state, VERIFY, 0)
    assert clock is not None
    assert protocol_step.drop(state, VERIFY, 20_000) == ()
    assert clock.state is ClockState.STOPPED
    assert told(engine.advance(BOOK, state, 100_000)) == []
    assert protocol_step.done(state, VERIFY, 30_000) == (), "nobody owes it"


def test_steps_of_several_protocols_run_side_by_side_each_by_its_policy() -> None:
    state = conversation()
    verify = protocol_step.begin(BOOK, state, VERIFY, 0)
    pay = protocol_step.begin(BOOK, state, REFUND, 0)
    assert verify is not None
    assert pay is not None
    assert (verify.target_at, pay.target_at) == (60_000, 90_000)
    protocol_step.done(state, REFUND, 10_000)
    assert (verify.state, pay.state) == (ClockState.RUNNING, ClockState.ANSWERED)


def test_step_owed_already_or_that_no_policy_times_begins_nothing() -> None:
    state = conversation()
    assert protocol_step.begin(BOOK, state, VERIFY, 0) is not None
    assert protocol_step.begin(BOOK, state, VERIFY, 5_000) is None
    assert protocol_step.begin(BOOK, state, "refund/think", 0) is None
    assert protocol_step.begin(RuleBook(), conversation(), VERIFY, 0) is None


def test_name_of_a_steps_clock_depends_on_that_step_alone() -> None:
    """And the second time it is owed it is another clock."""
    alone, beside = conversation(), conversation()
    protocol_step.begin(BOOK, beside, REFUND, 0)
    names = []
    for state in (alone, beside):
        first = protocol_step.begin(BOOK, state, VERIFY, 10_000)
        protocol_step.done(state, VERIFY, 20_000)
        second = protocol_step.begin(BOOK, state, VERIFY, 30_000)
        assert first is not None
        assert second is not None
        names.append([state.clock_id(first), state.clock_id(second)])
    assert names == [[f"protocol_step:{VERIFY}#1", f"protocol_step:{VERIFY}#2"]] * 2
    assert {clocks.kind_of(name) for name in names[0]} == {protocol_step.PROTOCOL_STEP}


def test_step_survives_its_record() -> None:
    state = conversation()
    protocol_step.begin(BOOK, state, VERIFY, 0)
    read = states.decode(states.encode(state))
    assert protocol_step.done(read, VERIFY, 10_000) == ()
    assert clocks.find(read, f"protocol_step:{VERIFY}#1").state is ClockState.ANSWERED  # type: ignore[union-attr]


# What rules run -------------------------------------------------------------------------------------------


def comfort(state: State, deed: Deed, t: int, mode: Mode = Mode.HUMAN) -> tuple[clocks.Fired, ...]:
    return act(BOOK, state, deed, "comfort", mode, t)


def test_outburst_starts_one_clock_and_a_second_none_while_it_is_open() -> None:
    state = conversation()
    comfort(state, Deed.STARTS, 0)
    comfort(state, Deed.STARTS, 10_000)
    assert len(state.running) == 1
    comfort(state, Deed.ANSWERS, 20_000)
    comfort(state, Deed.STARTS, 20_000)  # at the very moment of the comfort, and heard after it
    assert [clock.number for clock in clocks.all_of(state)] == [2, 1]


@pytest.mark.parametrize(
    ("mode", "state"),
    [
        (Mode.HUMAN, ClockState.ANSWERED),
        (Mode.ASSIST, ClockState.ANSWERED),
        (Mode.AUTO_REPLY, ClockState.RUNNING),
        (Mode.AUTO_WELCOME, ClockState.RUNNING),
    ],
)
def test_comfort_counts_in_the_modes_of_its_policy(mode: Mode, state: ClockState) -> None:
    kept = conversation()
    comfort(kept, Deed.STARTS, 0)
    comfort(kept, Deed.ANSWERS, 10_000, mode)
    assert clocks.all_of(kept)[0].state is state


def test_outburst_told_of_late_owes_nothing_where_comfort_came_since() -> None:
    state = conversation()
    comfort(state, Deed.ANSWERS, 40_000)
    comfort(state, Deed.STARTS, 39_999)
    assert clocks.all_of(state) == []
    comfort(state, Deed.STARTS, 40_000)
    assert len(state.running) == 1


def test_automatic_sorry_forgives_no_outburst_told_of_late() -> None:
    state = conversation()
    comfort(state, Deed.ANSWERS, 40_000, Mode.AUTO_REPLY)
    comfort(state, Deed.STARTS, 20_000)
    assert len(state.running) == 1


def test_earlier_comfort_told_of_late_takes_the_place_of_the_later() -> None:
    state = conversation()
    comfort(state, Deed.STARTS, 0)
    engine.advance(BOOK, state, 70_000)
    comfort(state, Deed.ANSWERS, 70_000)
    (clock,) = clocks.all_of(state)
    assert clock.state is ClockState.ANSWERED_LATE
    wrong = comfort(state, Deed.ANSWERS, 50_000)
    assert [one.due for one in wrong] == [60_000]
    assert (clock.state, clock.stopped_at) == (ClockState.ANSWERED, 50_000)
    assert comfort(state, Deed.ANSWERS, 55_000) == ()


def test_calm_after_the_comfort_changes_nothing() -> None:
    state = conversation()
    comfort(state, Deed.STARTS, 0)
    comfort(state, Deed.ANSWERS, 10_000)
    comfort(state, Deed.STOPS, 20_000)
    assert clocks.all_of(state)[0].state is ClockState.ANSWERED


def test_kind_that_no_policy_times_is_run_by_no_rule_and_leaves_no_trace() -> None:
    state = conversation()
    for deed in Deed:
        act(RuleBook(), state, deed, "comfort", Mode.HUMAN, 10_000)
    assert (clocks.all_of(state), state.names, state.settling) == ([], [], {})


def test_only_kinds_that_say_so_are_run_by_rules() -> None:
    assert kinds.BY_RULE == ("comfort",)
    assert not KINDS[abandonment.ABANDONMENT].timed_anew, "its moments are the customer's, not the policy's"


# The customer who leaves ----------------------------------------------------------------------------------


class Chat:
    """One conversation; seconds from its beginning."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.findings: list[Finding] = []
        self.number = 0

    def say(self, at: float, role: str, **sender: Any) -> Chat:
        self.number += 1
        event = message("c", f"m-{self.number}", round(at * SECOND), role, "在吗", **sender)
        return self._took(engine.step(BOOK, self.state, received(event)))

    def event(self, at: float, type_: str, **fields: Any) -> Chat:
        event = {"type": type_, "conversation_id": "c", "at": round(at * SECOND), **fields}
        return self._took(engine.step(BOOK, self.state, received(event)))

    def tick(self, at: float) -> Chat:
        assert self.state is not None
        return self._took(engine.advance(BOOK, self.state, round(at * SECOND)))

    def _took(self, step: engine.Step) -> Chat:
        self.state = step.state
        self.findings += step.findings
        return self

    def ended(self) -> list[str]:
        assert self.state is not None
        return [clock.state.name.lower() for clock in sorted(clocks.all_of(self.state), key=_start)]

    def told(self) -> list[tuple[float, str]]:
        return [(one.at / SECOND, one.status.value) for one in self.findings]


def _start(clock: states.Clock) -> int:
    return clock.started_at


@pytest.mark.parametrize(("at", "ended"), [(119.999, "abandoned"), (120, "abandoned"), (120.001, "missed")])
def test_close_up_to_the_target_is_the_customer_gone(at: float, ended: str) -> None:
    assert Chat().say(0, "customer").event(at, "conversation.closed").ended() == [ended]


@pytest.mark.parametrize(("at", "ended"), [(120, "answered"), (120.001, "answered_late")])
def test_first_human_word_at_the_target_is_in_time(at: float, ended: str) -> None:
    assert Chat().say(0, "customer").say(at, "agent").ended() == [ended]


def test_silence_counts_from_the_last_message_to_the_millisecond() -> None:
    chat = Chat().say(0, "customer").say(50, "customer").tick(100)
    assert chat.told() == [], "a warning at 50 would have needed a silence of 50 seconds"
    assert chat.tick(170.001).told() == [(100, "raised"), (170, "raised")]


def test_message_told_of_late_puts_nothing_off_again() -> None:
    chat = Chat().say(0, "customer").say(40, "customer").say(20, "customer").tick(160.001)
    assert chat.told() == [(90, "raised"), (160, "raised")]


def test_automatic_words_keep_nobody() -> None:
    chat = Chat().say(0, "customer").say(1, "agent", mode="auto_welcome").tick(121)
    assert chat.told() == [(50, "raised"), (120, "raised")]


def test_nobody_leaves_who_was_answered_once() -> None:
    chat = Chat().say(0, "customer").say(10, "agent").say(100, "customer").tick(1_000)
    assert chat.told() == []
    assert chat.ended() == ["answered"]


def test_word_told_of_after_the_close_answers_whoever_had_gone() -> None:
    chat = Chat().say(0, "customer").event(30, "conversation.closed", by="customer")
    assert chat.ended() == ["abandoned"]
    assert chat.say(20, "agent").ended() == ["answered"]


def test_word_in_time_told_of_after_the_breach_takes_it_back() -> None:
    chat = Chat().say(0, "customer").tick(130).say(60, "agent")
    assert chat.told() == [(50, "raised"), (120, "raised"), (120, "corrected")]
    assert chat.findings[-1].status is FindingStatus.CORRECTED


def test_close_stamped_before_the_question_ends_its_clocks_where_they_began() -> None:
    chat = Chat().say(10, "customer").event(9, "conversation.closed", by="agent")
    assert chat.state is not None
    assert [clock.stopped_at for clock in clocks.all_of(chat.state)] == [10_000]
