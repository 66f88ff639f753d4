"""`yanshao metrics explain` as a person runs it: on recorded events, and on a store that `up` wrote."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.config import AlertsConfig
from stream.cli import main
from stream.core.limits import Limits
from stream.runtime.knowledge import open_knowledge
from stream.runtime.local import LocalRuntime
from stream.testing import ManualClock

Run = Callable[..., Result]

START = ManualClock().at
SECRET = "我的电话13812345678，赶紧处理"


def _message(number: int, seconds: int, role: str, name: str = "c-1") -> bytes:
    event = {
        "type": "message",
        "conversation_id": name,
        "message_id": f"{name}/m-{number}",
        "sent_at": START + seconds * 1_000,
        "sender": {"role": role, "name": "张三"},
        "content": {"text": SECRET},
        "customer": {"id": "buyer-7"},
    }
    return json.dumps(event, ensure_ascii=False).encode()


def _closed(seconds: int, name: str = "c-1") -> bytes:
    return json.dumps(
        {"type": "conversation.closed", "conversation_id": name, "at": START + seconds * 1_000}
    ).encode()


# By hand, for `plain`: 12 s, then nobody answers; one of two.
EVENTS = [
    _message(1, 0, "customer"),
    _message(2, 12, "agent"),
    _message(1, 5, "customer", "c-2"),
    _message(3, 20, "customer"),
    _closed(30),
    # Answered after the close: a second revision of the summary.
    _message(1, 0, "customer", "c-3"),
    _closed(30, "c-3"),
    _message(2, 41, "agent", "c-3"),
]
FIGURES = ("average_seconds = 12 / 1 = 12", "first_average_seconds = 12 / 1 = 12", "answered = 1 / 2 = 0.5")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    path.chmod(0o700)
    knowledge = open_knowledge(limits=Limits(definitions=("plain", "jd_v1")))

    async def fill() -> None:
        runtime = LocalRuntime(path, lambda: knowledge, AlertsConfig(), clock=ManualClock())
        await runtime.start()
        await runtime.accept(EVENTS, keep_refused=True)
        await runtime.stop()

    asyncio.run(fill())
    return path


@pytest.fixture
def run(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YANSHAO_DATA", str(data_dir))
    return lambda *arguments, **options: CliRunner().invoke(
        main, ["metrics", "explain", *arguments], catch_exceptions=False, **options
    )


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "day.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(EVENTS) + b"\n"))
    return str(path)


def test_the_store_is_asked_where_no_events_are_named(run: Run) -> None:
    shown = run("c-1")
    assert shown.exit_code == 0
    assert shown.stdout.count(", by ") == 2  # what the installation measures
    assert "第1句 → " in shown.stdout
    assert "第2句回复，等了 12 秒：计入，计 12 秒\n" in shown.stdout
    assert "第3句 → 无有效回复：未获有效回复" in shown.stdout
    for figure in FIGURES:
        assert f"  {figure}\n" in shown.stdout


def test_recorded_events_tell_the_same_and_name_the_messages(run: Run, recording: str) -> None:
    shown = run("c-1", recording, "--definition", "plain")
    assert "计 12 秒  [c-1/m-1 → c-1/m-2]\n" in shown.stdout
    assert "未获有效回复，按未回复计  [c-1/m-3]\n" in shown.stdout
    for figure in FIGURES:
        assert f"  {figure}\n" in shown.stdout
    stored = json.loads(run("c-1", "--json").stdout)["summaries"][0]["definitions"]
    recorded = json.loads(run("c-1", recording, "--json").stdout)["summaries"][0]["definitions"]
    assert set(recorded) == {"tmall_v1", "jd_v1", "douyin_v1", "pdd_v1", "plain"}
    for name, definition in stored.items():
        assert definition["figures"] == recorded[name]["figures"]
        assert [one["told"] for one in definition["units"]] == [
            one["told"] for one in recorded[name]["units"]
        ]


def test_recorded_events_are_told_by_all_definitions_whatever_is_measured(
    run: Run, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YANSHAO_METRICS__DEFINITIONS", "jd_v1")
    assert run("c-1", recording).stdout.count(", by ") == 5


def test_a_late_message_is_named_where_it_belongs(run: Run) -> None:
    events = [_message(2, 5, "customer"), _message(3, 9, "agent"), _message(1, 0, "customer")]
    shown = run("c-1", "-", "--definition", "plain", input=b"\n".join(events))
    assert "等了 9 秒：计入，计 9 秒  [c-1/m-1 → c-1/m-3]\n" in shown.stdout


def test_an_id_that_is_used_again_has_two_lives(run: Run) -> None:
    """An hour after the close nothing is known of it any more, and its lines begin with one."""
    events = [*EVENTS, _message(4, 3_600, "customer"), _message(5, 3_607, "agent")]
    shown = run("c-1", "-", "--definition", "plain", input=b"\n".join(events))
    first, second = shown.stdout.split("\n\nc-1: ")
    assert "第1句 → " in first
    assert "计 12 秒  [c-1/m-1 → c-1/m-2]\n" in first
    assert "第1句 → " in second
    assert "计 7 秒  [c-1/m-4 → c-1/m-5]\n" in second


def test_messages_are_not_named_where_they_are_not_those_of_the_summary(run: Run) -> None:
    """The first comes again when the ids of 64 later ones are known: for the conversation it is another."""
    others = [_message(number, number, "agent") for number in range(2, 80)]
    events = [_message(1, 1, "customer"), *others, _message(1, 90, "customer")]
    shown = run("c-1", "-", "--definition", "plain", input=b"\n".join(events))
    assert "第80句 → 无有效回复" in shown.stdout
    assert "m-" not in shown.stdout


def test_events_may_come_on_standard_input(run: Run) -> None:
    shown = run("c-1", "-", input=b"\n".join(EVENTS))
    assert f"  {FIGURES[2]}\n" in shown.stdout


def test_a_conversation_that_nobody_closed_is_closed_as_in_a_replay(run: Run, recording: str) -> None:
    shown = run("c-2", recording, "--definition", "plain")
    assert "taken for closed" in shown.stdout
    assert "  answered = 0 / 1 = 0\n" in shown.stdout
    assert "  average_seconds = 0 / 0 = nothing to measure\n" in shown.stdout


def test_the_latest_revision_is_told(run: Run, recording: str) -> None:
    for arguments in (("c-3",), ("c-3", recording)):
        (summary,) = json.loads(run(*arguments, "--json").stdout)["summaries"]
        assert summary["revision"] == 2
        assert [one["counted_ms"] for one in summary["definitions"]["plain"]["units"]] == [41_000]


def test_nothing_that_was_said_is_shown_nor_who_said_it(run: Run, recording: str) -> None:
    for arguments in (("c-1",), ("c-1", "--json"), ("c-1", recording), ("c-1", recording, "--json")):
        shown = run(*arguments).output
        assert "138" not in shown
        assert "张三" not in shown
        assert "buyer-7" not in shown


def test_refused_lines_are_counted_on_standard_error(run: Run, recording: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b"nope\n" + b"\n".join(EVENTS))
    shown = run("c-1", str(bad))
    assert (shown.exit_code, shown.stderr) == (0, "1 refused: `yanshao replay` says which lines, and why\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("c-9",), "no summary of conversation 'c-9' in the store"),
        (("c-2",), "no summary of conversation 'c-2' in the store: one is written at the close"),
        (("c-9", "day.jsonl.gz"), "day.jsonl.gz: no event of conversation 'c-9'"),
        (("c-1", "nothing.jsonl"), "nothing.jsonl: no such file"),
        (("c-1", "damaged.gz"), "damaged.gz: "),
        (("c-1", "--definition", "pdd_v1"), "the summary of conversation 'c-1' was made without pdd_v1"),
        (("c-1", "--definition", "tmall"), "'tmall' is not one of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("recording")
def test_what_cannot_be_told_is_wrong_use(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "damaged.gz").write_bytes(b"\x1f\x8b and then nothing of the kind")
    shown = run(*arguments)
    assert shown.exit_code == 2
    assert told in shown.stderr
    assert shown.stdout == ""


def test_no_store_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANSHAO_DATA", str(tmp_path / "nowhere"))
    shown = run("c-1")
    assert shown.exit_code == 2
    assert "nothing has run there yet" in shown.stderr
