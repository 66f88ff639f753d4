"""Labelled files as events of the wire contract or as single texts, and the questions asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from stream.measure import DISSATISFIED, HARD, in_tenth, is_hard

Field = Literal["dissatisfaction", "anger", "abuse"]
Part = Literal["all", "tenth", "rest"]

START_MS: Final = 1_794_358_800_000
"""2026-11-11 09:00 +08:00. The sources have no times, so times are made: twenty seconds from message to
message, five minutes from the last to the close, one conversation after the other."""
STEP_MS: Final = 20_000
CLOSE_MS: Final = 300_000


class DataError(ValueError):
    """A labelled file cannot be used; the text says where and why."""


class _Turn(msgspec.Struct, frozen=True):
    role: Literal["customer", "agent", "bot", "system"]
    text: str
    satisfaction: int | None = None


class _Row(msgspec.Struct, frozen=True):
    dialogue_id: str | None = None
    turns: tuple[_Turn, ...] = ()
    satisfaction: float | None = None
    overall: int | None = None
    text: str | None = None
    emotion: str | None = None
    offensive: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to be found: the task, the label's question, the score that answers it."""

    name: str
    field: Field


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one item: a message id, a conversation id, or a text's number."""

    item: str
    group: str
    positive: bool
    text: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled file: dialogues to be replayed, or texts to be scanned; labels by question.

    Labels of questions about conversations name a conversation, those about turns a message.
    """

    name: str
    rows: tuple[_Row, ...]
    labels: dict[Question, list[Label]]

    @property
    def is_dialogues(self) -> bool:
        """Whether the rows are dialogues."""
        return bool(self.rows and self.rows[0].turns)

    def texts(self) -> list[str]:
        """Return the texts of single posts, in order."""
        return [row.text or "" for row in self.rows]

    def events(self) -> Iterator[bytes]:
        """Yield the dialogues as events of the wire contract, with made times."""
        t = START_MS
        for row in self.rows:
            conversation = {"conversation_id": row.dialogue_id}
            for number, turn in enumerate(row.turns):
                yield msgspec.json.encode(
                    {
                        "type": "message",
                        **conversation,
                        "message_id": f"{row.dialogue_id}/{number}",
                        "sent_at": t,
                        "sender": {"role": turn.role},
                        "content": {"kind": "text", "text": turn.text},
                    }
                )
                t += STEP_MS
            t += CLOSE_MS
            yield msgspec.json.encode({"type": "conversation.closed", **conversation, "at": t})


TURN: Final = Question("turn dissatisfied", "dissatisfaction")
HARD_TURN: Final = Question(f"turn dissatisfied, {HARD}", "dissatisfaction")
DIALOGUE: Final = Question("dialogue dissatisfied", "dissatisfaction")
ANGRY: Final = Question("post angry", "anger")
OFFENSIVE: Final = Question("post offensive", "abuse")


def read(path: Path, part: Part = "all") -> Dataset:
    """Return a labelled file, or a part of it.

    Raises:
        DataError: A line is no labelled dialogue or post; names file and line.
    """
    decoder = msgspec.json.Decoder(_Row)
    rows = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise DataError(f"{path.name}:{number}: {error}") from None
            key = row.dialogue_id if row.turns else row.text
            if key is None:
                raise DataError(f"{path.name}:{number}: neither a dialogue (dialogue_id, turns) nor a text")
            if part == "all" or in_tenth(key) == (part == "tenth"):
                rows.append(row)
    labels = _labels(rows)
    if not labels:
        raise DataError(f"{path.name}: no labels (satisfaction, overall, emotion, offensive)")
    return Dataset(path.stem, tuple(rows), labels)


def _labels(rows: list[_Row]) -> dict[Question, list[Label]]:
    labels: dict[Question, list[Label]] = {}

    def add(question: Question, label: Label) -> None:
        labels.setdefault(question, []).append(label)

    for number, row in enumerate(rows):
        group = row.dialogue_id or str(number)
        if row.turns:
            for place, turn in enumerate(row.turns):
                if turn.role == "customer" and turn.satisfaction is not None:
                    label = Label(f"{group}/{place}", group, turn.satisfaction == 0, turn.text)
                    add(TURN, label)
                    if is_hard(turn.text):
                        add(HARD_TURN, label)
            said = next((turn.text for turn in reversed(row.turns) if turn.role == "customer"), "")
            if row.satisfaction is not None:
                add(DIALOGUE, Label(group, group, row.satisfaction <= DISSATISFIED, said))
            elif row.overall is not None:
                add(DIALOGUE, Label(group, group, row.overall == 0, said))
        elif row.emotion is not None:
            add(ANGRY, Label(str(number), group, row.emotion == "angry", row.text or ""))
        elif row.offensive is not None:
            add(OFFENSIVE, Label(str(number), group, row.offensive == 1, row.text or ""))
    return labels
