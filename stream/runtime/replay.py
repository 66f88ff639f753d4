"""Recorded events through the same engine in simulated time, as fast as it goes.

Driver ``stream``: events apply in file order and time is theirs alone, so the same input gives the
same bytes. The four files of records are written whole at the end, in a stated order; refused
lines go to ``dlq.jsonl`` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

import msgspec

from alerts.model import Alert
from stream import wire
from stream.core.events import Received
from stream.core.limits import HOUR_MS
from stream.core.outputs import Finding, Score, Summary
from stream.runtime.conversations import Applied, Conversations, Input, Knowledge
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
    """What a recorded day came to."""

    findings: list[Finding] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    summaries: dict[str, Summary] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    events: int = 0
    last_t: int | None = None

    def take(self, applied: Applied) -> None:
        """Sort a batch's records; of a conversation's summaries the last revision stays."""
        for record in applied.records:
            if isinstance(record, Finding):
                self.findings.append(record)
            elif isinstance(record, Alert):
                self.alerts.append(record)
            elif isinstance(record, Score):
                self.scores.append(record)
            elif isinstance(record, Summary):
                self.summaries[record.conversation_id] = record


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
    conversations = Conversations(conversation_url=conversation_url)
    batch: list[Input] = []
    for event in events:
        if isinstance(event, Refused):
            done.refused.append(event)
            continue
        if isinstance(event, Knowledge):
            done.take(conversations.apply(knowledge, batch))
            batch.clear()
            knowledge = event
            continue
        done.events += 1
        done.last_t = event.t if done.last_t is None else max(done.last_t, event.t)
        batch.append(Input(event))
        if len(batch) >= BATCH:
            done.take(conversations.apply(knowledge, batch))
            batch.clear()
    done.take(conversations.apply(knowledge, batch))
    if done.last_t is not None:
        until = done.last_t + (RUN_ON_MS if close else 0)
        done.take(conversations.advance(knowledge, until))
        if close:
            done.take(conversations.close_all(knowledge, until))
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
