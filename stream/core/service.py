"""Who owes the next word: turns of the customer, answers of people, the bot stage.

A *turn* opens with the customer's first unanswered message and ends with a person's answer; it
runs the clock ``first_response`` until a person has answered once in the conversation, and
``next_response`` from then on. While a bot is in charge nobody owes a person's answer: a turn the
bot answers ends its clock, and what the customer says next opens none, until the conversation is
assigned, transferred or answered by a person.
"""

from __future__ import annotations

from stream.core import clocks
from stream.core.book import RuleBook
from stream.core.clocks import RESPONSES, Fired
from stream.core.events import Mode, Role, Sender
from stream.core.state import TURN_LIMIT, Clock, ClockState, State, Turn

# Answers of a person for turns and for the summary's figures; a clock's policy may count others.
PERSONAL = frozenset({Mode.HUMAN, Mode.ASSIST})


def customer_said(book: RuleBook, state: State, t: int) -> None:
    """Open a turn, or go on with the open one."""
    if state.human_at is not None and t <= state.human_at:
        return  # came late: a person has answered since
    turn = state.turns[-1] if state.turns else None
    if turn is not None and turn.answered_ms is None and not _left_before(state, t):
        turn.last_ms = max(turn.last_ms, t - turn.opened_at)
    elif not state.bot_stage:
        _open_turn(book, state, t)


def _left_before(state: State, t: int) -> bool:
    """Return whether a close ended the open turn's clock: who comes back afterwards waits anew."""
    for clock in clocks.at_hand(state):
        if clock.stopped_at is None and state.names[clock.kind] in RESPONSES:
            return False
    latest = max(clocks.of_kinds(state, RESPONSES), key=_started_at, default=None)
    if latest is None or latest.state not in {ClockState.STOPPED, ClockState.MISSED}:
        return False
    return latest.stopped_at is not None and latest.stopped_at < t


def _started_at(clock: Clock) -> int:
    return clock.started_at


def _open_turn(book: RuleBook, state: State, t: int) -> None:
    state.turns.append(Turn(t))
    del state.turns[:-TURN_LIMIT]
    kind = "first_response" if state.human_at is None else "next_response"
    clocks.start_by_policy(book, state, kind, t)


def agent_said(book: RuleBook, state: State, sender: Sender, t: int) -> tuple[Fired, ...]:
    """Let the agent's message answer the turn it falls into; return the told moments it disproves."""
    if sender.id is not None and (state.human_at is None or t >= state.human_at):
        state.attributes["agent"] = sender.id
    if sender.level is not None:
        state.attributes["agent_level"] = sender.level
    wrong: list[Fired] = []
    for clock in clocks.owed_at(state, t):
        if state.names[clock.kind] in RESPONSES:
            policy = book.clock_policy_by_id(state.names[clock.policy])
            if sender.mode in (policy.counts if policy is not None else PERSONAL):
                wrong += clocks.answer(state, clock, t)
    if sender.mode in PERSONAL:
        state.human_at = t if state.human_at is None else max(state.human_at, t)
        if state.bot_stage:
            state.bot_stage = False
            state.count("bot_to_human")
        _answer_turn(book, state, t)
    return tuple(wrong)


def _answer_turn(book: RuleBook, state: State, t: int) -> None:
    for turn in reversed(state.turns):
        if turn.opened_at <= t:
            break
    else:
        return
    waited = t - turn.opened_at
    if turn.answered_ms is not None:
        turn.answered_ms = min(turn.answered_ms, waited)
        return
    turn.answered_ms = waited
    if turn.last_at > t:
        # The answer came late, and the customer has written since: that is still owed a word.
        last_at, turn.last_at = turn.last_at, t
        _open_turn(book, state, last_at)


def bot_said(state: State, t: int) -> tuple[Fired, ...]:
    """Let the bot take charge of what no person has taken yet; return the told moments it disproves."""
    wrong: list[Fired] = []
    if state.human_at is not None:
        return ()
    state.bot_stage = True
    if state.turns and state.turns[-1].answered_at is None and state.turns[-1].opened_at <= t:
        state.turns.pop()  # no person owed an answer in it, so none is measured
        for clock in clocks.of_kinds(state, RESPONSES):
            wrong += clocks.stop(state, clock, t)
    return tuple(wrong)


def reached_people(book: RuleBook, state: State, t: int) -> None:
    """End the bot stage; a customer who was talking to the bot now waits for a person, from here."""
    if not state.bot_stage:
        return
    state.bot_stage = False
    state.count("bot_to_human")
    if state.last_role in (Role.CUSTOMER, Role.BOT):
        _open_turn(book, state, t)
