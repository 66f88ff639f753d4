"""What can be configured, with its defaults: ``docs/configuration.md`` is written from these classes."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from stream.settings.values import Duration, Names, Port, PositiveDuration, Zone, listed, zone_of

PREFIX: Final = "YANSHAO_"
DEFAULT_FILE: Final = "yanshao.yaml"
SHIPPED: Final = "shipped"

Where = tuple[str | int, ...]


class _Section(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Listen(_Section):
    """Where this process answers. Only the local machine may ask unless `host` says otherwise."""

    host: str = "127.0.0.1"
    """Address of the HTTP door and of the page."""
    port: Port = 8750
    """Events come in here (`POST /v1/events`); 0 takes any free port."""
    metrics_host: str = "127.0.0.1"
    """Address of `/metrics`, `/healthz` and `/readyz` of a worker."""
    metrics_port: Port = 8751
    """Port of `/metrics`, `/healthz` and `/readyz`; 0 takes any free port."""
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=65_536, le=256 * 1024 * 1024)
    """Largest HTTP request body; a request may hold many events."""
    body_timeout: PositiveDuration = 30_000
    """How long a client may take for a body (then 408), or to take its answer (then it is cut)."""
    head_timeout: PositiveDuration = 10_000
    """How long a client may take for a request's line and headers; then it is cut."""
    idle_timeout: PositiveDuration = 75_000
    """When a connection without requests is closed. Longer than the 60 s for which proxies keep theirs."""
    max_connections: int = Field(default=256, ge=1, le=65_535)
    """Connections at once; more are answered 503. Far below the 1,024 open files that systems allow."""
    max_connections_per_address: int = Field(default=64, ge=1, le=65_535)
    """Connections of one address at once. All that a proxy passes on comes from its one address."""
    max_requests_per_second: int = Field(default=2_000, ge=1)
    """Requests of one address, two seconds' worth at once; beyond it 429. A request holds many events."""


class SecurityProtocol(StrEnum):
    """How to talk to the brokers, in Kafka's words."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(StrEnum):
    """How to log in at the brokers, in Kafka's words."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class Batch(_Section):
    """When a batch of one partition is full: whichever comes first. Latency is bounded by `wait`."""

    records: int = Field(default=4_096, ge=1, le=10_000)
    """Most records that are applied together. So many wait only where a worker is behind: a second of
    work, in which most conversations have several records, and are read and written once."""
    max_bytes: int = Field(default=1024 * 1024, ge=65_536)
    """Most bytes that are fetched of a partition at once."""
    wait: Duration = 20
    """Longest time a record waits for its batch to fill."""


class Kafka(_Section):
    """The Kafka runtime (`yanshao worker`, `yanshao ingest`, `yanshao up --kafka`)."""

    bootstrap: Names = ("127.0.0.1:9092",)
    """Brokers to ask first, `host:port`."""
    topic_prefix: str = Field(default="", max_length=64, pattern=r"^[A-Za-z0-9._-]*$")
    """Put before every topic name, so that several installations share a cluster."""
    app_id: str = Field(default="yanshao", min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")
    """Consumer group of the workers."""
    worker_name: str | None = Field(default=None, min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._-]+$")
    """Stable name of this worker: its static membership and its snapshots go by it. Default: host name."""
    partitions: int = Field(default=8, ge=1, le=4096)
    """Partitions of `chat.messages` and of all topics that go with it; cannot be changed later."""
    replication_factor: int = Field(default=-1, ge=-1, le=32)
    """Copies of each topic; -1 leaves it to the broker. Use 3 where there are three brokers."""
    min_insync_replicas: int | None = Field(default=None, ge=1, le=32)
    """Copies that must confirm a record. Use 2 with a replication factor of 3. Default: the broker's."""
    security_protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    sasl_mechanism: SaslMechanism | None = None
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
    sasl_username: str | None = None
    """User at the brokers."""
    sasl_password: SecretStr | None = None
    """Password at the brokers; better by environment or by `sasl_password_file`."""
    sasl_password_file: Path | None = None
    """File that holds the password."""
    sasl_password_env: str | None = None
    """Environment variable that holds the password."""
    ssl_cafile: Path | None = None
    """Certificates of the authorities to trust (PEM). Default: the system's."""
    ssl_certfile: Path | None = None
    """This client's certificate (PEM), where the brokers ask for one."""
    ssl_keyfile: Path | None = None
    """Its private key (PEM)."""
    ssl_key_password: SecretStr | None = None
    """Password of the private key."""
    ssl_key_password_file: Path | None = None
    """File that holds the password of the private key."""
    ssl_key_password_env: str | None = None
    """Environment variable that holds the password of the private key."""
    ssl_check_hostname: bool = True
    """Refuse a broker whose certificate is for another name."""
    session_timeout: PositiveDuration = 10_000
    """How long a silent worker keeps its partitions. Shorter than a restart: others take over needlessly."""
    heartbeat_interval: PositiveDuration = 3_000
    """How often a worker says that it lives; at most a third of `session_timeout`."""
    rebalance_timeout: PositiveDuration = 60_000
    """How long workers may take to hand over partitions; no await in a processor lasts longer."""
    commit_interval: PositiveDuration = 500
    """How often offsets are committed; what is processed twice after a crash is at most this old."""
    batch: Batch = Batch()
    in_flight: int = Field(default=4, ge=1, le=64)
    """Batches of a partition that may wait for confirmation at once, in order."""
    poison_limit: int = Field(default=100, ge=1)
    """Unusable records in a row that stop the worker rather than fill `qa.dlq` after a bad deploy."""
    timer_wait: Duration = 30_000
    """Longest time a due clock waits for messages that were already in Kafka when it came due."""
    watchdog: PositiveDuration = 60_000
    """A partition with lag and no progress for this long ends the process."""
    recovery_timeout: PositiveDuration = 600_000
    """A worker that cannot read its state back in this time ends, rather than start without it."""
    snapshot_interval: Duration = 60_000
    """How often a partition's state is written to `data_dir`, so that a start reads little; 0 keeps none."""


class Local(_Section):
    """The embedded runtime (`yanshao up`)."""

    queue_events: int = Field(default=20_000, ge=100)
    """Events that may wait; beyond it the HTTP door answers 429."""
    queue_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    """Bytes of events that may wait."""
    max_request_events: int = Field(default=5_000, ge=1, le=100_000)
    """Most events of one HTTP request."""


class Conversation(_Section):
    """When a conversation that nobody closes is over, and how long it is remembered."""

    idle_close: PositiveDuration = 30 * 60_000
    """Silence after which a conversation counts as closed (`inferred`)."""
    keep_after_close: Duration = 10 * 60_000
    """How long a closed conversation is kept for a rating or a late message."""
    keep_owed: Duration = 7 * 24 * 60 * 60_000
    """How long it is kept for an issue or promise still owed an answer, after the last moment of a clock."""
    reopen_window: PositiveDuration = 24 * 60 * 60_000
    """How soon after a close a customer must come back for the conversation to count as reopened."""
    url: str | None = Field(default=None, max_length=2048, pattern=r"^https?://[^\s]+$")
    """Where to open a conversation in your own desk, with `{conversation_id}` in it; alerts link to it."""


class ResponseMetric(StrEnum):
    """The definitions of response metrics: those of `stream.core.platforms`."""

    TMALL = "tmall_v1"
    JD = "jd_v1"
    DOUYIN = "douyin_v1"
    PDD = "pdd_v1"
    PLAIN = "plain"


class Metrics(_Section):
    """What is measured of each conversation when it is summed up."""

    definitions: Annotated[tuple[ResponseMetric, ...], NoDecode, BeforeValidator(listed)] = tuple(
        ResponseMetric
    )
    """Response metrics whose units a summary holds (docs/response-metrics.md): some 2 KiB a definition."""


class Settings(BaseSettings):
    """Everything Yanshao can be told. Every key has a default; an unknown key is an error."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    data_dir: Path = Path(".yanshao")
    """Store, snapshots, token and caches; made with mode 0700. `YANSHAO_DATA` sets it too."""
    zone: Zone = "+08:00"
    """Time zone of output and of calendars that name none: an offset or a name such as Asia/Shanghai."""
    packs: Names = (SHIPPED, "./packs")
    """Folders with packs, later ones override by rule id; `shipped` is what comes with the program."""
    disable: Names = ()
    """Ids of rules to leave out."""
    token: SecretStr | None = Field(default=None, min_length=16)
    """Bearer token of the HTTP door. Default: made on first use, kept in `token` of the data folder."""
    token_file: Path | None = None
    """File that holds the token."""
    token_env: str | None = None
    """Environment variable that holds the token."""
    listen: Listen = Listen()
    kafka: Kafka = Kafka()
    local: Local = Local()
    conversation: Conversation = Conversation()
    metrics: Metrics = Metrics()
    alerts: dict[str, Any] = Field(default_factory=dict)
    """Receivers and routes. Their secrets come by `*_env` and `*_file`."""

    _source: str = PrivateAttr(default=DEFAULT_FILE)
    _locate: Callable[[Where], str] | None = PrivateAttr(default=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing by itself: ``load`` says which environment and which file."""
        return (init_settings,)

    @property
    def tzinfo(self) -> tzinfo:
        """The time zone of output."""
        return zone_of(self.zone)

    @property
    def source(self) -> str:
        """The file this was read from; ``yanshao.yaml`` where there was none."""
        return self._source

    @property
    def worker_name(self) -> str:
        """The name this worker goes by, stable over restarts: from the settings, else the host's."""
        return self.kafka.worker_name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "worker"

    def locate(self, *path: str | int) -> str:
        """Return ``file:line`` of a key, for those who read a section of their own (``alerts``)."""
        return self._locate(path) if self._locate else self._source

    def resolve(self, path: Path | str) -> Path:
        """Return a path of the configuration; relative ones start at the configuration's folder."""
        return Path(self._source).parent / path
