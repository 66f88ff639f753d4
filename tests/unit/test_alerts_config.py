"""The `alerts:` section: what is accepted, what each fault is called, and that secrets stay unseen."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.config import CONSOLE, AlertsConfig, AlertsConfigError, ReceiverConfig, Route, Secret, parse
from alerts.hours import Calendars, Hours
from alerts.model import Severity
from alerts.net import AllowPrivate
from alerts.retry import RetryPolicy

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENV = {"HOOK_SECRET": WEBHOOK_SECRET, "ROBOT_URL": "https://oapi.dingtalk.com/robot/send?access_token=T0KEN"}


def problems(text: str, **more: Any) -> list[str]:
    with pytest.raises(AlertsConfigError) as raised:
        parse(yaml.safe_load(text), source="yanshao.yaml", env=ENV, **more)
    assert str(raised.value) == "\n".join(raised.value.problems)
    return list(raised.value.problems)


@pytest.mark.parametrize("raw", [None, {}])
def test_without_configuration_the_console_hears_medium_and_above(raw: Any) -> None:
    config = parse(raw, source="yanshao.yaml", env={})
    assert config == AlertsConfig()
    assert dict(config.receivers) == {"console": CONSOLE}
    assert config.default_receivers == ("console",)
    assert config.minimum_severity is Severity.MEDIUM


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "robot.url").write_text("https://oapi.dingtalk.com/robot/send?access_token=T0KEN\n")
    (tmp_path / "robot.secret").write_text("SEC0\n")
    text = """
    receivers:
      ops-robot: {type: dingtalk, url_file: robot.url, secret_file: robot.secret}
      hook:
        type: webhook
        url: https://qa.example.com/hook
        secret_env: HOOK_SECRET
        timeout: 1.5s
        max_in_flight: 2
        allow_private: [10.0.0.0/8, Relay.local]
        retry: {first_delay: 2s, longest_delay: 1m, horizon: 6h, max_attempts: 9}
    routes:
      - match: {severity: [high, critical], shop_id: 1001, audience: supervisor}
        receivers: [ops-robot, hook]
        continue: true
      - {receivers: hook}
    default_receivers: [console]
    minimum_severity: low
    utc_offset: "-03:30"
    """
    config = parse(yaml.safe_load(text), source=str(tmp_path / "yanshao.yaml"), env=ENV)
    hook, robot = config.receivers["hook"], config.receivers["ops-robot"]
    assert hook == ReceiverConfig(
        name="hook",
        type=hook.type,
        url=Secret("https://qa.example.com/hook"),
        secrets=(Secret(WEBHOOK_SECRET),),
        timeout_s=1.5,
        max_in_flight=2,
        allow_private=AllowPrivate(hosts=frozenset({"relay.local"}), networks=hook.allow_private.networks),
        retry=RetryPolicy(base_ms=2000, cap_ms=60_000, horizon_ms=21_600_000, max_attempts=9),
    )
    assert list(map(str, hook.allow_private.networks)) == ["10.0.0.0/8"]
    assert robot.url is not None
    assert (robot.url.reveal()[-5:], [s.reveal() for s in robot.secrets]) == ("T0KEN", ["SEC0"])
    assert (robot.max_in_flight, robot.retry) == (1, RetryPolicy())
    assert config.routes == (
        Route(
            {"severity": ("high", "critical"), "shop_id": ("1001",), "audience": ("supervisor",)},
            ("ops-robot", "hook"),
            go_on=True,
        ),
        Route({}, ("hook",)),
    )
    assert config.minimum_severity is Severity.LOW
    assert config.zone == timezone(-timedelta(hours=3, minutes=30))
    assert set(config.receivers) == {"console", "hook", "ops-robot"}


def test_unknown_keys_are_refused_with_a_suggestion_all_at_once() -> None:
    assert problems(
        """
        receivers:
          ops: {type: dingtalk, url_env: ROBOT_URL, timout: 3}
          hook: {type: webhook, url: "https://x/y", retry: {horizn: 3}}
          bot: {type: wecom, url_env: MISSING}
        rotes: []
        routes: [{receivers: [ops], contine: true}]
        """
    ) == [
        "yanshao.yaml: alerts.rotes: unknown key; did you mean 'routes'?",
        "yanshao.yaml: alerts.receivers.ops.timout: unknown key; did you mean 'timeout'?",
        "yanshao.yaml: alerts.receivers.hook.retry.horizn: unknown key; did you mean 'horizon'?",
        "yanshao.yaml: alerts.receivers.bot.url_env: environment variable MISSING is not set",
        "yanshao.yaml: alerts.routes.0.contine: unknown key; did you mean 'continue'?",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[1]", "alerts: expected a mapping"),
        ("receivers: 3", "alerts.receivers: expected a mapping"),
        ("receivers: {a: 3}", "alerts.receivers.a: expected a mapping"),
        ("routes: 3", "alerts.routes: expected a list"),
        ("utc_offset: 8", "alerts.utc_offset: expected a string; put a number in quotes"),
        (
            "receivers: {a: {type: webhok}}",
            "alerts.receivers.a.type: Input should be 'console', 'dingtalk', 'feishu', 'webhook' or 'wecom'",
        ),
    ],
)
def test_wrong_shapes_are_named(text: str, fault: str) -> None:
    assert problems(text) == [f"yanshao.yaml: {fault}"]


def test_faults_of_meaning_are_told_all_at_once() -> None:
    assert problems(
        """
        receivers:
          a: {type: webhook}
          b: {type: webhook, url: "ftp://x", secret_env: ROBOT_URL}
          c: {type: wecom, url: "https://x/y", url_env: ROBOT_URL}
          d: {type: feishu, url_env: MISSING, allow_private: [a/b]}
          e: {type: wecom, url_env: ROBOT_URL, secret_env: HOOK_SECRET}
          f: {type: dingtalk, url_file: nowhere.txt}
          g: {type: console, url: "https://x"}
        routes:
          - {match: {severity: hig, audience: [managr, "department:仓库"]}, receivers: [hoook, a]}
        default_receivers: [consol]
        utc_offset: "8"
        """
    ) == [
        "yanshao.yaml: alerts.receivers.a: needs exactly one of url, url_env, url_file; has 0",
        "yanshao.yaml: alerts.receivers.b: a webhook secret is whsec_ and the base64 of 24 to 64 bytes",
        "yanshao.yaml: alerts.receivers.b.url: is not an http or https URL",
        "yanshao.yaml: alerts.receivers.c: needs exactly one of url, url_env, url_file; has 2",
        "yanshao.yaml: alerts.receivers.d.url_env: environment variable MISSING is not set",
        "yanshao.yaml: alerts.receivers.d.allow_private: 'a/b' is neither a host nor a network",
        "yanshao.yaml: alerts.receivers.e: wecom does not sign; remove its secret",
        "yanshao.yaml: alerts.receivers.f.url_file: cannot read nowhere.txt: FileNotFoundError",
        "yanshao.yaml: alerts.receivers.g.url: the console has no URL",
        "yanshao.yaml: alerts.routes.0.receivers: there is no receiver 'hoook'",
        "yanshao.yaml: alerts.routes.0.match.severity: 'hig' is no severity; did you mean 'high'?",
        "yanshao.yaml: alerts.routes.0.match.audience: 'managr' is no audience; did you mean 'manager'?",
        "yanshao.yaml: alerts.default_receivers: there is no receiver 'consol'; did you mean 'console'?",
        "yanshao.yaml: alerts.utc_offset: expected an offset such as +08:00",
    ]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("soon", "expected a duration such as 10s, 5m or 24h"),
        ("true", "expected a duration such as 10s, 5m or 24h"),
        ("0", "Input should be greater than 0"),
        ("99d", "Input should be less than or equal to 2592000"),
    ],
)
def test_durations_have_units_and_bounds(value: str, fault: str) -> None:
    text = f"receivers: {{h: {{type: webhook, url: 'https://x/y', timeout: {value}}}}}"
    assert problems(text) == [f"yanshao.yaml: alerts.receivers.h.timeout: {fault}"]


def test_a_secret_written_into_the_file_is_refused_without_showing_it() -> None:
    text = f"receivers: {{h: {{type: webhook, url: 'https://x/y', secret: {WEBHOOK_SECRET}}}}}"
    [problem] = problems(text)
    assert "unknown key; did you mean 'secret_env'?" in problem
    assert WEBHOOK_SECRET not in problem


def test_faults_carry_the_line_where_the_reader_knows_it() -> None:
    lines = {("routes", 0, "receivers"): "yanshao.yaml:7"}
    assert problems("routes: [{receivers: [nobody]}]", locate=lines.get) == [
        "yanshao.yaml:7: alerts.routes.0.receivers: there is no receiver 'nobody'"
    ]


def test_no_repr_shows_a_secret_or_a_url() -> None:
    text = "receivers: {h: {type: dingtalk, url_env: ROBOT_URL, secret_env: HOOK_SECRET}}"
    config = parse(yaml.safe_load(text), source="yanshao.yaml", env=ENV)
    for shown in (repr(config), str(config), f"{config.receivers['h'].url}"):
        assert "T0KEN" not in shown
        assert WEBHOOK_SECRET not in shown


class Anytime:
    def next_open(self, t_ms: int) -> int:
        return t_ms


CALENDARS: Calendars = {"office": Anytime(), "service": Anytime()}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("office", Hours("office", Severity.CRITICAL)),
        ("{calendar: service}", Hours("service", Severity.CRITICAL)),
        ("{calendar: office, except: high}", Hours("office", Severity.HIGH)),
        ("{calendar: office, except: none}", Hours("office", None)),
    ],
)
def test_a_route_names_its_hours_and_what_goes_past_them(written: str, expected: Hours) -> None:
    raw = yaml.safe_load(f"routes: [{{receivers: console, hours: {written}}}]")
    config = parse(raw, source="yanshao.yaml", env={}, calendars=lambda: CALENDARS)
    assert config.routes[0].hours == expected
    assert config.calendars is CALENDARS


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("offcie", ": there is no calendar 'offcie'; did you mean 'office'?"),
        ("{calendar: offcie}", ": there is no calendar 'offcie'; did you mean 'office'?"),
        ("7", ": expected the name of a calendar"),
        ("{}", ".calendar: Field required"),
        ("{calendar: office, exept: high}", ".exept: unknown key; did you mean 'except'?"),
        ("{calendar: office, except: }", ".except: expected a severity, or 'none'"),
        (
            "{calendar: office, except: hgh}",
            ".except: Input should be 'info', 'low', 'medium', 'high' or 'critical'",
        ),
    ],
)
def test_hours_that_cannot_be_are_named_with_their_place(written: str, fault: str) -> None:
    text = f"routes: [{{receivers: console, hours: {written}}}]"

    def locate(path: tuple[str | int, ...]) -> str | None:
        return "yanshao.yaml:9" if path[:3] == ("routes", 0, "hours") else None

    assert problems(text, calendars=lambda: CALENDARS, locate=locate) == [
        f"yanshao.yaml:9: alerts.routes.0.hours{fault}"
    ]


def test_calendars_are_read_only_where_a_route_asks_for_one() -> None:
    def refuse() -> Calendars:
        raise AssertionError

    raw = {"routes": [{"receivers": "console"}]}
    assert parse(raw, source="yanshao.yaml", env={}, calendars=refuse).calendars == {}
