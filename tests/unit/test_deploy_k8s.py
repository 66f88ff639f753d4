"""The Kubernetes manifests agree with the settings, the commands and the stop that the worker needs."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.cli import COMMANDS
from stream.runtime.kafka.process import STOP_S
from stream.runtime.kafka.watchdog import Limits
from stream.settings import Settings, load

A_MOMENT_S = 10
"""What the interpreter, its threads and a look of the watchdog may take beyond their bounds."""

START_S = 3
"""The budget of a worker's start (docs/bench.md)."""

POD_S = 20
"""What an orderly stop (a second or two), scheduling on a node that has the image, and a start take."""

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OBJECTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "k8s" / "yanshao.yaml").read_text(encoding="utf-8"))
)
BY_KIND = {item["kind"]: item for item in OBJECTS}
PODS = {
    item["metadata"]["name"]: item["spec"]["template"]["spec"]
    for item in OBJECTS
    if "template" in item["spec"]
}
WORKER = PODS["yanshao-worker"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def settings_of(pod: dict[str, Any], name: str = "yanshao-worker-0") -> Settings:
    """The settings of a pod's container as the process would read them."""
    variables = pod["containers"][0]["env"]
    return load(DEPLOY / "yanshao.yaml", env={item["name"]: item.get("value", name) for item in variables})


@pytest.mark.parametrize("name", PODS)
def test_every_variable_is_a_setting_and_its_value_is_good(name: str) -> None:
    settings = settings_of(PODS[name])
    assert settings.kafka.min_insync_replicas == settings.kafka.replication_factor - 1 == 2


@pytest.mark.parametrize("name", PODS)
def test_it_runs_a_command_of_this_version_and_not_as_root(name: str) -> None:
    (container,) = PODS[name]["containers"]
    assert container["args"][0] in COMMANDS
    assert container["image"] == f"yanshao:{VERSION}"
    assert PODS[name]["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_topics_and_workers_agree_on_the_cluster() -> None:
    topics, worker = settings_of(PODS["yanshao-topics"]).kafka, settings_of(WORKER).kafka
    own = {"worker_name", "session_timeout"}
    assert topics.model_dump(exclude=own) == worker.model_dump(exclude=own)


def test_a_worker_keeps_its_name_and_its_disk() -> None:
    (container,) = WORKER["containers"]
    name = next(item for item in container["env"] if item["name"] == "YANSHAO_KAFKA__WORKER_NAME")
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert settings_of(WORKER).data_dir.is_relative_to(mounts["data"])
    assert BY_KIND["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "data"
    assert BY_KIND["StatefulSet"]["spec"]["replicas"] <= settings_of(WORKER).kafka.partitions


def test_it_is_asked_where_it_answers_and_killed_only_after_an_orderly_stop() -> None:
    (container,) = WORKER["containers"]
    settings = settings_of(WORKER)
    assert container["ports"] == [{"name": "metrics", "containerPort": settings.listen.metrics_port}]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert WORKER["terminationGracePeriodSeconds"] >= STOP_S + A_MOMENT_S


def test_the_watchdog_ends_a_worker_before_the_probe_does() -> None:
    """It knows more, and its exit code says what it was."""
    (container,) = WORKER["containers"]
    probe = container["livenessProbe"]
    patience = probe["periodSeconds"] * probe["failureThreshold"]
    limits = Limits.of(settings_of(WORKER).kafka)
    told = limits.told()
    for name in ("stall_s", "recovery_s", "assignment_s", "loop_s"):
        assert getattr(told, name) + patience > getattr(limits, name) + A_MOMENT_S, name
    assert probe["initialDelaySeconds"] > START_S


def test_an_update_leaves_partitions_where_they_are() -> None:
    session = settings_of(WORKER).kafka.session_timeout / 1000
    assert session >= POD_S, "a pod is back within a session"
    assert BY_KIND["StatefulSet"]["spec"]["minReadySeconds"] > session, "one that ends again stops the update"
    assert BY_KIND["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert BY_KIND["StatefulSet"]["spec"]["podManagementPolicy"] == "Parallel"


def test_every_selector_finds_the_workers() -> None:
    labels = BY_KIND["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert BY_KIND["Service"]["spec"]["selector"] == labels
    assert BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert BY_KIND["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    assert BY_KIND["StatefulSet"]["spec"]["serviceName"] == BY_KIND["Service"]["metadata"]["name"]


def test_the_topics_command_takes_what_the_job_gives_it() -> None:
    args = PODS["yanshao-topics"]["containers"][0]["args"]
    group = importlib.import_module(f"stream.commands.{COMMANDS[args[0]][0]}").command
    assert args[1] in group.commands
