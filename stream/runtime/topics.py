"""The topics an installation needs: what they are, how what is there differs, how to get there.

`stream/resources/topics.yaml` names them and gives the reasons. `plan` is pure; `check` and `apply` ask a
broker through kafka-python's admin client. Nothing here prints: data is returned, or TopicsError raised.

    topics = wanted(shipped(), partitions=8, replication_factor=3, min_insync_replicas=2, receivers=["night"])
    apply(admin, topics)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal
from uuid import UUID

import msgspec
import yaml
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

SOURCE = "chat.messages"
"""The topic whose partition count all topics marked `source` share."""

LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
"""What Kafka takes as a topic's name (org.apache.kafka.common.internals.Topic)."""

_NO_ID = str(UUID(int=0))

BROKER_DEFAULT = -1
"""As replication factor: what the broker's own `default.replication.factor` says."""


class TopicsError(Exception):
    """The topics cannot be made or used as they are; the text says which, why, and what to do."""


class TopicSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of topics.yaml; `{receiver}` in a name means one topic for each receiver."""

    name: str
    about: str
    partitions: int | Literal["source"]
    settings: dict[str, str | int | float] = {}


class TopicsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of topics.yaml."""

    default_source_partitions: int
    topics: list[TopicSpec]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as wanted, or as found on a broker (then `settings` has all of them)."""

    name: str
    partitions: int
    replication_factor: int
    settings: Mapping[str, str]
    topic_id: str = ""
    """What a broker calls it for as long as it is not deleted; empty where wanted, or the broker is old."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a broker is not as wanted.

    `what` is `topic` (it is missing), `partitions`, `replication.factor` or the name of a setting.
    `fatal` ones cannot be put right without draining the system: a worker must not start, `apply` refuses.
    """

    topic: str
    what: str
    wanted: str
    found: str | None
    fatal: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did, and what it had to leave (replication factors need a reassignment by hand)."""

    created: tuple[str, ...]
    altered: tuple[Difference, ...]
    remaining: tuple[Difference, ...]


def shipped() -> TopicsFile:
    """Return the topics of this version."""
    text = (resources.files("stream") / "resources" / "topics.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), type=TopicsFile)


def wanted(
    file: TopicsFile,
    *,
    partitions: int | None = None,
    replication_factor: int = BROKER_DEFAULT,
    min_insync_replicas: int | None = None,
    receivers: Iterable[str] = (),
    prefix: str = "",
) -> list[Topic]:
    """Return the topics an installation wants, in the file's order.

    Args:
        file: what `shipped()` returns.
        partitions: the count of all `source` topics; None takes the file's default.
        replication_factor: copies of each partition, or BROKER_DEFAULT.
        min_insync_replicas: copies that must confirm a write; None leaves it to the broker.
        receivers: names of the receivers that get a `qa.notify.` topic each.
        prefix: put before every name, so that several installations share a cluster.

    Raises TopicsError where a number or a name cannot be.
    """
    count = file.default_source_partitions if partitions is None else partitions
    if count < 1:
        raise TopicsError(f"a topic has at least one partition, not {count}")
    if replication_factor != BROKER_DEFAULT and replication_factor < max(1, min_insync_replicas or 1):
        raise TopicsError(
            f"replication factor {replication_factor} is less than "
            f"min.insync.replicas {min_insync_replicas or 1}: no write would ever be confirmed"
        )
    common = {} if min_insync_replicas is None else {"min.insync.replicas": str(min_insync_replicas)}
    names = list(receivers)
    return [
        Topic(
            name=_legal(prefix + name),
            partitions=count if spec.partitions == "source" else spec.partitions,
            replication_factor=replication_factor,
            settings={key: str(value) for key, value in spec.settings.items()} | common,
        )
        for spec in file.topics
        for name in _names(spec.name, names)
    ]


def _names(name: str, receivers: Sequence[str]) -> list[str]:
    return [name.format(receiver=receiver) for receiver in receivers] if "{receiver}" in name else [name]


def _legal(name: str) -> str:
    if not LEGAL_NAME.fullmatch(name):
        raise TopicsError(f"{name!r} is no topic name: letters, digits, dot, underscore, hyphen; at most 249")
    return name


def plan(wanted: Iterable[Topic], existing: Mapping[str, Topic]) -> list[Difference]:
    """Return all differences, by topic in the order wanted; empty means that workers may start."""
    return [difference for topic in wanted for difference in _compare(topic, existing.get(topic.name))]


def _compare(topic: Topic, found: Topic | None) -> list[Difference]:
    if found is None:
        return [Difference(topic.name, "topic", f"{topic.partitions} partitions", None, fatal=False)]
    differences = []
    if found.partitions != topic.partitions:
        counts = str(topic.partitions), str(found.partitions)
        differences.append(Difference(topic.name, "partitions", *counts, fatal=True))
    if topic.replication_factor not in (BROKER_DEFAULT, found.replication_factor):
        factors = str(topic.replication_factor), str(found.replication_factor)
        differences.append(Difference(topic.name, "replication.factor", *factors, fatal=False))
    for key, value in topic.settings.items():
        if not _same(value, found.settings.get(key)):
            differences.append(Difference(topic.name, key, value, found.settings.get(key), fatal=False))
    return differences


def _same(wanted: str, found: str | None) -> bool:
    """Do two settings mean the same? A broker may write 0.10 for 0.1."""
    if found is None or wanted == found:
        return wanted == found
    try:
        return float(wanted) == float(found)
    except ValueError:
        return False


def check(admin: KafkaAdminClient, wanted: Sequence[Topic]) -> list[Difference]:
    """Return how the broker's topics differ from those wanted; changes nothing."""
    return plan(wanted, describe(admin, [topic.name for topic in wanted]))


def source_partitions(admin: KafkaAdminClient, prefix: str = "") -> int | None:
    """Return how many partitions chat.messages has, None where it does not exist yet."""
    found = describe(admin, [prefix + SOURCE]).get(prefix + SOURCE)
    return None if found is None else found.partitions


def apply(admin: KafkaAdminClient, wanted: Sequence[Topic]) -> Applied:
    """Create what is missing and set what differs; return when every topic has its leaders.

    Doing it again changes nothing. Raises TopicsError before any change where a difference is fatal, and
    where the broker refuses.
    """
    differences = check(admin, wanted)
    refuse_fatal(differences)
    missing = {difference.topic for difference in differences if difference.what == "topic"}
    created = [topic for topic in wanted if topic.name in missing]
    unfixable = tuple(difference for difference in differences if difference.what == "replication.factor")
    altered = tuple(d for d in differences if d.topic not in missing and d not in unfixable)
    _create(admin, created)
    _alter(admin, altered)
    return Applied(tuple(topic.name for topic in created), altered, unfixable)


def refuse_fatal(differences: Iterable[Difference]) -> None:
    """Raise TopicsError that tells all fatal differences at once, if there are any."""
    fatal = [f"{d.topic} has {d.found} {d.what}, wanted {d.wanted}" for d in differences if d.fatal]
    if fatal:
        raise TopicsError(
            "; ".join(fatal)
            + ". Topics that belong together need equal partition counts, and adding partitions "
            "would move conversations away from their state. Ask for the count that is there (--partitions), "
            "use another prefix, or drain the system and delete the topics."
        )


def describe(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, Topic]:
    """Return those of the named topics that exist, with all their settings."""
    present = sorted(set(names) & set(admin.list_topics()))
    if not present:
        return {}
    configs = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in present], config_filter="all"
    )["topic"]
    found = {}
    for topic in admin.describe_topics(present):
        partitions: list[dict[str, Any]] = topic["partitions"]
        settings = {key: str(entry["value"]) for key, entry in configs[topic["name"]].items()}
        copies = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
        topic_id = str(topic.get("topic_id") or _NO_ID)
        known = "" if topic_id == _NO_ID else topic_id
        found[topic["name"]] = Topic(topic["name"], len(partitions), copies, settings, known)
    return found


def _create(admin: KafkaAdminClient, topics: Sequence[Topic]) -> None:
    if not topics:
        return
    request = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication_factor,
            "configs": dict(topic.settings),
        }
        for topic in topics
    }
    answer = admin.create_topics(request, raise_errors=False)
    # Another `apply` may have been quicker; what it made is compared by the next check.
    harmless = (errors.NoError.errno, errors.TopicAlreadyExistsError.errno)
    refused = [
        f"{topic['name']}: {topic.get('error_message') or errors.for_code(topic['error_code']).__name__}"
        for topic in answer["topics"]
        if topic["error_code"] not in harmless
    ]
    if refused:
        raise TopicsError("the broker refuses to create " + "; ".join(refused))
    admin.wait_for_topics([topic.name for topic in topics])


def _alter(admin: KafkaAdminClient, differences: Sequence[Difference]) -> None:
    settings: dict[str, dict[str, str]] = {}
    for difference in differences:
        settings.setdefault(difference.topic, {})[difference.what] = difference.wanted
    if not settings:
        return
    answer = admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name, dict(values)) for name, values in settings.items()]
    )
    refused = [f"{name}: {result}" for name, result in answer["topic"].items() if result != "OK"]
    if refused:
        raise TopicsError("the broker refuses to set " + "; ".join(refused))
