"""Looks the locked dependencies up among known vulnerabilities: ``make audit``. Needs a network.

pip-audit lives in an environment of its own beside ours, so that what it needs is not what we ship. It
ends with 0 where every dependency was looked up and none is known to be vulnerable, with 1 where one is,
and with 3 where that could not be found out: an answer that is missing is no good news.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".venv-audit"
TOOL = "pip-audit>=2.9,<3"
UNKNOWN = 3


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, arguments)], capture_output=True, text=True, check=False)  # noqa: S603 - ours


def _not_audited(why: str) -> int:
    print(f"NOT AUDITED for known vulnerabilities: {why}", file=sys.stderr)  # noqa: T201
    print("What needs no network was checked before. Run `make audit` where there is one.", file=sys.stderr)  # noqa: T201
    return UNKNOWN


def main() -> int:
    """Audit, and say what came of it."""
    tool = HOME / "bin" / "pip-audit"
    if not tool.exists():
        venv.create(HOME, with_pip=True)
        if _run(HOME / "bin" / "python", "-m", "pip", "install", "--quiet", TOOL).returncode:
            return _not_audited(f"{TOOL} cannot be installed")
    # The lock is complete and hashed: nothing has to be resolved.
    found = _run(tool, "--disable-pip", "--no-deps", "--format", "json", "-r", ROOT / "requirements.lock")
    try:
        dependencies = json.loads(found.stdout)["dependencies"]
    except (ValueError, KeyError):
        return _not_audited("the advisory service does not answer")
    unknown = [one["name"] for one in dependencies if "skip_reason" in one]
    known = [one for one in dependencies if one.get("vulns")]
    for one in known:
        for fault in one["vulns"]:
            mended = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {fault['id']}, mended in {mended}")  # noqa: T201
    if known:
        return 1
    if unknown or not dependencies:
        return _not_audited(
            f"{len(unknown)} of {len(dependencies)} dependencies are not known to the service"
        )
    print(f"{len(dependencies)} dependencies, no known vulnerability")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
