"""Masks hide what they should, once and for all."""

from __future__ import annotations

import re
from datetime import date

from hypothesis import example, given
from hypothesis import strategies as st

from stream.core.joined import FEW
from stream.core.privacy import find_personal, find_personal_all, is_bank_card, is_id_card, mask, mask_all

GAPS = st.sampled_from(["", "", "", " ", "-", " - ", "\u3000", "－", "\u200b", "(", "_"])
WORDS = st.text("电话是我的，。 请号路ab", max_size=8)
PIECES = st.sampled_from(
    [
        "13800138000",
        "1380",
        "0138",
        "000",
        "11010519491231002X",
        "4111111111111111",
        "138001380005",
        "1",
        "12",
        "503",
        "7",
        "86",
        "+86",
        "010",
        "62345678",
        "*",
        "****",
        "***",
        "x@qq.com",
        "0@qq.com",
        "a@b.cn",
        ".com",
        "订单号",
        "单号",
        "路",
        "中山路",
        "5号",
        "3栋",
        "2单元",
        "501室",
        "号楼",
        "北京市",
        "朝阳区",
        "小区",
        "街",
        "村",
        "SF",
        "X",
        "x",
        "0",
        "a",
        " ",
        "-",
        ".",
        "，",
        "\u200b",
        "１３８",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40)


@st.composite
def spaced(draw: st.DrawFn, numbers: st.SearchStrategy[str]) -> tuple[str, str]:
    """A number, and a text that holds it with gaps between its digits."""
    number = draw(numbers)
    wide = draw(st.booleans())
    shown = number.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789"}) if wide else number
    text = shown[0] + "".join(draw(GAPS) + char for char in shown[1:])
    return number, draw(WORDS) + text + draw(WORDS)


def with_check(digits: str, valid: object) -> str:
    return next(digits + last for last in "0123456789X" if valid(digits + last))  # type: ignore[operator]


PHONES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
IDS = st.builds(
    lambda region, day, order: with_check(f"{region}{day:%Y%m%d}{order:03}", is_id_card),
    st.sampled_from(["110105", "440305", "320102"]),
    st.dates(min_value=date(1930, 1, 1), max_value=date(2020, 1, 1)),
    st.integers(0, 999),
)
CARDS = st.from_regex(r"62[0-9]{13,16}", fullmatch=True).map(lambda head: with_check(head, is_bank_card))


@given(spaced(st.one_of(PHONES, IDS, CARDS)))
def test_a_planted_number_never_survives_however_it_is_spaced(planted: tuple[str, str]) -> None:
    number, text = planted
    masked = mask_all(text)
    left = re.sub("[^0-9X]", "", masked.upper().translate({c: c - 0xFEE0 for c in range(0xFF10, 0xFF1A)}))
    assert number not in left


@given(st.text("0123456789", min_size=6, max_size=24), GAPS)
def test_a_named_order_number_never_survives(number: str, gap: str) -> None:
    text = "订单号：" + number[:3] + gap + number[3:] + "，谢谢"
    assert number not in re.sub("[^0-9]", "", mask_all(text))


@given(TEXTS)
@example("x@qq.com@b.com")
@example("138 0013 800 0@qq.com")
@example("138 0013 8000号楼502室")
@example("a@b.cn1234 5678901")
def test_masking_twice_changes_nothing(text: str) -> None:
    masked = mask_all(text)
    assert mask_all(masked) == masked


@given(TEXTS)
def test_spans_are_in_order_apart_and_inside(text: str) -> None:
    edge = 0
    for _, start, end in find_personal(text):
        assert edge <= start < end <= len(text)
        edge = end


@given(TEXTS)
def test_what_is_not_personal_stays(text: str) -> None:
    found = find_personal(text)
    kept, done = [], 0
    for _, start, end in found:
        kept.append(re.escape(text[done:start]))
        done = end
    pattern = "(?s:.{3,20})".join([*kept, re.escape(text[done:])])
    assert re.fullmatch(pattern, mask(text, found))


NUMERALS = st.sampled_from(["1", "２", "A", "Ｂ", "10"])
NUMBERED = NUMERALS | st.sampled_from(["三", "十二"])
ADDRESSES = st.one_of(
    st.tuples(
        st.sampled_from(["北京市朝阳区", "内蒙古自治区赤峰市", "江苏省南京市", "黑龙江省哈尔滨市"]),
        st.sampled_from(["人民路", "长安街", "世纪大道", "帽儿胡同", "张家村", "幸福小区", "国贸大厦"]),
    ),
    st.tuples(
        st.sampled_from(["中山路", "学院街", "人民大道", "三里巷", "帽儿胡同"]),
        NUMBERED,
        st.sampled_from("号弄"),
    ),
    st.tuples(NUMERALS, st.sampled_from(["号楼", "栋", "幢", "座"]), NUMBERED, st.sampled_from("室号户")),
    st.tuples(
        st.sampled_from(["阳光小区", "东方花园", "青年公寓", "和谐新村"]), NUMBERED, st.sampled_from("栋幢座")
    ),
).map("".join)


@given(ADDRESSES)
def test_every_address_is_looked_for_in_a_batch(address: str) -> None:
    found = find_personal(address)
    assert found
    assert find_personal_all([address] * FEW) == [found] * FEW
