"""What can be measured, by name, in the order in which it runs: cheap and quiet first, Kafka last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from stream.bench import (
    clocks,
    contest,
    core,
    idle,
    isolation,
    latency,
    local,
    matcher,
    recovery,
    start,
    states,
)
from stream.bench.figures import Figure, Row
from stream.bench.session import Session


class Bench(NamedTuple):
    """One group of figures and how it is measured. ``kafka``: it needs a broker."""

    about: str
    figures: Sequence[Figure]
    measure: Callable[[Session], list[Row]]
    kafka: bool = False


_QUICK = "--quick: sizes too small to judge by"


def _matcher(session: Session) -> list[Row]:
    return matcher.measure(session.tell, rounds=session.scale(matcher.ROUNDS, 2))


BENCHES: Mapping[str, Bench] = MappingProxyType(
    {
        "start": Bench("help, imports, packs", start.COMMAND_FIGURES, start.measure_commands),
        "core": Bench("annotate and step, one core", core.FIGURES, core.measure),
        "state": Bench("size of conversations", states.FIGURES, states.measure),
        "matcher": Bench("terms beside a Java peer; needs Java and Maven", matcher.FIGURES, _matcher),
        "local": Bench("the embedded runtime over HTTP", local.FIGURES, local.measure),
        "worker": Bench(
            "a worker's start and weight", start.WORKER_FIGURES, start.measure_worker, kafka=True
        ),
        "idle": Bench("a worker with nothing to do", idle.FIGURES, idle.measure, kafka=True),
        "latency": Bench("message to webhook at three rates", latency.FIGURES, latency.measure, kafka=True),
        "isolation": Bench(
            "one who is slow, and the others", isolation.FIGURES, isolation.measure, kafka=True
        ),
        "recovery": Bench("after kill -9", recovery.FIGURES, recovery.measure, kafka=True),
        "clocks": Bench("due clocks of 100,000 open issues", clocks.FIGURES, clocks.measure, kafka=True),
        "kafka": Bench("whole jobs side by side", contest.FIGURES, contest.measure, kafka=True),
    }
)


def run(session: Session, names: Sequence[str], rows: Callable[[Sequence[Row]], None]) -> list[Row]:
    """Measure the named groups (all, where none is named), in the registry's order; return their rows.

    ``rows`` is told each group's as soon as they are there: a run that is cut short has shown something.
    A group that fails is no reason to lose the others: its figures say what happened.
    """
    found: list[Row] = []
    for name, bench in BENCHES.items():
        if names and name not in names:
            continue
        try:
            group = bench.measure(session)
        except Exception as error:  # noqa: BLE001 - told in the rows
            why = f"the measurement failed: {type(error).__name__}: {error}"
            group = [figure.unmeasured(why) for figure in bench.figures]
        judged = [row.unjudged(_QUICK) for row in group] if session.quick else group
        rows(judged)
        found += judged
    return found
