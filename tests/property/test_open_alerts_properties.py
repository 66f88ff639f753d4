"""Open alerts come out of the record as they were put in, by this release or the one before."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerts.model import Severity, alert_id
from stream import openalerts
from stream.core import state as states
from stream.core.findings import message_finding_id
from stream.core.state import State
from stream.openalerts import Kept, Open

NAME = "c:1"

RULES = st.sampled_from(["emotion.x.r", "emotion.x", "x", "ola.first_response", "sensitive.abuse.agent"])
PACKS = st.sampled_from(
    ["emotion.x@1", "emotion.x@07", "x@٣", "emotion.xy@1", "emotion@12", "@2", "", "x@1", "ola@3", "pack"]
)
KINDS = st.sampled_from(["emotion", "ola", "a kind of a later release"])
SUBJECTS = st.sampled_from(["customer", "department", "someone"])
MESSAGES = st.none() | st.sampled_from(["m-1", "c:1/7"])
IDS = st.none() | st.sampled_from(["f-1", "", "00ff", "00FF", "0" * 32, "00 ff"])
AUDIENCES = st.lists(st.sampled_from(["agent", "manager", "department:仓库"]), max_size=3)


@st.composite
def kept(draw: st.DrawFn) -> Kept:
    rule_id, message_id, id_ = draw(RULES), draw(MESSAGES), draw(IDS)
    if id_ is None:
        id_ = "f-2" if message_id is None else message_finding_id(NAME, rule_id, message_id)
    return Kept(
        finding_id=id_,
        rule_id=rule_id,
        kind=draw(KINDS),
        severity=draw(st.sampled_from(Severity)),
        at=draw(st.integers(0, 3)),
        subject=draw(SUBJECTS),
        message_id=message_id,
        evidence=draw(st.text(max_size=3)),
        why=draw(st.text(max_size=3)),
        pack_version=draw(PACKS),
    )


@st.composite
def opened(draw: st.DrawFn) -> tuple[str, Open]:
    findings = draw(st.lists(kept(), min_size=1, max_size=3))
    clock_id = draw(st.none() | st.sampled_from(["promise:refund#1", "first_response#2"]))
    topic = draw(RULES | st.just("complaint"))
    key = f"{NAME}:{topic}" if clock_id is None else f"{NAME}:{topic}:{clock_id}"
    return key, Open(
        alert_id=draw(st.just(alert_id(key, findings[0].finding_id)) | st.just("a-1")),
        severity=draw(st.sampled_from(Severity)),
        starts_at=draw(st.integers(0, 3)),
        step=draw(st.integers(0, 9)),
        audiences=draw(AUDIENCES),
        clock_id=clock_id,
        findings=findings,
        ended_at=draw(st.none() | st.integers(0, 3)),
    )


@given(st.lists(opened(), max_size=3).map(dict))
def test_what_was_put_in_is_read_back(alerts: dict[str, Open]) -> None:
    state = State(NAME, 0, 0)
    for key, entry in alerts.items():
        openalerts.put(state, key, entry)
    check(states.decode(states.encode(state)), alerts)


@given(st.lists(opened(), max_size=3).map(dict))
def test_what_the_release_before_wrote_is_read(alerts: dict[str, Open]) -> None:
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(alerts))
    check(State(NAME, 0, 0, alerts=plain), alerts)


def check(state: State, alerts: dict[str, Open]) -> None:
    assert openalerts.severities(state) == tuple(
        entry.severity.value for entry in alerts.values() if entry.ended_at is None
    )
    assert openalerts.may_end(state) == any(
        entry.clock_id is not None or entry.ended_at is not None for entry in alerts.values()
    )
    assert openalerts.keys(state) == [(key, entry.ended_at, entry.clock_id) for key, entry in alerts.items()]
    for key, entry in alerts.items():
        assert openalerts.get(state, key) == entry
        openalerts.drop(state, key)
        assert openalerts.get(state, key) is None
