"""Promises: what is one, who owes it, until when; and the files that say so."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stream.core.calendars import Calendar, Span
from stream.core.deadlines import OnDay, WorkingDays, due, find_deadlines
from stream.core.promises import Promises, Vocabulary
from stream.core.said import Act, Kind, Said
from stream.models import build_annotator, normaliser
from stream.packs import PackError
from stream.packs.promises import load_promises, read_promises, run_cases

SHANGHAI = ZoneInfo("Asia/Shanghai")
WORKDAY = (Span(540, 1080),)
OFFICE = Calendar("office", SHANGHAI, (WORKDAY,) * 5 + ((), ()))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_promises().vocabulary


@pytest.fixture(scope="module")
def promises(vocabulary: Vocabulary) -> Promises:
    return vocabulary.build(normaliser().text)


def told(said: tuple[Said, ...]) -> list[tuple[str, str, str]]:
    return [(one.act.value, one.kind.value, one.by) for one in said]


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


def until(text: str, said_at: str = "2026-06-03 10:00") -> str:
    """When what is said on a Wednesday at ten has to be done."""
    (time,) = find_deadlines(normaliser().text(text))
    moment = due(time.deadline, at(said_at), OFFICE)
    return datetime.fromtimestamp(moment / 1000, SHANGHAI).strftime("%m-%d %H:%M")


def test_the_shipped_files_are_sound_and_pass_their_own_tests(promises: Promises):
    packs, problems = read_promises()
    assert problems == []
    assert [str(problem) for problem in run_cases(packs, promises, normaliser())] == []
    assert len(packs.cases) >= 100


# Times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24小时内", "06-04 10:00"),
        ("２４Ｈ内", "06-04 10:00"),
        ("一个半小时", "06-03 11:30"),
        ("半小时内", "06-03 10:30"),
        ("2-3分钟", "06-03 10:03"),
        ("两三分钟", "06-03 10:03"),
        ("十几分钟", "06-03 10:19"),
        ("今天", "06-04 00:00"),
        ("今天下午", "06-03 18:00"),
        ("今晚八点前", "06-03 20:00"),
        ("三点前", "06-03 15:00"),
        ("9点前", "06-03 21:00"),
        ("15:30前", "06-03 15:30"),
        ("下班前", "06-03 18:00"),
        ("明天中午12点前", "06-04 12:00"),
        ("明早10点之前", "06-04 10:00"),
        ("明天三点前", "06-04 15:00"),
        ("次日14:00前", "06-04 14:00"),
        ("一到三天", "06-07 00:00"),
        ("三个工作日内", "06-08 18:00"),
        ("1—3个工作日", "06-08 18:00"),
        ("周五前", "06-06 00:00"),
        ("周三前", "06-04 00:00"),
        ("下周三上午", "06-10 12:00"),
        ("本周内", "06-08 00:00"),
        ("12号前", "06-13 00:00"),
        ("1号前", "07-02 00:00"),
        ("11月12日", "11-13 00:00"),
        ("月底前", "07-01 00:00"),
    ],
)
def test_a_time_ends_at_the_later_of_its_readings(text: str, moment: str):
    assert until(text) == moment


@pytest.mark.parametrize(
    "text", ["便宜一点点", "双11", "12315", "时间", "分享", "", "周末愉快", "100%", "第一时间"]
)
def test_what_names_no_time_is_none(text: str):
    assert find_deadlines(text) == ()


def test_a_time_of_today_that_is_over_is_the_next_such_time():
    assert until("今天下午三点前", "2026-06-03 16:00") == "06-04 15:00"
    assert until("三点前", "2026-06-03 16:00") == "06-04 15:00"
    assert until("下班前", "2026-06-05 18:30") == "06-08 18:00"


def test_times_stand_where_they_are_said():
    text = "您好,24小时内或者三个工作日内"
    assert [(text[start:end], deadline) for start, end, deadline in find_deadlines(text)][1] == (
        "三个工作日",
        WorkingDays(3),
    )


# Promises ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples that the clocks were asked for with.
        ("稍等", [("made", "reply", "agent")]),
        ("马上查", [("made", "check", "agent")]),
        ("今天发货", [("made", "ship", "agent")]),
        ("24小时内回复您", [("made", "reply", "agent")]),
        ("明天给您回电话", [("made", "call_back", "agent")]),
        ("三个工作日内退款", [("made", "refund", "agent")]),
        ("我们尽快处理", [("made", "handle", "agent")]),
        # Who owes it.
        ("商家会在48小时内回复您", [("made", "reply", "merchant")]),
        ("仓库今天发货", [("made", "ship", "warehouse")]),
        ("专员2小时内给您回电", [("made", "call_back", "specialist")]),
        # One message, one promise of a kind, and each only once.
        ("请您稍等，马上为您查询", [("made", "check", "agent")]),
        ("您稍等，今天给您发货", [("made", "reply", "agent"), ("made", "ship", "agent")]),
        ("尽快给您回电，24小时内给您回电", [("made", "call_back", "agent")]),
        ("24小时内专员回电处理", [("made", "call_back", "specialist")]),
        # A time of its own clause counts for its neighbour.
        ("三个工作日内，给您退款", [("made", "refund", "agent")]),
        # Consent asked for with a tag is a promise; a question is none.
        ("明天给您回电可以吗", [("made", "call_back", "agent")]),
        ("今天给您发货吗", []),
        ("您是要今天发货吗？", []),
        # Denied, done, taken back.
        ("不用稍等", []),
        ("不好意思，马上给您查", [("made", "check", "agent")]),
        ("已经发货了", [("done", "ship", "agent")]),
        ("昨天给您发货了", [("done", "ship", "agent")]),
        ("已经登记，今天会发货", [("made", "ship", "agent")]),
        ("没法今天发货", [("withdrawn", "ship", "agent")]),
        ("今天发不了了", [("withdrawn", "ship", "agent")]),
        # Nothing is owed yet, or by anybody here.
        ("您付款后24小时内发货", []),
        ("如果您需要，我们今天发货", []),
        ("一般24小时内发货", []),
        ("麻烦您提供订单号，这边帮您查询", []),
        ("麻烦您提供手机号，专员2小时内回电", [("made", "call_back", "specialist")]),
        ("您可以在订单里查看", []),
        ("有什么可以帮您查询的吗", []),
        ("这边查看您已经退款了", [("done", "refund", "agent")]),
    ],
)
def test_what_is_a_promise(promises: Promises, text: str, expected: list[tuple[str, str, str]]):
    assert told(promises.find(normaliser().text(text))) == expected


def test_what_a_customer_says_is_no_promise_of_ours(vocabulary: Vocabulary):
    text = "能今天发货吗，稍等我找下订单"
    annotator = build_annotator((), promises=vocabulary)
    assert annotator.annotate_one(text, wants_scores=True).said == ()
    assert [one.kind for one in annotator.annotate_one(text, wants_scores=False).said] == [Kind.REPLY]


def test_offsets_are_those_of_the_original_text(vocabulary: Vocabulary):
    annotator = build_annotator((), promises=vocabulary)
    annotation = annotator.annotate_one("亲😊２４小時內給您回覆哦", wants_scores=False)
    (said,) = annotation.said
    assert annotation.text[said.start : said.end] == "２４小時內給您回覆"


def test_a_promise_without_a_time_has_the_pack_s_and_says_so(promises: Promises):
    (said,) = promises.find("马上给您发货")
    assert (said.kind, said.vague) == (Kind.SHIP, True)
    (said,) = promises.find("今天给您发货")
    assert (said.act, said.deadline, said.vague) == (Act.MADE, OnDay(0), False)


def test_a_long_text_is_read_in_linear_time(promises: Promises):
    text = "今天发货,24小时内回复您,如果不行," * 2_000
    assert len(promises.find(text)) < 10


# Files -------------------------------------------------------------------------------------------

GOOD = """\
pack: promise.shop
version: 1
title: 店铺
soon:
  - {say: [马上], within: 10m}
parties:
  - {id: warehouse, say: [仓库]}
promises:
  - id: promise.shop.ship
    title: 发货
    kind: ship
    within: 2 working days
    needs: [time, soon]
    do: [发货, {term: 发出, not_in: [发出商品]}]
tests:
  - rule: promise.shop.ship
    hit: [马上发货]
    miss: [发货]
times:
  - {say: 马上发货, at: '2026-06-03T10:00+08:00', until: '2026-06-03T10:10+08:00'}
"""


def write(root: Path, text: str = GOOD) -> Path:
    file = root / "promise" / "shop.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return root


def messages(root: Path) -> list[str]:
    packs, problems = read_promises([root])
    found = [*problems, *run_cases(packs, packs.build(normaliser()), normaliser())]
    return [str(problem).partition("/promise/")[2] for problem in found]


def test_a_file_becomes_pledges(tmp_path: Path):
    assert messages(write(tmp_path)) == []
    (pledge,) = load_promises([tmp_path]).pledges
    assert (pledge.kind, pledge.within, pledge.pack_version) == (Kind.SHIP, WorkingDays(2), "promise.shop@1")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: ship", "kind: shp", "11:11: kind: expected one of reply, check, ship"),
        ("2 working days", "2 workdays", "12:13: within: expected a duration such as 30s"),
        (
            "[time, soon]",
            "[tim]",
            "13:13: needs: expected one of time, soon, will, us, party, with, got 'tim'; did you mean",
        ),
        ("    needs: [time, soon]\n", "", "9:5: promise: 'do' and 'needs' go together"),
        ("发出商品", "出发", "14:14: not_in: '出发' does not contain '发出'"),
        ("[发货, {", "[发货, 发货, {", "14:14: '发货' stands in the list twice"),
        (
            "promise.shop.ship\n    title",
            "promise.x\n    title",
            "9:9: id: 'promise.x' must be 'promise.shop.' and a name",
        ),
        (
            "rule: promise.shop.ship",
            "rule: promise.shop.shp",
            "16:11: unknown promise 'promise.shop.shp'; did you mean",
        ),
        ("    miss: [发货]\n", "", "9:3: promise.shop.ship: at least one 'hit' and one 'miss' are needed"),
        ("hit: [马上发货]", "hit: [发货]", "17:11: '发货': expected promise.shop.ship made, got nothing"),
        ("miss: [发货]", "miss: [马上发货]", "18:12: '马上发货': promise.shop.ship is made"),
        (
            "10:10+08:00",
            "10:11+08:00",
            "20:11: '马上发货' is due at 2026-06-03 10:10:00+08:00, expected 2026-06-03 10:11",
        ),
        ("10:10+08:00", "10:10", "20:54: until: expected a time with its offset"),
        ("parties:", "partys:", "6:1: pack: unknown key 'partys'; did you mean 'parties'?"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str):
    assert old in GOOD
    found = messages(write(tmp_path, GOOD.replace(old, new, 1)))
    assert any(line.startswith(f"shop.yaml:{message}") for line in found), found


def test_every_fault_is_raised_at_once(tmp_path: Path):
    write(tmp_path, GOOD.replace("kind: ship", "kind: x").replace("within: 10m", "within: y"))
    with pytest.raises(PackError) as caught:
        load_promises([tmp_path])
    assert {problem.line for problem in caught.value.problems} >= {5, 11}


def test_a_later_directory_replaces_a_file_and_adds_others(tmp_path: Path):
    packs = load_promises(["shipped", write(tmp_path)])
    assert {"promise.shop.ship", "promise.service.ship"} <= {pledge.id for pledge in packs.pledges}
