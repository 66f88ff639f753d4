"""What ships: the wheel holds what it should and nothing else, and every command works from it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("stream", "alerts", "lexicons")

COMPLAINT = "再不发货我就去12315投诉你们"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as for a release."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of a fresh environment with the wheel, and the dependencies of this one."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # A path that a .pth file names is not searched for .pth files: an editable install of the checkout,
    # which is one, stays outside.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / "bin"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty directory to run in."""
    return tmp_path


def run(
    installed: Path, empty: Path, *arguments: str, text: str | None = None, code: int = 0, wait: float = 120
) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "YANSHAO"))
    }
    done = subprocess.run(
        [str(installed / "yanshao"), *arguments],
        cwd=empty,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=wait,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def _tracked(package: str) -> set[str]:
    """The files of a package that belong to it: those git knows or would take, caches left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", package]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.splitlines() if (ROOT / name).is_file()}


def test_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    code = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in code} == set(PACKAGES)
    assert code == {name for package in PACKAGES for name in _tracked(package)}


def test_wheel_holds_types_knowledge_resources_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "stream/py.typed",
        "alerts/py.typed",
        "stream/resources/topics.yaml",
        "stream/resources/demo/day.jsonl",
    } <= names
    assert any(name.startswith("lexicons/") and name.endswith(".yaml") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if Path(name).name.startswith(("test_", "conftest"))]


def test_wheel_offers_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "yanshao = stream.cli:main" in archive.read(entry).decode()


def test_it_runs_from_the_wheel_and_not_from_the_checkout(installed: Path, empty: Path) -> None:
    program = "import stream, alerts, lexicons; print(stream.__file__, alerts.__file__, lexicons.__file__)"
    done = subprocess.run(
        [str(installed / "python"), "-c", program], cwd=empty, capture_output=True, text=True, check=True
    )
    for path in done.stdout.split():
        assert Path(path).is_relative_to(installed.parent), path


def test_help_and_version(installed: Path, empty: Path) -> None:
    assert "Commands:" in run(installed, empty, "--help").stdout
    assert run(installed, empty, "--version").stdout.startswith("yanshao, version ")


def test_scan_finds_a_complaint(installed: Path, empty: Path) -> None:
    answer = json.loads(run(installed, empty, "scan", text=COMPLAINT + "\n").stdout)
    assert "sensitive.complaint.regulator" in [finding["rule_id"] for finding in answer["findings"]]


def test_replay_of_the_shipped_day_twice_gives_the_same_bytes(installed: Path, empty: Path) -> None:
    day = next(installed.parent.glob("lib/*/site-packages/stream/resources/demo/day.jsonl"))
    written = []
    for out in ("first", "second"):
        run(installed, empty, "replay", str(day), "--out", out)
        written.append({path.name: path.read_bytes() for path in (empty / out).iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"findings.jsonl", "alerts.jsonl", "conversations.jsonl", "scores.jsonl"}
    assert written[0]["alerts.jsonl"]


def test_packs_check_and_rules(installed: Path, empty: Path) -> None:
    assert json.loads(run(installed, empty, "packs", "check", "--json").stdout)["ok"] is True
    run(installed, empty, "rules", "test", "sensitive.complaint")
    explained = run(
        installed,
        empty,
        "rules",
        "explain",
        "sensitive.complaint.regulator",
        "-",
        text=f"customer: {COMPLAINT}\n",
    )
    assert "fired once" in explained.stdout


def test_doctor_finds_a_fresh_directory_fit(installed: Path, empty: Path) -> None:
    checks = {
        check["name"]: check
        for check in json.loads(run(installed, empty, "doctor", "--json").stdout)["checks"]
    }
    assert checks["packages"]["verdict"] == "ok"
    assert list(empty.iterdir()) == []


def test_config_show_needs_no_file(installed: Path, empty: Path) -> None:
    assert "data_dir: .yanshao" in run(installed, empty, "config", "show").stdout


def test_wrong_use_ends_with_2(installed: Path, empty: Path) -> None:
    run(installed, empty, "no-such-command", code=2)
    run(installed, empty, "alerts", "list", code=2)


def test_demo_shows_alerts(installed: Path, empty: Path) -> None:
    done = run(installed, empty, "up", "--demo", "--speed", "10000", wait=180)
    assert "发生了什么" in done.stdout
    assert list(empty.iterdir()) == []
