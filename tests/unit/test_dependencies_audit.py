"""What is installed is what was locked, whole and unchanged, and under licences that we may use.

This part of the audit needs no network; `make audit` also asks for known vulnerabilities.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# What an environment is made with; none of it is imported by us.
TOOLS = {"pip", "setuptools", "uv", "wheel", "yanshao"}

PERMISSIVE = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla Public|Zlib|CC0|Unlicense|Repoze|HPND|OFL"
)
COPYLEFT = re.compile(r"\bA?GPL|\bLGPL|General Public|SSPL|BUSL|Commons Clause|Proprietary", re.IGNORECASE)


def name_of(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def pins() -> dict[str, set[str]]:
    found = defaultdict(set)
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK, re.MULTILINE):
        found[name_of(name)].add(version)
    return dict(found)


INSTALLED = {name_of(one.metadata["Name"]): one for one in metadata.distributions()}


def test_every_locked_dependency_is_pinned_and_hashed() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==[^\s;\\]+", entry), entry.splitlines()[0]
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    assert len(entries) > len(PROJECT["dependencies"])


def test_the_lock_names_no_place_to_fetch_from() -> None:
    assert not re.search(r"://|^-|^\s*--(?!hash=)|@ ", LOCK, re.MULTILINE)


def test_what_is_installed_is_what_is_locked() -> None:
    locked = pins()
    differing = {
        name: (one.version, sorted(locked.get(name, ())))
        for name, one in INSTALLED.items()
        if name not in TOOLS and one.version not in locked.get(name, ())
    }
    assert differing == {}


def test_every_dependency_of_ours_is_locked() -> None:
    extras = [one for group in PROJECT["optional-dependencies"].values() for one in group]
    names = {
        name_of(re.split(r"[\[<>=!~; ]", one, maxsplit=1)[0]) for one in (*PROJECT["dependencies"], *extras)
    }
    assert names - pins().keys() == set()


def test_nothing_that_is_installed_lacks_what_it_needs() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def licence(one: metadata.Distribution) -> str:
    """Return what a distribution says of its licence: the expression, else classifiers, else free text."""
    said = one.metadata
    classified = [text for text in said.get_all("Classifier") or [] if text.startswith("License")]
    free = str(said.json.get("license", "")).split("\n", maxsplit=1)[0]
    return str(said.json.get("license_expression") or "; ".join([*classified, free]).strip("; "))


@pytest.mark.parametrize("name", sorted(INSTALLED.keys() - TOOLS))
def test_licence_lets_us_use_it(name: str) -> None:
    said = licence(INSTALLED[name])
    assert PERMISSIVE.search(said), said
    # "MIT OR GPL-2.0" leaves the choice to us.
    assert all(not COPYLEFT.search(part) for part in re.split(r" AND |; ", said) if " OR " not in part), said


def test_installed_files_are_those_that_were_hashed() -> None:
    """Of what is imported at run time: a file changed behind the installer's back is found."""
    names = [name_of(re.split(r"[\[<>=!~; ]", one, maxsplit=1)[0]) for one in PROJECT["dependencies"]]
    changed = []
    checked = 0
    for name in names:
        for file in INSTALLED[name].files or []:
            if file.hash is None or file.hash.mode != "sha256" or file.suffix not in (".py", ".so", ".pyi"):
                continue
            checked += 1
            digest = hashlib.sha256(Path(str(file.locate())).read_bytes()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
                changed.append(str(file))
    assert changed == []
    assert checked > 500
