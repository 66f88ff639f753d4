"""Draws `alerts.svg`, the picture in the READMEs: what `make run` really prints, as a terminal shows it.

    .venv/bin/python docs/img/capture.py

The command runs on a pseudo-terminal until it has shown `ALERTS` alerts; what it wrote is laid out cell
by cell (Rich's own SVG export gives a Chinese character one cell, not two). The picture loads no font
and no script. Draw it again when the alerts' look or the shipped day has changed.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from html import escape
from io import StringIO
from itertools import groupby
from pathlib import Path

from rich.cells import cell_len
from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

TARGET = Path(__file__).with_name("alerts.svg")
COLUMNS = 90
"""As wide as a README shows without shrinking it into small print."""

ALERTS = 4
"""Two critical ones, two serious ones, of three shops; more would be scrolled past."""

SIZE, CELL, LINE, MARGIN = 16, 9, 24, 18
"""Pixels: of the letters, of one cell's width and height, round the text."""

# Latin fonts first: Chinese ones draw the quotation marks two cells wide.
FONTS = (
    "Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono','Noto Sans Mono CJK SC','PingFang SC',"
    "'Microsoft YaHei',monospace"
)
BACKGROUND, FOREGROUND = ColorTriplet(24, 26, 31), ColorTriplet(214, 217, 224)

# Where the strokes of a box character go from the middle of its cell: left, right, up, down.
STROKES = dict(
    zip(
        "─━│┃╭╮╰╯┏┓┗┛",
        ("lr", "lr", "ud", "ud", "rd", "ld", "ru", "lu", "rd", "ld", "ru", "lu"),
        strict=True,
    )
)
HEAVY = frozenset("━┃┏┓┗┛")
PANEL_ENDS = ("╯", "┛")


def captured() -> str:
    """Return what the command prints on a terminal, up to the end of the last pictured alert."""
    ours, theirs = pty.openpty()
    environment = os.environ | {
        "COLUMNS": str(COLUMNS),
        "LINES": "60",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    command = [str(Path(sys.executable).with_name("yanshao")), "up", "--demo"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        raw = b""
        try:
            while (ended := sum(raw.count(end.encode()) for end in PANEL_ENDS)) < ALERTS:
                raw += os.read(ours, 65536)
        except OSError as error:  # the terminal closes with the process
            raise SystemExit(f"the command ended after {ended} alerts") from error
        finally:
            process.terminate()
            os.close(ours)
    lines = raw.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    ends = [number for number, line in enumerate(lines) if any(end in line for end in PANEL_ENDS)]
    # The demo takes free ports, others each time; a picture drawn anew should differ only where it must.
    return re.sub(r"(127\.0\.0\.1):\d+", r"\1:40000", "\n".join(lines[: ends[ALERTS - 1] + 1]))


def laid_out(ansi: str) -> list[list[Segment]]:
    """Return the lines of a terminal's output as styled segments."""
    console = Console(width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    text = Text.assemble(("$ make run\n", "bold"), Text.from_ansi(ansi))
    return console.render_lines(text, pad=False)


def colour(style: Style) -> str:
    """Return the colour that a style's text has on the screen."""
    chosen = FOREGROUND
    if style.color is not None and not style.color.is_default:
        chosen = style.color.get_truecolor(DIMMED_MONOKAI)
    if style.dim:
        chosen = ColorTriplet(
            *((2 * mine + paper) // 3 for mine, paper in zip(chosen, BACKGROUND, strict=True))
        )
    return chosen.hex


def drawn(lines: Iterable[list[Segment]]) -> Iterator[str]:
    """Yield the elements of every line."""
    for row, segments in enumerate(lines):
        column = 0
        for content, style, _ in segments:
            look = style or Style()
            for is_box, run in groupby(content, lambda character: character in STROKES):
                piece = "".join(run)
                yield from (boxes if is_box else letters)(piece, look, column, row)
                column += cell_len(piece)


def letters(piece: str, style: Style, column: int, row: int) -> Iterator[str]:
    """Yield the background and the words of a piece, each run of wide or narrow characters in its cells."""
    if style.bgcolor is not None and not style.bgcolor.is_default:
        paper = style.bgcolor.get_truecolor(DIMMED_MONOKAI).hex
        width = cell_len(piece) * CELL
        yield f'<rect x="{column * CELL}" y="{row * LINE}" width="{width}" height="{LINE}" fill="{paper}"/>'
    look = (' font-weight="bold"' if style.bold else "") + (' font-style="italic"' if style.italic else "")
    # Runs end at spaces, so that no font's own width of a space moves what follows.
    for _, run in groupby(piece, lambda character: (cell_len(character), character.isspace())):
        words = "".join(run)
        width = cell_len(words)
        if words.strip():
            yield (
                f'<text x="{column * CELL}" y="{row * LINE + 17}" textLength="{width * CELL}" '
                f'fill="{colour(style)}"{look}>{escape(words)}</text>'
            )
        column += width


def boxes(piece: str, style: Style, column: int, row: int) -> Iterator[str]:
    """Yield the strokes of box characters; side by side, they join."""
    path = ""
    for place, character in enumerate(piece):
        x, y = (column + place) * CELL + CELL / 2, row * LINE + LINE / 2
        ends = {
            "l": (x - CELL / 2, y),
            "r": (x + CELL / 2, y),
            "u": (x, y - LINE / 2),
            "d": (x, y + LINE / 2),
        }
        (x1, y1), (x2, y2) = (ends[way] for way in STROKES[character])
        path += f"M{x1:g} {y1:g}Q{x:g} {y:g} {x2:g} {y2:g}"
    weight = 2.5 if piece[0] in HEAVY else 1.2
    yield f'<path d="{path}" stroke="{colour(style)}" stroke-width="{weight}" fill="none"/>'


def main() -> None:
    """Write the picture."""
    lines = laid_out(captured())
    width, height = COLUMNS * CELL + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    head = f'viewBox="0 0 {width} {height}" role="img" aria-label="Alerts of the demo day"'
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {head}>',
        f'<rect width="{width}" height="{height}" rx="10" fill="{BACKGROUND.hex}"/>',
        f'<g transform="translate({MARGIN} {MARGIN})" font-family="{FONTS}" font-size="{SIZE}">',
        *drawn(lines),
        "</g>",
        "</svg>",
    ]
    TARGET.write_text("\n".join(svg) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET.name}: {TARGET.stat().st_size // 1024} KiB\n")


if __name__ == "__main__":
    main()
