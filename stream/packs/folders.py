"""Finds the files of one folder of knowledge in all directories, for formats that are no rule packs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from stream.core.rules.source import START, Problem, Report
from stream.packs.document import MAX_BYTES
from stream.packs.loader import SHIPPED


class File(NamedTuple):
    """A file's bytes; ``id`` mirrors its path, ``layer`` is the position of its directory."""

    report: Report
    id: str
    layer: int
    data: bytes


def read_folder(
    directories: Sequence[str | Path | Traversable], folder: str
) -> tuple[list[File], list[Problem]]:
    """Return the YAML files of ``folder`` in each directory, in order, and what cannot be read.

    A directory without that folder has none; that a directory is missing is told by the loader of packs.
    """
    files: list[File] = []
    problems: list[Problem] = []
    for layer, directory in enumerate(directories):
        shipped = directory == SHIPPED
        root = (
            resources.files("lexicons")
            if shipped
            else Path(directory)
            if isinstance(directory, str)
            else directory
        )
        name = "lexicons" if shipped else str(directory)
        for entry in _entries(root / folder):
            report = Report(f"{name}/{folder}/{entry.name}")
            try:
                with entry.open("rb") as stream:
                    data = stream.read(MAX_BYTES + 1)
            except OSError as error:
                report.error(START, f"cannot be read: {error.strerror}")
                problems += report.problems
                continue
            files.append(File(report, f"{folder}.{entry.name.rsplit('.', 1)[0]}", layer, data))
    return files, problems


def _entries(folder: Traversable) -> Iterator[Traversable]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith((".yaml", ".yml")) and not entry.name.startswith((".", "_")):
            yield entry
