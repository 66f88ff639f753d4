"""Decides rules: at a message, when a waiting rule comes due, at close.

The caller owns ``memory`` (the conversation's rule memories by rule id) and the functions here
update it in place; everything else is pure. The same calls on the same memory give the same result
whatever process makes them, and memory may be written out and read back between any two calls.

A rule fires at a message that brings something its condition asks for, not at every message while
the condition goes on holding; one that only asks for absence is decided at every message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stream.core.annotation import EMPTY, Annotation, Hit
from stream.core.rules.logic import combine
from stream.core.rules.model import (
    Arm,
    Condition,
    Counts,
    Disarm,
    Firing,
    Found,
    Look,
    Moment,
    OperatorState,
    Rule,
    RuleHit,
    RuleMemory,
    Told,
    View,
    Waiting,
)
from stream.core.rules.table import RuleTable, covers

Memory = dict[str, RuleMemory]
Scope = Mapping[str, str | None]

# So many spellings of a waiting rule are kept for its sentence; a sentence holds no more.
_TERMS_KEPT = 4


class Outcome(NamedTuple):
    """What a message came to. A rule is disarmed before it is armed anew."""

    hits: tuple[RuleHit, ...] = ()
    arms: tuple[Arm, ...] = ()
    disarms: tuple[Disarm, ...] = ()


NOTHING = Outcome()


def on_message(table: RuleTable, memory: Memory, view: View) -> Outcome:
    """Return what the rules make of one message; ``memory`` is updated."""
    concerned = table.candidates(view.role, view.annotation)
    return decide(concerned, memory, view) if concerned else NOTHING


def decide(concerned: Iterable[Rule], memory: Memory, view: View) -> Outcome:
    """Return what these rules make of one message; the others of their table have nothing to say of it."""
    hits_by_list = _by_list(view.annotation)
    hits: list[RuleHit] = []
    arms: list[Arm] = []
    disarms: list[Disarm] = []
    for rule in concerned:
        if rule.scope and not _in_scope(rule, view.scope):
            continue
        kept = memory.get(rule.id)
        own = RuleMemory(rule.hash) if kept is None or kept.hash != rule.hash else kept
        early = _untell(own, view.t) if own.told is not None else None
        if own.told is not None and _disproved(rule, own.told, view, hits_by_list):
            disarms.append(Disarm(rule.id, own.told.waiting.due))
            own.fired, own.last_at, own.told = own.fired - 1, own.told.last_at, None
        waiting = own.waiting
        if waiting is not None and _answered(rule, waiting, own.unless_states, view, hits_by_list):
            own.waiting = None
            own.unless_states = []
            disarms.append(Disarm(rule.id, waiting.due))
        found = _held(rule, own, view, hits_by_list) if covers(rule.role, view.role) else None
        if found is not None and rule.unless is None:
            hits.append(_fire(rule, own, view.t, found))
        elif found is not None and own.waiting is None:
            # The first one counts: who has been waiting goes on waiting from then.
            terms = list(found.terms[:_TERMS_KEPT])
            own.waiting = Waiting(view.t + rule.wait_ms, view.t, found.amount, found.score, terms)
            arms.append(Arm(rule.id, own.waiting.due))
        if early is not None and own.waiting is early:
            _tell(own, early)
        _keep(memory, rule, own)
    return Outcome(tuple(hits), tuple(arms), tuple(disarms))


def on_close(table: RuleTable, memory: Memory, scope: Scope, t: int, counts: Counts) -> list[RuleHit]:
    """Return the rules that the whole conversation fulfils.

    A rule about a role that never wrote a message does not fire: nobody failed to say goodbye who
    was not there.
    """
    hits = []
    for rule in table.closing:
        ordinal = counts.of(rule.role)
        if not ordinal or not _in_scope(rule, scope):
            continue
        kept = memory.get(rule.id)
        own = RuleMemory(rule.hash) if kept is None or kept.hash != rule.hash else kept
        found = _decide(rule.when, own.states, Look(ordinal, EMPTY, {}))
        if found is not None and _may_fire(rule, own, t):
            hits.append(_fire(rule, own, t, found))
        _keep(memory, rule, own)
    return hits


def on_due(table: RuleTable, memory: Memory, rule_id: str, t: int) -> RuleHit | None:
    """Return the hit of a waiting rule whose clock came due by ``t``, dated at its due time.

    ``None`` where it is not waiting, not due, or no longer the same rule.
    """
    rule = table.get(rule_id)
    own = memory.get(rule_id)
    if rule is None or own is None or own.hash != rule.hash:
        return None
    waiting = own.waiting
    if waiting is None or waiting.due > t:
        return None
    _tell(own, waiting)
    return RuleHit(rule, waiting.due, own.fired, (), tuple(waiting.terms), waiting.count, waiting.score)


def forget_firing(memory: Memory, rule_id: str) -> None:
    """Take back a rule's last firing: what it concluded proved wrong, and it may conclude it again."""
    own = memory.get(rule_id)
    if own is None or not own.fired:
        return
    own.fired -= 1
    if not own.fired:
        own.last_at = 0
        if not own.states:
            del memory[rule_id]


def untell(memory: Memory, rule_id: str, due: int) -> None:
    """Let a wait that was told too early run again: its clock proved to have stopped before ``due``."""
    own = memory.get(rule_id)
    if own is not None and own.told is not None and own.told.waiting.due == due:
        _untell(own, due)


def forget_waits(memory: Memory) -> None:
    """Let no rule wait any more: the conversation ended before what they waited for was due."""
    for rule_id, own in list(memory.items()):
        own.waiting, own.unless_states = None, []
        if not own.fired and not own.states:
            del memory[rule_id]


def forget_changed(table: RuleTable, memory: Memory) -> list[Disarm]:
    """Drop the memories of rules that are gone or changed; return the clocks they had running."""
    stale = [
        rule_id
        for rule_id, own in memory.items()
        if (rule := table.get(rule_id)) is None or rule.hash != own.hash
    ]
    gone = [(rule_id, memory.pop(rule_id).waiting) for rule_id in stale]
    return [Disarm(rule_id, waiting.due) for rule_id, waiting in gone if waiting is not None]


def _tell(own: RuleMemory, waiting: Waiting) -> None:
    """Let the wait have come due. Its operators keep what they know: it may prove to have been early."""
    own.told = Told(waiting, own.last_at, own.unless_states)
    own.waiting, own.unless_states = None, []
    own.fired, own.last_at = own.fired + 1, waiting.due


def _untell(own: RuleMemory, t: int) -> Waiting | None:
    """Let the wait run again while a message at ``t`` is looked at that was written before it came due.

    Such a message finds the rule as it would have in time. Only where the rule has begun to wait
    anew is the old wait left as told.
    """
    told = own.told
    if told is None or t > told.waiting.due or own.waiting is not None:
        return None
    own.waiting, own.unless_states, own.told = told.waiting, told.unless_states, None
    own.fired, own.last_at = own.fired - 1, told.last_at
    return told.waiting


def _held(rule: Rule, own: RuleMemory, view: View, hits_by_list: Mapping[str, list[Hit]]) -> Found | None:
    """Let ``when`` see the message; return what holds, where the rule may act on it."""
    if rule.fire.firing is Firing.ONCE and own.fired:
        return None
    look = Look(view.counts.of(rule.role), view.annotation, hits_by_list)
    if rule.on is Moment.CLOSE:
        _remember(rule.when, own.states, look)
        return None
    found = _decide(rule.when, own.states, look)
    if found is None or (rule.when.needs_fresh and not found.fresh):
        return None
    return found if _may_fire(rule, own, view.t) else None


def _disproved(rule: Rule, told: Told, view: View, hits_by_list: Mapping[str, list[Hit]]) -> bool:
    """Return whether a message from before the due time fulfils the ``unless`` of a wait that was told."""
    return view.t <= told.waiting.due and _answered(
        rule, told.waiting, told.unless_states, view, hits_by_list
    )


def _answered(
    rule: Rule,
    waiting: Waiting,
    unless_states: list[OperatorState],
    view: View,
    hits_by_list: Mapping[str, list[Hit]],
) -> bool:
    """Return whether ``unless`` holds of what came since the rule began to wait."""
    assert rule.unless is not None
    if view.t < waiting.armed_at or not covers(rule.unless_role, view.role):
        return False
    look = Look(view.counts.of(rule.unless_role), view.annotation, hits_by_list)
    found = _decide(rule.unless, unless_states, look)
    return found is not None and (found.fresh or not rule.unless.needs_fresh)


def _decide(condition: Condition, states: list[OperatorState], look: Look) -> Found | None:
    """Step every operator and combine what they find."""
    if isinstance(condition.logic, int):  # one operator, nothing to combine
        (leaf,) = condition.leaves
        state, found = leaf.step(leaf.args, states[0] if states else (), look)
        states[:] = [state] if state else []
        return found
    return combine(condition.logic, _step(condition, states, look))


def _step(condition: Condition, states: list[OperatorState], look: Look) -> list[Found | None]:
    """Step every operator; ``states`` becomes what they remember (empty for nothing)."""
    before = states or [()] * len(condition.leaves)
    stepped = [
        leaf.step(leaf.args, state, look) for leaf, state in zip(condition.leaves, before, strict=True)
    ]
    after = [state for state, _ in stepped]
    states[:] = after if any(after) else []
    return [found for _, found in stepped]


def _remember(condition: Condition, states: list[OperatorState], look: Look) -> None:
    """Step the operators of a rule that is decided at close, but for those whose verdict stands."""
    after = [
        state if state and leaf.latches else leaf.step(leaf.args, state, look)[0]
        for leaf, state in zip(condition.leaves, states or [()] * len(condition.leaves), strict=True)
    ]
    states[:] = after if any(after) else []


def _may_fire(rule: Rule, own: RuleMemory, t: int) -> bool:
    if not own.fired or rule.fire.firing is Firing.EVERY:
        return True
    return rule.fire.firing is Firing.COOLDOWN and t - own.last_at >= rule.fire.cooldown_ms


def _fire(rule: Rule, own: RuleMemory, at: int, found: Found) -> RuleHit:
    if rule.deed is not None:
        return RuleHit(rule, at, 1, found.spans, found.terms, found.amount, found.score)
    own.fired += 1
    own.last_at = at
    if rule.fire.firing is Firing.ONCE and rule.on is not Moment.CLOSE:
        own.states = []  # it will not be asked again; a close may be undone, and then it is
    return RuleHit(rule, at, own.fired, found.spans, found.terms, found.amount, found.score)


def _keep(memory: Memory, rule: Rule, own: RuleMemory) -> None:
    if own.fired or own.waiting is not None or own.states:
        memory[rule.id] = own
    else:
        memory.pop(rule.id, None)


def _in_scope(rule: Rule, scope: Scope) -> bool:
    return all(scope.get(key) in values for key, values in rule.scope)


def _by_list(annotation: Annotation) -> Mapping[str, list[Hit]]:
    grouped: dict[str, list[Hit]] = {}
    for hit in annotation.hits:
        grouped.setdefault(hit.terms, []).append(hit)
    return grouped
