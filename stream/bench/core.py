"""The core on one core: annotate, step, alerts, state read and written, nothing else.

Timed is `Conversations.apply` as every runtime calls it, on decoded events in batches, with conversations
interleaved so that nearly every message reads its conversation's record and writes it back. Events that
open, assign and close ride along and are not counted. The first quarter is not timed: caches and tables
are warm then, and conversations stand at all places of their course.

The annotator's cache would turn a small set of texts into a look-up. The main figure has it switched off;
the realistic one has it on, with the share of messages said before that real chats have.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Sequence
from io import StringIO
from typing import Final, NamedTuple

from stream import models
from stream.bench.figures import Figure, Row, at_least
from stream.bench.session import Session
from stream.bench.statistics import Rounds
from stream.bench.workload import EVENTFUL, EVENTFUL_DAY, REPEATED, Mix, Traffic, traffic
from stream.core.annotate import CACHE_SIZE, Annotator
from stream.core.events import Message, Received
from stream.runtime.conversations import Conversations, Input, Knowledge

CONCURRENT: Final = 2_000
"""Conversations going on at once: what one partition of a busy platform holds."""

BATCH: Final = 512
"""Records of one batch of the Kafka worker."""

ROUNDS: Final = 5

MESSAGES = Figure(
    "core.messages", "messages/s", "all packs on, one core, no text seen before", at_least(20_000)
)
DAY = Figure(
    "core.messages_day", "messages/s", "the same where every third message is an incident, as on the demo day"
)
REALISTIC = Figure(
    "core.messages_realistic", "messages/s", "the same with the cache on and real chats' share of repeats"
)
TERMS = Figure("core.messages_terms", "messages/s", "no cache, scores from terms alone (no word odds)")
ANNOTATE = Figure("core.annotate", "messages/s", "annotation alone, no cache")
SNOWNLP = Figure(
    "core.vs_snownlp", "x", "core.messages / SnowNLP's own sentiments on the same texts", at_least(40)
)

FIGURES = (MESSAGES, DAY, REALISTIC, TERMS, ANNOTATE, SNOWNLP)


class Course(NamedTuple):
    """One run of the core over some traffic."""

    seconds: float
    messages: int

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


def run(knowledge: Knowledge, inputs: Sequence[Input], profiler: cProfile.Profile | None = None) -> Course:
    """Apply the inputs in batches; the first quarter is not timed.

    Time is the thread's processor time: the machine may be busy with other things.
    """
    conversations = Conversations(source_partition=0)
    warm = len(inputs) // 4 // BATCH * BATCH
    for at in range(0, warm, BATCH):
        conversations.apply(knowledge, inputs[at : at + BATCH])
    if profiler is not None:
        profiler.enable()
    begun = time.thread_time()
    for at in range(warm, len(inputs), BATCH):
        conversations.apply(knowledge, inputs[at : at + BATCH])
    seconds = time.thread_time() - begun
    if profiler is not None:
        profiler.disable()
    return Course(seconds, sum(_is_message(one) for one in inputs[warm:]))


def measure(session: Session) -> list[Row]:
    """Return the core's figures; the variants take turns, so that all see the same machine."""
    count = session.scale(60_000, 6_000)
    concurrent = session.scale(CONCURRENT, 200)
    session.tell(f"core: making {count:,} messages")
    plain = traffic(session.day, count, concurrent=concurrent, mix=Mix(0.0, EVENTFUL))
    day = traffic(session.day, count, concurrent=concurrent, mix=Mix(0.0, EVENTFUL_DAY))
    real = traffic(session.day, count, concurrent=concurrent, mix=Mix(REPEATED, EVENTFUL))
    book = session.knowledge.book
    annotator = models.build_annotator(book.terms, cache_size=0, promises=book.promises)
    uncached = Knowledge(book, annotator)
    by_terms = models.build_annotator(book.terms, scorer="terms", cache_size=0, promises=book.promises)
    terms = Knowledge(book, by_terms)
    inputs = {"plain": plain.inputs(), "day": day.inputs(), "real": real.inputs()}
    contest: dict[str, list[float]] = {name: [] for name in ("plain", "day", "real", "terms", "annotate")}
    rounds = session.scale(ROUNDS, 1)
    for number in range(rounds):
        session.tell(f"core: round {number + 1} of {rounds}")
        contest["plain"].append(run(uncached, inputs["plain"]).rate)
        contest["day"].append(run(uncached, inputs["day"]).rate)
        fresh = Knowledge(book, annotator.with_cache(CACHE_SIZE))
        contest["real"].append(run(fresh, inputs["real"]).rate)
        contest["terms"].append(run(terms, inputs["plain"]).rate)
        contest["annotate"].append(_annotate(annotator, plain.texts()))
    results = {name: Rounds(tuple(values)) for name, values in contest.items()}
    session.tell("core: SnowNLP's own sentiments")
    texts = [text for text, _ in plain.texts()][: session.scale(1_500, 150)]
    peer = snownlp_rate(session, texts)
    if session.profile and not MESSAGES.row(results["plain"].best).held:
        session.show(profile(uncached, inputs["plain"]))
    mean = f"{plain.characters:.0f} characters on average"
    return [
        MESSAGES.row(results["plain"].best, f"{mean}; {results['plain']}"),
        DAY.row(results["day"].best, f"{EVENTFUL_DAY:.0%} eventful; {results['day']}"),
        REALISTIC.row(results["real"].best, f"{hit_share(real):.0%} cache hits; {results['real']}"),
        TERMS.row(results["terms"].best, str(results["terms"])),
        ANNOTATE.row(results["annotate"].best, str(results["annotate"])),
        SNOWNLP.row(results["plain"].best / peer, f"SnowNLP alone: {peer:,.0f}/s on {len(texts):,} texts"),
    ]


def hit_share(real: Traffic) -> float:
    """Return the share of messages whose text came before, as the annotator's cache would see it."""
    texts = real.texts()
    return 1 - len(set(texts)) / len(texts)


def profile(knowledge: Knowledge, inputs: Sequence[Input]) -> str:
    """Return where the time of the core goes, most expensive first."""
    profiler = cProfile.Profile(time.thread_time)
    run(knowledge, inputs, profiler)
    text = StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(30)
    return text.getvalue()


def snownlp_rate(session: Session, texts: Sequence[str]) -> float:
    """Return how many texts a second SnowNLP's own ``sentiments`` does, in a process of its own."""
    return float(session.run("stream.bench.peers.snownlp", text="\n".join(texts)))


def _annotate(annotator: Annotator, texts: Sequence[tuple[str, bool]]) -> float:
    begun = time.thread_time()
    for at in range(0, len(texts), BATCH):
        batch = texts[at : at + BATCH]
        annotator.annotate([text for text, _ in batch], [wants for _, wants in batch])
    return len(texts) / (time.thread_time() - begun)


def _is_message(one: Input) -> bool:
    return isinstance(one.item, Received) and isinstance(one.item.event, Message)
