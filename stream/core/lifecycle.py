"""How a conversation begins, ends, and turns out not to have ended."""

from __future__ import annotations

from stream.core import clocks, findings, rules, summary
from stream.core.work import Work, role_counts


def close(work: Work, t: int, *, by: str | None, inferred: bool) -> None:
    """Close the conversation: clocks stop, rules about the whole of it are decided, it is summed up."""
    state = work.state
    for clock in list(clocks.all_of(state)):
        clocks.stop(state, clock, t)
    state.closed_at, state.closed_by, state.close_inferred = t, by, inferred
    for hit in rules.on_close(work.book.rules, state.rules, state.attributes, t, role_counts(state)):
        finding = work.tell_hit(hit)
        if finding is not None:
            state.close_findings.append((hit.rule.id, finding.finding_id))
    work.summarise()


def reopen(work: Work, t: int) -> None:
    """Undo a close that was not the end; what an inferred close concluded is taken back."""
    state = work.state
    work.note("reopened")
    if state.close_inferred:
        for rule_id, finding_id in state.close_findings:
            taken_back = findings.take_back_close(work.book, state, rule_id, finding_id, t)
            if taken_back is not None:
                work.tell(taken_back)
                summary.take_points(state, rule_id)
            rules.forget_firing(state.rules, rule_id)
    state.close_findings = []
    state.closed_at, state.closed_by, state.close_inferred = None, None, False


def keep_up_with_packs(work: Work, t: int) -> None:
    """Drop what rules remembered that are gone or changed since the last event, and stop their clocks."""
    state, book = work.state, work.book
    if state.book == book.version:
        return
    state.book = book.version
    stale = {gone.rule_id for gone in rules.forget_changed(book.rules, state.rules)}
    for clock in list(state.running):
        if state.names[clock.policy] in stale:
            clocks.stop(state, clock, t)
