"""How a conversation begins, ends, and turns out not to have ended."""

from __future__ import annotations

from stream.core import clocks, kinds, rules
from stream.core import inferred as told
from stream.core.rules import RuleHit
from stream.core.state import State
from stream.core.work import Work, role_counts


def close(work: Work, t: int, *, by: str | None, inferred: bool) -> None:
    """Close the conversation: clocks stop, rules about the whole of it are decided, it is summed up."""
    state = work.state
    work.take_back(kinds.closing(work.book, state, t))
    work.take_back(tuple(told.close(state, t, inferred=inferred)))
    for clock in clocks.at_hand(state):
        if clock.issue is None:  # what is owed to an issue is owed whether or not anybody chats
            work.take_back(clocks.stop(state, clock, t))
    state.closed_at, state.closed_by, state.close_inferred = t, by, inferred
    for hit in rules.on_close(work.book.rules, state.rules, state.attributes, t, role_counts(state)):
        work.tell_hit(hit)
        state.close_rules.append(hit.rule.id)
    work.summarise()


def reopen(work: Work, t: int) -> None:
    """Undo a close that was not the end; what an inferred close concluded is taken back."""
    work.note("reopened")
    if work.state.close_inferred:
        _take_back_conclusions(work)
    rules.forget_waits(work.state.rules)  # the close stopped their clocks
    told.reopen(work.state, t)
    _open(work.state)


def disprove_close(work: Work) -> None:
    """Undo an inferred close as if it had never been: an event shows that there was no such silence.

    Its clocks run on; the summary's next revision tells what became of the conversation.
    """
    state = work.state
    work.counted += ("close_disproved",)
    _take_back_conclusions(work)
    for clock in clocks.all_of(state):
        if clock.stopped_at == state.closed_at:
            clocks.resume(state, clock)
    told.disprove_close(state)
    _open(state)


def _take_back_conclusions(work: Work) -> None:
    state = work.state
    assert state.closed_at is not None
    for rule_id in state.close_rules:
        rule = work.book.rules.get(rule_id)
        if rule is not None:
            work.take_back_hit(RuleHit(rule, state.closed_at, 1))
        rules.forget_firing(state.rules, rule_id)


def _open(state: State) -> None:
    state.close_rules = []
    state.closed_at, state.closed_by, state.close_inferred = None, None, False


def keep_up_with_packs(work: Work, t: int) -> None:
    """Drop what rules remembered that are gone or changed since the last event, and stop their clocks.

    A clock whose policy asks for other times now has them from its old start on.
    """
    state, book = work.state, work.book
    if state.book == book.version:
        return
    state.book = book.version
    stale = {gone.rule_id for gone in rules.forget_changed(book.rules, state.rules)}
    for clock in list(state.running):
        if state.names[clock.policy] in stale:
            work.take_back(clocks.stop(state, clock, t))
    for clock in (*state.running, *state.paused):
        policy = book.clock_policy_by_id(state.names[clock.policy])
        if policy is not None and kinds.KINDS[policy.clock].timed_anew:
            moments = policy.moments(clock.started_at, clock.stood_ms)
            if moments != clock.moments:
                clocks.retime(state, clock, moments, len(policy.warn_ms), t)
