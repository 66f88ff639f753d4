"""What Python's garbage collector need not look at.

A full collection walks over all objects that could be part of a cycle: with the packs loaded some 100 ms, in
which nothing else happens, and every few seconds under load. What is there once a process has started stays
until its end, so it is set aside.
"""

from __future__ import annotations

import gc

YOUNG = 20_000
"""Objects made since the last look before there is another (Python: 700). Messages make some hundred each,
nearly all gone when the batch is done, and a look costs by what is left: with 10,000 it took 3.5% of a
worker's time, with 50,000 a look lasted 60 ms."""


def settle() -> None:
    """Set aside all that there is and begin to look: for a process that has loaded what it works with.

    Nothing is collected before: the garbage of a start is little, and looking for it takes as long as a
    conversation's first answer. A rule book that a reload replaces is kept where it was the first: once.
    """
    gc.freeze()
    gc.enable()  # `yanshao worker` starts without
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
