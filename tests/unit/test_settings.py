"""The configuration: what wins, what is refused and where it says so, what is never shown."""

from __future__ import annotations

import os
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from stream import settings as configuration
from stream.core.limits import DEFAULT_LIMITS, Limits
from stream.runtime.knowledge import limits_of
from stream.settings import ConfigError, SecurityProtocol, Settings, load, reference
from stream.settings.values import duration_ms, duration_text

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def config(tmp_path):
    """Return a function that loads a configuration text with an environment."""

    def read(text: str, **env: str) -> Settings:
        path = tmp_path / "yanshao.yaml"
        path.write_text(text, "utf-8")
        return load(path, env=env)

    return read


def problems(read, text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, **env)
    return [problem.split("yanshao.yaml:")[-1] for problem in caught.value.problems]


def test_everything_has_a_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(env={})
    assert settings.model_dump() == Settings().model_dump()
    assert (settings.listen.host, settings.listen.port, settings.listen.metrics_port) == (
        "127.0.0.1",
        8750,
        8751,
    )
    assert settings.packs == ("shipped", "./packs")
    assert settings.kafka.timer_wait == 30_000
    assert settings.tzinfo.utcoffset(None) == timedelta(hours=8)


def test_settings_made_by_hand_do_not_read_the_environment(monkeypatch):
    monkeypatch.setenv("YANSHAO_KAFKA__APP_ID", "other")
    assert Settings().kafka.app_id == "yanshao"
    assert load(env=os.environ).kafka.app_id == "other"


def test_environment_wins_over_file_and_file_over_default(config):
    text = "kafka: {app_id: file, partitions: 4}"
    settings = config(text, YANSHAO_KAFKA__APP_ID="variable")
    assert (settings.kafka.app_id, settings.kafka.partitions, settings.kafka.poison_limit) == (
        "variable",
        4,
        100,
    )


def test_environment_reaches_every_level_and_takes_lists(config):
    settings = config(
        "",
        YANSHAO_DATA="/var/lib/yanshao",
        YANSHAO_PACKS="shipped, ./ours",
        YANSHAO_KAFKA__BOOTSTRAP="k1:9092,k2:9092",
        YANSHAO_KAFKA__BATCH__WAIT="5ms",
        YANSHAO_KAFKA__SSL_CHECK_HOSTNAME="false",
    )
    assert settings.data_dir == Path("/var/lib/yanshao")
    assert settings.packs == ("shipped", "./ours")
    assert settings.kafka.bootstrap == ("k1:9092", "k2:9092")
    assert settings.kafka.batch.wait == 5
    assert settings.kafka.ssl_check_hostname is False


def test_file_is_found_by_argument_then_variable_then_here(tmp_path, monkeypatch):
    for name in ("a", "b", "yanshao"):
        (tmp_path / f"{name}.yaml").write_text(f"kafka: {{app_id: {name}}}")
    monkeypatch.chdir(tmp_path)
    assert load("a.yaml", env={"YANSHAO_CONFIG": "b.yaml"}).kafka.app_id == "a"
    assert load(env={"YANSHAO_CONFIG": "b.yaml"}).kafka.app_id == "b"
    assert load(env={}).kafka.app_id == "yanshao"


def test_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "none.yaml", env={})


def test_all_faults_are_told_at_once_with_their_lines(config):
    text = "zone: Mars/Base\nkafka:\n  bootstap: x\n  timer_wait: 30\n  partitions: many\nlisten: 5\n"
    assert sorted(problems(config, text)) == [
        "1: zone: no time zone of that name; write +08:00 or Asia/Shanghai",
        "3: kafka.bootstap: unknown key; did you mean 'bootstrap'?",
        "4: kafka.timer_wait: expected a duration with its unit, such as 20ms, 30s, 10m, 2h, 1h30m",
        "5: kafka.partitions: input should be a valid integer, unable to parse string as an integer",
        "6: listen: expected keys with values",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("zone: '+08:00'\nzone: '+09:00'", "2: zone: the same key twice"),
        ("a: [1", "1: no YAML"),
        ("- 1", "1: expected keys with values"),
        ("zone: !!python/object:os.system x", "1: zone: a tag or a value that is not plain data"),
        ("1: &a {b: 1}\n? [x]\n: 1", "2: a key that is not a text"),
        ("zone: '+15:00'", "1: zone: no offset is larger than 14:00"),
    ],
)
def test_what_nobody_means_is_refused(config, text, told):
    assert any(problem.startswith(told) for problem in problems(config, text))


def test_aliases_cannot_make_a_small_file_enormous(config):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(8)
    )
    assert any("more than" in problem for problem in problems(config, bomb))


def test_fault_of_a_variable_names_the_variable(config):
    with pytest.raises(ConfigError) as caught:
        config("", YANSHAO_LISTEN__PORT="99999", YANSHAO_KAFKA__BOTSTRAP="x")
    assert sorted(caught.value.problems) == [
        "YANSHAO_KAFKA__BOTSTRAP: unknown key; did you mean 'bootstrap'?",
        "YANSHAO_LISTEN__PORT: input should be less than or equal to 65535",
    ]


def test_alerts_are_handed_on_untouched_with_their_lines(config):
    settings = config("zone: UTC\nalerts:\n  receivers:\n    night: {type: console}\n  rotues: []\n")
    assert settings.alerts == {"receivers": {"night": {"type": "console"}}, "rotues": []}
    assert settings.locate("alerts", "rotues") == f"{settings.source}:5"
    assert settings.locate("alerts", "receivers", "night", "url") == f"{settings.source}:4"
    assert "YANSHAO_ALERTS__X" in problems(config, "", YANSHAO_ALERTS__X="y")[0]


def test_secrets_come_from_file_or_variable_and_never_show(config, tmp_path):
    (tmp_path / "password").write_text("hunter-two\n")
    settings = config(
        "token_env: OUR_TOKEN\n"
        "kafka: {security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u,"
        " sasl_password_file: password}\n"
        "alerts: {receivers: {a: {type: webhook, url: 'https://x/?access_token=robot-secret'}}}",
        OUR_TOKEN="a-long-enough-token",
    )
    assert settings.kafka.sasl_password is not None
    assert settings.token is not None
    assert settings.kafka.sasl_password.get_secret_value() == "hunter-two"
    assert settings.token.get_secret_value() == "a-long-enough-token"
    for text in (configuration.show(settings), repr(settings), str(settings)):
        assert "hunter-two" not in text
        assert "a-long-enough-token" not in text
    assert "robot-secret" not in configuration.show(settings)


def test_secret_given_twice_or_not_to_be_had_is_a_fault(config):
    told = problems(
        config, "token: sixteen-letters-x\ntoken_env: T\nkafka:\n  sasl_password_file: none\n", T="y" * 20
    )
    assert told == [
        "1: token: give only one of token, token_env",
        "4: kafka.sasl_password_file: cannot read none: FileNotFoundError",
    ]


def test_no_fault_quotes_a_secret(config):
    with pytest.raises(ConfigError) as caught:
        config("token: short-one\nkafka: {sasl_password: [very-secret]}")
    assert "short-one" not in str(caught.value)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("heartbeat_interval: 5s", "must be at most a third of session_timeout"),
        ("security_protocol: SASL_SSL", "SASL needs sasl_mechanism, sasl_username and sasl_password"),
        ("sasl_mechanism: PLAIN", "has no effect unless security_protocol is a SASL one"),
        ("ssl_keyfile: key.pem", "needs ssl_certfile"),
        ("replication_factor: 1\n  min_insync_replicas: 2", "nothing could be written"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(config, text, told):
    assert told in "".join(problems(config, f"kafka:\n  {text}\n"))


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("20ms", 20),
        ("30s", 30_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("1h30m", 5_400_000),
        ("1.5s", 1500),
    ],
)
def test_durations_are_milliseconds(text, ms):
    assert duration_ms(text) == ms
    assert duration_ms(duration_text(ms)) == ms


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "5 minutes", "5s3", "1e3s", "५s", "nan"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="expected a duration"):
        duration_ms(text)


def test_zone_may_be_a_name(config):
    assert config("zone: Asia/Shanghai").tzinfo.utcoffset(None) is None  # it depends on the day
    assert str(config("zone: Asia/Shanghai").tzinfo) == "Asia/Shanghai"
    assert config("zone: '-03:30'").tzinfo.utcoffset(None) == -timedelta(hours=3, minutes=30)


def test_shown_configuration_reads_back_the_same(config):
    text = "zone: UTC\nkafka: {bootstrap: [a:1, b:2], timer_wait: 90s, batch: {wait: 5ms}}\ndisable: [x.y]"
    settings = config(text)
    assert config(configuration.show(settings)).model_dump() == settings.model_dump()


def test_data_folder_is_its_owners_alone(tmp_path):
    settings = Settings(data_dir=tmp_path / "deep" / "data")
    path = configuration.ensure_data_dir(settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert configuration.ensure_data_dir(settings) == path


def test_token_is_made_once_for_its_owner_alone(tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(configuration.ensure_token(settings))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) >= 32
    assert stat.S_IMODE((tmp_path / "data" / "token").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["token"]


def test_configured_token_makes_no_file(config, tmp_path):
    settings = config(f"data_dir: {tmp_path}/data\ntoken: sixteen-letters-x")
    assert configuration.ensure_token(settings) == "sixteen-letters-x"
    assert not (tmp_path / "data").exists()


def test_worker_has_a_stable_name(config):
    assert config("kafka: {worker_name: w-1}").worker_name == "w-1"
    assert config("").worker_name == config("").worker_name != ""


def test_paths_start_at_the_configuration(config, tmp_path):
    assert config("").resolve("ca.pem") == tmp_path / "ca.pem"
    assert config("").resolve("/etc/ca.pem") == Path("/etc/ca.pem")
    kafka = config("kafka: {ssl_cafile: ca.pem, ssl_certfile: /etc/c.pem}").kafka
    assert (kafka.ssl_cafile, kafka.ssl_certfile) == (tmp_path / "ca.pem", Path("/etc/c.pem"))


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Settings().zone = "UTC"


def test_reference_is_as_the_classes_say():
    """Run `make docs` where this fails."""
    assert (DOCS / "configuration.md").read_text("utf-8") == reference.markdown()


def test_every_setting_says_what_it_is_for():
    rows = [line for line in reference.markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if not row.rstrip(" |").split("|")[-1].strip()] == []


def test_example_of_the_reference_is_valid(tmp_path):
    text = reference.markdown().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "kafka-password").write_text("x")
    path = tmp_path / "yanshao.yaml"
    path.write_text(text)
    settings = load(path, env={})
    assert settings.kafka.security_protocol is SecurityProtocol.SASL_SSL
    assert settings.alerts == yaml.safe_load(text)["alerts"]


def test_all_response_metrics_are_measured_unless_fewer_are_named(config):
    assert limits_of(config("")) == DEFAULT_LIMITS
    times = "{idle_close: 1m, keep_after_close: 2m, keep_owed: 3m, reopen_window: 4m}"
    assert limits_of(config(f"conversation: {times}")) == Limits(
        60_000, 120_000, issue_keep_ms=180_000, reopen_ms=240_000
    )
    assert limits_of(config("metrics: {definitions: [plain, jd_v1]}")).definitions == ("plain", "jd_v1")
    assert limits_of(config("", YANSHAO_METRICS__DEFINITIONS="pdd_v1")).definitions == ("pdd_v1",)


def test_an_unknown_response_metric_is_told_with_those_there_are(config):
    (told,) = problems(config, "metrics:\n  definitions: [plain, tmall]\n")
    assert told.startswith("2: metrics.definitions.1")
    assert "tmall_v1" in told
