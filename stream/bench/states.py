"""How large a conversation is: its record, and a hundred thousand of them in a process.

Records are those of chats as long as JD's (`workload.LENGTHS`), each taken at its largest, which is
usually its end. The hundred thousand are a sample of such records under names of their own, loaded as
recovery loads them, in a process that has the knowledge and nothing else; what Kafka's clients add is in
the row of the worker.
"""

from __future__ import annotations

import gc
import sys
from random import Random
from typing import Final

import msgspec

from stream.bench.figures import Figure, Row, at_most
from stream.bench.session import Session
from stream.bench.statistics import percentile
from stream.bench.workload import traffic
from stream.core import state as states
from stream.runtime.conversations import Conversations, Knowledge

MEDIAN = Figure("state.median", "KiB", "state record of a chat as long as JD's", at_most(1.5))
P99 = Figure("state.p99", "KiB", "the largest of a hundred such records", at_most(6))
MEMORY = Figure(
    "memory.conversations", "MiB", "a process that holds 100,000 open conversations", at_most(600)
)
FIGURES = (MEDIAN, P99, MEMORY)

CONVERSATIONS: Final = 100_000


def measure(session: Session) -> list[Row]:
    """Return the sizes of records and of a process full of them."""
    session.tell("state: chats of JD's length")
    whole, going_on = records_of(session, session.scale(3_000, 300))
    sizes = [len(raw) / 1024 for raw in whole]
    how = f"{len(sizes):,} chats, mean {sum(sizes) / len(sizes):.2f} KiB, largest {max(sizes):.2f} KiB"
    count = session.scale(CONVERSATIONS, 5_000)
    session.tell(f"memory: {count:,} open conversations")
    total, empty = _resident(session, going_on, count)
    memory = MEMORY.row(total, f"{empty:.0f} MiB without any, {(total - empty) * 1024 / count:.2f} KiB each")
    if session.quick:
        memory = MEMORY.unmeasured(f"--quick: {count:,} conversations take {total:.0f} MiB")
    return [MEDIAN.row(percentile(sizes, 0.5), how), P99.row(percentile(sizes, 0.99), how), memory]


def records_of(session: Session, chats: int) -> tuple[list[bytes], list[bytes]]:
    """Return the largest record of each of about so many whole chats, and those that go on at the end."""
    concurrent = max(20, chats // 10)
    records = traffic(session.day, chats * 30, concurrent=concurrent)
    conversations = Conversations(source_partition=0)
    found: dict[str, bytes] = {}
    inputs = records.inputs()
    for at in range(0, len(inputs), 64):
        done = conversations.apply(session.knowledge, inputs[at : at + 64])
        for name, raw in done.changed.items():
            if len(raw) > len(found.get(name, b"")):
                found[name] = raw
    going_on = {name: raw for name, raw in conversations.raw() if _is_open(raw)}
    # The first ones begin in the middle (workload.traffic), the last ones have not ended.
    whole = [raw for name, raw in found.items() if name not in going_on and int(name[2:]) > concurrent]
    return whole, list(going_on.values())


def renamed(raw: bytes, name: str) -> bytes:
    """Return the record under another conversation's name."""
    state = states.decode(raw)
    state.conversation_id = name
    return states.encode(state)


def _is_open(raw: bytes) -> bool:
    return states.decode(raw).closed_at is None


def _resident(session: Session, sample: list[bytes], count: int) -> tuple[float, float]:
    """Return the memory of a process with and without so many conversations, in MiB."""
    answer = session.run("stream.bench.states", str(count), text=msgspec.json.encode(sample).decode())
    full, empty = map(float, answer.split())
    return full, empty


def main() -> None:
    """Hold as many conversations as the argument says; print the memory with and without them, in MiB."""
    import os  # noqa: PLC0415 - only as a program

    from stream.bench.installation import resident_mib  # noqa: PLC0415
    from stream.runtime.knowledge import open_knowledge  # noqa: PLC0415

    sample = msgspec.json.decode(sys.stdin.buffer.read(), type=list[bytes])
    knowledge: Knowledge = open_knowledge()
    choose = Random(1).choice  # noqa: S311 - which record stands for which, no secret
    conversations = Conversations(source_partition=0)
    gc.collect()
    empty = resident_mib(os.getpid())
    for number in range(int(sys.argv[1])):
        name = f"conversation-{number:08d}"
        conversations.load(knowledge, name, renamed(choose(sample), name))
    gc.collect()
    sys.stdout.write(f"{resident_mib(os.getpid())} {empty}\n")


if __name__ == "__main__":
    main()
