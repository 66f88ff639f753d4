"""Detection in single texts: what the rules make of one message with nothing before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import msgspec

from stream.core import rules
from stream.core.annotation import Annotation, Scores
from stream.core.evidence import excerpt
from stream.core.rules import Counts, View
from stream.runtime.conversations import Knowledge
from stream.wire.inbound import MAX_BYTES, mend_surrogates

# Scores come cheaper for many texts at once; a person at a terminal wants an answer after each.
BATCH = 256


class ScanFinding(msgspec.Struct, frozen=True):
    """What one rule found in a text; spans are offsets into the text as given."""

    rule_id: str
    kind: str
    severity: str
    spans: tuple[tuple[int, int], ...]
    evidence: str


class Scanned(msgspec.Struct, frozen=True):
    """One line of the answer."""

    text: str
    findings: tuple[ScanFinding, ...]
    scores: dict[str, float]


def scan_text(knowledge: Knowledge, annotation: Annotation, role: str) -> Scanned:
    """Return what the rules find in one annotated text of ``role``, the first of its conversation."""
    view = View(role, 0, Counts().plus(role), annotation)
    outcome = rules.on_message(knowledge.book.rules, {}, view)
    found = tuple(
        ScanFinding(hit.rule.id, hit.rule.kind, hit.rule.severity, hit.spans, excerpt(annotation, hit.spans))
        for hit in outcome.hits
        if not hit.rule.staged
    )
    return Scanned(annotation.text, found, (annotation.scores or Scores())._asdict())


def scan_lines(
    knowledge: Knowledge, source: IO[bytes], role: str, *, interactive: bool
) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield (line number, answer, what was wrong with the line) for every line.

    A line that could not be read gets an answer too, with no findings, so that answers and lines
    can be laid side by side.
    """
    pending: list[tuple[int, str, str | None]] = []
    for number, raw in enumerate(iter(lambda: source.readline(MAX_BYTES + 2), b""), 1):
        text, problem = _read(raw.rstrip(b"\r\n"))
        pending.append((number, text, problem))
        if interactive or len(pending) >= BATCH:
            yield from _answers(knowledge, pending, role)
            pending.clear()
    yield from _answers(knowledge, pending, role)


def _answers(
    knowledge: Knowledge, pending: list[tuple[int, str, str | None]], role: str
) -> Iterator[tuple[int, bytes, str | None]]:
    texts = [text for _, text, _ in pending]
    # Scores are asked for in either role: who scans an agent's text wants to see how it reads.
    annotations = knowledge.annotator.annotate(texts, [True] * len(texts))
    for (number, _, problem), annotation in zip(pending, annotations, strict=True):
        yield number, msgspec.json.encode(scan_text(knowledge, annotation, role)), problem


class _Line(msgspec.Struct):
    text: str


def _read(raw: bytes) -> tuple[str, str | None]:
    if len(raw) > MAX_BYTES:
        return "", "longer than 64 KiB"
    if raw.lstrip().startswith(b"{"):
        try:
            return msgspec.json.decode(mend_surrogates(raw), type=_Line).text, None
        except msgspec.DecodeError:
            if raw.rstrip().endswith(b"}") and raw.lstrip().startswith(b'{"'):
                return "", 'no {"text": "..."} object'
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace"), "not UTF-8"
