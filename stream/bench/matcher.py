"""Our matcher beside houbb's sensitive-word, the fastest known engine of the kind, on its own word list.

``python -m stream.bench.matcher [FORMS]`` (``make bench-peers``). The peer's jar comes from Maven Central,
its list of some 64,000 words out of that jar, and a small driver is compiled with the machine's JDK; nothing
of it is kept. Both sides read the same lines, the sentences of the shipped day; rounds take turns on one
core, the best of each counts.

Three settings. *plain*: the words as they are. *conversions*: what the peer converts (width, case, numerals,
letters in frames, traditional, repeats, characters put between), and what ours does beyond it at the same
price (faces, marks, format characters). *everything*: ours with look-alikes, split characters, homophones and
pinyin for every word of the list; the peer has nothing to set against it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from stream import models, packs
from stream.bench.figures import Figure, Row, at_least
from stream.core.evasion import Disguises
from stream.core.lexicon import Evasion, Lexicon, Term
from stream.runtime.demo import shipped_day
from stream.spelling import spellings
from stream.wire import decode

ROUNDS: Final = 40
"""Rounds of each setting; a round is a few milliseconds."""

TOGETHER: Final = 256
"""Lines looked at together, as many as a worker takes (`kafka.batch.records`). The peer takes one at a time,
as its interface has it."""

WARM_ROUNDS: Final = 150
"""Rounds before, for the peer's compiler."""

PLAIN = Figure("matcher.vs_houbb_plain", "x", "matching / houbb sensitive-word, both plain", at_least(1))
CONVERSIONS = Figure(
    "matcher.vs_houbb",
    "x",
    "matching with all conversions / houbb sensitive-word with all of its own",
    at_least(1),
)
EVERYTHING = Figure(
    "matcher.vs_houbb_everything",
    "x",
    "matching with shapes and sounds of every word too / houbb with all its conversions",
)

FIGURES = (PLAIN, CONVERSIONS, EVERYTHING)

_CONVERSIONS: Final = frozenset({Evasion.SEPARATORS})
_EVERYTHING: Final = frozenset(Evasion) - {Evasion.INITIALS}


class PeerMissingError(RuntimeError):
    """There is no JDK or Maven here, or the jar could not be fetched."""


class Form(NamedTuple):
    """A disguised term of the evasion set."""

    term: str
    trick: str
    text: str


class Finder(NamedTuple):
    """Our matcher in one setting; ``find_all`` returns how many terms the lines hold together."""

    find_all: Callable[[Sequence[str]], int]
    built_s: float


def day_lines() -> list[str]:
    """Return the different texts of the shipped day, each on one line."""
    events = (decode(raw, received_at=None).event for _, raw in shipped_day())
    texts = (getattr(getattr(event, "content", None), "text", None) for event in events)
    return list(dict.fromkeys(" ".join(text.split()) for text in texts if text))


def finder(words: Sequence[str], tricks: frozenset[Evasion] | None) -> Finder:
    """Return our matcher over the words: as they are, or with conversions and those tricks."""
    begun = time.perf_counter()
    if tricks is None:
        plain = Lexicon([Term("houbb", word) for word in words], str)
        return Finder(lambda lines: sum(map(len, plain.find_all(lines))), time.perf_counter() - begun)
    normaliser = models.normaliser()
    terms = [Term("houbb", word, evasions=tricks) for word in words]
    lexicon = Lexicon(terms, normaliser.text)
    disguises = Disguises(terms, normaliser.text, spellings())

    def find_all(lines: Sequence[str]) -> int:
        folded = normaliser.normalise_all(lines)
        revealed = disguises.reveal_all(folded, [len(line) for line in lines])
        return sum(map(len, lexicon.find_all([text for text, _ in revealed])))

    return Finder(find_all, time.perf_counter() - begun)


class Peer:
    """The peer's process; a command is answered by one line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, command: str) -> str:
        """Return the answer to a command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(command, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def seconds(self, setting: str) -> float:
        """Return what one round over the lines takes in a setting."""
        return int(self.ask(setting).split()[0]) / 1e9


@contextmanager
def peer(folder: Path, lines: Sequence[str], forms: Sequence[Form]) -> Iterator[tuple[Peer, list[str]]]:
    """Fetch, compile and start the peer; yields it with its word list.

    Raises:
        PeerMissingError: No JDK, no Maven, or no way to the jar.
    """
    for tool in ("mvn", "javac", "java"):
        if shutil.which(tool) is None:
            raise PeerMissingError(f"{tool} is not on the PATH")
    source = resources.files("stream.bench") / "houbb"
    (folder / "pom.xml").write_bytes((source / "pom.xml").read_bytes())
    (folder / "Driver.java").write_bytes((source / "Driver.java").read_bytes())
    libs = folder / "libs"
    _run(
        [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(folder / "pom.xml"),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={libs}",
        ]
    )
    classes = f"{libs}{os.sep}*{os.pathsep}{folder}"
    _run(["javac", "-cp", classes, "-d", str(folder), str(folder / "Driver.java")])
    texts = {
        "lines": lines,
        "terms": list(dict.fromkeys(form.term for form in forms)),
        "forms": [form.text for form in forms],
    }
    for name, content in texts.items():
        (folder / name).write_text("\n".join(content), "utf-8")
    command = [
        "java",
        "-XX:+UseSerialGC",
        "-Xmx768m",
        "-cp",
        classes,
        "Driver",
        *(str(folder / name) for name in texts),
    ]
    with subprocess.Popen(  # noqa: S603 - our own driver
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        started = Peer(process)
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise PeerMissingError("the driver did not start")
        try:
            yield started, _words(next(libs.glob("sensitive-word-*.jar")))
        finally:
            process.kill()


def _words(jar: Path) -> list[str]:
    with zipfile.ZipFile(jar) as files:
        listed = [
            files.read(name).decode("utf-8")
            for name in ("sensitive_word_dict.txt", "sensitive_word_dict_en.txt")
        ]
    return list(dict.fromkeys(word.strip() for text in listed for word in text.splitlines() if word.strip()))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - found on the PATH
    if done.returncode:
        raise PeerMissingError(f"{command[0]} failed: {(done.stdout + done.stderr)[-400:]}")


@contextmanager
def _one_core() -> Iterator[None]:
    """Hold this process, and what it starts, to one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def measure(tell: Callable[[str], None], forms: Sequence[Form] = (), rounds: int = ROUNDS) -> list[Row]:
    """Return our speed over the peer's in each setting; tells times, and what each finds of the forms."""
    lines = day_lines()
    with tempfile.TemporaryDirectory(prefix="yanshao-houbb-") as scratch, _one_core():
        try:
            with peer(Path(scratch), lines, forms) as (other, words):
                rows = _compare(tell, other, words, lines, rounds)
                _tell_found(tell, other, forms)
                return rows
        except PeerMissingError as error:
            return [figure.unmeasured(str(error)) for figure in FIGURES]


def _compare(
    tell: Callable[[str], None], other: Peer, words: Sequence[str], lines: Sequence[str], rounds: int
) -> list[Row]:
    settings = {PLAIN: None, CONVERSIONS: _CONVERSIONS, EVERYTHING: _EVERYTHING}
    ours = {figure: finder(words, tricks) for figure, tricks in settings.items()}
    theirs = {PLAIN: "plain", CONVERSIONS: "all", EVERYTHING: "all"}
    for setting in ("plain", "all"):
        for _ in range(WARM_ROUNDS):
            other.ask(setting)
    fastest: dict[str, float] = {}
    for _ in range(rounds):
        for figure, one in ours.items():
            _keep(fastest, figure.name, _round(one, lines))
            _keep(fastest, theirs[figure], other.seconds(theirs[figure]))
    mean = sum(map(len, lines)) / len(lines)
    tell(f"{len(words):,} words of its own list; {len(lines)} lines of {mean:.0f} characters; one core")
    rows = []
    for figure, one in ours.items():
        mine, its = (fastest[name] / len(lines) * 1e6 for name in (figure.name, theirs[figure]))
        how = f"{mine:.1f} µs a line, houbb {its:.1f}; best of {rounds}; built in {one.built_s:.1f} s"
        rows.append(figure.row(its / mine, how))
        tell(f"{figure.about}: {its / mine:.2f} x ({how})")
    return rows


def _round(one: Finder, lines: Sequence[str]) -> float:
    begun = time.perf_counter()
    for start in range(0, len(lines), TOGETHER):
        one.find_all(lines[start : start + TOGETHER])
    return time.perf_counter() - begun


def _keep(fastest: dict[str, float], name: str, seconds: float) -> None:
    fastest[name] = min(seconds, fastest.get(name, seconds))


def _tell_found(tell: Callable[[str], None], other: Peer, forms: Sequence[Form]) -> None:
    """Tell by class what each finds of the forms: the peer given their terms, ours the shipped packs."""
    if not forms:
        return
    book = packs.open_book()
    annotate = models.build_annotator(book.terms, cache_size=0).annotate_one
    named = {term.text: {term.text, *term.variants} for term in book.terms}
    its = set(map(int, other.ask("forms").split()))
    of: Counter[str] = Counter(form.trick for form in forms)
    peers: Counter[str] = Counter(form.trick for at, form in enumerate(forms) if at in its)
    mine: Counter[str] = Counter(
        form.trick for form in forms if any(form.term in named[hit.term] for hit in annotate(form.text).hits)
    )
    for trick, count in of.most_common():
        tell(f"{trick:>12}: ours {mine[trick] / count:6.1%}, houbb {peers[trick] / count:6.1%} of {count}")
    total = of.total()
    tell(f"{'all':>12}: ours {mine.total() / total:6.1%}, houbb {peers.total() / total:6.1%} of {total}")


def read_forms(path: Path) -> list[Form]:
    """Return the evasion set of a file: term → class → forms set apart by ``¦``."""
    written = yaml.safe_load(path.read_text("utf-8"))
    return [
        Form(term, trick, text)
        for term, classes in written.items()
        for trick, joined in classes.items()
        for text in joined.split(" ¦ ")
    ]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where a budget was missed or nothing could be measured."""
    forms = read_forms(Path(arguments[0])) if arguments else []
    rows = measure(_say, forms)
    for row in rows:
        if row.value is None:
            _say(f"{row.figure.name}: not measured: {row.why}")
    return int(any(row.value is None or row.held is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
