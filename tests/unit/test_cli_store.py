"""`yanshao alerts`, `dlq list` and `doctor` on a store that the embedded runtime wrote."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.config import AlertsConfig
from stream.cli import main
from stream.runtime.doctor import Verdict, port, within
from stream.runtime.knowledge import open_knowledge
from stream.runtime.local import LocalRuntime
from stream.testing import ManualClock

Run = Callable[..., Result]

ESCAPE = "\x1b[31m"


def _message(conversation: str, number: int, text: str) -> bytes:
    return json.dumps(
        {
            "type": "message",
            "conversation_id": conversation,
            "message_id": f"{conversation}/{number}",
            "sent_at": ManualClock().at + number * 1000,
            "sender": {"role": "customer"},
            "content": {"text": text},
        }
    ).encode()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    path.chmod(0o700)
    knowledge = open_knowledge()

    async def fill() -> None:
        runtime = LocalRuntime(path, lambda: knowledge, AlertsConfig(), clock=ManualClock())
        await runtime.start()
        await runtime.accept(
            [
                _message("c-1", 1, f"气死我了{ESCAPE}，再不处理我要去12315投诉你们，电话13812345678"),
                _message("c-2", 1, "你们的客服态度太差了"),
                b"nope",
            ],
            keep_refused=True,
        )
        await runtime.stop()

    asyncio.run(fill())
    return path


@pytest.fixture
def run(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YANSHAO_DATA", str(data_dir))
    monkeypatch.setenv("YANSHAO_LISTEN__PORT", "0")
    monkeypatch.setenv("YANSHAO_LISTEN__METRICS_PORT", "0")
    return lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_alerts_list_holds_what_was_raised(run: Run) -> None:
    alerts = json.loads(run("alerts", "list", "--json").stdout)
    assert {alert["conversation_id"] for alert in alerts} == {"c-1", "c-2"}
    assert all(alert["status"] == "firing" for alert in alerts)


def test_alerts_list_narrows(run: Run) -> None:
    high = json.loads(run("alerts", "list", "--json", "--severity", "high", "--conversation", "c-1").stdout)
    assert high
    assert {alert["severity"] for alert in high} <= {"high", "critical"}
    assert json.loads(run("alerts", "list", "--json", "--status", "resolved").stdout) == []
    assert len(json.loads(run("alerts", "list", "--json", "--limit", "1").stdout)) == 1


def test_alerts_show_tells_findings_and_notifications(run: Run) -> None:
    alert = json.loads(run("alerts", "list", "--json", "--conversation", "c-1").stdout)[0]
    shown = run("alerts", "show", alert["alert_id"][:10])
    assert shown.exit_code == 0
    assert alert["findings"][0]["rule_id"] in shown.stdout
    assert "console" in shown.stdout
    document = json.loads(run("alerts", "show", alert["alert_id"], "--json").stdout)
    assert document["alert"] == alert
    assert [entry["outcome"] for entry in document["notifications"]] == ["pending"]


def test_what_a_customer_typed_neither_steers_the_terminal_nor_shows_personal_data(run: Run) -> None:
    for alert in json.loads(run("alerts", "list", "--json").stdout):
        for arguments in (("list",), ("show", alert["alert_id"])):
            shown = run("alerts", *arguments).stdout
            assert "\x1b" not in shown
            assert "13812345678" not in shown


def test_alerts_show_of_an_unknown_or_shared_prefix_is_wrong_use(run: Run) -> None:
    assert run("alerts", "show", "zzz").exit_code == 2
    assert "several alerts" in run("alerts", "show", "").stderr


def test_no_store_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANSHAO_DATA", str(tmp_path / "nothing"))
    result = run("alerts", "list")
    assert result.exit_code == 2
    assert "nothing has run there yet" in result.stderr
    assert not (tmp_path / "nothing").exists()


def test_dlq_list_tells_why_and_keeps_the_text_to_itself(run: Run) -> None:
    letters = json.loads(run("dlq", "list", "--json").stdout)
    assert [(letter["reason"], letter["bytes"]) for letter in letters] == [("not_json", 4)]
    assert "raw_base64" not in letters[0]
    assert "nope" not in run("dlq", "list").stdout
    shown = json.loads(run("dlq", "list", "--json", "--raw", "--reason", "not_json").stdout)
    assert base64.b64decode(shown[0]["raw_base64"]) == b"nope"
    assert json.loads(run("dlq", "list", "--json", "--reason", "too_large").stdout) == []


def test_doctor_finds_this_machine_fit(run: Run) -> None:
    result = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 0, checks
    assert checks["packs"]["verdict"] == "ok"
    assert checks["store"]["found"] == "2 conversations; 1 dead letters"
    assert checks["kafka"]["verdict"] == "skipped"


def test_doctor_calls_a_faulty_configuration_a_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "yanshao.yaml").write_text("zonee: x\n", encoding="utf-8")
    result = run("doctor")
    assert result.exit_code == 1
    assert "did you mean 'zone'?" in result.stdout


def test_doctor_warns_of_a_data_directory_that_others_may_enter(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    monkeypatch.setenv("YANSHAO_DATA", str(tmp_path / "open"))
    checks = {check["name"]: check for check in json.loads(run("doctor", "--json").stdout)["checks"]}
    assert checks["data directory"]["verdict"] == "warning"


def test_doctor_tells_that_no_broker_answers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANSHAO_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    result = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert checks["kafka"]["found"] == "nothing listens at 127.0.0.1:1"


def test_taken_port_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        assert port("port", "127.0.0.1", number).verdict is Verdict.PROBLEM
    assert port("port", "127.0.0.1", number).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("version", "requirement", "fits"),
    [
        ("3.12", "aiohttp<4,>=3.12", True),
        ("3.11.9", "aiohttp<4,>=3.12", False),
        ("4.0.0", "aiohttp<4,>=3.12", False),
        ("1.1.20251105", "google-re2<2,>=1.1.20251105", True),
        ("0.15.3.post1", "faust-streaming<0.16,>=0.15.3", True),
        ("6.0", "pyyaml", True),
    ],
)
def test_versions_are_held_against_their_bounds(version: str, requirement: str, fits: bool) -> None:
    assert within(version, requirement) is fits
