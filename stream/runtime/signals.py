"""Being asked to end: SIGTERM, or Ctrl-C.

`loop.add_signal_handler` alone leaves a gap: as the loop closes it gives the signals back to the system, and
one that comes while the interpreter ends (a second Ctrl-C, a supervisor that stops a service just failing)
kills the process. Its exit code is then the signal's, not the one that says what to do (docs/reliability.md).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ASKING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def asked_to_end(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` in the running loop whenever the process is asked to end within the block.

    After the block nobody need ask any more: the signals are ignored for the rest of the process, which the
    block's caller must then end.
    """
    loop = asyncio.get_running_loop()
    for number in ASKING:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in ASKING:
            loop.remove_signal_handler(number)
            # Ignored, not handled: the interpreter resets what is handled in Python before it is gone itself.
            signal.signal(number, signal.SIG_IGN)
