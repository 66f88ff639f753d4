"""`yanshao packs noise`: each firing counts once, rates are of the subject's messages, samples are masked."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stream.cli import main

Run = Callable[..., Result]

PACK = """\
pack: sensitive.lamp
version: 1
title: 台灯
terms:
  lamp: [台灯]
  desk: [书桌]
rules:
  - id: sensitive.lamp.said
    title: 说台灯
    severity: medium
    role: customer
    when: {any: lamp}
    fire: every
    why: 客户说「{evidence}」。
  - id: sensitive.lamp.desk
    title: 说书桌
    severity: low
    role: agent
    when: {any: desk}
    fire: every
    why: '{agent} 说「{evidence}」。'
tests:
  - {rule: sensitive.lamp.said, hit: [台灯], miss: [你好]}
  - {rule: sensitive.lamp.desk, hit: [书桌], miss: [你好]}
"""


@pytest.fixture
def packs(tmp_path: Path) -> str:
    path = tmp_path / "mine" / "sensitive" / "lamp.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(PACK, "utf-8")
    return str(tmp_path / "mine")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packs: str) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YANSHAO_CONFIG", raising=False)

    def invoke(*arguments: str) -> Result:
        chosen = ["packs", "noise", "--packs", packs, "--rule", "sensitive.lamp", *arguments]
        return CliRunner().invoke(main, chosen, catch_exceptions=False)

    return invoke


def _events(*said: tuple[str, str]) -> bytes:
    """Return messages of one conversation, a second apart."""
    lines = (
        {
            "type": "message",
            "conversation_id": "c-1",
            "message_id": f"m-{number}",
            "sent_at": 1_794_358_800_000 + 1_000 * number,
            "sender": {"role": role, "id": role},
            "content": {"kind": "text", "text": text},
        }
        for number, (role, text) in enumerate(said)
    )
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


DAY = _events(
    ("customer", "你好，台灯的电话13800138000"),
    ("agent", "台灯有货，书桌也有"),
    ("customer", "台灯多少钱"),
    ("customer", "谢谢"),
    ("customer", "台灯要两个"),
)


def _json(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_rate_is_for_a_hundred_messages_of_the_subject(run: Run, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_bytes(DAY)
    found = _json(run("day.jsonl", "--json"))
    rates = {one["rule_id"]: (one["count"], one["per_100"], one["conversations"]) for one in found["rules"]}
    assert rates == {"sensitive.lamp.said": (3, 75.0, 1), "sensitive.lamp.desk": (1, 100.0, 1)}
    assert found["messages"] == {"agent": 1, "customer": 4}


def test_alarms_by_kind_leave_out_what_is_below_medium(run: Run, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_bytes(DAY)
    kinds = _json(run("day.jsonl", "--json"))["kinds"]
    assert kinds == [{"kind": "sensitive", "subject": "customer", "alarms": 3, "per_100": 75.0}]


def test_severity_and_kind_narrow_what_is_counted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_bytes(DAY)
    loud = _json(run("day.jsonl", "--json", "--severity", "medium"))["rules"]
    assert [one["rule_id"] for one in loud] == ["sensitive.lamp.said"]
    assert _json(run("day.jsonl", "--json", "--kind", "emotion"))["rules"] == []


def test_samples_are_masked_and_the_same_for_the_same_seed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_bytes(DAY)
    first = run("day.jsonl", "--json", "--samples", "3")
    assert first.stdout == run("day.jsonl", "--json", "--samples", "3").stdout
    assert "13800138000" not in first.stdout
    assert [len(one["samples"]) for one in _json(first)["rules"]] == [3, 1]
    few = _json(run("day.jsonl", "--json", "--samples", "2"))["rules"][0]["samples"]
    assert [one["at"] for one in few] == sorted(one["at"] for one in few)


def test_several_recordings_are_one_and_may_be_packed(run: Run, tmp_path: Path) -> None:
    first, second = DAY.splitlines(keepends=True)[:2], DAY.splitlines(keepends=True)[2:]
    (tmp_path / "one.jsonl.gz").write_bytes(gzip.compress(b"".join(first)))
    (tmp_path / "two.jsonl").write_bytes(b"".join(second))
    assert _json(run("one.jsonl.gz", "two.jsonl", "--json"))["messages"] == {"agent": 1, "customer": 4}


def test_lines_that_cannot_be_used_are_counted_and_exit_with_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_bytes(DAY + b"no event\n")
    result = run("day.jsonl", "--json")
    assert (result.exit_code, _json(result)["refused"]) == (1, 1)
    assert "1 lines could not be used" in result.stderr


def test_missing_recording_is_bad_use(run: Run) -> None:
    result = run("gone.jsonl")
    assert (result.exit_code, result.stderr) == (2, "gone.jsonl: no such file\n")


def test_table_shows_rates_and_samples(run: Run, tmp_path: Path) -> None:
    (tmp_path / "day.jsonl").write_bytes(DAY)
    lines = run("day.jsonl").stdout.splitlines()
    assert any("sensitive.lamp.said" in line and "75.00" in line for line in lines)
    assert any(line.split() == ["m-2", "台灯多少钱"] for line in lines)
