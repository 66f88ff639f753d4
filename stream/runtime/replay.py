"""Recorded events through the same engine in simulated time, as fast as it goes.

Driver ``stream``: events apply in file order and time is theirs alone, so the same input gives the
same bytes. The four files of records are written whole at the end, in a stated order; refused
lines go to ``dlq.jsonl`` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

import msgspec

from alerts.model import Alert
from stream import wire
from stream.core.events import Received
from stream.core.limits import HOUR_MS
from stream.core.outputs import Finding, Score, Summary
from stream.runtime.conversations import Applied, Conversations, Input, Knowledge, Record
from stream.runtime.customers import Customers, contacted
from stream.wire import InvalidMessage

# After the last event clocks run on for a day: the longest target anybody promises within a chat.
RUN_ON_MS = 24 * HOUR_MS
# Large enough for the annotator's vectorised scoring (16 and more), small enough to stay in cache.
BATCH = 256


@dataclass(slots=True)
class Refused:
    """A line that could not be used: which, and why; never what it said."""

    source: str
    line: int
    reason: str
    detail: str


@dataclass(slots=True)
class Replayed:
    """What a recorded day came to. ``earlier`` are summaries of conversations whose id was used again."""

    findings: list[Finding] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    summaries: dict[str, Summary] = field(default_factory=dict)
    earlier: list[Summary] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    events: int = 0
    last_t: int | None = None

    def take(self, records: Iterable[Record]) -> None:
        """Sort records; of a conversation's summaries the last revision stays."""
        for record in records:
            if isinstance(record, Finding):
                self.findings.append(record)
            elif isinstance(record, Alert):
                self.alerts.append(record)
            elif isinstance(record, Score):
                self.scores.append(record)
            elif isinstance(record, Summary) and _replaces(record, self.summaries):
                known = self.summaries.get(record.conversation_id)
                if known is not None and record.opened_at > known.closed_at:
                    self.earlier.append(known)
                self.summaries[record.conversation_id] = record


def _replaces(summary: Summary, known: Mapping[str, Summary]) -> bool:
    """Whether a summary is the one to keep: of an id that was used again, that of the later use."""
    other = known.get(summary.conversation_id)
    if other is None or summary.opened_at > other.closed_at:
        return True
    return summary.closed_at >= other.opened_at and summary.revision >= other.revision


class _Parts:
    """Conversations and their customers: contacts are applied behind the batch that made them.

    Nothing of a customer comes due before the end: a file need not be in the order of time.
    """

    def __init__(self, done: Replayed, conversation_url: str | None) -> None:
        self._done = done
        self.conversations = Conversations(conversation_url=conversation_url)
        self._customers = Customers()

    def take(self, knowledge: Knowledge, applied: Applied) -> None:
        """Take what the conversations came to, and what that says of others of the same customers."""
        self._done.take(applied.records)
        told = self._customers.apply(knowledge.book.limits, contacted(applied.records))
        self._done.take(one.summary for one in told.amended)


def read(
    sources: Iterable[str], progress: Callable[[int], None] | None = None
) -> Iterator[Received | Refused]:
    """Yield the events of the sources in order, and what could not be read of them.

    ``progress`` is told the bytes of each line. For the errors of reading see ``wire.read_events``.
    """
    for source in sources:
        for line, raw in wire.read_events(source):
            if progress is not None:
                progress(len(raw) + 1)
            try:
                yield wire.decode(raw, received_at=None)
            except InvalidMessage as error:
                yield Refused(source, line, error.reason, error.detail)


def replay(
    knowledge: Knowledge,
    events: Iterable[Received | Refused | Knowledge],
    *,
    close: bool = True,
    conversation_url: str | None = None,
) -> Replayed:
    """Run events through the engine, in order; knowledge among them replaces what was in force.

    With ``close`` clocks run on for 24 hours past the last ``t`` and what is still open is then
    closed (``inferred``); without, they stop at the last ``t``.
    """
    done = Replayed()
    parts = _Parts(done, conversation_url)
    conversations = parts.conversations
    batch: list[Input] = []
    for event in events:
        if isinstance(event, Refused):
            done.refused.append(event)
            continue
        if isinstance(event, Knowledge):
            parts.take(knowledge, conversations.apply(knowledge, batch))
            batch.clear()
            knowledge = event
            continue
        done.events += 1
        done.last_t = event.t if done.last_t is None else max(done.last_t, event.t)
        batch.append(Input(event))
        if len(batch) >= BATCH:
            parts.take(knowledge, conversations.apply(knowledge, batch))
            batch.clear()
    parts.take(knowledge, conversations.apply(knowledge, batch))
    if done.last_t is not None:
        until = done.last_t + (RUN_ON_MS if close else 0)
        parts.take(knowledge, conversations.advance(knowledge, until))
        if close:
            parts.take(knowledge, conversations.close_all(knowledge, until))
    return done


def write(done: Replayed, out: Path, zone: tzinfo) -> None:
    """Write the records of a replay: four files, and ``dlq.jsonl`` where lines were refused.

    Findings and alerts are ordered by (``at``, id), scores by input, conversations by id. A raised
    finding stands before its correction.
    """
    out.mkdir(parents=True, exist_ok=True)
    findings = sorted(done.findings, key=lambda finding: (finding.at, finding.finding_id))
    alerts = sorted(done.alerts, key=lambda alert: (alert.at, alert.alert_id))
    summaries = [done.summaries[name] for name in sorted(done.summaries)]
    for name, records in (
        ("findings", findings),
        ("alerts", alerts),
        ("scores", done.scores),
        ("conversations", summaries),
    ):
        with (out / f"{name}.jsonl").open("wb") as file:
            for record in records:
                line = (
                    wire.encode_alert(record, zone)
                    if isinstance(record, Alert)
                    else wire.encode(record, zone)
                )
                file.write(line + b"\n")
    refused = out / "dlq.jsonl"
    if done.refused:
        refused.write_bytes(
            b"".join(msgspec.json.encode(msgspec.to_builtins(one)) + b"\n" for one in done.refused)
        )
    else:
        refused.unlink(missing_ok=True)  # of an earlier run into the same directory
