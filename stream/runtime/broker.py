"""A real Apache Kafka on this machine: fetched, started, watched, stopped.

One KRaft node (broker and controller in one Java process) that listens on the loopback interface only.
The jars come from Maven Central by `stream/resources/kafka/pom.xml`; no container engine is needed.
It serves `yanshao kafka`, `yanshao up --kafka`, the bench and the tests; it is not for production.

Everything a broker leaves behind is inside its data directory:
`server.properties`, `log4j2.xml`, `broker.json` (process id and ports), `broker.log`, `broker.out`, `data/`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

HOST = "127.0.0.1"
"""Loopback only: the local broker has no authentication on its plain listener."""

MINIMUM_JAVA = 17
"""Apache Kafka 4 brokers are compiled for Java 17."""

JAVA_FLAGS = (
    "-Xmx512m",  # a broker with a few dozen partitions runs in half of it
    "-XX:+UseSerialGC",  # no collector threads beside the workers on a small machine
    "-XX:TieredStopAtLevel=1",  # starts a second faster; the broker is not what is measured
    "-XX:+ExitOnOutOfMemoryError",  # a dead broker is found; a half-dead one is not
    "-Djava.awt.headless=true",
)

CLUSTER_ID = "eWFuc2hhby1sb2NhbC0wMQ"
"""Fixed (base64 of `yanshao-local-01`): one data directory is one cluster, and nothing ever joins two."""

START_ATTEMPTS = 3
"""A free port may be taken by another process between choosing and binding it; thrice in a row is a fault."""

START_SECONDS = 60.0
"""A start takes 3 s on an idle machine of two cores, ten times that beside a full test run."""

POLL_SECONDS = 0.05
"""How often a start or stop looks again; a twentieth of what either takes."""

STOP_SECONDS = 20.0
"""An orderly stop flushes the logs; it takes about a second, more on a loaded disk."""


class BrokerError(Exception):
    """The local broker cannot be fetched or started; the text says what to do."""


@dataclass(frozen=True, slots=True)
class SaslUser:
    """The one user that the second listener (SASL_PLAINTEXT, mechanism PLAIN) lets in."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What is known of the broker of a data directory; addresses are `host:port`."""

    running: bool
    pid: int | None
    bootstrap: str | None
    sasl_bootstrap: str | None
    data_dir: Path
    log: Path


@dataclass(frozen=True, slots=True)
class _Ports:
    """The TCP ports of one broker; `sasl` is 0 where there is no such listener."""

    plain: int
    controller: int
    sasl: int


def resource(name: str) -> str:
    """Return the text of a shipped file of `stream/resources/kafka`."""
    return (resources.files("stream") / "resources" / "kafka" / name).read_text(encoding="utf-8")


def jars_path(home: Path) -> Path:
    """Return where `fetch_jars(home)` puts the jars: another pom, another folder."""
    return home / f"libs-{hashlib.sha256(resource('pom.xml').encode()).hexdigest()[:12]}"


def fetch_jars(home: Path) -> Path:
    """Return the folder with the broker's jars, fetching them once (54 MB, about 10 s).

    Safe to call from several processes at once: the folder appears whole or not at all.
    Raises BrokerError where Maven is missing or fails.
    """
    libs = jars_path(home)
    if libs.is_dir():
        return libs
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError(
            "mvn not found: Apache Kafka is fetched with Maven. Install it (Debian, Ubuntu: "
            "apt-get install maven; macOS: brew install maven) and run the command again."
        )
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / "fetch.lock"):
        if libs.is_dir():
            return libs
        with tempfile.TemporaryDirectory(dir=home, prefix="fetch-") as scratch:
            _run_maven(maven, Path(scratch))
            (Path(scratch) / "libs").rename(libs)
    return libs


def _run_maven(maven: str, scratch: Path) -> None:
    """Copy all jars named by the pom, and theirs, into `scratch/libs`."""
    pom = scratch / "pom.xml"
    pom.write_text(resource("pom.xml"), encoding="utf-8")
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    command.append(f"-DoutputDirectory={scratch / 'libs'}")
    done = _run(command)
    if done.returncode or not (scratch / "libs").is_dir():
        raise BrokerError(
            "mvn could not fetch Apache Kafka; is Maven Central reachable?\n"
            + _tail(done.stdout + done.stderr)
        )


def find_java() -> str:
    """Return the `java` to run the broker with.

    Raises BrokerError where there is none on the PATH or it is older than Java 17.
    """
    java = shutil.which("java")
    advice = (
        f"Install Java {MINIMUM_JAVA} or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; "
        "macOS: brew install openjdk) and run the command again."
    )
    if java is None:
        raise BrokerError(f"java not found: Apache Kafka runs on it. {advice}")
    done = _run([java, "-version"])
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    if found is None or int(found.group(1)) < MINIMUM_JAVA:
        raise BrokerError(f"{java} is too old or does not run. {advice}")
    return java


class LocalBroker:
    """One Apache Kafka node, owned by its data directory: a later process can find, use and stop it.

    Args:
        home: where the jars are kept; shared by all brokers of a machine.
        data_dir: everything of this broker.
        sasl: opens a second listener that asks for this user; its address is `status().sasl_bootstrap`.
    """

    def __init__(self, home: Path, data_dir: Path, *, sasl: SaslUser | None = None) -> None:
        self._home = home
        self._dir = data_dir.absolute()
        self._sasl = sasl
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, port: int = 0, *, timeout_s: float = START_SECONDS) -> str:
        """Return the address `host:port` of a broker that has answered a metadata request.

        Returns the running broker's address where one runs on this data directory already.
        Port 0 means the port it had when it last ran here, else a free one.
        Raises BrokerError where Java or the jars are missing or the broker does not come up.
        """
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(self._dir / "start.lock"):
            status = self.status()
            if status.bootstrap is not None:
                self._await_ready(status.bootstrap, timeout_s)
                return status.bootstrap
            java, libs = find_java(), fetch_jars(self._home)
            for _ in range(START_ATTEMPTS - 1):
                try:
                    return self._launch(java, libs, port, timeout_s)
                except BrokerError:
                    if port or "Address already in use" not in self._output():
                        raise
            return self._launch(java, libs, port, timeout_s)

    def stop(self, *, timeout_s: float = STOP_SECONDS) -> bool:
        """End the broker in order, by force after `timeout_s`; return whether one was running."""
        return self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> bool:
        """End the broker as `kill -9` does; return whether one was running."""
        return self._end(signal.SIGKILL, STOP_SECONDS)

    def status(self) -> BrokerStatus:
        """Return what is known of this data directory's broker; `running` is about the process only."""
        record = self._record()
        pid = record.get("pid")
        running = pid is not None and self._is_ours(pid)
        sasl_port = record.get("sasl_port")
        return BrokerStatus(
            running=running,
            pid=pid if running else None,
            bootstrap=f"{HOST}:{record['port']}" if running else None,
            sasl_bootstrap=f"{HOST}:{sasl_port}" if running and sasl_port else None,
            data_dir=self._dir,
            log=self._dir / "broker.log",
        )

    def responds(self, *, timeout_s: float = 2.0) -> bool:
        """Is the broker running and does it answer a metadata request?"""
        bootstrap = self.status().bootstrap
        return bootstrap is not None and answers_metadata(bootstrap, timeout_s)

    def _record(self) -> dict[str, int]:
        """Return what the last start wrote down; empty where there was none or its writer died halfway."""
        try:
            record: dict[str, int] = json.loads((self._dir / "broker.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return record

    def _launch(self, java: str, libs: Path, port: int, timeout_s: float) -> str:
        """Start the process and wait for it; what does not come up is killed."""
        ports = self._choose_ports(port)
        self._configure(ports)
        self._format(java, libs)
        self._spawn(java, libs, ports)
        try:
            self._await_ready(f"{HOST}:{ports.plain}", timeout_s)
        except BaseException:
            self.kill()
            raise
        return f"{HOST}:{ports.plain}"

    def _choose_ports(self, port: int) -> _Ports:
        """Keep the ports of the last run where they are free: clients then find the broker again."""
        last = self._record()
        with contextlib.ExitStack() as held:
            return _Ports(
                plain=port or _free_port(held, last.get("port", 0)),
                controller=_free_port(held, last.get("controller_port", 0)),
                sasl=_free_port(held, last.get("sasl_port", 0)) if self._sasl else 0,
            )

    def _configure(self, ports: _Ports) -> None:
        """Write the broker's settings; readable by its owner alone, for the password is in them."""
        settings = Template(resource("server.properties")).substitute(
            port=ports.plain,
            controller_port=ports.controller,
            log_dir=self._dir / "data",
            sasl_listener=f",SASL://{HOST}:{ports.sasl}" if self._sasl else "",
            sasl_settings=_sasl_settings(self._sasl) if self._sasl else "",
        )
        for path, text in ((self._settings, settings), (self._dir / "log4j2.xml", resource("log4j2.xml"))):
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")

    @property
    def _settings(self) -> Path:
        return self._dir / "server.properties"

    def _java(self, java: str, libs: Path, *command: str) -> list[str]:
        logging = (f"-Dyanshao.log.dir={self._dir}", f"-Dlog4j2.configurationFile={self._dir / 'log4j2.xml'}")
        return [java, *JAVA_FLAGS, *logging, "-cp", f"{libs}/*", *command]

    def _format(self, java: str, libs: Path) -> None:
        """Lay the node's storage once; a directory that has it stays as it is."""
        if (self._dir / "data" / "meta.properties").is_file():
            return
        tool = ("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--ignore-formatted")
        done = _run(self._java(java, libs, *tool, "--config", str(self._settings)))
        if done.returncode:
            raise BrokerError("Kafka's storage cannot be laid:\n" + _tail(done.stdout + done.stderr))

    def _spawn(self, java: str, libs: Path, ports: _Ports) -> None:
        """Start the process in a session of its own: Ctrl-C in the terminal is not meant for it."""
        command = self._java(java, libs, "kafka.Kafka", str(self._settings))
        with (self._dir / "broker.out").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 -- fixed arguments, no shell
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        record = {"pid": self._process.pid, "port": ports.plain, "controller_port": ports.controller}
        if ports.sasl:
            record["sasl_port"] = ports.sasl
        (self._dir / "broker.json").write_text(json.dumps(record), encoding="utf-8")

    def _await_ready(self, bootstrap: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.status().running:
                raise BrokerError(
                    f"Kafka ended while starting; see {self._dir / 'broker.log'}\n{self._output()}"
                )
            if answers_metadata(bootstrap, timeout_s=5.0):
                return
            time.sleep(POLL_SECONDS)
        raise BrokerError(f"Kafka did not answer within {timeout_s:g} s; see {self._dir / 'broker.log'}")

    def _output(self) -> str:
        try:
            return _tail((self._dir / "broker.out").read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return ""

    def _is_ours(self, pid: int) -> bool:
        """Is it this data directory's broker? Ids are given out again, so the command line must name it."""
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        return str(self._settings) in _command_line(pid)

    def _end(self, signal_: signal.Signals, timeout_s: float) -> bool:
        pid = self.status().pid
        if pid is None:
            return False
        os.kill(pid, signal_)
        deadline = time.monotonic() + timeout_s
        while self._is_ours(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        return True


def answers_metadata(bootstrap: str, timeout_s: float) -> bool:
    """Does the broker at `host:port` (plain listener) answer a metadata request with at least one node?"""
    host, port = bootstrap.rsplit(":", 1)
    try:
        # A refused connection is told at once here; the client below would keep trying, with log lines.
        socket.create_connection((host, int(port)), timeout=timeout_s).close()
        with KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=int(timeout_s * 1000)
        ) as admin:
            return bool(admin.describe_cluster()["brokers"])
    except (OSError, KafkaError):
        return False


def _sasl_settings(user: SaslUser) -> str:
    """Return the settings of the SASL listener (Kafka documentation, `sasl.jaas.config` by listener)."""
    quoted = user.password.replace("\\", "\\\\").replace('"', '\\"')
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{user.name}="{quoted}";'
    # A properties file takes one level of backslashes away before JAAS reads the value.
    escaped = login.replace("\\", "\\\\")
    return (
        "listener.name.sasl.sasl.enabled.mechanisms=PLAIN\n"
        f"listener.name.sasl.plain.sasl.jaas.config={escaped}\n"
    )


def _free_port(held: contextlib.ExitStack, wanted: int) -> int:
    """Return `wanted` where it can be bound, else a free port; kept bound until `held` closes."""
    for port in (wanted, 0):
        listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        # As Kafka does: the connections of a broker that was killed do not hold its port for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            continue
        return int(listener.getsockname()[1])
    raise BrokerError(f"no free TCP port on {HOST}")


def _command_line(pid: int) -> str:
    """Return a process's command line; empty where there is none or it only waits to be reaped."""
    if not Path("/proc/self").exists():
        return _run([shutil.which("ps") or "ps", "-ww", "-o", "command=", "-p", str(pid)]).stdout
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, keeping what it says; its return code is the caller's to judge."""
    return subprocess.run(  # noqa: S603 -- fixed arguments, no shell
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` between processes; freed by the system when its holder dies."""
    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
