"""What the documentation says of ends and bounds is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from stream.runtime import pulse
from stream.runtime.kafka import membership
from stream.runtime.kafka.burial import BEGINNING
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.monitor import LAG_S
from stream.runtime.kafka.process import STOP_S
from stream.runtime.kafka.watchdog import Limits
from stream.settings import Kafka

DOCS = Path(__file__).resolve().parents[2] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
LIMITS = Limits.of(Kafka())


def bound_of(code: Exit) -> float:
    """The seconds that the table of bounds gives a code."""
    (cell,) = re.findall(rf"^\| [^|]+ \| ([^|]+) \| {code.value} \|", OPERATIONS, re.MULTILINE)
    number, unit = re.findall(r"(\d+) (s|min)\b", cell)[-1]
    return float(number) * {"s": 1, "min": 60}[unit]


def test_the_command_line_lists_the_codes_that_there_are() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8").partition("Exit codes of `worker` and `ingest`:")[2]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", text.partition("\n### ")[0], re.MULTILINE)]
    assert codes == sorted([2, *Exit])


def test_bounds_are_those_of_the_watchdog_and_of_the_stop() -> None:
    assert bound_of(Exit.LOOP_BLOCKED) == LIMITS.loop_s
    assert bound_of(Exit.STALLED) == LIMITS.stall_s
    assert bound_of(Exit.FENCED) == LIMITS.assignment_s
    assert bound_of(Exit.RECOVERY) == LIMITS.recovery_s
    assert bound_of(Exit.OVERDUE) == STOP_S


def test_figures_in_the_text_are_those_of_the_code() -> None:
    assert f"lag is measured every {LAG_S:.0f} s" in OPERATIONS
    assert f"did not answer for {membership.PATIENCE_S:.0f} s" in OPERATIONS
    assert f"a transaction takes, {pulse.STUCK_S:.0f} s" in OPERATIONS
    assert f"the first {BEGINNING // 1024} KiB" in OPERATIONS
    assert f"within `kafka.session_timeout` ({Kafka().session_timeout // 1000} s;" in OPERATIONS
