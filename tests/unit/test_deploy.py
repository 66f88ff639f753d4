"""What is under ``deploy/`` agrees with the program: settings, commands, exit codes, ports, paths."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from alerts import config as alerts_config
from stream.cli import COMMANDS
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.process import STOP_S
from stream.runtime.system import STOP_GRACE_SECONDS
from stream.settings import CONFIG_VARIABLE, DATA_VARIABLE, ConfigError, Settings, load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONFIG = DEPLOY / "yanshao.yaml"
DEFAULTS = load(CONFIG, env={})

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
# What systemd puts in for the instance `yanshao-worker@1` on a host named `chat-1`.
SPECIFIERS = {"%i": "1", "%l": "chat-1", "%S": "/var/lib"}

A_MOMENT_S = 10
"""What the interpreter and its threads may take beyond the bound of a stop."""

START_S = 3
"""The budget of a worker's start (docs/bench.md)."""

NEEDS_A_HAND = {Exit.POISON, Exit.TOPICS, Exit.TOO_NEW}
"""Ends that a restart cannot mend; `stream/runtime/kafka/exits.py` says why."""

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "yanshao"}
WORKERS = {name: service for name, service in OURS.items() if service["command"][0] == "worker"}

DOCKERFILE = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def directives(path: Path) -> dict[str, list[str]]:
    """A unit's directives, each with all its values; specifiers filled in."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            for specifier, meaning in SPECIFIERS.items():
                value = value.replace(specifier, meaning)
            found.setdefault(key, []).append(value)
    return found


def dockerfile(instruction: str) -> list[str]:
    """The arguments of every such instruction."""
    return re.findall(rf"^{instruction}\s+(.+)$", DOCKERFILE, flags=re.MULTILINE)


def dockerfile_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in dockerfile("ENV") for pair in shlex.split(line))


def settings_of(environment: dict[str, str]) -> Settings:
    """Load the settings as the process would, with the shipped file where the image and the units have it."""
    assert environment[CONFIG_VARIABLE] == "/etc/yanshao/yanshao.yaml"
    return load(CONFIG, env={name: value for name, value in environment.items() if name != CONFIG_VARIABLE})


def unit_environment(path: Path) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in directives(path)["Environment"])


def container_environment(service: dict[str, Any]) -> dict[str, str]:
    environment: dict[str, str] = service["environment"]
    return dockerfile_environment() | environment


def assert_is_a_command(words: list[str]) -> None:
    """The words are a command of ours, and its options and subcommands are its own."""
    assert words[0] in COMMANDS
    module = f"stream.commands.{COMMANDS[words[0]][0]}"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not there yet")
    command: click.Command = importlib.import_module(module).command
    context = command.make_context(words[0], words[1:])
    if isinstance(command, click.Group):
        inner = command.get_command(context, words[1])
        assert inner is not None
        inner.make_context(words[1], words[2:], parent=context)


class TestConfiguration:
    def test_the_shipped_file_is_good_and_tells_somebody(self) -> None:
        parsed = alerts_config.parse(DEFAULTS.alerts, source=str(CONFIG), env={})
        assert parsed.receivers
        assert parsed.default_receivers

    def test_a_misspelt_variable_would_be_noticed(self) -> None:
        with pytest.raises(ConfigError):
            load(CONFIG, env={"YANSHAO_KAFKA__BOOTSTRAPS": "kafka:9092"})


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
class TestUnits:
    def test_every_variable_is_a_setting_and_its_value_is_good(self, path: Path) -> None:
        settings = settings_of(unit_environment(path))
        assert str(settings.data_dir).startswith("/var/lib/yanshao/")

    def test_it_runs_a_command_that_exists(self, path: Path) -> None:
        words = shlex.split(directives(path)["ExecStart"][0])
        assert words[0].endswith("/yanshao")
        assert_is_a_command(words[1:])

    def test_its_data_is_what_systemd_makes_for_it_and_nobody_else_reads_it(self, path: Path) -> None:
        unit = directives(path)
        assert f"/var/lib/{unit['StateDirectory'][0]}" == unit_environment(path)[DATA_VARIABLE]
        assert unit["StateDirectoryMode"] == ["0700"]
        assert unit["UMask"] == ["0077"]

    def test_it_is_restarted_after_every_end_that_a_restart_can_mend(self, path: Path) -> None:
        unit = directives(path)
        prevented = set(map(int, unit["RestartPreventExitStatus"][0].split()))
        assert unit["Restart"] == ["on-failure"]
        assert 2 in prevented, "wrong use or a wrong configuration"
        assert prevented - {2} == (set(NEEDS_A_HAND) if "worker" in path.name else set())

    def test_it_is_killed_only_after_an_orderly_stop_had_its_time(self, path: Path) -> None:
        longest = STOP_S if "worker" in path.name else 3 * STOP_GRACE_SECONDS
        assert seconds(directives(path)["TimeoutStopSec"][0]) >= longest + A_MOMENT_S

    def test_it_is_never_given_up_however_long_a_broker_or_a_disk_is_away(self, path: Path) -> None:
        """A start limit would: each start on a dead broker ends within seconds."""
        assert directives(path)["StartLimitIntervalSec"] == ["0"]

    def test_a_restart_by_hand_or_after_a_fault_keeps_the_partitions(self, path: Path) -> None:
        pause = seconds(directives(path)["RestartSec"][0])
        assert pause + START_S < DEFAULTS.kafka.session_timeout / 1000

    def test_it_may_do_little(self, path: Path) -> None:
        unit = directives(path)
        for directive in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome"):
            assert unit[directive] == ["yes"]
        assert unit["ProtectSystem"] == ["strict"]
        assert unit["CapabilityBoundingSet"] == [""]

    @pytest.mark.skipif(
        shutil.which("systemd-analyze") is None, reason="NOT TESTED HERE: needs systemd-analyze"
    )
    def test_systemd_itself_finds_nothing_wrong(self, path: Path, tmp_path: Path) -> None:
        copy = tmp_path / path.name
        text = path.read_text(encoding="utf-8")
        copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
        for arguments in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=20"]):
            done = subprocess.run(
                ["systemd-analyze", *arguments, str(copy)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "Unknown" not in done.stderr


def test_instances_of_a_worker_share_neither_name_nor_port_nor_data() -> None:
    text = next(path for path in UNITS if "worker@" in path.name).read_text(encoding="utf-8")
    for name in ("YANSHAO_DATA", "YANSHAO_KAFKA__WORKER_NAME", "YANSHAO_LISTEN__METRICS_PORT"):
        assert re.search(rf"^Environment={name}=.*%i", text, flags=re.MULTILINE)


def test_the_first_instance_is_where_prometheus_looks() -> None:
    unit = next(path for path in UNITS if "worker@" in path.name)
    targets = yaml.safe_load((DEPLOY / "prometheus/targets/local.yml").read_text(encoding="utf-8"))
    assert targets == [{"targets": [f"localhost:{settings_of(unit_environment(unit)).listen.metrics_port}"]}]


class TestImage:
    def test_its_environment_is_settings_and_it_answers_outside_the_container(self) -> None:
        settings = settings_of(
            {name: value for name, value in dockerfile_environment().items() if name.startswith("YANSHAO_")}
        )
        assert settings.listen.host == settings.listen.metrics_host == "0.0.0.0"
        assert dockerfile("EXPOSE") == [f"{settings.listen.port} {settings.listen.metrics_port}"]
        assert dockerfile("VOLUME") == [str(settings.data_dir)]

    def test_it_runs_a_command_that_exists_and_not_as_root(self) -> None:
        assert dockerfile("ENTRYPOINT") == ['["yanshao"]']
        assert dockerfile("USER")[-1] not in {"0", "root"}
        assert_is_a_command(yaml.safe_load(dockerfile("CMD")[0]))

    def test_what_it_copies_is_there_and_is_all_that_the_wheel_is_made_of(self) -> None:
        copied = {
            source for line in dockerfile("COPY") if "--from" not in line for source in shlex.split(line)[:-1]
        }
        assert all((ROOT / source).exists() for source in copied)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
        needed = {"pyproject.toml", "requirements.lock", project["project"]["readme"], *wheel["packages"]}
        needed |= set(project["project"]["license-files"])
        assert needed - copied == set()
        for source in wheel.get("force-include", {}):
            assert any(Path(source).is_relative_to(folder) for folder in copied), source

    def test_both_stages_have_the_same_interpreter_that_we_support(self) -> None:
        bases = {line.split()[0] for line in dockerfile("FROM")}
        assert len(bases) == 1
        version = re.search(r"python:3\.(\d+)", bases.pop())
        assert version is not None
        assert int(version[1]) >= 11


class TestCompose:
    @pytest.mark.parametrize("name", OURS)
    def test_every_variable_is_a_setting_and_its_value_is_good(self, name: str) -> None:
        variables = {
            key: value
            for key, value in container_environment(OURS[name]).items()
            if key.startswith("YANSHAO_")
        }
        assert all(isinstance(value, str) for value in variables.values()), "YAML numbers are no strings"
        settings_of(variables)

    @pytest.mark.parametrize("name", OURS)
    def test_it_runs_a_command_that_exists(self, name: str) -> None:
        assert_is_a_command(OURS[name]["command"])

    @pytest.mark.parametrize("name", WORKERS)
    def test_it_is_asked_for_its_health_where_it_answers(self, name: str) -> None:
        settings = settings_of(container_environment(WORKERS[name]))
        assert f"127.0.0.1:{settings.listen.metrics_port}/readyz" in WORKERS[name]["healthcheck"]["test"][-1]

    @pytest.mark.parametrize("name", WORKERS)
    def test_it_is_killed_only_after_an_orderly_stop_had_its_time(self, name: str) -> None:
        assert seconds(WORKERS[name]["stop_grace_period"]) >= STOP_S + A_MOMENT_S

    @pytest.mark.parametrize("name", WORKERS)
    def test_it_is_never_given_up_however_long_the_broker_is_away(self, name: str) -> None:
        assert WORKERS[name]["restart"] == "on-failure"

    def test_workers_share_neither_name_nor_data(self) -> None:
        names = [settings_of(container_environment(service)).worker_name for service in WORKERS.values()]
        assert names == list(WORKERS)
        data = [
            volume.split(":")[0]
            for service in WORKERS.values()
            for volume in service["volumes"]
            if volume.split(":")[1] == dockerfile_environment()[DATA_VARIABLE]
        ]
        assert len(set(data)) == len(WORKERS) >= 2

    def test_workers_ask_the_broker_where_it_tells_them_to(self) -> None:
        kafka = SERVICES["kafka"]["environment"]
        advertised = dict(pair.split("://") for pair in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
        for service in OURS.values():
            settings = settings_of(container_environment(service))
            assert settings.kafka.bootstrap == (advertised["PLAINTEXT"],)
            assert settings.kafka.replication_factor == 1, "there is one broker"
        assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:29092:{advertised['HOST'].split(':')[1]}"]
        assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"

    def test_prometheus_scrapes_every_worker_and_loads_the_rules(self) -> None:
        path = DEPLOY / "prometheus" / "targets-compose" / "workers.yml"
        wanted = [
            f"{name}:{settings_of(container_environment(service)).listen.metrics_port}"
            for name, service in WORKERS.items()
        ]
        assert yaml.safe_load(path.read_text(encoding="utf-8")) == [{"targets": wanted}]
        mounts = dict(volume.split(":")[:2] for volume in SERVICES["prometheus"]["volumes"])
        assert mounts["./prometheus/rules"] == "/etc/prometheus/rules"
        assert mounts["./prometheus/targets-compose"] == "/etc/prometheus/targets"

    def test_what_is_mounted_exists_or_is_declared(self) -> None:
        for service in SERVICES.values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert set(service.get("depends_on", [])) <= set(SERVICES)

    def test_only_this_machine_reaches_what_is_published(self) -> None:
        published = [port for service in SERVICES.values() for port in service.get("ports", [])]
        assert published
        assert all(port.startswith("127.0.0.1:") for port in published)

    def test_images_of_others_are_pinned(self) -> None:
        for name in SERVICES.keys() - OURS.keys():
            assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"])

    def test_no_password_is_written_down(self) -> None:
        text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
        for value in re.findall(r"PASSWORD: (.+)", text):
            assert value.startswith("${")
