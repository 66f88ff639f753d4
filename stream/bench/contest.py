"""Whole jobs on Kafka, side by side: our worker, an empty Faust agent, quixstreams, the plain way.

All take the same records from the same partitions of the same topic, which holds them before anybody
starts. They take turns, one at a time, several rounds; a round has topics of its own. Seen is what the
consumer group has committed, several times a second: for our worker that comes after outputs and states
are confirmed by the broker. Timed is from the first commit after the warm-up share to the last commit, so
starting, importing and loading are in nobody's figure, and everybody commits equally often.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, NoError

from stream.bench.figures import Figure, Row, at_least
from stream.bench.installation import (
    PARTITIONS,
    Installation,
    WorkerFailedError,
    committed,
    fill,
)
from stream.bench.session import Session, end
from stream.bench.statistics import Rounds
from stream.bench.workload import Pace, Traffic, traffic
from stream.runtime.clock import WallClock

WORKER = Figure("kafka.records", "records/s", "one worker, the whole job, deliveries and state confirmed")
FAUST = Figure("kafka.vs_empty_faust", "x", "one worker / an empty Faust agent", at_least(1))
QUIX = Figure(
    "kafka.vs_quixstreams", "x", "one worker / quixstreams with the same core, state, outputs", at_least(1.1)
)
PLAIN = Figure("kafka.vs_plain", "x", "one worker / jieba, SnowNLP and a table row a message", at_least(25))
TWO = Figure("kafka.two_workers", "x", "two workers / one", at_least(1.8))
FIGURES = (WORKER, FAUST, QUIX, PLAIN, TWO)

ROUNDS: Final = 3
WARM: Final = 0.15
"""Share of the records that nobody is timed on: connections, caches and code are warm then."""

POLL_S: Final = 0.05
LIMIT_S: Final = 25.0
"""A contestant that is not done by then is judged by what it has done (the plain way never is)."""
START_LIMIT_S: Final = 40.0


COMMIT_MS: Final = 1_000
"""How often everybody commits. Progress is seen at commits; quixstreams writes a checkpoint at each."""
QUICK_COMMIT_MS: Final = 200


class Seen(NamedTuple):
    """Records done with, as committed, at a moment of the monotonic clock."""

    at: float
    done: int


def rate(course: list[Seen], warm: int, total: int) -> float:
    """Return records a second between the first commit after the warm-up and the last one.

    The commit that ends it all came some time after the work was done, and is left out where two others
    remain. ValueError where there are no two commits to compare.
    """
    timed = [seen for seen in course if seen.done >= warm]
    if len(timed) > 2 and timed[-1].done >= total:
        del timed[-1]
    if len(timed) < 2:
        raise ValueError("fewer than two commits after the warm-up")
    first, last = timed[0], timed[-1]
    return (last.done - first.done) / (last.at - first.at)


def watch(
    progress: Callable[[], int], check: Callable[[], None], total: int, clock: Callable[[], float]
) -> list[Seen]:
    """Return the commits seen until all is done, or the time is up."""
    course = [Seen(clock(), progress())]
    deadline = clock() + START_LIMIT_S
    while course[-1].done < total and clock() < deadline:
        check()
        time.sleep(POLL_S)
        seen = Seen(clock(), progress())
        if seen.done > course[-1].done:
            if len(course) == 1:
                deadline = seen.at + LIMIT_S
            course.append(seen)
    return course


def _refused(
    admin: KafkaAdminClient, group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata]
) -> set[type[KafkaError]]:
    try:
        return set(admin.alter_group_offsets(group, offsets).values()) - {NoError}
    except KafkaError as error:
        return {type(error)}


class Contest:
    """One round: a topic full of records, and whoever takes its turn at it."""

    def __init__(self, session: Session, number: int, records: Traffic) -> None:
        self.session = session
        self.commit_ms = session.scale(COMMIT_MS, QUICK_COMMIT_MS)
        self.installation = Installation(session, f"r{number}.", commit_ms=self.commit_ms)
        self.installation.make_topics()
        self.topic = self.installation.names.messages
        with self._admin() as admin:
            admin.create_topics(
                {f"{self.installation.prefix}plain_way-alerts": {"num_partitions": PARTITIONS}}
            )
        self.counts = fill(session.bootstrap, self.topic, zip(records.keys, records.records, strict=True))
        self.total = sum(self.counts)

    def ours(self, profile: Path | None = None) -> float:
        """Return our worker's records a second."""
        worker = self.installation.start("conversations", profile=profile)
        try:
            return self._timed(self.installation.group, worker.check, WARM)
        finally:
            worker.stop()

    def peer(self, module: str, *, skip: float = 0.0, warm: float = WARM) -> float:
        """Return a peer's records a second; it begins behind the share `skip` of the records."""
        group = f"{self.installation.prefix}{module}"
        if skip:
            self.skip(group, skip)
        log = (self.installation.folder / f"{module}.log").open("ab")
        arguments = [
            self.session.bootstrap,
            group,
            self.topic,
            str(self.commit_ms),
            str(self.installation.folder),
        ]
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", f"stream.bench.peers.{module}", *arguments],
            stdout=log,
            stderr=log,
            text=True,
        )
        self.session.on_exit(end, process)

        def check() -> None:
            if process.poll() is not None:
                raise WorkerFailedError(f"{module} ended with code {process.returncode}")

        try:
            return self._timed(group, check, warm)
        finally:
            end(process)
            log.close()

    def skip(self, group: str, share: float) -> None:
        """Let a group that has not begun yet go on behind so much of each partition."""
        offsets = {
            TopicPartition(self.topic, number): OffsetAndMetadata(int(count * share), "", -1)
            for number, count in enumerate(self.counts)
        }
        until = time.monotonic() + START_LIMIT_S
        with self._admin() as admin:
            while refused := _refused(admin, group, offsets):
                # A young broker has yet to make, or to read, the topic of the groups.
                if not all(error.retriable for error in refused) or time.monotonic() > until:
                    raise WorkerFailedError(f"{group} cannot begin at {share:.0%}: {refused}")
                time.sleep(POLL_S)

    def _timed(self, group: str, check: Callable[[], None], warm: float) -> float:
        with self._admin() as admin:
            course = watch(lambda: committed(admin, group, self.topic), check, self.total, time.monotonic)
        return rate(course, int(self.total * warm), self.total)

    def _admin(self) -> KafkaAdminClient:
        return KafkaAdminClient(bootstrap_servers=self.session.bootstrap)


def measure(session: Session) -> list[Row]:
    """Return how our worker compares; every contestant takes its turn in every round."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in FIGURES]
    count = session.scale(90_000, 12_000)
    rounds = session.scale(ROUNDS, 1)
    quix = find_spec("quixstreams") is not None
    results: dict[str, list[float]] = {"ours": [], "empty_agent": [], "quix": [], "plain_way": []}
    failed: dict[str, str] = {}
    for number in range(rounds):
        # Stamped as if just sent, each chat in a few seconds: the wall clock drives the worker's clocks.
        pace = Pace(WallClock().now_ms() - 30_000, 0.02)
        records = traffic(
            session.day, count, concurrent=session.scale(2_000, 200), pace=pace, seed=11 + number
        )
        contest = Contest(session, number, records)

        def turn(name: str, take: Callable[[], float], number: int = number) -> None:
            session.tell(f"kafka: round {number + 1} of {rounds}, {name}")
            try:
                results[name].append(take())
            except (WorkerFailedError, ValueError) as error:
                failed[name] = f"{name}: {error}"

        turn("ours", contest.ours)
        turn("empty_agent", partial(contest.peer, "empty_agent"))
        if quix:
            turn("quix", partial(contest.peer, "quix"))
        # A hundred records a second: it would be timed on the beginning, where all chats open and two
        # records in three have no text to read. Its warm-up is what it does in its first two seconds.
        warm = WARM + 200 / contest.total
        turn("plain_way", partial(contest.peer, "plain_way", skip=WARM, warm=warm))
    if session.profile and results["ours"]:
        session.show(_profile(session, records))
    return _rows(results, failed, quix=quix)


def _rows(results: dict[str, list[float]], failed: dict[str, str], *, quix: bool) -> list[Row]:
    if not results["ours"]:
        return [figure.unmeasured(failed["ours"]) for figure in FIGURES]
    ours = Rounds(tuple(results["ours"]))
    rows = [WORKER.row(ours.best, str(ours))]
    for figure, name in ((FAUST, "empty_agent"), (QUIX, "quix"), (PLAIN, "plain_way")):
        if results[name]:
            peer = Rounds(tuple(results[name]))
            rows.append(figure.row(ours.best / peer.best, f"ours {ours}; {name} {peer}"))
        elif name == "quix" and not quix:
            rows.append(figure.unmeasured("quixstreams is not installed: pip install 'yanshao[bench]'"))
        else:
            rows.append(figure.unmeasured(failed[name]))
    rows.append(TWO.unmeasured("needs 4 cores to itself: two for the workers, two for broker and load"))
    return rows


def _profile(session: Session, records: Traffic) -> str:
    """Return where the time of the worker's process goes; under the profiler it is half as fast."""
    import pstats  # noqa: PLC0415 - only asked for by --profile
    from io import StringIO  # noqa: PLC0415

    session.tell("kafka: our worker under the profiler")
    contest = Contest(session, ROUNDS, records)
    file = contest.installation.folder / "profile"
    contest.ours(file)
    text = StringIO()
    pstats.Stats(str(file), stream=text).strip_dirs().sort_stats("tottime").print_stats(30)
    return text.getvalue()
