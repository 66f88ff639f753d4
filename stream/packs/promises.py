"""Reads what agents promise with: ``lexicons/promise/*.yaml``, with their tests, into the core's values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from stream.core.calendars import WHOLE_DAY, Calendar
from stream.core.deadlines import Deadline, Within, WorkingDays, due
from stream.core.lexicon import Term
from stream.core.promises import Need, Party, Pledge, Promises, Slot, Soon, Vocabulary
from stream.core.rules import reading
from stream.core.rules.source import START, Fields, Items, Node, Problem, Report, Text, suggest
from stream.core.said import Act, Kind, Said
from stream.core.text import Normaliser
from stream.packs.document import parse_document
from stream.packs.folders import File, read_folder
from stream.packs.loader import LONGEST_TERM, SHIPPED
from stream.packs.model import PackError

FOLDER: Final = "promise"

_SECTIONS: Final = ("promises", "soon", "parties", "tests", "times")
_MOST_PHRASES: Final = 200
_TOLD: Final = frozenset({Kind.HAND_OFF, Kind.REPORT})
_BESIDE: Final = (frozenset({Need.PARTY}), frozenset({Need.WITH}))
_NO_TIME: Final = Within(0)


@dataclass(frozen=True, slots=True)
class Case:
    """A text of a pack's tests, and what it must say; ``until`` only where the case is about time."""

    path: str
    at: Node
    text: str
    pledge: str = ""
    act: Act | None = None
    by: str = ""
    said_at: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromisePacks:
    """What all files say; ``pledges`` are those of the last directory that has them, by id.

    ``content`` names every file with a hash of it: a book that reads by them is another when one changes.
    """

    pledges: tuple[Pledge, ...] = ()
    soon: tuple[Soon, ...] = ()
    parties: tuple[Party, ...] = ()
    cases: tuple[Case, ...] = ()
    content: tuple[str, ...] = ()

    @property
    def vocabulary(self) -> Vocabulary:
        """What the rule book keeps of it."""
        return Vocabulary(self.pledges, self.soon, self.parties)

    def build(self, normaliser: Normaliser) -> Promises:
        """Return the reader of promises."""
        return self.vocabulary.build(normaliser.text)


NO_PROMISES: Final = PromisePacks()


@dataclass(slots=True)
class _Found:
    pledges: dict[str, Pledge] = field(default_factory=dict)
    soon: dict[str, Soon] = field(default_factory=dict)
    parties: dict[str, Party] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)


def load_promises(directories: Sequence[str | Path | Traversable] = (SHIPPED,)) -> PromisePacks:
    """Return what the directories say of promises; raises ``PackError`` with every problem of every file."""
    packs, problems = read_promises(directories)
    if any(problem.severity == "error" for problem in problems):
        raise PackError(problems)
    return packs


def read_promises(
    directories: Sequence[str | Path | Traversable] = (SHIPPED,),
) -> tuple[PromisePacks, list[Problem]]:
    """Return what could be read, and all problems by place; a later directory replaces a file whole."""
    files, problems = read_folder(directories, FOLDER)
    found = _Found()
    read = {file.id: file for file in files}.values()
    for file in read:
        _read_file(file, found)
        problems += file.report.problems
    packs = PromisePacks(
        tuple(found.pledges.values()),
        tuple(found.soon.values()),
        tuple(found.parties.values()),
        tuple(found.cases),
        tuple(f"{file.layer} {file.id} {hashlib.sha256(file.data).hexdigest()}" for file in read),
    )
    return packs, sorted(problems)


def check(directories: Sequence[str | Path | Traversable]) -> list[Problem]:
    """Return a problem for every test in the directories' files that does not come out as written."""
    from stream.models import normaliser  # noqa: PLC0415 - brings native code

    packs, _ = read_promises(directories)
    folding = normaliser()
    return run_cases(packs, packs.build(folding), folding)


def run_cases(packs: PromisePacks, promises: Promises, normaliser: Normaliser) -> list[Problem]:
    """Return a problem for every test in the files that does not come out as written."""
    return [
        Problem(case.path, *case.at.at, message)
        for case in packs.cases
        for message in _judge(case, promises.find(normaliser.text(case.text)))
    ]


def _judge(case: Case, said: Sequence[Said]) -> list[str]:
    told = f"'{reading.shorten(case.text)}'"
    if case.until is not None and case.said_at is not None:
        made = [one for one in said if one.act is Act.MADE]
        if len(made) != 1:
            return [f"{told} makes {len(made)} promises, expected one"]
        return _judge_time(case, case.said_at, case.until, made[0])
    fitting = [one for one in said if one.pledge == case.pledge]
    if case.act is None:
        return [f"{told}: {case.pledge} is made" for one in fitting if one.act is Act.MADE]
    if not any(one.act is case.act and case.by in ("", one.by) for one in fitting):
        got = ", ".join(f"{one.pledge} {one.act} by {one.by}" for one in said) or "nothing"
        return [f"{told}: expected {case.pledge} {case.act}, got {got}"]
    return []


def _judge_time(case: Case, said_at: datetime, until: datetime, said: Said) -> list[str]:
    zone = said_at.tzinfo
    assert zone is not None  # read with an offset, or refused
    workdays = Calendar("test", zone, (WHOLE_DAY,) * 5 + ((), ()))
    moment = due(said.deadline, round(said_at.timestamp() * 1000), workdays)
    got = datetime.fromtimestamp(moment / 1000, zone)
    return [] if got == until else [f"'{reading.shorten(case.text)}' is due at {got}, expected {until}"]


def _read_file(file: File, found: _Found) -> None:
    report = file.report
    root = parse_document(report, file.data)
    entries = (
        None
        if root is None
        else reading.fields(report, root, "pack", ("pack", "version", "title"), _SECTIONS)
    )
    if entries is None:
        return
    name = reading.text(report, entries["pack"], "pack")
    if name is not None and name != file.id:
        report.error(entries["pack"], f"pack: '{reading.shorten(name)}' must mirror the path: '{file.id}'")
    version = reading.integer(report, entries["version"], "version", 1) or 1
    known = _read_pledges(report, entries, file.id, f"{file.id}@{version}", found)
    for number, item in enumerate(_listed(report, entries, "soon")):
        soon = _soon(report, item, f"{file.id}/soon{number}")
        if soon is not None:
            found.soon[f"{file.id}/{number}"] = soon
    for item in _listed(report, entries, "parties"):
        party = _party(report, item, file.id)
        if party is not None:
            found.parties[party.id] = party
    for item in _listed(report, entries, "tests"):
        found.cases += _cases(report, item, known)
    for item in _listed(report, entries, "times"):
        case = _time_case(report, item)
        if case is not None:
            found.cases.append(case)
    _demand_cases(report, entries, known, found.cases)


def _read_pledges(
    report: Report, entries: Mapping[str, Node], pack_id: str, stamp: str, found: _Found
) -> set[str]:
    """Add the promises of a file; return their ids."""
    known: set[str] = set()
    for item in _listed(report, entries, "promises"):
        pledge = _pledge(report, item, pack_id, stamp)
        if pledge is None:
            continue
        if pledge.id in known:
            report.error(item, f"duplicate id '{pledge.id}'")
        known.add(pledge.id)
        found.pledges[pledge.id] = pledge
    return known


def _listed(report: Report, entries: Mapping[str, Node], key: str) -> Sequence[Node]:
    return reading.items(report, entries[key], key) or () if key in entries else ()


def _pledge(report: Report, item: Node, pack_id: str, stamp: str) -> Pledge | None:
    before = len(report.problems)
    slots = tuple(slot.value for slot in Slot)
    entries = reading.fields(report, item, "promise", ("id", "title", "kind"), ("within", *slots, "needs"))
    if entries is None:
        return None
    name = reading.text(report, entries["id"], "id", 128)
    title = reading.text(report, entries["title"], "title")
    kind = reading.choice(report, entries["kind"], "kind", tuple(Kind))
    within = _default(report, item, entries, kind)
    if name is not None and not name.startswith(f"{pack_id}."):
        report.error(entries["id"], f"id: '{reading.shorten(name)}' must be '{pack_id}.' and a name")
    if "say" not in entries and "do" not in entries:
        report.error(item, "promise: expected 'say' (a promise by itself) or 'do' (an act)")
    if ("do" in entries) is not ("needs" in entries):
        report.error(item, "promise: 'do' and 'needs' go together")
    needs = _needs(report, entries["needs"]) if "needs" in entries else frozenset[Need]()
    if kind is not None and (kind is Kind.HAND_OFF) is not (needs in _BESIDE):
        report.error(item, "promise: a hand_off, and nothing else, needs one of party and with")
    phrases = tuple(
        (slot, _phrases(report, entries[slot], f"{name}/{slot}", stamp)) for slot in Slot if slot in entries
    )
    if name is None or title is None or kind is None or within is None or len(report.problems) > before:
        return None
    return Pledge(name, title, kind, within, needs, phrases, stamp)


def _default(report: Report, item: Node, entries: Mapping[str, Node], kind: Kind | None) -> Deadline | None:
    """Return how long a promise is good for; what is told of a department promises nothing for a time."""
    if kind in _TOLD:
        if "within" in entries:
            report.error(
                entries["within"], f"within: a {kind} has no deadline; its clock's policy has a target"
            )
        return _NO_TIME
    if "within" not in entries:
        report.error(item, "promise: missing 'within'")
        return None
    return _within(report, entries["within"])


def _within(report: Report, node: Node) -> Deadline | None:
    """Return ``30m`` as wall time, or ``3 working days``."""
    if isinstance(node, Text) and node.value.endswith((" working days", " working day")):
        number = node.value.partition(" ")[0]
        if number.isdigit() and 0 < int(number) <= 366:
            return WorkingDays(int(number))
    amount = reading.duration(report, node, "within")
    return None if amount is None else Within(amount)


def _needs(report: Report, node: Node) -> frozenset[Need]:
    listed = Items((node,), node.at) if isinstance(node, Text) else node
    chosen = [
        reading.choice(report, one, "needs", tuple(Need))
        for one in reading.items(report, listed, "needs") or ()
    ]
    return frozenset(one for one in chosen if one is not None)


def _phrases(report: Report, node: Node, terms: str, stamp: str) -> tuple[Term, ...]:
    """Return phrases: ``稍等``, or ``{term: 查, not_in: [检查]}`` where part of a longer word is none."""
    written = reading.items(report, node, terms.rpartition("/")[2], at_least=1) or ()
    if len(written) > _MOST_PHRASES:
        report.error(node, f"{len(written)} phrases; at most {_MOST_PHRASES} are allowed")
        return ()
    found: dict[str, Term] = {}
    for item in written:
        not_in: tuple[str, ...] = ()
        if isinstance(item, Fields):
            entries = reading.fields(report, item, "phrase", ("term", "not_in"))
            text = None if entries is None else reading.text(report, entries["term"], "term", LONGEST_TERM)
            not_in = () if entries is None else reading.texts(report, entries["not_in"], "not_in", 1) or ()
        else:
            text = reading.text(report, item, "phrase", LONGEST_TERM)
        if text is None:
            continue
        if text in found:
            report.error(item, f"'{reading.shorten(text)}' stands in the list twice")
        for longer in not_in:
            if text not in longer:
                report.error(item, f"not_in: '{reading.shorten(longer)}' does not contain '{text}'")
        found[text] = Term(terms, text, not_in=not_in, pack=stamp)
    return tuple(found.values())


def _soon(report: Report, item: Node, terms: str) -> Soon | None:
    entries = reading.fields(report, item, "soon", ("say", "within"))
    if entries is None:
        return None
    within = _within(report, entries["within"])
    words = _phrases(report, entries["say"], terms, "")
    return None if within is None else Soon(words, within)


def _party(report: Report, item: Node, pack_id: str) -> Party | None:
    entries = reading.fields(report, item, "party", ("id", "say"), ("title",))
    name = None if entries is None else reading.text(report, entries["id"], "id", 64)
    if entries is None or name is None:
        return None
    title = reading.text(report, entries["title"], "title", 64) if "title" in entries else name
    return Party(name, title or name, _phrases(report, entries["say"], f"{pack_id}/party.{name}", ""))


def _cases(report: Report, item: Node, known: set[str]) -> list[Case]:
    entries = reading.fields(report, item, "test", ("rule",), ("hit", "miss", "done", "withdrawn", "by"))
    name = None if entries is None else reading.text(report, entries["rule"], "rule")
    if entries is None or name is None:
        return []
    if name not in known:
        report.error(entries["rule"], f"unknown promise '{reading.shorten(name)}'{suggest(name, known)}")
        return []
    by = reading.text(report, entries["by"], "by") if "by" in entries else ""
    acts = {"hit": Act.MADE, "miss": None, "done": Act.DONE, "withdrawn": Act.WITHDRAWN}
    found = []
    for key, act in acts.items():
        listed = entries.get(key)
        written = (listed,) if isinstance(listed, Text) else listed.items if isinstance(listed, Items) else ()
        for node in written:
            text = reading.text(report, node, key)
            if text is not None:
                found.append(Case(report.path, node, text, name, act, (by or "") if act is not None else ""))
    return found


def _time_case(report: Report, item: Node) -> Case | None:
    entries = reading.fields(report, item, "time", ("say", "at", "until"))
    if entries is None:
        return None
    text = reading.text(report, entries["say"], "say")
    said_at, until = (_moment(report, entries[key], key) for key in ("at", "until"))
    if text is None or said_at is None or until is None:
        return None
    return Case(report.path, entries["say"], text, said_at=said_at, until=until)


def _moment(report: Report, node: Node, what: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(node.value) if isinstance(node, Text) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        report.error(
            node,
            f"{what}: expected a time with its offset, 2026-11-11T10:00+08:00, got {reading.kind_of(node)}",
        )
        return None
    return moment


def _demand_cases(
    report: Report, entries: Mapping[str, Node], known: set[str], cases: Sequence[Case]
) -> None:
    """Report every promise without a text that makes it and one that does not."""
    for name in sorted(known):
        acts = [case.act for case in cases if case.pledge == name]
        if Act.MADE not in acts or None not in acts:
            report.error(
                entries.get("promises", START), f"{name}: at least one 'hit' and one 'miss' are needed"
            )
