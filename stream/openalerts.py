"""The section ``State.alerts`` of a conversation's record: its open alerts, in few bytes.

What can be said again without loss is left out: the conversation's id in front of each key, the names of
closed sets, ids that follow from what stands beside them. What the packs say of a rule is kept, for they
may change while an alert is open, and it must still say then what it said before. Only ``stream.alerting``
reads and writes the section; it may be read back between any two calls.
"""

from __future__ import annotations

from collections.abc import ItemsView, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from alerts.model import Audience, Severity, alert_id
from stream.core.findings import message_finding_id
from stream.core.outputs import FindingKind, Subject
from stream.core.state import State

# The places of a closed set's names stand in records: only ever add at the end.
_SEVERITIES: Final = tuple(Severity)
_KINDS: Final = tuple(kind.value for kind in FindingKind)
_SUBJECTS: Final = tuple(subject.value for subject in Subject)
_AUDIENCES: Final = tuple(audience.value for audience in Audience)

# Where these stand in a packed alert; they are asked for without unpacking the rest.
_SEVERITY: Final = 0
_ENDED_AT: Final = 1
_CLOCK: Final = 2


class Kept(Struct, array_like=True, gc=False):
    """A finding as an open alert keeps it; ``why`` holds NUL for the evidence that it quotes."""

    finding_id: str
    rule_id: str
    kind: str
    severity: Severity
    at: int
    subject: str
    message_id: str | None
    evidence: str
    why: str
    pack_version: str


class Open(Struct, array_like=True):
    """An alert that has been told and not resolved; with ``ended_at``, resolved by an inferred close."""

    alert_id: str
    severity: Severity
    starts_at: int
    step: int
    audiences: list[str]
    clock_id: str | None = None
    findings: list[Kept] = field(default_factory=list)
    ended_at: int | None = None


def keys(state: State) -> list[tuple[str, int | None, str | None]]:
    """Return each alert's dedup key, when an inferred close ended it, and the id of its clock."""
    prefix = f"{state.conversation_id}:"
    return [(prefix + short, packed[_ENDED_AT], _clock_id(short, packed)) for short, packed in _packed(state)]


def severities(state: State) -> tuple[str, ...]:
    """Return the severity of every alert that is open."""
    return tuple(
        _SEVERITIES[packed[_SEVERITY]].value for _, packed in _packed(state) if packed[_ENDED_AT] is None
    )


def may_end(state: State) -> bool:
    """Return whether something of the conversation may resolve or open again an alert it has."""
    if state.closed_at is not None:
        return any(packed[_ENDED_AT] is None for _, packed in _packed(state))
    return any(packed[_CLOCK] or packed[_ENDED_AT] is not None for _, packed in _packed(state))


def get(state: State, key: str) -> Open | None:
    """Return the alert under a dedup key; a copy, that ``put`` writes back."""
    short = _short(state, key)
    _packed(state)
    packed = state.alerts.get(short)
    return None if packed is None else _unpack(state, short, packed)


def put(state: State, key: str, entry: Open) -> None:
    """Keep the alert under its dedup key."""
    _packed(state)
    short = _short(state, key)
    state.alerts[short] = _pack(state, short, entry)


def drop(state: State, key: str) -> None:
    """Keep the alert no longer, where it was kept."""
    _packed(state)
    state.alerts.pop(_short(state, key), None)


def _packed(state: State) -> ItemsView[str, Sequence[Any]]:
    """Return the section's items; one that an older release wrote is packed first.

    There the key was whole and its value an ``Open``, whose first field is a text.
    """
    section = state.alerts
    for first in section.values():
        if isinstance(first[0], str):
            state.alerts = {}
            for key, old in section.items():
                short = _short(state, key)
                state.alerts[short] = _pack(state, short, msgspec.convert(old, Open))
        break
    return state.alerts.items()


def _short(state: State, key: str) -> str:
    return key[len(state.conversation_id) + 1 :]


def _clock_id(short: str, packed: Sequence[Any]) -> str | None:
    return short[-packed[_CLOCK] :] if packed[_CLOCK] else None


def _pack(state: State, short: str, entry: Open) -> list[Any]:
    clock_id = entry.clock_id or ""
    assert short.endswith(clock_id)
    findings = entry.findings
    derived = alert_id(f"{state.conversation_id}:{short}", findings[0].finding_id)
    return [
        entry.severity.rank,
        entry.ended_at,
        len(clock_id),
        entry.step,
        [_place(_AUDIENCES, name) for name in entry.audiences],
        None if entry.starts_at == findings[0].at else entry.starts_at,
        None if entry.alert_id == derived else _bytes(entry.alert_id),
        [_pack_finding(state, _topic(short, clock_id), kept) for kept in findings],
    ]


def _unpack(state: State, short: str, packed: Sequence[Any]) -> Open:
    severity, ended_at, _, step, audiences, starts_at, id_, told = packed
    clock_id = _clock_id(short, packed)
    topic = _topic(short, clock_id or "")
    findings = [_unpack_finding(state, topic, *one) for one in told]
    first = findings[0]
    return Open(
        alert_id=alert_id(f"{state.conversation_id}:{short}", first.finding_id)
        if id_ is None
        else _text(id_),
        severity=_SEVERITIES[severity],
        starts_at=first.at if starts_at is None else starts_at,
        step=step,
        audiences=[_name(_AUDIENCES, one) for one in audiences],
        clock_id=clock_id,
        findings=findings,
        ended_at=ended_at,
    )


def _topic(short: str, clock_id: str) -> str:
    """Return what of a key is the rule's id, unless the rule has a topic of its own."""
    return short[: -len(clock_id) - 1] if clock_id else short


def _pack_finding(state: State, topic: str, kept: Kept) -> list[Any]:
    derived = _derived_id(state, kept.rule_id, kept.message_id)
    # What a clock says is over sooner than the conversation: its quote would be left behind.
    quote = state.quote(kept.evidence) if kept.evidence and kept.message_id is not None else None
    fields = [
        kept.at,
        kept.severity.rank,
        _place(_KINDS, kept.kind),
        _place(_SUBJECTS, kept.subject),
        kept.why,
        kept.evidence if quote is None else quote,
        _version(_pack_of(kept.rule_id), kept.pack_version),
        kept.message_id,
        None if kept.rule_id == topic else kept.rule_id,
        None if kept.finding_id == derived else _bytes(kept.finding_id),
    ]
    while fields[-1] is None:
        fields.pop()
    return fields


def _unpack_finding(
    state: State,
    topic: str,
    at: int,
    severity: int,
    kind: int | str,
    subject: int | str,
    why: str,
    evidence: int | str,
    version: int | str,
    message_id: str | None = None,
    rule_id: str | None = None,
    id_: bytes | str | None = None,
) -> Kept:
    rule_id = topic if rule_id is None else rule_id
    return Kept(
        finding_id=_derived_id(state, rule_id, message_id) if id_ is None else _text(id_),
        rule_id=rule_id,
        kind=_name(_KINDS, kind),
        severity=_SEVERITIES[severity],
        at=at,
        subject=_name(_SUBJECTS, subject),
        message_id=message_id,
        evidence=evidence if isinstance(evidence, str) else state.quotes[evidence],
        why=why,
        pack_version=version if isinstance(version, str) else f"{_pack_of(rule_id)}@{version}",
    )


def _derived_id(state: State, rule_id: str, message_id: str | None) -> str:
    return "" if message_id is None else message_finding_id(state.conversation_id, rule_id, message_id)


def _pack_of(rule_id: str) -> str:
    """Return what most rules' pack is called: their id without its last part."""
    return rule_id.rpartition(".")[0]


def _version(pack: str, pack_version: str) -> int | str:
    """Return the bare number of ``pack@number``; what names another pack as it is."""
    number = pack_version[len(pack) + 1 :]
    if number.isdecimal() and pack_version == f"{pack}@{int(number)}":
        return int(number)
    return pack_version


def _place(names: Sequence[str], name: str) -> int | str:
    return names.index(name) if name in names else name


def _name(names: Sequence[str], place: int | str) -> str:
    return place if isinstance(place, str) else names[place]


def _bytes(id_: str) -> bytes | str:
    """Return half the length of what is hexadecimal, as ids are; anything else as it is."""
    try:
        raw = bytes.fromhex(id_)
    except ValueError:
        return id_
    return raw if raw.hex() == id_ else id_


def _text(id_: bytes | str) -> str:
    return id_ if isinstance(id_, str) else id_.hex()
