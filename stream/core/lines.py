"""The lines of a conversation as its state keeps them: who wrote when, and not a word of what.

Packed, for a state has room for little: one byte with the number of lines, six with the time of the latest
one to arrive (milliseconds UTC), then each line in the order of arrival as two variable-length numbers:
whose it is (``account * 10 + kind``), and the milliseconds since the line before, which are negative where
it came late. Times are told from the latest backwards, so the oldest line can be cut off and nothing else
moves. A line takes four bytes: one says whose, three reach 17 minutes either way.
"""

from __future__ import annotations

from typing import Final

from stream.core.events import Message, Mode, Role
from stream.core.platforms.model import Line
from stream.core.state import State

# The longest of the recorded chats has 74 messages; one that goes on all day may have three times as many.
# They take 0.9 KiB, of 6 that a state may have.
LINE_LIMIT: Final = 220
# A chat goes through a handful of hands. Beyond so many names of a state accounts are not told apart any
# more, or a sender with a new name for each message would fill the state with them.
NAME_LIMIT: Final = 64
# What of the lines was cut off, in the summary's ``counted``.
DROPPED: Final = "lines_dropped"

# Who wrote it and how, by the number that stands for it in records: only ever add at the end. How a
# message of the customer or of the system came about is nothing that any definition asks.
_KINDS: Final = (
    (Role.CUSTOMER, Mode.HUMAN),
    (Role.SYSTEM, Mode.HUMAN),
    *((role, mode) for role in (Role.AGENT, Role.BOT) for mode in Mode),
)
_COUNT: Final = len(_KINDS)
_CODES: Final = {(role, mode): _KINDS.index((role, mode)) for role, mode in _KINDS} | {
    (role, mode): _KINDS.index((role, Mode.HUMAN)) for role in (Role.CUSTOMER, Role.SYSTEM) for mode in Mode
}
# Members that every message asks for: looked up in their enum they cost many times as much.
_CUSTOMER: Final = Role.CUSTOMER
_AGENT: Final = Role.AGENT
_HEAD: Final = 7
_LOW: Final = 0x7F
_MORE: Final = 0x80
_BYTES: Final = [bytes((value,)) for value in range(256)]


def hear(state: State, event: Message, t: int) -> None:
    """Add a message to the conversation's lines, with the account that wrote it or was in charge.

    A customer's message that comes late has no account: who was in charge then is not known any more.
    """
    sender, attributes = event.sender, state.attributes
    if sender.role is _CUSTOMER:
        account = attributes.get("agent") if t >= state.last_at else None
    elif sender.role is _AGENT and sender.id:
        account = sender.id
    else:
        account = attributes.get("agent")
    whose = _CODES[sender.role, sender.mode]
    if account:
        whose += _COUNT * (_index(state, account) + 1)
    state.lines = add(state.lines, t, whose)
    if state.lines[0] > LINE_LIMIT:
        state.lines = without_oldest(state.lines)
        state.count(DROPPED)


def _index(state: State, account: str) -> int:
    """Return the account's place among the names; -1 where there is no room for another."""
    names = state.names
    try:
        return names.index(account)
    except ValueError:
        return state.intern(account) if len(names) < NAME_LIMIT else -1


def of(state: State) -> tuple[tuple[Line, ...], int]:
    """Return the lines by time, those of one moment as they came, and how many older ones were cut off."""
    names = state.names
    lines = []
    for t, whose in unpack(state.lines):
        account, kind = divmod(whose, _COUNT)
        role, mode = _KINDS[kind]
        lines.append(Line(t, role, mode, names[account - 1] if account else ""))
    lines.sort(key=_at)
    return tuple(lines), state.counts.get(DROPPED, 0)


def _at(line: Line) -> int:
    return line.at


def add(packed: bytes, t: int, whose: int) -> bytes:
    """Return packed lines with one more."""
    if not packed:
        return b"\x01" + t.to_bytes(6, "big") + _number(whose) + b"\x00"
    since = t - int.from_bytes(packed[1:_HEAD], "big")
    # Zigzag: small numbers of either sign are short.
    step = since << 1 if since >= 0 else ~(since << 1)
    return b"".join(
        (
            _BYTES[packed[0] + 1],
            t.to_bytes(6, "big"),
            packed[_HEAD:],
            _BYTES[whose] if whose < _MORE else _number(whose),
            _number(step),
        )
    )


def _number(value: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first, all but the last marked (LEB128)."""
    if 1 << 14 <= value < 1 << 21:  # what most lines need
        return bytes((value & _LOW | _MORE, value >> 7 & _LOW | _MORE, value >> 14))
    if value < _MORE:
        return _BYTES[value]
    return _BYTES[value & _LOW | _MORE] + _number(value >> 7)


def without_oldest(packed: bytes) -> bytes:
    """Return packed lines without the one that arrived first."""
    at = _HEAD
    for _ in range(2):
        while packed[at] & _MORE:
            at += 1
        at += 1
    return bytes((packed[0] - 1,)) + packed[1:_HEAD] + packed[at:]


def unpack(packed: bytes) -> list[tuple[int, int]]:
    """Return (milliseconds UTC, whose) of each line in the order of arrival."""
    numbers: list[int] = []
    value = shift = 0
    for byte in packed[_HEAD:]:
        value |= (byte & _LOW) << shift
        if byte & _MORE:
            shift += 7
        else:
            numbers.append(value)
            value = shift = 0
    t = int.from_bytes(packed[1:_HEAD], "big")
    found: list[tuple[int, int]] = []
    for place in range(len(numbers) - 2, -1, -2):
        found.append((t, numbers[place]))
        step = numbers[place + 1]
        t -= ~(step >> 1) if step & 1 else step >> 1
    found.reverse()
    return found
