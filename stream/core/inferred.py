"""Issues and legs that no event tells of: what the customer's words are about, and whom the agent asked.

An issue is inferred once a conversation's category is known from the text, where there is none yet, or
where a promise or a hand-off needs one. It is anybody's to adopt: the first event of an issue with
another id gives it that id. Nothing but silence would ever resolve it, so it runs no resolution clock, and
it ends with its conversation: ``resolved`` where the customer's last words were thanks, else ``closed``.
Where a department owes and the close was only inferred from silence it stays, and so does that leg.
"""

from __future__ import annotations

from typing import Final

from stream.core import clocks, issues
from stream.core.book import RuleBook
from stream.core.clocks import LEG, Fired
from stream.core.events import (
    ConversationClosed,
    ConversationOpened,
    IssueAnswered,
    IssueHandedOff,
    IssueOpened,
    IssueResolved,
)
from stream.core.ids import stable_id
from stream.core.issues import OVER, TRANSITIONS, IssueState
from stream.core.state import Issue, State

HAND_OFF_INFERRED: Final = "hand_off_inferred"


def issue_for(state: State, t: int) -> Issue:
    """Return the issue that something said at ``t`` is about: the current one, or one that begins here."""
    known = issues.current(state)
    if known is not None:
        return next(one for one in state.issues if one.issue_id == known)
    number = len(state.issues) + 1
    issue = Issue(
        stable_id("issue", state.conversation_id, number),
        t,
        category=state.attributes.get("category"),
        leg_since=t,
        inferred=True,
        from_text=True,
    )
    state.issues.append(issue)
    return issue


def categorise(state: State, category: str, t: int) -> None:
    """Let the category, now that the text has told it, be that of an issue."""
    if not state.issues:
        issue_for(state, t)
    elif state.issues[-1].from_text and state.issues[-1].category is None:
        state.issues[-1].category = category


def hand_off(book: RuleBook, state: State, party: str, t: int) -> list[Fired]:
    """Let the agent's word that a department was asked stand for the event; return what it disproves.

    Where a department owes by an event, words change nothing.
    """
    to = book.promises.title_of(party)
    issue = issue_for(state, t)
    if to is None or (issue.status == IssueState.HANDED_OFF and not issue.leg_from_text):
        return []
    if issue.status != IssueState.HANDED_OFF or issue.leg != to:
        state.count(HAND_OFF_INFERRED)
    event = IssueHandedOff(conversation_id=state.conversation_id, at=t, issue_id=issue.issue_id, to=to)
    wrong = issues.apply(book, state, event, t, said=True).wrong
    if issue.answered_at is not None and issue.answered_at > t and issue.leg == to:
        # Told of late: the answer is known already.
        wrong += _answer(book, state, issue, to, issue.answered_at)
    return wrong


def answer(book: RuleBook, state: State, party: str, t: int) -> list[Fired]:
    """Let the agent's report stand for the department's answer; return the told moments it disproves."""
    known = issues.current(state)
    issue = next((one for one in state.issues if one.issue_id == known), None)
    if issue is None:
        return []
    owing = _owing(book, state, issue, party)
    if owing is not None:
        return _answer(book, state, issue, owing, t)
    issue.answered_at = t if issue.answered_at is None else max(issue.answered_at, t)
    return []


def _answer(book: RuleBook, state: State, issue: Issue, by: str, t: int) -> list[Fired]:
    event = IssueAnswered(conversation_id=state.conversation_id, at=t, issue_id=issue.issue_id, by=by)
    return issues.apply(book, state, event, t, said=True).wrong


def _owing(book: RuleBook, state: State, issue: Issue, party: str) -> str | None:
    """Return the name under which the reporting party owes or owed an answer, if it does."""
    legs = [clock for clock in issues.clocks_of(state, issue) if state.names[clock.kind] == LEG]
    asked = [state.names[clock.party] for clock in legs if clock.party is not None]
    if issue.status == IssueState.HANDED_OFF:
        asked.insert(0, issue.leg)
        if book.promises.party_of(issue.leg) is None:
            return issue.leg  # a name that only the desk knows: whoever owes has answered
    return next((name for name in asked if book.promises.party_of(name) == party), None)


def close(state: State, t: int, *, inferred: bool) -> list[Fired]:
    """End what only the text told of, as the conversation does; return the told moments it disproves."""
    wrong: list[Fired] = []
    for issue in state.issues:
        if not issue.from_text or issue.status in OVER:
            continue
        if inferred and issue.status == IssueState.HANDED_OFF:
            continue
        for clock in list(issues.clocks_of(state, issue)):
            wrong += clocks.stop(state, clock, max(t, clock.started_at))
        at = max(t, issue.leg_since)
        issues.settle_leg(issue, at)
        told = IssueResolved if state.pleased else ConversationClosed
        after = TRANSITIONS[IssueState(issue.status), told]
        issue.status, issue.leg = after, issues.AGENT
        issue.resolved_at = at if after is IssueState.RESOLVED else None
    return wrong


def reopen(state: State, t: int) -> None:
    """Let what the close ended go on from ``t``: the conversation does."""
    for issue in _ended(state):
        told = ConversationOpened if issue.status == IssueState.CLOSED else IssueOpened
        issue.status = TRANSITIONS[IssueState(issue.status), told]
        issue.leg_since, issue.resolved_at = max(t, issue.leg_since), None
        issue.reopened += 1


def disprove_close(state: State) -> None:
    """Let what the close ended be as if it had not come."""
    for issue in _ended(state):
        issue.status = IssueState.OPEN if issue.answered_at is None else IssueState.ANSWERED
        issue.resolved_at = None


def _ended(state: State) -> list[Issue]:
    """Return the issues that the conversation's close ended."""
    at = state.closed_at
    return [
        one
        for one in state.issues
        if at is not None and one.from_text and one.status in OVER and one.leg_since >= at
    ]
