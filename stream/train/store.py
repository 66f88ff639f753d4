"""Writes a model: the files that ship, and the card that says what it is made of."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from stream.measure import Measured
from stream.models import PARAMETERS, SYLLABLES, TABLE, Parameters
from stream.train.recipe import Trained

Value = TypeVar("Value")

CARD_JSON: Final = "card.json"
CARD: Final = "MODEL_CARD.md"

DIGITS: Final = 7
"""Significant digits kept of what was fitted: more would tell one processor's rounding from another's."""


class Corpus(msgspec.Struct, frozen=True):
    """One thing learned from."""

    name: str
    rows: int
    licence: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What is said of a model beside its figures."""

    corpora: Sequence[Corpus]
    versions: Mapping[str, str]
    ships: bool


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save(trained: Trained, card: Card, out: Path) -> Parameters:
    """Write the model's files and its card; the same model gives the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    codes = np.flatnonzero(trained.model.syllables).astype(np.uint32)
    table = _packed(trained.model.table)
    syllables = _packed(np.stack([codes, trained.model.syllables[codes].astype(np.uint32)]))
    nameless = Parameters(
        "", {name: _rounded(head) for name, head in trained.model.heads.items()}, _rounded(trained.judge)
    )
    name = hashlib.sha256(table + syllables + msgspec.json.encode(nameless)).hexdigest()[:8]
    parameters = Parameters(name, nameless.heads, replace(nameless.judge, model=name))
    (out / TABLE).write_bytes(table)
    (out / SYLLABLES).write_bytes(syllables)
    (out / PARAMETERS).write_bytes(_pretty(parameters))
    (out / CARD_JSON).write_bytes(
        _pretty(
            {
                "model": name,
                "ships": card.ships,
                "corpora": card.corpora,
                "versions": card.versions,
                "measured": {task: _figures(found) for task, found in trained.measured.items()},
            }
        )
    )
    (out / CARD).write_text(_markdown(name, trained.measured, card), encoding="utf-8")
    return parameters


def _packed(array: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _pretty(document: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _rounded(value: Value) -> Value:
    """Return a dataclass with its numbers cut to ``DIGITS``."""

    def cut(part: object) -> object:
        if isinstance(part, float):
            return float(f"{part:.{DIGITS}g}")
        if isinstance(part, tuple):
            return tuple(map(cut, part))
        if isinstance(part, dict):
            return {key: cut(one) for key, one in part.items()}
        return part

    fields = {name: cut(getattr(value, name)) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]
    return type(value)(**fields)


def _figures(found: Measured) -> dict[str, object]:
    return {
        "rows": found.rows,
        "positive": found.positive,
        "auc": round(found.auc, 4),
        "ap": round(found.ap, 4),
        "precision_at_recall_half": round(found.precision, 4),
        "calibration_error": round(found.error, 4),
    }


def _markdown(name: str, measured: Mapping[str, Measured], card: Card) -> str:
    corpora = "\n".join(f"| {one.name} | {one.rows} | {one.licence} |" for one in card.corpora)
    figures = "\n".join(
        f"| {task} | {found.rows} | {found.auc:.3f} | {found.ap:.3f} | {found.precision:.3f} "
        f"| {found.error:.3f} |"
        for task, found in measured.items()
    )
    notice = "" if card.ships else "\n**Learned from data that may not be passed on: for study only.**\n"
    return _CARD.format(name=name, notice=notice, corpora=corpora, figures=figures)


_CARD: Final = """# Model card: {name}
{notice}
Linear heads on hashed characters, character pairs and their toneless syllables, eight bits a weight. Scores a
customer's turn (dissatisfaction, anger, abuse) and a whole conversation (dissatisfaction). Made by
`yanshao train`; runs on numpy alone.

## Learned from

| corpus | rows | licence |
|---|---|---|
{corpora}

## Measured on rows not learned from, while training

| task | rows | AUC | average precision | precision at recall .5 | calibration error |
|---|---|---|---|---|---|
{figures}

Anger has no row here: no corpus that may be passed on labels it. It is a mix of displeased replies, insults,
bad reviews and a list of angry words; see docs/detection.md for what it does on posts it never saw.

## Limits

- Chinese only, short texts; only the first 1,000 characters of a text are looked at.
- Help-desk dialogues are of Weibo and mostly about telecommunication; offensive posts are about race, region
  and gender. Elsewhere scores order texts less well and their probabilities are off: compare
  `yanshao evaluate` on chats of your own before you set a threshold.
- It reads words, not facts: irony, quotations and a calm account of a disaster are misread.
- It says how a text reads. It is no ground for judging a person, customer or agent.
"""
