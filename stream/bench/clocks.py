"""A hundred thousand open issues on one worker: how late a due clock speaks while messages flow.

Each issue was handed to a department within the last half hour, evenly, so that in every second of the
run as many legs are warned of and as many breached (`ola.leg`: 20 and 30 minutes; some 55 of each). The
states are chats of the bench that the real core has taken through the events of their issue, loaded as
recovery loads them. Then a thousand messages a second come by schedule (`openloop`).

A clock's lateness is from the moment it was due to the moment at which the broker appended its finding to
`qa.findings` (the topic is stamped by the broker here; clocks and broker share one machine's time). What
never came counts as later than all. The worker's own histogram ends where its timer record is durable,
which is earlier: it stands beside the figure.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import aiokafka
import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from stream import wire
from stream.bench.figures import Figure, Row, at_most
from stream.bench.installation import (
    PARTITIONS,
    Installation,
    WorkerFailedError,
    fill,
    partition_of,
)
from stream.bench.openloop import Latencies, Schedule
from stream.bench.session import Session
from stream.bench.states import records_of, renamed
from stream.bench.workload import traffic
from stream.core import state as states
from stream.core.outputs import Finding
from stream.metrics import BACKLOG, CLOCK_LATENESS
from stream.runtime import topics
from stream.runtime.clock import WallClock
from stream.runtime.conversations import Conversations, Input

MEDIAN = Figure("clocks.lateness_p50", "ms", "a due clock to its finding, 100,000 open issues, 1,000/s")
P99 = Figure(
    "clocks.lateness", "ms", "p99 of the same: a due clock to its finding in qa.findings", at_most(1_000)
)
LONGEST = Figure("clocks.lateness_max", "ms", "the latest of them")
MEMORY = Figure("clocks.memory", "MiB", "the worker that holds them, at the end of the load", at_most(600))
FIGURES = (MEDIAN, P99, LONGEST, MEMORY)

ISSUES: Final = 100_000
RATE: Final = 1_000
SECONDS: Final = 30
WARM_UP_S: Final = 5
"""Seconds of load before the first clock that is timed: batches have found their size by then."""
TARGET_MS: Final = 30 * 60_000
WARN_MS: Final = 20 * 60_000
"""`ola.leg` of the shipped packs; other times would make every finding count as missing."""
STRAGGLERS_S: Final = 10.0
"""How long after the last clock was due its finding may still come; later ones count as missing."""
CATCH_UP_S: Final = 60.0
"""What came due while the states were made must have been told after so long."""
CHUNK: Final = 500
"""Issues that go through the core together."""

POLICY: Final = "ola.leg"
_STAMP: Final = {"message.timestamp.type": "LogAppendTime"}


class Told(NamedTuple):
    """A finding of a clock: whose, and when it was due (epoch milliseconds)."""

    conversation: str
    due: int


class Staggered(NamedTuple):
    """So many issues, handed off evenly in the half hour before ``begun`` (epoch milliseconds)."""

    total: int
    begun: int

    def name(self, number: int) -> str:
        """Return the conversation of an issue."""
        return f"issue-{number:08d}"

    def handed_at(self, number: int) -> int:
        """Return when an issue was handed off; the first is the one that comes due first."""
        return self.begun - TARGET_MS + TARGET_MS * number // self.total

    def wrote_at(self, number: int) -> int:
        """Return when its agent wrote last: in the last five minutes, so that no chat falls silent."""
        return self.begun - number * 7_919 % 300_000

    def due(self, since: int, until: int) -> set[Told]:
        """Return what comes due in ``[since, until)``, both after ``begun``, by hand: start and policy."""
        return {
            Told(self.name(number), handed_at + after)
            for number in range(self.total)
            for handed_at in (self.handed_at(number),)
            for after in (WARN_MS, TARGET_MS)
            if since <= handed_at + after < until
        }


def measure(session: Session) -> list[Row]:
    """Return how late clocks are in one run of some length, and what the worker weighs."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    try:
        return _measure(session, session.scale(ISSUES, 5_000), session.scale(SECONDS, 6))
    except WorkerFailedError as error:
        return [figure.unmeasured(str(error)) for figure in FIGURES]


def _measure(session: Session, count: int, seconds: int) -> list[Row]:
    installation = Installation(session, "clocks.")
    installation.make_topics()
    findings = topics.Topic(installation.names.findings, PARTITIONS, topics.BROKER_DEFAULT, _STAMP)
    with KafkaAdminClient(bootstrap_servers=session.bootstrap) as admin:
        topics.apply(admin, [findings])
    session.tell(f"clocks: taking {count:,} issues through the core")
    issues = Staggered(count, WallClock().now_ms())
    fill(session.bootstrap, installation.names.state, open_issues(session, issues))
    worker = installation.start()
    session.tell("clocks: reading them back")
    worker.wait_ready()
    seen, expected, ours = asyncio.run(_run(session, installation, issues, seconds))
    memory = worker.memory_mib()
    worker.check()
    worker.stop()
    lateness = tuple((seen[one] - one.due) / 1000 for one in expected & seen.keys())
    found = Latencies(lateness, len(expected) - len(lateness))
    how = f"{len(expected):,} clocks came due in {seconds} s, {found.missing} missing; {ours}"
    rows = [figure.row(found.at(share), how) for figure, share in ((MEDIAN, 0.5), (P99, 0.99), (LONGEST, 1))]
    return [*rows, MEMORY.row(memory, f"{count:,} open issues, resident, all of it")]


def open_issues(session: Session, issues: Staggered) -> Iterator[tuple[str, bytes]]:
    """Yield the states of conversations that the core took through their issues' events."""
    _, sample = records_of(session, session.scale(500, 200))
    for begin in range(0, issues.total, CHUNK):
        numbers = range(begin, min(begin + CHUNK, issues.total))
        conversations = Conversations()
        for number in numbers:
            raw = _before(sample[number % len(sample)], issues.name(number), issues.handed_at(number))
            conversations.load(session.knowledge, issues.name(number), raw)
        inputs = [one for number in numbers for one in _events(issues, number)]
        conversations.apply(session.knowledge, inputs)
        yield from conversations.raw()


def _before(raw: bytes, name: str, t: int) -> bytes:
    """Return the record of a chat that nobody owes a word in, as of ``t``."""
    state = states.decode(renamed(raw, name))
    state.opened_at = state.last_at = t
    # What the chat's own words told of issues is later than the events that are to come.
    state.running, state.paused, state.issues = [], [], []
    state.applied = [-1, -1, -1]
    return states.encode(state)


def _events(issues: Staggered, number: int) -> list[Input]:
    """Return an issue's opening, its hand-off, and its agent's latest word, by time."""
    name, handed_at = issues.name(number), issues.handed_at(number)
    issue = {"conversation_id": name, "issue_id": f"{name}/1", "at": handed_at}
    wrote = {
        "type": "message",
        "conversation_id": name,
        "message_id": f"{name}/agent",
        "sent_at": issues.wrote_at(number),
        "sender": {"role": "agent", "id": f"a-{number % 400}"},
        # Nothing that itself hands over, promises or reports: the events alone start what is timed.
        "content": {"text": "嗯嗯，您的心情我理解"},
    }
    events = [
        {"type": "issue.opened", **issue},
        {"type": "issue.handed_off", **issue, "to": "仓库"},
        wrote,
    ]
    received = [wire.decode(msgspec.json.encode(event), received_at=None) for event in events]
    return [Input(one) for one in sorted(received, key=lambda one: one.t)]


async def _run(
    session: Session, installation: Installation, issues: Staggered, seconds: int
) -> tuple[dict[Told, int], set[Told], str]:
    """Load the worker; return what was told when, what had to be, and what the worker says of it."""
    total = RATE * (WARM_UP_S + seconds)
    chats = traffic(session.day, total, concurrent=500)
    rows = list(zip(chats.keys, chats.records, strict=True))[:total]
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=session.bootstrap)
    await producer.start()
    try:
        session.tell("clocks: telling what came due meanwhile")
        now = WallClock().now_ms()
        await _until_told(installation, issues.due(issues.begun, now), CATCH_UP_S)
        session.tell(f"clocks: {WARM_UP_S + seconds} s at {RATE:,} messages/s")
        before = await asyncio.to_thread(_histogram, installation)
        begun = WallClock().now_ms()
        await _send(producer, installation.names.messages, rows, begun)
        since = begun + WARM_UP_S * 1000
        expected = issues.due(since, since + seconds * 1000)
        seen = await _until_told(installation, expected, STRAGGLERS_S)
        after = await asyncio.to_thread(_histogram, installation)
    finally:
        await producer.stop()
    return seen, expected, own_account(before, after)


async def _send(
    producer: aiokafka.AIOKafkaProducer, topic: str, rows: Sequence[tuple[str, bytes]], begun: int
) -> None:
    """Send by the schedule, whatever becomes of it; each record is of the moment planned for it."""
    schedule = Schedule(time.monotonic(), RATE)
    futures = []
    sent = 0
    while sent < len(rows):
        due = schedule.due(sent, time.monotonic())
        for number, (key, raw) in enumerate(rows[sent : sent + due], start=sent):
            at = _stamped(raw, begun + number * 1000 // RATE)
            futures.append(await producer.send(topic, at, key=key.encode(), partition=partition_of(key)))
        sent += due
        await asyncio.sleep(0.002)
    await asyncio.gather(*futures)


def _stamped(raw: bytes, at: int) -> bytes:
    """Return the record as of another time."""
    document = msgspec.json.decode(raw)
    document["sent_at" if "sent_at" in document else "at"] = at
    return msgspec.json.encode(document)


async def _until_told(installation: Installation, expected: set[Told], patience_s: float) -> dict[Told, int]:
    """Return when each clock's finding was appended, once all expected are there or the time is over."""
    deadline = time.monotonic() + patience_s
    while True:
        seen = await asyncio.to_thread(_told, installation)
        if expected <= seen.keys() or time.monotonic() > deadline:
            return seen
        await asyncio.sleep(0.5)


def _told(installation: Installation) -> dict[Told, int]:
    """Return the broker's time of each clock's first finding."""
    places = [TopicPartition(installation.names.findings, number) for number in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=installation.bootstrap, auto_offset_reset="earliest")
    seen: dict[Told, int] = {}
    try:
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    finding = wire.read(Finding, record.value)
                    if finding.rule_id == POLICY:
                        seen.setdefault(Told(finding.conversation_id, finding.at), record.timestamp)
    finally:
        consumer.close()
    return seen


def _histogram(installation: Installation) -> dict[float, float]:
    """Return how many clocks the worker says it fired at most so late, by bound in seconds."""
    address = f"http://127.0.0.1:{installation.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        float(sample.labels["le"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"{CLOCK_LATENESS.name}_bucket" and sample.labels[BACKLOG.name] == "included"
    }


def own_account(before: Mapping[float, float], after: Mapping[float, float]) -> str:
    """Return the bound below which the worker says that 99% of the clocks spoke between two scrapes."""
    counts = {bound: total - before.get(bound, 0) for bound, total in sorted(after.items())}
    whole = max(counts.values(), default=0)
    if not whole:
        return "the worker counted none"
    bound = next(bound for bound, count in counts.items() if count >= 0.99 * whole)
    return f"the worker's own histogram: {whole:,.0f} clocks, p99 at most {bound:g} s to the timer record"
