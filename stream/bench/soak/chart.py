"""The samples of a soak as an SVG picture: a panel a group of series, one under the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

from stream.bench.soak.samples import Sample
from stream.bench.statistics import percentile

COLOURS: Final = ("#c0392b", "#2c7fb8", "#7f8c8d", "#e0a030")
"""Distinct in greyscale too."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 760, 110, 70, 30, 46
_POINTS: Final = 760
"""One a pixel."""


class Panel(NamedTuple):
    """What is drawn together: a title with the unit, column and legend of each line, what is one unit."""

    title: str
    lines: Mapping[str, str]
    unit: float = 1.0


def draw(panels: Sequence[Panel], samples: Sequence[Sample], warm_s: float) -> str:
    """Return the picture; what is left of ``warm_s`` is shaded."""
    height = _TOP + len(panels) * (_HEIGHT + _GAP)
    width = _LEFT + _WIDTH + 20
    last = max((one["second"] for one in samples), default=1.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<g font-family="sans-serif">',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, samples, _TOP + number * (_HEIGHT + _GAP), last, warm_s)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _panel(panel: Panel, samples: Sequence[Sample], top: int, last: float, warm_s: float) -> list[str]:
    bottom = top + _HEIGHT
    values = [one[name] / panel.unit for name in panel.lines for one in samples if name in one]
    # A single wild value would press all others flat; it is drawn at the edge.
    highest = max(1.05 * percentile(values, 0.995), 1e-9) if values else 1.0
    shaded = _WIDTH * min(1.0, warm_s / last)
    parts = [
        f'<rect x="{_LEFT}" y="{top}" width="{shaded:.1f}" height="{_HEIGHT}" fill="#eee"/>',
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999"/>',
        f'<text x="{_LEFT}" y="{top - 6}" font-weight="bold">{escape(panel.title)}</text>',
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{highest:.4g}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
    ]
    parts += [
        f'<text x="{_LEFT + _WIDTH * share:.0f}" y="{bottom + 13}" text-anchor="middle">'
        f"{last * share / 60:.1f} min</text>"
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    step = max(1, len(samples) // _POINTS)
    for place, (name, legend) in enumerate(panel.lines.items()):
        points = " ".join(
            f"{_LEFT + _WIDTH * one['second'] / last:.1f},"
            f"{bottom - _HEIGHT * min(1.0, one[name] / panel.unit / highest):.1f}"
            for one in samples[::step]
            if name in one
        )
        colour = COLOURS[place % len(COLOURS)]
        x = _LEFT + 260 + place * 120
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>',
            f'<rect x="{x}" y="{top - 12}" width="12" height="3" fill="{colour}"/>',
            f'<text x="{x + 16}" y="{top - 6}">{escape(legend)}</text>',
        ]
    return parts
