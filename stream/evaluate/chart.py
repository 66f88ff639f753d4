"""Precision against recall as an SVG picture: a panel a task, a line a scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

import numpy as np

from stream.evaluate.trial import Answers
from stream.measure import precision_recall

# Distinct in greyscale too; ours is the strongest.
COLOURS: Final = ("#c0392b", "#2c7fb8", "#7f8c8d", "#e0a030", "#4daf4a")
_SIDE, _GAP, _TOP = 220, 56, 46
_POINTS: Final = 200
"""A line needs no more to look smooth at this size."""


class Panel(NamedTuple):
    """One task: a title, and the answers of each scorer."""

    title: str
    lines: Mapping[str, Answers]


def draw(panels: Sequence[Panel]) -> str:
    """Return the picture."""
    width = len(panels) * (_SIDE + _GAP) + _GAP
    height = _SIDE + 110
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="11">'
    parts = [opening, '<rect width="100%" height="100%" fill="white"/>', '<g font-family="sans-serif">']
    for number, panel in enumerate(panels):
        parts += _panel(panel, _GAP + number * (_SIDE + _GAP))
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    for place, name in enumerate(names):
        x = _GAP + place * 110
        parts.append(
            f'<rect x="{x}" y="{_SIDE + 88}" width="14" height="3" fill="{COLOURS[place % len(COLOURS)]}"/>'
            f'<text x="{x + 20}" y="{_SIDE + 93}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</g>", "</svg>\n"])


def _panel(panel: Panel, left: int) -> list[str]:
    bottom = _TOP + _SIDE
    parts = [
        f'<text x="{left}" y="{_TOP - 10}" font-weight="bold">{escape(panel.title)}</text>',
        f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>',
        f'<text x="{left + _SIDE / 2}" y="{bottom + 30}" text-anchor="middle">recall</text>',
    ]
    parts += [
        f'<text x="{left + tick * _SIDE}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>'
        f'<text x="{left - 6}" y="{bottom - tick * _SIDE + 4}" text-anchor="end">{tick:g}</text>'
        for tick in (0.0, 0.5, 1.0)
    ]
    for place, answers in enumerate(panel.lines.values()):
        recall, precision = precision_recall(answers.truth, answers.scores)
        kept = np.unique(np.linspace(0, len(recall) - 1, _POINTS).astype(np.int64))
        points = " ".join(
            f"{left + recall[at] * _SIDE:.1f},{bottom - precision[at] * _SIDE:.1f}" for at in kept
        )
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    return parts
