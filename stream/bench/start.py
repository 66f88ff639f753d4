"""What one waits for: the help text, imports, packs, a worker that is ready; and what it then weighs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from stream import packs
from stream.bench.figures import Figure, Row, at_most
from stream.bench.installation import Installation
from stream.bench.session import Session

HELP = Figure("start.help", "s", "yanshao --help, from the shell and back", at_most(0.3))
IMPORT = Figure("start.import", "s", "importing everything a Kafka worker needs")
PACKS = Figure("start.packs", "s", "reading, checking and compiling all shipped packs", at_most(1))
KNOWLEDGE = Figure("start.knowledge", "s", "the same, with word lists, segmenter and scorer read in")
READY = Figure("start.worker_ready", "s", "a worker without backlog, from its start to ready", at_most(3))
MEMORY = Figure("start.worker_memory", "MiB", "resident memory of a ready worker without conversations")

COMMAND_FIGURES = (HELP, IMPORT, PACKS, KNOWLEDGE)
WORKER_FIGURES = (READY, MEMORY)

ROUNDS: Final = 5


def measure_commands(session: Session) -> list[Row]:
    """Return the figures that need no broker; the best of several rounds each."""
    rounds = session.scale(ROUNDS, 2)
    session.tell("start: help, imports, packs")
    command = str(Path(sys.executable).with_name("yanshao"))
    helps = [_seconds([command, "--help"]) for _ in range(rounds)]
    bare = min(_seconds([sys.executable, "-c", "pass"]) for _ in range(rounds))
    imported = [
        _seconds([sys.executable, "-c", "import stream.runtime.kafka.worker"]) - bare for _ in range(rounds)
    ]
    opened = [tuple(map(float, session.run("stream.bench.start").split())) for _ in range(rounds)]
    books, wholes = [book for book, _ in opened], [whole for _, whole in opened]
    return [
        HELP.row(min(helps), _spread(helps)),
        IMPORT.row(min(imported), _spread(imported)),
        PACKS.row(min(books), _spread(books)),
        KNOWLEDGE.row(min(wholes), _spread(wholes)),
    ]


def measure_worker(session: Session) -> list[Row]:
    """Return how soon a worker is ready and what it weighs; each start has topics of its own."""
    why = session.why_no_kafka()
    if why is not None:
        return [figure.unmeasured(why) for figure in WORKER_FIGURES]
    ready: list[float] = []
    weights: list[float] = []
    rounds = session.scale(3, 1)
    for number in range(rounds):
        session.tell(f"start: worker {number + 1} of {rounds}")
        installation = Installation(session, f"start{number}.")
        installation.make_topics()
        worker = installation.start()
        try:
            ready.append(worker.wait_ready())
            weights.append(worker.memory_mib())
        finally:
            worker.stop()
    return [READY.row(min(ready), _spread(ready)), MEMORY.row(min(weights), f"{rounds} starts")]


def _seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own commands
    return time.perf_counter() - begun


def _spread(values: list[float]) -> str:
    middle = sorted(values)[len(values) // 2]
    return f"min/median/max of {len(values)}: {min(values):.2f} / {middle:.2f} / {max(values):.2f} s"


def main() -> None:
    """Open the packs once, as a fresh process does; print the seconds without and with the annotator."""
    from stream.runtime.knowledge import of_book  # noqa: PLC0415 - only as a program

    begun = time.perf_counter()
    book = packs.open_book()
    compiled = time.perf_counter()
    of_book(book)
    sys.stdout.write(f"{compiled - begun} {time.perf_counter() - begun}\n")


if __name__ == "__main__":
    main()
