"""The examples of the READMEs and of the operations page work as they stand."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from alerts.config import ReceiverType, parse
from alerts.model import Severity
from alerts.testing import DailyHours
from stream import models, packs, wire
from stream.core.events import Message
from stream.packs.calendars import load_calendars
from stream.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PICTURE = ROOT / "docs" / "img" / "alerts.svg"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_the_event_of_the_quick_start_is_one():
    curl = next(block for block in blocks(README, "sh") if "curl" in block)
    given = re.search(r"-d '(\{.*\})'", curl, re.DOTALL)
    assert given
    body = re.sub(r"'\$\(date -Iseconds\)'", "2026-11-11T20:00:03+08:00", given[1])
    received = wire.decode(body.encode(), received_at=None)
    assert isinstance(received.event, Message)
    assert received.flags == ()


def test_the_text_of_the_quick_start_raises_an_alert_that_is_shown():
    scan = next(block for block in blocks(README, "sh") if "curl" in block)
    text = re.search(r'"text": "([^"]+)"', scan)
    assert text
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", "scan"],
        input=text[1].encode(),
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(done.stdout)["findings"]
    assert max(Severity(one["severity"]).rank for one in found) >= Severity.MEDIUM.rank


def test_the_configuration_of_the_readme_is_accepted():
    (example,) = blocks(README, "yaml")
    secrets = {"HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    names = re.findall(r"(?:url|secret)_env: ([A-Z_]+)", example)
    env = {name: secrets.get(name, "https://example.com/robot") for name in names}
    hours = {name: DailyHours(0, 1) for name in load_calendars()}
    raw = yaml.safe_load(example)["alerts"]
    config = parse(raw, source="README.md", env=env, calendars=lambda: hours)
    assert {receiver.type for receiver in config.receivers.values()} == set(ReceiverType)
    named = {name for route in config.routes for name in route.receivers} | set(config.default_receivers)
    assert named <= set(config.receivers)


def is_setting(*path: str) -> bool:
    """Whether a key of the configuration is named so."""
    section: Any = Settings
    for key in path:
        fields = getattr(section, "model_fields", {})
        if key not in fields:
            return False
        section = fields[key].annotation
    return True


def test_every_environment_variable_named_is_a_setting():
    named = set(re.findall(r"\bYANSHAO_([A-Z_]+)=", README + OPERATIONS)) - {"REQUIRE"}
    assert named
    assert {name for name in named if not is_setting(*name.lower().split("__"))} == set()


def test_every_setting_named_is_one():
    named = set(re.findall(r"`((?:kafka|local|listen|conversation)\.[a-z_]+)`", OPERATIONS))
    assert named
    assert {name for name in named if not is_setting(*name.split("."))} == set()


@pytest.mark.parametrize("page", [README, CHINESE], ids=["english", "chinese"])
def test_the_readme_tells_of_every_folder_of_packs(page: str):
    told = set(re.findall(r"^\| `([a-z]+)/` \|", page, re.MULTILINE))
    there = {path.name for path in (ROOT / "lexicons").iterdir() if any(path.glob("*.yaml"))}
    assert there <= told


@pytest.mark.parametrize(("page", "words"), [(README, "small linear model"), (CHINESE, "小型线性模型")])
def test_the_readme_tells_of_the_scorer_in_use(page: str, words: str):
    assert (models.DEFAULT_SCORER == "learned") is (words in page), (
        "what the READMEs say of the score, and docs/detection.md"
    )


def test_a_store_in_use_is_copied_whole_by_the_command_given(tmp_path: Path):
    command = next(block for block in blocks(OPERATIONS, "sh") if "backup" in block)
    code = re.search(r'-c "(.+)"', command)
    assert code
    with sqlite3.connect(tmp_path / "yanshao.db") as store:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute("CREATE TABLE t (x)")
        store.execute("INSERT INTO t VALUES (1)")
        store.commit()
        subprocess.run([sys.executable, "-c", code[1]], check=True, cwd=tmp_path)
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [(1,)]


# The picture -------------------------------------------------------------------------------------


def test_the_picture_is_small_and_loads_nothing():
    assert PICTURE.stat().st_size <= 200_000
    drawing = ET.fromstring(PICTURE.read_bytes())
    assert {element.tag.rpartition("}")[2] for element in drawing.iter()} <= {
        "svg",
        "rect",
        "g",
        "text",
        "path",
    }
    assert "url(" not in PICTURE.read_text(encoding="utf-8")


def test_the_picture_shows_alerts_that_are_still_raised():
    drawing = ET.fromstring(PICTURE.read_bytes())
    words = [element.text or "" for element in drawing.iter() if element.tag.endswith("}text")]
    titles = [title.partition("：")[2] for title in words if title.startswith("【")]
    known = {rule.title for rule in packs.open_book().rules}
    assert len(titles) == 4
    assert set(titles) <= known, "python docs/img/capture.py"


def test_the_alerts_sections_of_the_alerts_page_are_accepted():
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    hours = {name: DailyHours(0, 1) for name in load_calendars()}
    sections = [yaml.safe_load(block)["alerts"] for block in blocks(page, "yaml")]
    for section in sections:
        for receiver in section.get("receivers", {}).values():
            if "url_file" in receiver:
                receiver["url_env"] = receiver.pop("url_file")
        names = set(re.findall(r"(?:YANSHAO_[A-Z_]+|secrets/[a-z.-]+)", str(section)))
        robot = "https://example.com/robot"
        env = {name: "whsec_" + "a" * 40 if "HOOK" in name else robot for name in names}
        parse(section, source="yanshao.yaml", env=env, calendars=lambda: hours)
    assert len(sections) == 2
