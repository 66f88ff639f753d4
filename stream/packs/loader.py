"""Finds and reads pack files; everything wrong in all of them is reported at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from stream.core.lexicon import Boundary, Evasion, Term
from stream.core.rules import reading
from stream.core.rules.source import START, Fields, Items, Node, Problem, Report, Text, suggest
from stream.packs.cases import read_cases
from stream.packs.document import MAX_BYTES, parse_document
from stream.packs.model import KINDS, OTHER_FOLDERS, PackError, RawList, RawPack, RawRule

SHIPPED = "shipped"

# No term that people type is longer; a longer one is a sentence and belongs in an expression.
LONGEST_TERM = 64
MOST_VARIANTS = 200
# What a list of such a kind is recognised in where it says nothing else: tricks that no honest text plays.
_EVADED = frozenset({"sensitive", "privacy"})
_DEFAULT_EVASIONS = frozenset({Evasion.SEPARATORS, Evasion.SHAPE, Evasion.SPLIT})
# What may be written under `evasions`. Initials collide with half of all abbreviations: by name only.
_EVASIONS: Mapping[str, frozenset[Evasion]] = {
    "none": frozenset(),
    "all": frozenset(Evasion) - {Evasion.INITIALS},
    **{evasion.value: frozenset({evasion}) for evasion in Evasion},
}
_TERM_KEYS = ("variants", "boundary", "not_in", "near", "not_near", "evasions", "degree", "negatable")

# Two folders and a file is the deepest sensible tree; a loop of links ends here.
DEEPEST_FOLDER = 4

_NO_FIELDS = Fields({}, {})
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_COMMON = ("pack", "version", "title")
_SECTIONS = {"ola": ("clocks", "terms", "rules", "tests"), "category": ("categories", "terms")}
_RULE_SECTIONS = ("terms", "rules", "tests")


def load(directories: Sequence[str | Path | Traversable]) -> tuple[RawPack, ...]:
    """Return the packs of the directories, in order; ``shipped`` names the installed ones.

    Raises ``PackError`` with every problem of every file.
    """
    packs, problems = read(directories)
    if any(problem.severity == "error" for problem in problems):
        raise PackError(problems)
    return packs


def read(directories: Sequence[str | Path | Traversable]) -> tuple[tuple[RawPack, ...], list[Problem]]:
    """Return what could be read, and all problems; raises nothing for what files contain."""
    packs: list[RawPack] = []
    problems: list[Problem] = []
    for layer, directory in enumerate(directories):
        shipped = directory == SHIPPED
        root = resources.files("lexicons") if shipped else _root(directory)
        name = "lexicons" if shipped else str(directory)
        if not root.is_dir():
            problems.append(Problem(name, 1, 1, "no such directory"))
            continue
        for parts, file in _files(root, ()):
            report = Report("/".join((name, *parts)))
            pack = _read_file(report, file, parts, layer)
            problems += report.problems
            if pack is not None:
                packs.append(pack)
    problems += _duplicates(packs)
    return tuple(packs), problems


def _root(directory: str | Path | Traversable) -> Traversable:
    return Path(directory) if isinstance(directory, str) else directory


def _files(folder: Traversable, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Traversable]]:
    """Yield the pack files below a folder with their path inside it, in a settled order."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        here = (*parts, entry.name)
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            if len(here) <= DEEPEST_FOLDER and (parts or entry.name not in OTHER_FOLDERS):
                yield from _files(entry, here)
        elif entry.name.endswith((".yaml", ".yml")):
            yield here, entry


def _read_file(report: Report, file: Traversable, parts: tuple[str, ...], layer: int) -> RawPack | None:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        report.error(START, f"cannot be read: {error.strerror}")
        return None
    folder = parts[0] if len(parts) > 1 else ""
    if folder not in KINDS:
        known = ", ".join(KINDS)
        report.error(START, f"a pack lies in a folder of its kind ({known}){suggest(folder, KINDS)}")
        return None
    return parse_pack(report, data, parts, layer)


def parse_pack(report: Report, data: bytes, parts: tuple[str, ...], layer: int = 0) -> RawPack | None:
    """Return the pack in a file's bytes; ``parts`` is its path inside the directory."""
    document = parse_document(report, data)
    if document is None:
        return None
    folder = parts[0]
    expected = ".".join((*parts[:-1], parts[-1].rsplit(".", 1)[0]))
    sections = _SECTIONS.get(folder, _RULE_SECTIONS)
    entries = reading.fields(report, document, "pack", _COMMON, sections)
    if entries is None:
        return None
    pack_id = reading.text(report, entries["pack"], "pack")
    version = reading.integer(report, entries["version"], "version", 1)
    title = reading.text(report, entries["title"], "title")
    if pack_id is not None and pack_id != expected:
        report.error(entries["pack"], f"pack: '{pack_id}' must mirror the path: '{expected}'")
    if not all(_NAME.match(part) for part in expected.split(".")):
        report.error(entries["pack"], "pack: file and folder names are of a-z, 0-9 and _")
    stamp = f"{expected}@{version}"
    return RawPack(
        id=expected,
        version=version or 1,
        title=title or "",
        folder=folder,
        layer=layer,
        hash=hashlib.sha256(data).hexdigest()[:12],
        report=report,
        lists=_lists(report, entries.get("terms"), expected, stamp),
        rules=_identified(report, entries.get("rules"), "rules", expected + "."),
        clocks=_identified(report, entries.get("clocks"), "clocks", "ola."),
        categories=_identified(report, entries.get("categories"), "categories", ""),
        cases=read_cases(report, entries.get("tests")),
    )


def _identified(report: Report, node: Node | None, what: str, prefix: str) -> tuple[RawRule, ...]:
    """Return the entries of a list of mappings that all have an ``id`` with the prefix."""
    found = []
    for item in () if node is None else reading.items(report, node, what) or ():
        if not isinstance(item, Fields):
            report.error(item, f"{what}: expected a mapping, got {reading.kind_of(item)}")
            continue
        if "id" not in item.entries:
            report.error(item, f"{what}: missing 'id'")
            continue
        name = reading.text(report, item.entries["id"], "id", longest=128)
        if name is None:
            continue
        own = name.removeprefix(prefix)
        if (prefix and own == name) or not all(_NAME.match(part) for part in own.split(".")):
            form = f"'{prefix}' and a name" if prefix else "a name"
            report.error(
                item.entries["id"], f"id: '{reading.shorten(name)}' must be {form} of a-z, 0-9 and _"
            )
            continue
        found.append(RawRule(name, item.entries["id"].at, item))
    return tuple(found)


def _lists(report: Report, node: Node | None, pack_id: str, stamp: str) -> tuple[RawList, ...]:
    if node is None:
        return ()
    if not isinstance(node, Fields):
        report.error(node, f"terms: expected a mapping of lists, got {reading.kind_of(node)}")
        return ()
    found = []
    for name, listed in node.entries.items():
        if not _NAME.match(name):
            report.error(node.keys[name], f"terms: '{reading.shorten(name)}' must be of a-z, 0-9 and _")
            continue
        written = reading.items(report, listed, f"terms {name}", at_least=1) or ()
        terms = [_term(report, item, f"{pack_id}.{name}", stamp) for item in written]
        _warn_repeated(report, written, terms, name)
        kept = tuple(term for term in terms if term is not None)
        found.append(RawList(f"{pack_id}.{name}", node.keys[name], kept))
    return tuple(found)


def _term(report: Report, node: Node, list_name: str, stamp: str) -> Term | None:
    default = _DEFAULT_EVASIONS if list_name.split(".", 1)[0] in _EVADED else frozenset[Evasion]()
    if isinstance(node, Text):
        short = reading.text(report, node, "term", LONGEST_TERM)
        return None if short is None else Term(list_name, short, pack=stamp, evasions=default)
    entries = reading.fields(report, node, "term", ("term",), _TERM_KEYS)
    if entries is None:
        return None
    text = reading.text(report, entries["term"], "term", LONGEST_TERM)
    variants = _spellings(report, entries.get("variants"), "variants")
    not_in = _spellings(report, entries.get("not_in"), "not_in")
    near = _spellings(report, entries.get("near"), "near")
    not_near = _spellings(report, entries.get("not_near"), "not_near")
    evasions = _evasions(report, entries["evasions"]) if "evasions" in entries else default
    boundary: Boundary | None = Boundary.ANY
    if "boundary" in entries:
        boundary = reading.choice(report, entries["boundary"], "boundary", tuple(Boundary))
    degree: float | None = 1.0
    if "degree" in entries:
        degree = reading.number(report, entries["degree"], "degree", 0.1, 10)
    negatable: bool | None = True
    if "negatable" in entries:
        negatable = reading.boolean(report, entries["negatable"], "negatable")
    if text is None or boundary is None or degree is None or negatable is None:
        return None
    for phrase in not_in:
        if not any(spelling in phrase for spelling in (text, *variants)):
            # Spellings are compared as written; folded ones may differ, so this only warns.
            report.warning(entries["not_in"], f"not_in: '{phrase}' does not contain '{text}' or a variant")
    if evasions and "evasions" in entries and len(text) == 1:
        report.error(
            entries["evasions"], "evasions: a term of one character is too short to be recognised in any"
        )
    return Term(
        list_name, text, variants, boundary, not_in, degree, negatable, stamp, near, not_near, evasions
    )


def _evasions(report: Report, node: Node) -> frozenset[Evasion]:
    """Return the tricks that a term is recognised in: a list of them, or ``all`` or ``none``."""
    written = node.items if isinstance(node, Items) else (node,)
    chosen = [reading.choice(report, item, "evasions", tuple(_EVASIONS)) for item in written]
    return frozenset(trick for one in chosen if one is not None for trick in _EVASIONS[one])


def _spellings(report: Report, node: Node | None, what: str) -> tuple[str, ...]:
    if node is None:
        return ()
    written = node.items if isinstance(node, Items) else (node,)
    if len(written) > MOST_VARIANTS:
        report.error(node, f"{what}: {len(written)} spellings; at most {MOST_VARIANTS} are allowed")
        return ()
    values = [reading.text(report, item, what, LONGEST_TERM) for item in written]
    return tuple(value for value in values if value is not None)


def _warn_repeated(report: Report, nodes: Sequence[Node], terms: Sequence[Term | None], name: str) -> None:
    seen: dict[str, str] = {}
    for node, term in zip(nodes, terms, strict=True):
        for spelling in () if term is None else (term.text, *term.variants):
            if spelling in seen:
                report.warning(node, f"terms {name}: '{spelling}' stands in the list twice")
            seen[spelling] = spelling


def _duplicates(packs: Sequence[RawPack]) -> Iterator[Problem]:
    """Yield ids that two files of one directory, or two entries of one file, claim."""
    seen: dict[tuple[int, str, str], str] = {}
    for pack in packs:
        named = (
            *(("rule", rule) for rule in (*pack.rules, *pack.clocks)),
            *(("category", rule) for rule in pack.categories),
            ("pack", RawRule(pack.id, START, _NO_FIELDS)),
        )
        for what, rule in named:
            key = (pack.layer, what, rule.id)
            place = f"{pack.path}:{rule.at.line}"
            if key in seen:
                yield Problem(pack.path, *rule.at, f"duplicate id '{rule.id}', first at {seen[key]}")
            seen.setdefault(key, place)
