"""`yanshao packs`, `rules` and `config`, run as a person would run them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stream.cli import main

Run = Callable[..., Result]

PACK = """\
pack: service.parking
version: {version}
title: 停车
terms:
  parking: [{terms}]
rules:
  - id: service.parking.asked
    title: 问停车
    severity: {severity}
    role: customer
    when: {{any: parking}}
    why: 客户问「{{evidence}}」。
tests:
  - rule: service.parking.asked
    hit: [{hit}]
    miss: [你好]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YANSHAO_CONFIG", raising=False)

    def invoke(*arguments: str, **options: str) -> Result:
        return CliRunner().invoke(main, arguments, catch_exceptions=False, input=options.get("input"))

    return invoke


def _pack(
    folder: Path, *, version: int = 1, terms: str = "停车", severity: str = "low", hit: str = "能停车吗"
) -> str:
    path = folder / "service" / "parking.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PACK.format(version=version, terms=terms, severity=severity, hit=hit), encoding="utf-8")
    return str(folder)


def test_shipped_packs_pass_their_own_check(run: Run) -> None:
    result = run("packs", "check", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["ok"]) == (0, True), document["problems"]
    assert document["rules"] > 0
    assert document["tests"] > document["rules"]


def test_check_tells_a_failing_test_with_its_place(run: Run, tmp_path: Path) -> None:
    folder = _pack(tmp_path / "mine", hit="今天天气好")
    result = run("packs", "check", folder, "--only")
    assert result.exit_code == 1
    assert "parking.yaml:15:11: service.parking.asked does not fire on '今天天气好'" in result.stdout


def test_check_tells_every_fault_of_a_file(run: Run, tmp_path: Path) -> None:
    folder = _pack(tmp_path / "mine", severity="lwo")
    result = run("packs", "check", folder, "--only", "--json")
    assert result.exit_code == 1
    problem = json.loads(result.stdout)["problems"][0]
    assert (problem["line"], problem["severity"]) == (9, "error")
    assert "'low'" in problem["message"]


def test_show_lists_the_inferred_moment(run: Run) -> None:
    result = run("packs", "show", "script.greeting", "--json")
    moments = {rule["id"]: rule["on"] for rule in json.loads(result.stdout)["rules"]}
    assert moments["script.greeting.missing"] == "close"


def test_show_of_one_rule_tells_its_condition_and_place(run: Run, tmp_path: Path) -> None:
    folder = _pack(tmp_path / "mine")
    result = run("packs", "show", "service.parking.asked", "--packs", folder)
    assert result.exit_code == 0
    assert "{any: parking}" in result.stdout
    assert "service/parking.yaml:7" in result.stdout


def test_show_of_an_unknown_id_suggests_one(run: Run) -> None:
    result = run("packs", "show", "emotion.angr")
    assert result.exit_code == 2
    assert "did you mean 'emotion.anger" in result.stderr


def test_diff_of_a_directory_with_itself_is_empty(run: Run) -> None:
    result = run("packs", "diff", "shipped", "shipped")
    assert (result.exit_code, result.stdout) == (0, "no difference\n")


def test_diff_tells_changes_by_rule_and_term(run: Run, tmp_path: Path) -> None:
    old = _pack(tmp_path / "old", terms="停车, {term: 车位, variants: [车库]}")
    new = _pack(
        tmp_path / "new", version=2, severity="high", terms="停车, {term: 车位, variants: [车棚]}, 泊车"
    )
    result = run("packs", "diff", old, new)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "~ pack service.parking",
        "    version: 1 -> 2",
        "~ rule service.parking.asked",
        "    severity: low -> high",
        "~ terms service.parking.parking",
        "    + 泊车",
        "    ~ 车位: - variant 车库, + variant 车棚",
    ]


def test_rules_test_runs_the_chosen_ones(run: Run, tmp_path: Path) -> None:
    folder = _pack(tmp_path / "mine")
    result = run("rules", "test", "service.parking", "--packs", folder)
    assert (result.exit_code, result.stdout) == (0, "2 tests of 1 rules, 0 failed\n")


def test_rules_test_fails_with_the_place_of_the_test(run: Run, tmp_path: Path) -> None:
    folder = _pack(tmp_path / "mine", hit="今天天气好")
    result = run("rules", "test", "service.parking.asked", "--packs", folder, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["ok"], len(document["failures"])) == (1, False, 1)


def test_rules_test_of_an_unknown_rule_is_wrong_use(run: Run) -> None:
    assert run("rules", "test", "no.such.rule").exit_code == 2


def test_explain_says_at_which_message_and_why(run: Run, tmp_path: Path) -> None:
    folder = _pack(tmp_path / "mine")
    dialogue = (
        "customer: 你好\nagent: 您好，附近可以停车\n+60s\n"
        "customer: 停车收费吗，电话13812345678\ncustomer: 停车场大吗\n"
    )
    result = run(
        "rules", "explain", "service.parking.asked", "-", "--packs", folder, "--json", input=dialogue
    )
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert [moment["verdict"] for moment in told["moments"]] == [
        "the condition does not hold",
        "not looked at: the rule is about customer",
        "FIRES",
        "holds, but it has fired before: once only",
    ]
    assert told["fired"] == 1
    assert told["moments"][2]["operators"] == [
        {"written": "any: parking", "holds": True, "terms": ["停车"], "amount": 1, "score": None}
    ]
    assert "13812345678" not in result.stdout


def test_explain_reads_recorded_events_and_the_close(run: Run, tmp_path: Path) -> None:
    events = [
        {
            "type": "message",
            "conversation_id": "c-1",
            "message_id": f"m-{number}",
            "sent_at": 1_794_358_800_000 + number * 1000,
            "sender": {"role": role},
            "content": {"text": text},
        }
        for number, (role, text) in enumerate(
            [("customer", "在吗"), ("agent", "什么事"), ("customer", "没事")]
        )
    ]
    path = tmp_path / "chat.jsonl"
    path.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    result = run("rules", "explain", "script.greeting.missing", str(path))
    assert result.exit_code == 0
    assert "FIRES: the conversation closed" in result.stdout
    assert "fired once" in result.stdout


def test_explain_asks_which_of_several_conversations(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    lines = [
        {"type": "conversation.opened", "conversation_id": name, "at": 1_794_358_800_000}
        for name in ("c-1", "c-2")
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    result = run("rules", "explain", "emotion.anger.explicit", str(path))
    assert result.exit_code == 2
    assert "--conversation" in result.stderr
    chosen = run("rules", "explain", "emotion.anger.explicit", str(path), "--conversation", "c-2", "--json")
    assert json.loads(chosen.stdout)["conversation_id"] == "c-2"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.gz", gzip.compress(b"customer: \xe4\xbd\xa0\xe5\xa5\xbd" * 99)[:-12]),
        ("damaged.gz", gzip.compress(b"x")[:10] + b"\xff\xff\xff\xff"),
        ("other.gz", b"no gzip at all"),
        ("other.zst", b"no Zstandard at all"),
    ],
    ids=["cut", "damaged", "not gzip", "not Zstandard"],
)
@pytest.mark.parametrize(
    "command",
    [
        ("rules", "explain", "emotion.anger.explicit", "{}"),
        ("send", "{}", "--to", "http", "--url", "http://127.0.0.1:1/"),
        ("replay", "{}", "--out", "out"),
    ],
    ids=lambda words: words[0],
)
def test_damaged_recording_is_bad_input_and_no_crash(
    run: Run, tmp_path: Path, name: str, content: bytes, command: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(content)
    result = run(*(word.format(name) for word in command))
    assert result.exit_code == 2
    assert result.stderr.strip()


def test_explain_tells_a_faulty_dialogue_line(run: Run) -> None:
    result = run("rules", "explain", "emotion.anger.explicit", "-", input="custmer: 气死了\n")
    assert result.exit_code == 2
    assert "did you mean 'customer'?" in result.stderr


def test_config_show_masks_secrets(run: Run, tmp_path: Path) -> None:
    secret = "a-secret-of-some-length"
    (tmp_path / "yanshao.yaml").write_text(f"token: {secret}\nzone: Asia/Shanghai\n", encoding="utf-8")
    for extra in ([], ["--json"]):
        result = run("config", "show", *extra)
        assert result.exit_code == 0
        assert secret not in result.output
        assert "Asia/Shanghai" in result.stdout


PROMISE = """\
pack: promise.shop
version: 1
title: 承诺
promises:
  - {id: promise.shop.ship, title: 发货, kind: ship, say: [包您今天发出], within: 10m}
tests:
  - {rule: promise.shop.ship, hit: [明天再说], miss: [好的]}
"""


def test_check_reads_calendars_and_plays_the_tests_of_promises(run: Run, tmp_path: Path) -> None:
    calendar = "pack: calendar.shop\nversion: 1\ntitle: 店铺\nzone: Mars/Base\nhours: always\n"
    for name, text in (("calendar/shop.yaml", calendar), ("promise/shop.yaml", PROMISE)):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def errors() -> str:
        document = json.loads(run("packs", "check", str(tmp_path / "mine"), "--json").stdout)
        wrong = [one for one in document["problems"] if one["severity"] == "error"]
        return json.dumps(wrong, ensure_ascii=False)

    assert "unknown time zone 'Mars/Base'" in errors()
    (tmp_path / "mine" / "calendar" / "shop.yaml").unlink()
    assert "明天再说" in errors()
