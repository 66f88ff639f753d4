"""A real Prometheus for one test, and a ``/metrics`` of ours for it to scrape, both on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from stream.metrics import Metrics, render

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

START_SECONDS = 30.0
"""Prometheus starts in under a second; beside a full test run on two cores it may take ten."""

START_ATTEMPTS = 3
"""A free port may be taken by another process between choosing and binding it."""


@contextmanager
def exposed(metrics: Metrics, before: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Serve ``/metrics`` on an ephemeral port and yield its address; ``before`` runs ahead of each scrape."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            before()
            body, content_type = render(metrics, self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class QueryError(AssertionError):
    """Prometheus refused an expression."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """Return ``data`` of an API answer; raises ``QueryError`` with Prometheus's own words."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise QueryError(f"{parameters}: {json.load(error)['error']}") from error

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query, a scalar as one sample without labels."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        samples: list[dict[str, Any]] = data["result"]
        return samples

    def wait(self, expression: str, seconds: float = START_SECONDS) -> list[dict[str, Any]]:
        """Return the first non-empty result; fails when none comes in time."""
        deadline = time.monotonic() + seconds
        while not (result := self.query(expression)):
            assert time.monotonic() < deadline, f"no result for {expression} in {seconds:.0f} s"
            time.sleep(0.2)  # the process of another program can only be polled
        return result


def fast_config(source: str, targets: Sequence[str], directory: Path) -> Path:
    """Write ``deploy/prometheus/<source>`` with other targets and intervals of one second, and its rules."""
    config = yaml.safe_load((DEPLOY / "prometheus" / source).read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        for discovery in [key for key in job if key.endswith("sd_configs") or key == "static_configs"]:
            del job[discovery]
        job["static_configs"] = [{"targets": list(targets) if job["job_name"] == "yanshao" else []}]
    shutil.copytree(DEPLOY / "prometheus" / "rules", directory / "rules")
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@contextmanager
def prometheus(config: Path, directory: Path) -> Iterator[Prometheus]:
    """Run Prometheus with its data in ``directory`` until the block is left."""
    for attempt in range(START_ATTEMPTS):
        process, url, log = _start(config, directory, attempt)
        try:
            if _is_ready(process, url):
                yield Prometheus(url)
                return
        finally:
            process.terminate()
            process.wait(timeout=20)
    raise AssertionError(f"Prometheus did not start:\n{log.read_text()[-2000:]}")


def _start(config: Path, directory: Path, attempt: int) -> tuple[subprocess.Popen[bytes], str, Path]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = directory / f"prometheus-{attempt}.log"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=directory)
    return process, f"http://127.0.0.1:{port}", log


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2) as response:
                if response.status == 200:
                    return True
        except OSError:
            time.sleep(0.1)
    return False
