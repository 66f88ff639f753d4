"""Recorded events line by line, from every kind of source."""

from __future__ import annotations

import gzip
import io
import sys

import pytest
import zstandard

from stream import wire
from stream.wire import InvalidMessage, Reason

TEXT = b'{"a":1}\r\n\n   \n{"b":2}\n{"c":3}'
LINES = [(1, b'{"a":1}'), (4, b'{"b":2}'), (5, b'{"c":3}')]


PACKED = {
    "plain.jsonl": TEXT,
    "bom.jsonl": b"\xef\xbb\xbf" + TEXT,
    "one.jsonl.gz": gzip.compress(TEXT),
    "two.jsonl.gz": gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]),
    "one.jsonl.zst": zstandard.compress(TEXT),
    "two.jsonl.zst": zstandard.compress(TEXT[:9]) + zstandard.compress(TEXT[9:]),
}


@pytest.mark.parametrize("name", list(PACKED))
def test_lines_and_their_numbers_are_the_same_however_packed(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(PACKED[name])
    assert list(wire.read_events(path)) == LINES


def test_sources_follow_one_another_each_from_line_one(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x\n")
    assert list(wire.read_events(path, io.BytesIO(b"\ny\n"))) == [(1, b"x"), (2, b"y")]


def test_dash_is_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    assert list(wire.read_events("-")) == LINES
    assert not sys.stdin.closed


def test_line_of_the_limit_is_whole_whatever_ends_it():
    full = b"x" * wire.MAX_BYTES
    found = list(wire.read_events(io.BytesIO(full + b"\r\n" + full + b"\n" + full)))
    assert found == [(1, full), (2, full), (3, full)]


def test_overlong_line_is_cut_refused_and_counted_as_one():
    source = io.BytesIO(b"x" * (5 * wire.MAX_BYTES) + b"\n" + b"y\n")
    (first, cut), second = wire.read_events(source)
    assert (first, second) == (1, (2, b"y"))
    assert len(cut) <= wire.MAX_BYTES + 3
    with pytest.raises(InvalidMessage) as caught:
        wire.decode(cut, received_at=None)
    assert caught.value.reason == Reason.TOO_LARGE


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_file_that_was_cut_off_is_an_error_not_an_end(tmp_path, pack):
    path = tmp_path / ("a.gz" if pack is gzip.compress else "a.zst")
    path.write_bytes(pack(TEXT * 1000)[:-3])
    with pytest.raises(EOFError):
        list(wire.read_events(path))


def test_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(wire.read_events(tmp_path / "none.jsonl"))


def test_empty_files_have_no_lines(tmp_path):
    path = tmp_path / "a.zst"
    path.write_bytes(b"")
    assert list(wire.read_events(path, io.BytesIO(b""))) == []
