"""The same job on quixstreams: the same decoding, core, state records and output records.

    python -m stream.bench.peers.quix BOOTSTRAP GROUP TOPIC COMMIT_MS FOLDER

State is kept in its store (RocksDB with a changelog topic) and outputs are produced by it, both with its
own checkpoints. Clocks that come due by themselves are left out: that is less than our worker does.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from alerts.model import Alert
from stream import alerting, wire
from stream.core import engine
from stream.core import state as states
from stream.core.annotation import EMPTY
from stream.core.events import Message, Received, Role
from stream.core.outputs import Score
from stream.runtime.conversations import Knowledge
from stream.runtime.kafka.names import Names
from stream.runtime.knowledge import open_knowledge


def step(knowledge: Knowledge, received: Received, raw: bytes | None) -> tuple[bytes | None, list[bytes]]:
    """Apply one event to a state record; return the new one and the records to send."""
    event = received.event
    annotation = EMPTY
    if isinstance(event, Message) and event.content.text:
        wanted = event.sender.role is Role.CUSTOMER
        annotation = knowledge.annotator.annotate((event.content.text,), (wanted,))[0]
    before = None if raw is None else states.decode(raw)
    done = engine.step(knowledge.book, before, received, annotation)
    state = done.state
    if state is None:
        return None, []
    alerts = alerting.apply(knowledge.book, state, done.findings)
    records = (*done.findings, *alerts, *((done.summary,) if done.summary else ()), *done.contacts)
    outputs = [
        wire.encode_alert(record) if isinstance(record, Alert) else wire.encode(record)
        for record in records
        if not isinstance(record, Score)
    ]
    return states.encode(state), outputs


def process(knowledge: Knowledge, value: bytes, state: Any) -> list[bytes]:
    """Apply one record of the topic; what it returns goes to the output topic, one record each."""
    raw, outputs = step(knowledge, wire.decode(value, received_at=None), state.get_bytes("s"))
    if raw is not None:
        state.set_bytes("s", raw)
    return outputs


def main(bootstrap: str, group: str, topic: str, commit_ms: str, folder: str) -> None:
    """Run the application."""
    from quixstreams import Application  # noqa: PLC0415 - an extra, not there for everybody

    application = Application(
        broker_address=bootstrap,
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_interval=int(commit_ms) / 1000,
        state_dir=f"{folder}/{group}",
        loglevel="WARNING",
    )
    source = application.topic(topic, key_deserializer="bytes", value_deserializer="bytes")
    prefix = topic.removesuffix(Names().messages)
    target = application.topic(f"{prefix}{group}-outputs", key_serializer="bytes", value_serializer="bytes")
    knowledge = open_knowledge()
    frame = application.dataframe(source)
    frame = frame.apply(partial(process, knowledge), stateful=True, expand=True)
    frame.to_topic(target)
    application.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
