"""What a round was and how it went, and the table of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from stream.bench.statistics import percentile
from tests.chaos.driver.faults import Strike
from tests.chaos.driver.hook import Hook
from tests.chaos.driver.judge import Verdict
from tests.chaos.driver.load import Load

GOOD = "good"


@dataclass(frozen=True, slots=True)
class Round:
    """One line of the table.

    `expected` and `received` are alerts, `breaches` those of clocks by the sum by hand, `taken_back` findings
    told too soon, `repeats` notifications that came again under their id. `late` is how long after its
    moment an alert was received, in seconds: half of them, and the last.
    """

    runtime: str
    seed: int
    faults: str
    messages: int
    expected: int
    received: int
    breaches: int
    taken_back: int
    repeats: int
    restarts: int
    late: str
    seconds: int
    verdict: str

    @classmethod
    def of(
        cls,
        runtime: str,
        load: Load,
        planned: Sequence[Strike],
        verdict: Verdict,
        hook: Hook,
        restarts: int,
        seconds: float,
    ) -> Round:
        """Return the line of a round that has ended."""
        late = hook.lateness() or [0.0]
        return cls(
            runtime,
            load.seed,
            ", ".join(map(str, planned)),
            len(load.events),
            verdict.expected,
            verdict.received,
            verdict.breaches,
            verdict.taken_back,
            verdict.repeats,
            restarts,
            f"{percentile(late, 0.5):.1f}, {late[-1]:.1f}",
            round(seconds),
            "; ".join(verdict.problems) or GOOD,
        )

    def line(self) -> str:
        """The round in a line."""
        return " | ".join(map(str, asdict(self).values()))


@dataclass
class Table:
    """The rounds of a run, in a file after each where one was asked for: a run may be cut short."""

    path: Path | None = None
    rounds: list[Round] = field(default_factory=list)

    def add(self, one: Round) -> None:
        """Take a round in."""
        self.rounds.append(one)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text(), "utf-8")

    def text(self) -> str:
        """Return a Markdown table, and how many rounds were good."""
        names = [one.name for one in fields(Round)]
        lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
        lines += [f"| {one.line()} |" for one in self.rounds]
        good = sum(one.verdict == GOOD for one in self.rounds)
        return "\n".join([*lines, "", f"{good} of {len(self.rounds)} rounds good", ""])
