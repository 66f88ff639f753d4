"""What a message does to a conversation."""

from __future__ import annotations

from stream.core import clocks, inferred, judge, kinds, lifecycle, lines, rules, service, summary
from stream.core.annotation import Scores
from stream.core.attributes import merge
from stream.core.events import Message, Role
from stream.core.evidence import last_words
from stream.core.ids import mark
from stream.core.outputs import Score
from stream.core.rules import Arm, Disarm, View
from stream.core.state import MARK_SIZE, SEEN_LIMIT, State
from stream.core.work import Work, role_counts

_NO_SCORES = Scores()

_SEEN_SIZE = SEEN_LIMIT * MARK_SIZE

# Members that every message asks for: looked up in their enum they cost many times as much.
_CUSTOMER, _AGENT, _BOT, _SYSTEM = Role.CUSTOMER, Role.AGENT, Role.BOT, Role.SYSTEM

# Plain words: a mapping with members of an enum among its keys is slower to look up, and to encode.
_WORDS = {role: role.value for role in Role}


def apply(work: Work, event: Message, t: int) -> None:
    """Apply a message that was not known and is now noted (``note``)."""
    state = work.state
    merge(state, event)
    role = event.sender.role
    word = _WORDS[role]
    state.count(word)
    lines.hear(state, event, t)
    if role is _CUSTOMER:
        if state.closed_at is not None:
            lifecycle.reopen(work, t)
        _customer_said(work, event, t)
    elif role is _AGENT:
        if event.content.text and work.annotation.reading is not None:
            judge.hear_desk(state.scores.views, work.annotation.reading)
        if wrong := service.agent_said(work.book, state, event.sender, t):
            work.take_back(wrong)
    elif role is _BOT:
        work.take_back(service.bot_said(state, t))
    if wrong := kinds.heard(work.book, state, kinds.Heard(event, work.annotation, t)):
        work.take_back(wrong)
    _apply_rules(work, event, word, t)
    if role is not _SYSTEM:
        state.last_role = word


def note(state: State, event: Message) -> bool:
    """Note the message among the last that were applied; return False where it is one of them already."""
    known, seen = mark(event.message_id)[:MARK_SIZE], state.seen
    at = seen.find(known)
    while at >= 0:
        if at % MARK_SIZE == 0:
            return False
        at = seen.find(known, at + 1)  # across two marks: a coincidence
    if len(seen) >= _SEEN_SIZE:
        seen = seen[MARK_SIZE - _SEEN_SIZE :]
    state.seen = seen + known
    return True


def _customer_said(work: Work, event: Message, t: int) -> None:
    state, annotation = work.state, work.annotation
    scores = annotation.scores or _NO_SCORES
    dissatisfaction, anger, abuse = scores
    work.scores += (
        Score(
            conversation_id=state.conversation_id,
            message_id=event.message_id,
            dissatisfaction=dissatisfaction,
            anger=anger,
            abuse=abuse,
        ),
    )
    if event.content.text:
        summary.add_scores(state, scores)
        if annotation.reading is not None:
            judge.hear_customer(state.scores.views, annotation.reading)
        state.pleased = summary.is_pleased(annotation)
        state.last_words = last_words(annotation)
        if annotation.hits and "category" not in state.attributes:
            _categorise(work, t)
    service.customer_said(work.book, state, t)


def _categorise(work: Work, t: int) -> None:
    """Let the first words that name a category settle it."""
    state = work.state
    category = work.book.categories.match(work.annotation.hits)
    if category is not None:
        state.attributes["category"] = category
        state.category_source = "text"
        inferred.categorise(state, category, t)


def _apply_rules(work: Work, event: Message, role: str, t: int) -> None:
    state, annotation = work.state, work.annotation
    concerned = work.concerned
    if concerned is None:
        concerned = work.book.rules.candidates(role, annotation)
    if not concerned:
        return
    view = View(role, t, role_counts(state), annotation, event.sender.mode, state.attributes)
    outcome = rules.decide(concerned, state.rules, view)
    for disarm in outcome.disarms:
        _disarm(work, disarm, t)
    for arm in outcome.arms:
        _arm(work, arm, t)
    for hit in outcome.hits:
        if hit.rule.deed is None or hit.rule.staged:
            work.tell_hit(hit, message_id=event.message_id)
        else:
            mode = event.sender.mode
            work.take_back(kinds.act(work.book, state, hit.rule.deed, hit.rule.clock, mode, t))


def _arm(work: Work, arm: Arm, t: int) -> None:
    clocks.start(work.state, clocks.RULE, arm.rule_id, t, [arm.due - t])


def _disarm(work: Work, disarm: Disarm, t: int) -> None:
    state = work.state
    for clock in clocks.of_kinds(state, frozenset({f"{clocks.RULE}:{disarm.rule_id}"})):
        if clock.target_at == disarm.due:
            work.take_back(clocks.answer(state, clock, t))
            return
