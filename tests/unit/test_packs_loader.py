"""Pack files: what is accepted, and how every fault is told, all at once, with its place."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stream.core.annotation import Annotation, Hit
from stream.packs import SHIPPED, Options, PackError, load, open_book, try_open
from stream.packs.books import Books
from stream.packs.document import MAX_BYTES, MAX_DEPTH

GOOD = """\
pack: emotion.x
version: 3
title: 标题
terms:
  a:
    - 红
    - {term: 12315, degree: 2, variants: [一二三一五], boundary: any, negatable: no}
    - {term: 烦, not_in: [麻烦]}
rules:
  - id: emotion.x.one
    title: 说了红
    severity: low
    role: customer
    when: {any: a}
    why: 客户说了「{evidence}」。
tests:
  - {rule: emotion.x.one, hit: [红], miss: [白]}
"""


def write(root: Path, text: str | bytes = GOOD, name: str = "emotion/x.yaml") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def messages(root: Path, **options) -> list[str]:
    _, _, problems = try_open([root], Options(**options))
    return [str(problem).removeprefix(f"{root}/") for problem in problems]


def test_a_good_pack_becomes_terms_and_rules(tmp_path: Path):
    book = open_book([write(tmp_path)])
    (rule,) = book.rules
    assert (rule.id, rule.pack_version, rule.kind, rule.subject) == (
        "emotion.x.one",
        "emotion.x@3",
        "emotion",
        "customer",
    )
    assert [(term.terms, term.text, term.degree, term.negatable) for term in book.terms] == [
        ("emotion.x.a", "红", 1.0, True),
        ("emotion.x.a", "12315", 2.0, False),
        ("emotion.x.a", "烦", 1.0, True),
    ]
    assert [(pack.id, pack.version) for pack in book.packs] == [("emotion.x", 3)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("severity: low", "severity: lo", "emotion/x.yaml:12:15: severity: expected one of info, low,"),
        ("severity: low", "severty: low", "emotion/x.yaml:12:5: rule emotion.x.one: unknown key 'severty'"),
        ("severity: low", "severty: low", "emotion/x.yaml:10:5: rule emotion.x.one: missing 'severity'"),
        (
            "title: 标题",
            "titel: 标题",
            "emotion/x.yaml:3:1: pack: unknown key 'titel'; did you mean 'title'?",
        ),
        (
            "version: 3",
            "version: three",
            "emotion/x.yaml:2:10: version: expected a whole number, got 'three'",
        ),
        (
            "version: 3",
            "version: 3\nversion: 4",
            "emotion/x.yaml:3:1: duplicate key 'version', first on line 2",
        ),
        ("pack: emotion.x", "pack: emotion.y", "emotion/x.yaml:1:7: pack: 'emotion.y' must mirror the path"),
        ("- id: emotion.x.one", "- id: emotion.one", "emotion/x.yaml:10:9: id: 'emotion.one' must be"),
        ("{any: a}", "{any: aa}", "emotion/x.yaml:14:17: unknown term list 'aa'; did you mean 'a'?"),
        ("{any: a}", "{regex: '(x'}", "emotion/x.yaml:14:19: regex: missing ): (x"),
        ("{evidence}", "{evidense}", "unknown place '{evidense}'; did you mean 'evidence'?"),
        ("「{evidence}」", "「{」", "emotion/x.yaml:15:10: a brace that is not part of a {name}"),
        ("红\n", "红\u200b\n", "emotion/x.yaml:6:8: invisible character U+200B ZERO WIDTH SPACE"),
        ("- 红", '- "红\\u200b"', "emotion/x.yaml:6:7: invisible character U+200B ZERO WIDTH SPACE"),
        ("- 红", '- "\\ud800"', "emotion/x.yaml:6:"),
        ("- 红", "- !!python/object:os.system 红", "emotion/x.yaml:6:7: tags (tag:yaml.org,2002:python/"),
        ("- 红", "- &x 红", "emotion/x.yaml:6:7: anchors (&x) are not allowed"),
        ("- 红", "- *x", "emotion/x.yaml:6:7: aliases (*x) are not allowed; write it out"),
        ("- 红", "- [红", "emotion/x.yaml:"),
        ("hit: [红], ", "", "emotion/x.yaml:10:9: rule emotion.x.one: no test that is a hit"),
        ("miss: [白]", "miss: []", "emotion/x.yaml:17:43: miss: expected texts, got a list"),
        ("rule: emotion.x.one", "rule: emotion.x.on", "'emotion.x.on'; did you mean 'emotion.x.one'?"),
        (
            "when: {any: a}",
            "when: {any: a}\n    wait: 5s",
            "emotion/x.yaml:15:11: 'wait' and 'unless' go togeth",
        ),
        (
            "when: {any: a}",
            "when: {any: a}\n    window: 0",
            "emotion/x.yaml:15:13: window: 0 is not between 1",
        ),
        (
            "when: {any: a}",
            "when: {none: a}\n    window: conversation\n    on: message",
            "emotion/x.yaml:16:9: on: this rule is decided at 'close', not 'message'",
        ),
        (
            "when: {any: a}",
            "when: {any: a}\n    wait: 5s\n    unless: {none: a, role: agent}",
            "emotion/x.yaml:16:13: unless: must name something that is said, not something that is absent",
        ),
        (
            "when: {any: a}",
            "when: {any: a}\n    audience: [supervisr]",
            "'supervisr'; did you mean 'supervisor'?",
        ),
        (
            "when: {any: a}",
            "when: {any: a}\n    fire: {cooldown: 10}",
            "cooldown: expected a duration such as",
        ),
        ("when: {any: a}", "when: {any: a}\n    scope: {chanel: x}", "'chanel'; did you mean 'channel'?"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str):
    assert old in GOOD
    told = messages(write(tmp_path, GOOD.replace(old, new, 1)))
    assert any(message in line for line in told), told


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path):
    write(tmp_path, GOOD.replace("severity: low", "severity: lo").replace("{any: a}", "{any: b}"))
    write(tmp_path, "pack: [\n", "script/y.yaml")
    write(tmp_path, "a: 1", "scrip/z.yaml")
    with pytest.raises(PackError) as caught:
        open_book([tmp_path])
    places = {(Path(problem.path).name, problem.line) for problem in caught.value.problems}
    # The unknown list `b` may be in a file that could not be read, so it is not held against anyone.
    assert places == {("x.yaml", 12), ("y.yaml", 2), ("z.yaml", 1)}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "1:1: the file is empty"),
        (b"- 1", "1:1: pack: expected a mapping, got a list"),
        (b"pack: x\n\xff", "2:1: not UTF-8"),
        (b"a: 1\n---\nb: 2", "2:1: a second document; one file is one pack"),
        (b"x: " + b"[" * 500, f"nested deeper than {MAX_DEPTH}"),
        (b"? [a]\n: b", "1:3: a key must be text"),
        (b"#" * (MAX_BYTES + 1), f"at most {MAX_BYTES} are allowed"),
    ],
)
def test_what_is_no_pack_is_refused(tmp_path: Path, data: bytes, message: str):
    told = messages(write(tmp_path, data))
    assert any(message in line for line in told), told


def test_a_byte_order_mark_is_not_an_invisible_character(tmp_path: Path):
    assert messages(write(tmp_path, b"\xef\xbb\xbf" + GOOD.encode())) == []


def test_the_same_id_in_two_files_is_refused(tmp_path: Path):
    write(tmp_path)
    body = GOOD.replace("emotion.x", "emotion.x.one").replace("emotion.x.one.one", "emotion.x.one.two")
    write(tmp_path, body, "emotion/x/one.yaml")
    assert messages(tmp_path) == []
    write(tmp_path, GOOD, "emotion/x.yml")
    assert any("duplicate id 'emotion.x.one', first at" in line for line in messages(tmp_path))


def test_a_later_directory_overrides_by_rule_id_and_replaces_lists(tmp_path: Path):
    first, second = tmp_path / "a", tmp_path / "b"
    write(first)
    write(second, GOOD.replace("version: 3", "version: 4").replace("- 红", "- 绿").replace("low", "high"))
    book = open_book([first, second])
    (rule,) = book.rules
    assert (rule.pack_version, rule.severity) == ("emotion.x@4", "high")
    assert "红" not in {term.text for term in book.terms}


def test_disabled_rules_are_left_out_and_a_wrong_id_is_told(tmp_path: Path):
    write(tmp_path)
    assert len(open_book([tmp_path], Options(disable=["emotion.x.one"])).rules) == 0
    assert messages(tmp_path, disable=["emotion.x.on"]) == [
        "disable:1:1: unknown id 'emotion.x.on'; did you mean 'emotion.x.one'?"
    ]


def test_load_gives_the_packs_as_written_or_every_problem(tmp_path: Path):
    (pack,) = load([write(tmp_path)])
    assert (pack.id, pack.stamp, len(pack.cases)) == ("emotion.x", "emotion.x@3", 2)
    write(tmp_path, b"", "script/y.yaml")
    with pytest.raises(PackError):
        load([tmp_path])
    with pytest.raises(PackError, match="no such directory"):
        load([tmp_path / "none"])


def test_a_repeated_term_is_a_warning_and_loads(tmp_path: Path):
    write(tmp_path, GOOD.replace("- 红\n", "- 红\n    - {term: 绯, variants: [红]}\n"))
    assert messages(tmp_path) == ["emotion/x.yaml:7:7: warning: terms a: '红' stands in the list twice"]
    assert len(open_book([tmp_path]).rules) == 1


CLOCK = """\
pack: ola.x
version: 1
title: 时效
clocks:
  - id: ola.first
    clock: first_response
    target: 60s
    warn: [45s]
    severity: {warn: low, breach: high}
    audience: {breach: [supervisor]}
    why: {warn: '{seconds}', breach: '{target}'}
  - id: ola.vip
    clock: first_response
    target: 30s
    severity: {breach: high}
    why: {breach: '{agent}'}
    match: {tier: [vip]}
"""


def test_clock_policies_are_chosen_by_what_they_match(tmp_path: Path):
    book = open_book([write(tmp_path, CLOCK, "ola/x.yaml")])
    chosen = [book.clock_policy("first_response", who, 0) for who in ({"tier": "vip"}, {})]
    assert [(policy.id, policy.target_ms, policy.warn_ms) for policy in chosen if policy] == [
        ("ola.vip", 30_000, ()),
        ("ola.first", 60_000, (45_000,)),
    ]
    assert book.clock_policy("next_response", {}, 0) is None
    assert book.clock_policy_by_id("ola.vip") is chosen[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[45s]", "[60s]", "ola/x.yaml:8:12: warn: a warning comes before the target"),
        ("'{seconds}'", "'{count}'", "unknown place '{count}'"),
        ("{warn: low, breach: high}", "{breach: high}", "severity: missing 'warn'"),
        ("clock: first_response", "clock: first", "clock: expected one of first_response, next_response"),
    ],
)
def test_a_faulty_clock_is_told(tmp_path: Path, old: str, new: str, message: str):
    told = messages(write(tmp_path, CLOCK.replace(old, new, 1), "ola/x.yaml"))
    assert any(message in line for line in told), told


def test_categories_match_by_priority_then_id(tmp_path: Path):
    text = (
        "{pack: category.x, version: 1, title: x, terms: {a: [红], b: [蓝]}, categories: ["
        "{id: later, title: x, any: a, priority: 2}, {id: first, title: x, any: [b], priority: 1}]}"
    )
    table = open_book([write(tmp_path, text, "category/x.yaml")]).categories
    red, blue = Hit("category.x.a", "红", 0, 1), Hit("category.x.b", "蓝", 1, 2)
    assert (table.match([red]), table.match([red, blue]), table.match([])) == ("later", "first", None)
    assert table.match([msgspec.structs.replace(red, negated=True)]) is None


class FindsRed:
    """An annotator that knows one term."""

    def annotate(self, texts, wants_scores=None):
        return [self.one(text) for text in texts]

    def one(self, text: str) -> Annotation:
        hits = [Hit("emotion.x.a", "红", i, i + 1) for i, char in enumerate(text) if char == "红"]
        return Annotation(text, text, None, tuple(hits))


def books(root: Path) -> Books:
    return Books([root], build=lambda book: (book, FindsRed()), monotonic=iter(range(99)).__next__)


def test_a_reload_swaps_the_book_and_says_how_long_it_took(tmp_path: Path):
    held = books(write(tmp_path))
    old = held.current
    write(tmp_path, GOOD.replace("version: 3", "version: 4"))
    result = held.reload()
    assert (result.ok, result.problems, result.seconds) == (True, (), 1)
    assert held.current is not old
    assert result.version == held.current.book.version != old.book.version


@pytest.mark.parametrize(
    "fault", [("version: 3", "version: x"), ("hit: [红]", "hit: [白]"), ("pack:", "pack: [")]
)
def test_a_reload_with_any_fault_keeps_the_old_book(tmp_path: Path, fault: tuple[str, str]):
    held = books(write(tmp_path))
    old = held.current
    write(tmp_path, GOOD.replace(*fault, 1))
    result = held.reload()
    assert not result.ok
    assert result.problems
    assert held.current is old
    assert result.version == old.book.version


def test_a_worker_does_not_start_without_knowledge(tmp_path: Path):
    with pytest.raises(PackError):
        books(write(tmp_path, b""))


def test_shipped_packs_are_found_in_the_installed_package():
    assert {pack.folder for pack in load([SHIPPED])} >= {"emotion", "sensitive", "script", "ola", "category"}
