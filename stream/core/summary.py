"""What a conversation came to: figures, course of emotion, scorecard, outcome."""

from __future__ import annotations

from stream.core import clocks, issues, responses
from stream.core.annotation import Annotation, Scores
from stream.core.book import RuleBook
from stream.core.outputs import (
    Basis,
    BotOutcome,
    ClockOutcome,
    Contact,
    Finding,
    IssueOutcome,
    Outcome,
    ScorecardEntry,
    Summary,
)
from stream.core.rules import Rule
from stream.core.state import QUOTED, Clock, ClockState, Issue, Points, State
from stream.core.worktime import ALWAYS

# Term lists whose presence in the customer's latest words says that the matter ended well.
_PLEASED = ("emotion.gratitude.", "emotion.praise.", "emotion.joy.")

# The whole conversation's dissatisfaction where no judge is, from the turns' scores. What a customer
# says last weighs as much as all turns together: the end tells more about a rating than the start.
_WEIGHTS = {"mean": 0.35, "last": 0.35, "maximum": 0.15, "unanswered": 0.15}
# Above this the last turn counts as an unhappy end; the scorers' own "rather yes than no".
_UNHAPPY = 0.7
_STATES = {state: state.name.lower() for state in ClockState}
_DIGITS = 4


def is_pleased(annotation: Annotation) -> bool:
    """Return whether the text thanks or praises, and does not deny it."""
    hits = annotation.hits
    return bool(hits) and any(hit.terms.startswith(_PLEASED) and not hit.negated for hit in hits)


def add_scores(state: State, scores: Scores) -> None:
    """Add one customer turn to the course of the conversation."""
    sums = state.scores
    dissatisfaction, anger, abuse = scores
    if sums.count == 0:
        sums.first = dissatisfaction
    sums.count += 1
    sums.total = round(sums.total + dissatisfaction, _DIGITS)
    sums.last = dissatisfaction
    sums.maximum = max(sums.maximum, dissatisfaction)
    sums.anger = max(sums.anger, anger)
    sums.abuse = max(sums.abuse, abuse)


def add_points(state: State, rule: Rule, finding: Finding) -> None:
    """Enter a rule's points in the scorecard."""
    if rule.points:
        entry = state.points.setdefault(rule.id, Points(0.0, 0, ""))
        entry.points = round(entry.points + rule.points, _DIGITS)
        entry.count += 1
        entry.why, entry.quote = finding.why, None
        evidence = finding.evidence
        if finding.message_id is not None and evidence and QUOTED not in finding.why:
            entry.quote = state.quote(evidence)
            if entry.quote is not None:
                entry.why = finding.why.replace(evidence, QUOTED)


def take_points(state: State, rule_id: str) -> None:
    """Take the last entry of a rule out of the scorecard again."""
    entry = state.points.get(rule_id)
    if entry is None:
        return
    entry.points = round(entry.points - entry.points / entry.count, _DIGITS)
    entry.count -= 1
    if entry.count == 0:
        del state.points[rule_id]


def _why(state: State, entry: Points) -> str:
    return entry.why if entry.quote is None else entry.why.replace(QUOTED, state.quotes[entry.quote])


def of(book: RuleBook, state: State) -> Summary:
    """Return the summary of a closed conversation."""
    attributes = state.attributes
    dissatisfaction, basis = _dissatisfaction(book, state)
    entries = tuple(
        ScorecardEntry(rule_id=rule_id, points=entry.points, count=entry.count, why=_why(state, entry))
        for rule_id, entry in sorted(state.points.items())
    )
    return Summary(
        conversation_id=state.conversation_id,
        revision=state.revision,
        shop_id=attributes.get("shop_id"),
        channel=attributes.get("channel"),
        group=attributes.get("group"),
        agent=attributes.get("agent"),
        customer_id=attributes.get("customer_id"),
        tier=attributes.get("tier"),
        opened_at=state.opened_at,
        closed_at=state.closed_at if state.closed_at is not None else state.last_at,
        inferred=state.close_inferred,
        category=attributes.get("category"),
        category_source=state.category_source,
        outcome=_outcome(state),
        rating=state.rating,
        dissatisfaction=dissatisfaction,
        dissatisfaction_basis=basis,
        metrics=_metrics(state),
        emotion=_emotion(state),
        findings={
            name.removeprefix("finding."): count
            for name, count in sorted(state.counts.items())
            if name.startswith("finding.")
        },
        scorecard_points=round(sum(entry.points for entry in entries), _DIGITS),
        scorecard=entries,
        clocks=tuple(sorted([_clock_outcome(book, state, one) for one in clocks.all_of(state)], key=_begun)),
        issues=tuple(_issue_outcome(state, issue) for issue in state.issues),
        counted={
            name: count for name, count in sorted(state.counts.items()) if not name.startswith("finding.")
        },
        bot_outcome=_bot_outcome(state),
        responses=responses.of(state, book.limits.definitions),
    )


def contact_of(summary: Summary) -> Contact:
    """Return the record that reopening is judged on; it carries the summary."""
    return Contact(
        customer_id=summary.customer_id,
        conversation_id=summary.conversation_id,
        revision=summary.revision,
        shop_id=summary.shop_id,
        category=summary.category,
        opened_at=summary.opened_at,
        closed_at=summary.closed_at,
        outcome=summary.outcome,
        rating=summary.rating,
        summary=summary,
    )


def first_contact(state: State) -> Contact | None:
    """Return the record of a conversation that is under way and known by its category.

    None where it was summed up before (its next summary says it all), or nobody knows the customer.
    """
    attributes = state.attributes
    if state.revision or "customer_id" not in attributes:
        return None
    return Contact(
        customer_id=attributes["customer_id"],
        conversation_id=state.conversation_id,
        revision=0,
        shop_id=attributes.get("shop_id"),
        category=attributes.get("category"),
        opened_at=state.opened_at,
        closed_at=None,
        outcome=None,
        rating=None,
    )


def _bot_outcome(state: State) -> BotOutcome:
    if "bot_to_human" in state.counts:
        return BotOutcome.HANDED_OVER
    return BotOutcome.CONTAINED if state.bot_stage else BotOutcome.NONE


def _unanswered(state: State) -> bool:
    return bool(state.turns) and state.turns[-1].answered_at is None


def _dissatisfaction(book: RuleBook, state: State) -> tuple[float, tuple[Basis, ...]]:
    sums = state.scores
    if book.judge is not None and book.judge.judges(sums.views):
        return book.judge.dissatisfaction(sums.views)
    values = {
        "mean": sums.total / sums.count if sums.count else 0.0,
        "last": sums.last,
        "maximum": sums.maximum,
        "unanswered": float(_unanswered(state)),
    }
    basis = tuple(
        Basis(name=name, value=round(values[name], _DIGITS), weight=weight)
        for name, weight in _WEIGHTS.items()
    )
    return round(sum(values[name] * weight for name, weight in _WEIGHTS.items()), _DIGITS), basis


def _outcome(state: State) -> Outcome:
    if _unanswered(state):
        return Outcome.ABANDONED if state.human_at is None else Outcome.UNRESOLVED
    known = [issue for issue in state.issues if not issue.from_text]
    if known:
        solved = all(issue.status == "resolved" for issue in known)
        return Outcome.RESOLVED if solved else Outcome.UNRESOLVED
    if state.pleased:
        return Outcome.RESOLVED
    if state.scores.count and state.scores.last >= _UNHAPPY:
        return Outcome.UNRESOLVED
    return Outcome.UNKNOWN


def _metrics(state: State) -> dict[str, float | None]:
    waits = [turn.answered_ms / 1000 for turn in state.turns if turn.answered_ms is not None]
    closed_at = state.closed_at if state.closed_at is not None else state.last_at
    return {
        "duration_seconds": (closed_at - state.opened_at) / 1000,
        "messages_agent": state.counts.get("agent", 0),
        "messages_bot": state.counts.get("bot", 0),
        "messages_customer": state.counts.get("customer", 0),
        "response_average_seconds": round(sum(waits) / len(waits), 3) if waits else None,
        "response_first_seconds": waits[0] if waits else None,
        "response_longest_seconds": max(waits) if waits else None,
        "transfers": state.counts.get("transfers", 0),
        "turns": len(state.turns),
        "turns_unanswered": len(state.turns) - len(waits),
    }


def _emotion(state: State) -> dict[str, float]:
    sums = state.scores
    return {
        "abuse": sums.abuse,
        "anger": sums.anger,
        "first": sums.first,
        "last": sums.last,
        "maximum": sums.maximum,
        "mean": round(sums.total / sums.count, _DIGITS) if sums.count else 0.0,
    }


def _clock_outcome(book: RuleBook, state: State, clock: Clock) -> ClockOutcome:
    end = clock.stopped_at
    if end is None and clock.state is ClockState.BREACHED:
        end = clock.target_at
    rule = book.rules.get(state.names[clock.policy])
    return ClockOutcome(
        clock_id=state.clock_id(clock),
        kind=clocks.kind(state, clock),
        policy=state.names[clock.policy],
        leg=_owing(state, clock, rule),
        state=_STATES[clock.state],
        started_at=clock.started_at,
        due=clock.target_at,
        stopped_at=clock.stopped_at,
        seconds=None if end is None else _ran_ms(book, state, clock, end) / 1000,
    )


def _begun(clock: ClockOutcome) -> tuple[int, str]:
    return clock.started_at, clock.clock_id


def _ran_ms(book: RuleBook, state: State, clock: Clock, end: int) -> int:
    """Return how long the clock had run by then, in its policy's time and without its pauses."""
    policy = book.clock_policy_by_id(state.names[clock.policy])
    worktime = ALWAYS if policy is None else policy.worktime
    return worktime.measure(clock.started_at, end) - clocks.stood_ms(clock, end, worktime)


def _owing(state: State, clock: Clock, rule: Rule | None) -> str:
    if clock.party is not None:
        return state.names[clock.party]
    return issues.AGENT if rule is None else rule.subject


def _issue_outcome(state: State, issue: Issue) -> IssueOutcome:
    legs = issues.open_ms(issue, max(state.last_at, issue.leg_since))
    return IssueOutcome(
        issue_id=issue.issue_id,
        category=issue.category,
        state=issue.status,
        opened_at=issue.opened_at,
        resolved_at=issue.resolved_at,
        inferred=issue.inferred,
        reopened=issue.reopened,
        legs={name: milliseconds / 1000 for name, milliseconds in sorted(legs.items())},
    )
