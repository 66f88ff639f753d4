"""A bench that is ended early ends what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.kafka

PATIENCE_S = 60.0


def children(of: int) -> list[int]:
    """The processes that a process started and has not waited for."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # gone meanwhile
                continue
            if int(stat.rpartition(")")[2].split()[1]) == of:
                found.append(int(folder.name))
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.usefixtures("kafka")
def test_bench_that_is_asked_to_end_leaves_no_broker_behind() -> None:
    command = [sys.executable, "-m", "stream.cli", "bench", "kafka", "--quick"]
    bench = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (started := children(bench.pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert started, "the broker"
        time.sleep(0.5)  # while it comes up: the moment does not matter, as long as it is early
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(PATIENCE_S) == 128 + signal.SIGTERM
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    finally:
        for pid in [bench.pid, *children(bench.pid)]:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
        bench.wait()
