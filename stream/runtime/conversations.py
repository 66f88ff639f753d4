"""The conversations of one partition: events in, records and changed states out.

This is the one place where decode's results, the annotator, the engine and alerting meet; replay,
the embedded runtime and the Kafka runtime all call it, so they cannot drift. It does no I/O: it
holds the states as bytes, a heap of what comes due (derived, never the source of truth), and
returns what the runtime must make durable. Whatever is not made durable is made again: an input
whose offset the state already holds is skipped, one that it does not hold gives the same records
with the same ids.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.model import Alert
from stream import alerting
from stream.core import clocks, engine
from stream.core import state as states
from stream.core.annotation import EMPTY, Annotation
from stream.core.book import RuleBook
from stream.core.clocks import Due
from stream.core.engine import Step
from stream.core.events import Message, Received, Role, Tick, Timer
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.core.state import Source, State
from stream.packs.check import Annotates

# Stale heap entries are swept when they outnumber the conversations so many times over.
_SWEEP_FACTOR = 4
_SWEEP_MINIMUM = 1024

# Conversations kept decoded beside their bytes, least recently changed first out: what goes on at once on a
# busy partition, some 5 KiB each. Decoding is a tenth of what an event costs.
_HOT = 2_048

_NOTHING = (-1,) * len(Source)


class Knowledge(NamedTuple):
    """A rule book and the annotator built from it: swapped together, never apart."""

    book: RuleBook
    annotator: Annotates


class Input(NamedTuple):
    """One decoded record and where it stood. Offsets of one source ascend."""

    item: Received | Timer
    source: Source = Source.MESSAGES
    offset: int = -1


Record = Finding | Alert | Score | Summary | Contact


@dataclass(slots=True)
class Applied:
    """What a batch came to.

    ``records`` are in the order in which they were made. ``changed`` holds the new bytes of every
    conversation the batch touched; ``forgotten`` those that are gone, with the offsets they had
    applied (a changelog keeps these until the commits have passed them).
    """

    records: list[Record] = field(default_factory=list)
    changed: dict[str, bytes] = field(default_factory=dict)
    forgotten: dict[str, tuple[int, ...]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    applied: int = 0
    skipped: int = 0

    def merge(self, later: Applied) -> None:
        """Add what was applied after this."""
        self.records.extend(later.records)
        for conversation_id in later.changed:
            self.forgotten.pop(conversation_id, None)
        for conversation_id in later.forgotten:
            self.changed.pop(conversation_id, None)
        self.changed.update(later.changed)
        self.forgotten.update(later.forgotten)
        self.counted.update(later.counted)
        self.applied += later.applied
        self.skipped += later.skipped


class Conversations:
    """All open conversations of one partition (or of the whole embedded runtime)."""

    def __init__(self, *, source_partition: int | None = None, conversation_url: str | None = None) -> None:
        self._states: dict[str, bytes] = {}
        # Those of the last batches as they were written: what goes on need not be read back from its bytes.
        self._hot: OrderedDict[str, State] = OrderedDict()
        self._dues: list[tuple[int, str]] = []
        self._upcoming: dict[str, tuple[Due, ...]] = {}
        self._open_alerts: dict[str, tuple[str, ...]] = {}
        self._overdue: dict[str, tuple[str, int]] = {}
        # Offsets that a forgotten conversation had applied, until the source's commits have passed them.
        self._gone: dict[str, tuple[int, ...]] = {}
        self._source_partition = source_partition
        self._conversation_url = conversation_url

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._states

    def state_bytes(self) -> int:
        """Return the size of all state records held."""
        return sum(map(len, list(self._states.values())))

    def open_clocks(self) -> Counter[str]:
        """Return how many clocks run, by kind; what is derived from silence alone is not among them."""
        running: Counter[str] = Counter()
        # A copy: whoever scrapes asks while another thread applies the next batch.
        for dues in list(self._upcoming.values()):
            for due in dues if len(dues) > 1 else ():
                kind = clocks.kind_of(due.clock_id)
                if kind:
                    running[kind] += 1
        return running

    def open_alerts(self) -> Counter[str]:
        """Return how many alerts fire, by severity."""
        return Counter(severity for held in list(self._open_alerts.values()) for severity in held)

    def overdue(self) -> dict[str, int]:
        """Return by kind the earliest target that has passed with no answer yet, in milliseconds UTC."""
        found: dict[str, int] = {}
        for kind, target_at in list(self._overdue.values()):
            found[kind] = min(target_at, found.get(kind, target_at))
        return found

    def raw(self) -> Iterator[tuple[str, bytes]]:
        """Yield every conversation's id and record."""
        yield from self._states.items()

    def load(self, knowledge: Knowledge, conversation_id: str, raw: bytes) -> None:
        """Take a record back from durable storage, and its next due clock with it.

        Raises:
            stream.core.state.UnsupportedVersionError: A newer release wrote the record.
        """
        state = states.decode(raw)
        self._hold(knowledge, conversation_id, state, raw)

    def load_gone(self, conversation_id: str, applied: tuple[int, ...]) -> None:
        """Take back the offsets of a conversation that was forgotten but may be read again."""
        self._gone[conversation_id] = applied

    def drop_gone(self, committed: Sequence[int]) -> list[str]:
        """Let go of forgotten conversations whose offsets lie below ``committed`` (next offset a source).

        Returns their ids: a changelog may now delete their keys.
        """
        done = [
            conversation_id
            for conversation_id, applied in self._gone.items()
            if all(offset < limit for offset, limit in zip(applied, committed, strict=True))
        ]
        for conversation_id in done:
            del self._gone[conversation_id]
        return done

    # Applying -----------------------------------------------------------------------------------

    def apply(self, knowledge: Knowledge, inputs: Sequence[Input]) -> Applied:
        """Apply a batch in order; a tick lets every conversation's clocks come due first."""
        done = Applied()
        annotations = self._annotate(knowledge, inputs)
        working: dict[str, State | None] = {}
        for entry, annotation in zip(inputs, annotations, strict=True):
            if isinstance(entry.item, Received) and isinstance(entry.item.event, Tick):
                self._write_back(knowledge, working, done)
                working = {}
                self._tick(knowledge, entry.item.t, done)
            else:
                self._apply_one(knowledge, entry, annotation, working, done)
        self._write_back(knowledge, working, done)
        return done

    def _annotate(self, knowledge: Knowledge, inputs: Sequence[Input]) -> Iterable[Annotation]:
        texts: list[str] = []
        scored: list[bool] = []
        where: list[int] = []
        for index, entry in enumerate(inputs):
            item = entry.item
            if isinstance(item, Received) and isinstance(item.event, Message) and item.event.content.text:
                texts.append(item.event.content.text)
                scored.append(item.event.sender.role is Role.CUSTOMER)
                where.append(index)
        if not texts:
            return [EMPTY] * len(inputs)
        annotations = [EMPTY] * len(inputs)
        for index, annotation in zip(where, knowledge.annotator.annotate(texts, scored), strict=True):
            annotations[index] = annotation
        return annotations

    def _apply_one(
        self,
        knowledge: Knowledge,
        entry: Input,
        annotation: Annotation,
        working: dict[str, State | None],
        done: Applied,
    ) -> None:
        item, source, offset = entry
        if isinstance(item, Timer):
            conversation_id = item.conversation_id
        else:
            named = engine.conversation_of(item.event)
            if named is None:  # news of no conversation (an agent's presence in the shop)
                done.counted["no_conversation"] += 1
                return
            conversation_id = named
        state = self._take(conversation_id, working)
        applied: Sequence[int]
        applied = self._gone.get(conversation_id, _NOTHING) if state is None else state.applied
        if 0 <= offset <= applied[source]:
            done.skipped += 1
            return
        if state is not None and isinstance(item, Received):
            state = self._bring_forward(knowledge, state, item.t, done)
        if isinstance(item, Timer):
            if state is None:
                done.counted["timer_without_conversation"] += 1
                return
            step = engine.on_timer(knowledge.book, state, item)
        else:
            step = engine.step(knowledge.book, state, item, annotation)
        after = step.state
        self._gather(knowledge, step, state, done)
        offsets = list(applied)
        if offset >= 0:
            offsets[source] = offset
        if after is None:
            self._forget(conversation_id, tuple(offsets), done)
        else:
            after.applied = offsets
            self._gone.pop(conversation_id, None)
            done.forgotten.pop(conversation_id, None)
        working[conversation_id] = after
        done.applied += 1

    def _bring_forward(self, knowledge: Knowledge, state: State, t: int, done: Applied) -> State | None:
        """Let what comes due before ``t`` speak with what is known until then.

        An alert of it carries the agent and the group of its own moment, not of the event at ``t``,
        and what an ending conversation still has to say is told of it, not of the one that follows.
        """
        if clocks.earliest(state, knowledge.book.limits) >= t:
            return state
        step = engine.advance(knowledge.book, state, t)
        self._gather(knowledge, step, state, done)
        return step.state

    def _forget(self, conversation_id: str, applied: tuple[int, ...], done: Applied) -> None:
        done.forgotten[conversation_id] = applied
        if applied != _NOTHING:
            self._gone[conversation_id] = applied

    def _take(self, conversation_id: str, working: dict[str, State | None]) -> State | None:
        if conversation_id in working:
            return working[conversation_id]
        # Not among the hot ones while it is changed: a batch that fails half-way leaves the bytes alone.
        state = self._hot.pop(conversation_id, None)
        if state is not None:
            return state
        raw = self._states.get(conversation_id)
        return None if raw is None else states.decode(raw)

    def _gather(self, knowledge: Knowledge, step: Step, state: State | None, done: Applied) -> None:
        records = done.records
        records.extend(step.findings)
        owner = step.state if step.state is not None else state
        if owner is not None and (step.findings or owner.alerts):
            records.extend(
                alerting.apply(
                    knowledge.book,
                    owner,
                    step.findings,
                    source_partition=self._source_partition,
                    conversation_url=self._conversation_url,
                )
            )
        records.extend(step.scores)
        if step.summary is not None:
            records.append(step.summary)
        records.extend(step.contacts)
        if step.counted:
            done.counted.update(step.counted)

    def _write_back(self, knowledge: Knowledge, working: dict[str, State | None], done: Applied) -> None:
        for conversation_id, state in working.items():
            if state is None:
                self._states.pop(conversation_id, None)
                self._hot.pop(conversation_id, None)
                self._upcoming.pop(conversation_id, None)
                self._open_alerts.pop(conversation_id, None)
                self._overdue.pop(conversation_id, None)
                done.changed.pop(conversation_id, None)
                continue
            raw = done.changed[conversation_id] = states.encode(state)
            self._hold(knowledge, conversation_id, state, raw)
            self._hot[conversation_id] = state
            if len(self._hot) > _HOT:
                self._hot.popitem(last=False)

    def _hold(self, knowledge: Knowledge, conversation_id: str, state: State, raw: bytes) -> None:
        self._states[conversation_id] = raw
        self._schedule(conversation_id, clocks.upcoming(state, knowledge.book.limits))
        if state.alerts:
            self._open_alerts[conversation_id] = alerting.open_severities(state)
        else:
            self._open_alerts.pop(conversation_id, None)
        late = clocks.overdue(state)
        if late is not None:
            self._overdue[conversation_id] = late
        else:
            self._overdue.pop(conversation_id, None)

    # Time -----------------------------------------------------------------------------------------

    def _schedule(self, conversation_id: str, upcoming: tuple[Due, ...]) -> None:
        before = self._upcoming.get(conversation_id)
        self._upcoming[conversation_id] = upcoming
        at = upcoming[0].at
        if before is not None and before[0].at == at:
            return
        heapq.heappush(self._dues, (at, conversation_id))
        if len(self._dues) > max(_SWEEP_MINIMUM, _SWEEP_FACTOR * len(self._upcoming)):
            self._dues = [(dues[0].at, name) for name, dues in self._upcoming.items()]
            heapq.heapify(self._dues)

    def next_due(self) -> int | None:
        """Return when the next clock comes due, in milliseconds UTC."""
        while self._dues:
            at, conversation_id = self._dues[0]
            dues = self._upcoming.get(conversation_id)
            if dues is not None and dues[0].at == at:
                return at
            heapq.heappop(self._dues)  # superseded
        return None

    def take_due(self, now: int, limit: int = 1000) -> list[Timer]:
        """Return timer records for at most ``limit`` clocks with ``due < now``, earliest first.

        Each is given out once; the clock itself stays as it is until its record is applied.
        """
        timers: list[Timer] = []
        while len(timers) < limit:
            at = self.next_due()
            if at is None or at >= now:
                break
            _, conversation_id = heapq.heappop(self._dues)
            clock_id = self._upcoming.pop(conversation_id)[0].clock_id
            timers.append(Timer(conversation_id=conversation_id, clock_id=clock_id, due=at))
        return timers

    def advance(self, knowledge: Knowledge, until: int) -> Applied:
        """Let every clock with ``due < until`` come due."""
        done = Applied()
        self._tick(knowledge, until, done)
        return done

    def _tick(self, knowledge: Knowledge, until: int, done: Applied) -> None:
        """Let clocks with ``due < until`` come due, one conversation after another."""
        while True:
            at = self.next_due()
            if at is None or at >= until:
                return
            _, conversation_id = heapq.heappop(self._dues)
            del self._upcoming[conversation_id]
            state = states.decode(self._states[conversation_id])
            step = engine.advance(knowledge.book, state, until)
            self._gather(knowledge, step, state, done)
            if step.state is None:
                self._forget(conversation_id, tuple(state.applied), done)
            self._write_back(knowledge, {conversation_id: step.state}, done)

    def close_all(self, knowledge: Knowledge, at: int) -> Applied:
        """Close what is still open at ``at`` (``inferred``): the end of a recorded day."""
        done = Applied()
        for conversation_id in sorted(self._states):
            state = states.decode(self._states[conversation_id])
            step = engine.close(knowledge.book, state, at)
            self._gather(knowledge, step, state, done)
            if step.state is None:
                self._forget(conversation_id, tuple(state.applied), done)
            self._write_back(knowledge, {conversation_id: step.state}, done)
        return done
