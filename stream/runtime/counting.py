"""Counts what a batch came to: the one bridge from records to metrics, for every runtime."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.model import Alert
from stream import metrics as m
from stream.core.attainment import Decided
from stream.core.events import Received
from stream.core.outputs import (
    BotOutcome,
    Finding,
    FindingKind,
    FindingStatus,
    Score,
    Summary,
)
from stream.metrics import Metrics
from stream.runtime.conversations import Applied
from stream.runtime.customers import Told

_STAGED = "staged:"
# What is counted of customers, by what the core calls it.
_NOTICED = {
    "conversation_reopened": (m.RETURNS, ("reopened",)),
    "repeat_contact": (m.RETURNS, ("repeat",)),
    "contact_dropped": (m.CONTACTS_DROPPED, ()),
}
# The response figures of a summary that the histogram of responses is fed from.
_RESPONSES = (("first", "response_first_seconds"), ("next", "response_average_seconds"))


class Counting:
    """Adds what was decoded, applied and refused to the process's meters."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._dissatisfaction = metrics.histogram(m.DISSATISFACTION)
        self._batch_events = metrics.histogram(m.BATCH_EVENTS)

    def received(self, items: Iterable[Received], source: str) -> None:
        """Count events accepted, by type."""
        for item in items:
            tag = item.event.__struct_config__.tag
            self._metrics.inc(m.EVENTS, str(tag), source)
            for flag in item.flags:
                self._metrics.inc(m.EVENTS_MENDED, flag)

    def refused(self, reason: str, *, dead_letter: bool) -> None:
        """Count an event that could not be used."""
        self._metrics.inc(m.EVENTS_INVALID, reason)
        if dead_letter:
            self._metrics.inc(m.DEAD_LETTERS, reason)

    def applied(self, applied: Applied) -> None:
        """Count what a batch gave, once it is durable."""
        meters = self._metrics
        if applied.applied:
            self._batch_events.observe(applied.applied)
        if applied.skipped:
            meters.inc(m.EVENTS_REDELIVERED, n=applied.skipped)
        for name, count in applied.counted.items():
            self._noticed(name, count)
        for decided in applied.decided:
            self._clock(decided)
        for record in applied.records:
            if isinstance(record, Score):
                self._dissatisfaction.observe(record.dissatisfaction)
            elif isinstance(record, Finding):
                self._finding(record)
            elif isinstance(record, Alert):
                meters.inc(m.ALERTS, record.status, record.severity)
            elif isinstance(record, Summary):
                self._summary(record)

    def _noticed(self, name: str, count: int) -> None:
        if name == "duplicate":
            self._metrics.inc(m.EVENTS_DUPLICATE, n=count)
        elif name == "late":
            self._metrics.inc(m.EVENTS_LATE, n=count)
        elif name.startswith(_STAGED):
            self._metrics.inc(m.STAGED_HITS, name.removeprefix(_STAGED), n=count)

    def told(self, told: Told) -> None:
        """Count what contacts, or the time, came to for customers, once it is durable."""
        meters = self._metrics
        if told.skipped:
            meters.inc(m.EVENTS_REDELIVERED, n=told.skipped)
        for one in told.amended:
            meters.inc(m.SUMMARIES, one.summary.outcome, "later")
        for name, (metric, labels) in _NOTICED.items():
            if told.counted[name]:
                meters.inc(metric, *labels, n=told.counted[name])
        for figure in told.settled:
            meters.inc(m.PLATFORM_NUMERATOR, figure.definition, figure.figure, n=figure.numerator)
            meters.inc(m.PLATFORM_DENOMINATOR, figure.definition, figure.figure, n=figure.denominator)
        for correction in told.corrections:
            meters.inc(m.PLATFORM_CORRECTIONS, correction.definition, n=correction.units)

    def _finding(self, finding: Finding) -> None:
        self._metrics.inc(m.FINDINGS, finding.kind, finding.severity, finding.status)
        if finding.status is FindingStatus.RAISED and finding.kind is not FindingKind.OLA:
            self._metrics.inc(m.RULE_FINDINGS, finding.rule_id)

    def _clock(self, decided: Decided) -> None:
        kind, policy, leg, verdict, over_ms = decided
        if verdict is not None:
            self._metrics.inc(m.CLOCKS_STOPPED, kind, leg, policy, verdict)
        if over_ms is not None:
            self._metrics.histogram(m.CLOCK_OVER, kind).observe(over_ms / 1000)

    def _summary(self, summary: Summary) -> None:
        first = summary.revision == 1
        self._metrics.inc(m.SUMMARIES, summary.outcome, "first" if first else "later")
        if not first:
            return  # its figures are in already
        if summary.bot_outcome is not BotOutcome.NONE:
            self._metrics.inc(m.BOT_STAGES, summary.bot_outcome)
        self._metrics.histogram(m.CONVERSATION_DISSATISFACTION).observe(summary.dissatisfaction)
        for response, name in _RESPONSES:
            seconds = summary.metrics.get(name)
            if seconds is not None:
                self._metrics.histogram(m.RESPONSE_SECONDS, "plain", response).observe(seconds)
