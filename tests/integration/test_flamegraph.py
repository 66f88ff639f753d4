"""Where a bench's time goes can be drawn: the recipe of `make flamegraph`, with small sizes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def recipe() -> list[str]:
    """Return the command of the make target as make would run it."""
    programs = str(Path(sys.executable).parent)
    target = ["make", "--dry-run", "flamegraph", f"BIN={programs}", "BENCH=state --quick"]
    printed = subprocess.run(target, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return printed.stdout.splitlines()[-1].split()


def test_the_functions_of_a_bench_are_drawn(tmp_path: Path) -> None:
    drawn = tmp_path / "flamegraph.svg"
    command = [str(drawn) if part == "out/flamegraph.svg" else part for part in recipe()]
    assert str(drawn) in command
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    picture = drawn.read_text(encoding="utf-8")
    assert "Conversations.apply (stream/runtime/conversations.py" in picture
    assert "Annotator.annotate (stream/core/annotate.py" in picture
