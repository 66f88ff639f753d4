"""Writes the generated documents: ``python -m stream.docs docs`` (``make docs``).

Each entry of ``GENERATORS`` makes one or several files, as texts by their path under ``docs/``. With
``--check`` nothing is written and the exit status says whether the files are as they would be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from stream import metrics
from stream.core import clocks, issues
from stream.core.state import ClockState
from stream.settings import reference
from stream.wire import schema

Texts = Mapping[str, str]

_BEGIN: Final = "<!-- fields: written by `make docs` from stream/core/events.py -->"
_END: Final = "<!-- end of fields -->"
_CLOCKS: Final = "<!-- clocks: written by `make docs` from stream/core/clocks.py -->"
_ISSUES: Final = "<!-- issues: written by `make docs` from stream/core/issues.py -->"


def _schemas(_: Path) -> Texts:
    return {
        f"schema/{name}.schema.json": json.dumps(body, ensure_ascii=False, indent=2) + "\n"
        for name, body in schema.schemas().items()
    }


def _asyncapi(_: Path) -> Texts:
    text = yaml.dump(schema.asyncapi(), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)
    return {"asyncapi.yaml": "# Written by `make docs` from the types; do not edit.\n" + text}


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: a reader of the document should not have to follow them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's signature
        return True


def _configuration(_: Path) -> Texts:
    return {"configuration.md": reference.markdown()}


def _metrics(_: Path) -> Texts:
    return {"metrics.md": metrics.metrics_markdown()}


def _events(docs: Path) -> Texts:
    """Return ``events.md`` with the table of fields brought up to date; the rest is written by hand."""
    text = (docs / "events.md").read_text("utf-8")
    return {"events.md": _between(text, _BEGIN, _END, _fields())}


def _ola(docs: Path) -> Texts:
    """Return ``ola.md`` with the tables of clocks and issues drawn; the rest is written by hand."""
    text = (docs / "ola.md").read_text("utf-8")
    moves = [
        (before.name, happening.value, after.name)
        for (before, happening), after in clocks.TRANSITIONS.items()
        if before is not after
    ]
    text = _between(text, _CLOCKS, "<!-- end of clocks -->", _drawn(ClockState.RUNNING.name, moves))
    tags = {kind: tag for tag, kind in schema.event_types().items()}
    moves = [
        (before.value, tags[event], after.value)
        for (before, event), after in issues.TRANSITIONS.items()
        if before is not after
    ]
    return {
        "ola.md": _between(text, _ISSUES, "<!-- end of issues -->", _drawn(issues.IssueState.OPEN, moves))
    }


def _drawn(first: str, moves: list[tuple[str, str, str]]) -> str:
    """Return a state diagram (Mermaid, which GitHub and GitLab draw)."""
    arrows = [f"    {before.lower()} --> {after.lower()}: {what}" for before, what, after in moves]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first.lower()}", *arrows, "```"]) + "\n"


def _between(text: str, begin: str, end: str, made: str) -> str:
    before, rest = text.split(begin)
    return f"{before}{begin}\n\n{made}\n{end}{rest.split(end)[1]}"


def _fields() -> str:
    common = set(schema.event_types()["conversation.opened"].__struct_encode_fields__)
    rows = ["| type | what happened | fields of its own (required in bold) |", "|---|---|---|"]
    for tag, kind in schema.event_types().items():
        own = [
            f"**{info.encode_name}**" if info.required else info.encode_name
            for info in msgspec.structs.fields(kind)
            if info.encode_name not in common or (info.required and info.encode_name == "sent_at")
        ]
        about = (kind.__doc__ or "").splitlines()[0].replace("``", "`")
        rows.append(f"| `{tag}` | {about} | {', '.join(own) or '–'} |")
    return "\n".join(rows) + "\n"


GENERATORS: Final[tuple[Callable[[Path], Texts], ...]] = (
    _schemas,
    _asyncapi,
    _configuration,
    _events,
    _metrics,
    _ola,
)


def texts(docs: Path) -> dict[str, str]:
    """Return every generated document by its path under ``docs``, which holds the hand-written parts."""
    made: dict[str, str] = {}
    for generate in GENERATORS:
        made.update(generate(docs))
    return made


def stale(docs: Path) -> list[str]:
    """Return the generated documents that are missing or not as they would be written now."""
    return [
        name
        for name, text in texts(docs).items()
        if not (docs / name).is_file() or (docs / name).read_text("utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Write or check the documents in the folder named; return the exit status."""
    check = "--check" in arguments
    folders = [argument for argument in arguments if argument != "--check"]
    if len(folders) != 1 or not Path(folders[0]).is_dir():
        sys.stderr.write("usage: python -m stream.docs [--check] docs\n")
        return 2
    docs = Path(folders[0])
    names = stale(docs)
    for name in names:
        sys.stdout.write(f"{'stale' if check else 'wrote'} {docs / name}\n")
        if not check:
            path = docs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts(docs)[name], "utf-8")
    return 1 if check and names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
