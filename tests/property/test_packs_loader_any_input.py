"""The loader on any input: it reports, it never raises, it does not run away."""

from __future__ import annotations

import json
import re
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.rules.source import Report
from stream.packs.compile import compile_packs
from stream.packs.document import MAX_BYTES, parse_document
from stream.packs.loader import parse_pack

KEYS = re.findall(
    r"\w+",
    """
    pack version title terms rules tests clocks categories id severity role subject status scope when
    window on wait unless fire points audience why advice any all none regex count near score and or not
    at_least negated a b within outside of messages not_regex cooldown rule hit miss dialogue hits_at
    term variants boundary not_in degree negatable clock target warn counts match breach priority
    """,
)
WORDS = (
    "emotion.x",
    "emotion.x.r",
    "a",
    "low",
    "customer",
    "once",
    "message",
    "close",
    "conversation",
    "1",
    "",
)

scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=5),
    st.integers(-5, 10**12),
    st.booleans(),
    st.none(),
    st.floats(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)
conditions = st.recursive(
    st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from(["and", "or", "not"]), st.one_of(inner, st.lists(inner))),
    max_leaves=8,
)
rules = st.fixed_dictionaries(
    {"id": st.just("emotion.x.r"), "title": scalars, "severity": scalars, "role": scalars, "why": scalars},
    optional=dict.fromkeys(("window", "on", "wait", "fire", "audience", "points", "scope", "status"), values)
    | {"when": conditions, "unless": conditions},
)
packs = st.fixed_dictionaries(
    {"pack": st.just("emotion.x"), "version": scalars, "title": scalars},
    optional={
        "terms": st.dictionaries(st.sampled_from(["a", "b", "?"]), values, max_size=2),
        "rules": st.lists(rules, max_size=3),
        "tests": values,
    },
)


def read(data: bytes) -> Report:
    report = Report("emotion/x.yaml")
    pack = parse_pack(report, data, ("emotion", "x.yaml"))
    if pack is not None:
        compile_packs([pack])
    else:
        assert report.problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in report.problems)
    return report


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_reported_on(data: bytes):
    read(data)


@settings(max_examples=500, deadline=None)
@given(st.text("ab: -\n\t[]{}\"'#&*!|>%@`,?\u200b0é红", max_size=80))
def test_any_yaml_like_text_is_reported_on(text: str):
    read(text.encode())


@settings(max_examples=150, deadline=None)
@given(packs)
def test_any_document_of_nearly_the_right_shape_is_reported_on(pack: object):
    read(json.dumps(pack).encode())


@settings(max_examples=300, deadline=None)
@given(values)
def test_any_values_in_any_place_are_reported_on(document: object):
    read(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def test_the_worst_file_takes_bounded_time():
    """Each of the forms that are known to make YAML parsers slow, as large as a file may be."""
    worst = [
        b"[" * MAX_BYTES,
        b"- a\n" * (MAX_BYTES // 4),
        b"a: " * (MAX_BYTES // 3),
        b"? " * (MAX_BYTES // 2),
    ]
    worst += [b"&a " * (MAX_BYTES // 3), b"- &a [*a]\n" * (MAX_BYTES // 10), b"{a: " * (MAX_BYTES // 4)]
    for data in worst:
        started = time.perf_counter()
        report = Report("x.yaml")
        parse_document(report, data)
        assert report.problems
        # Two seconds on this machine at the worst; ten leave room for a busy one.
        assert time.perf_counter() - started < 10
