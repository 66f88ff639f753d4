"""Signals that ask a process to end, until it is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

CODE = 75

PROGRAM = f"""
    import asyncio, sys, time
    from stream.runtime.signals import asked_to_end

    class Slow:
        def __del__(self):  # called amid the interpreter's own end
            print("last", flush=True)
            time.sleep(0.5)

    async def main():
        stop = asyncio.Event()
        with asked_to_end(stop.set):
            print("up", flush=True)
            await stop.wait()

    asyncio.run(main())
    print("over", flush=True)
    time.sleep(0.5)
    keep = Slow()
    sys.exit({CODE})
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_asked_again_while_it_ends_does_not_change_the_exit_code(number: signal.Signals) -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for step in ("up", "over", "last"):
            assert process.stdout.readline().strip() == step
            process.send_signal(number)
    assert process.returncode == CODE
