"""What counts as personal data, and what its mask looks like."""

from __future__ import annotations

import time

import pytest

from stream.core.annotation import PersonalData
from stream.core.privacy import Kind, find_personal, is_bank_card, is_id_card, mask, mask_all


@pytest.mark.parametrize(
    ("text", "masked", "kind"),
    [
        ("电话13800138000谢谢", "电话138****8000谢谢", Kind.PHONE),
        ("+86 138-0013-8000", "138****8000", Kind.PHONE),
        ("008613800138000", "138****8000", Kind.PHONE),
        ("１３８ ００１３ ８０００", "138****8000", Kind.PHONE),
        ("1 3 8 0 0 1 3 8 0 0 0", "138****8000", Kind.PHONE),
        ("138\u200b0013\u200b8000", "138****8000", Kind.PHONE),
        ("010-62345678", "010****5678", Kind.PHONE),
        ("身份证11010519491231002X", "身份证110****2X", Kind.ID_CARD),
        ("110105 19491231 002x吧", "110****2X吧", Kind.ID_CARD),
        ("6222021234567890128 卡", "****0128 卡", Kind.BANK_CARD),
        ("4111 1111 1111 1111", "****1111", Kind.BANK_CARD),
        ("邮箱abc.d@qq.com。", "邮箱a***@***。", Kind.EMAIL),
        ("123456@qq.com", "***@***", Kind.EMAIL),
        ("订单号：1234567", "订单号：****67", Kind.ORDER),
        ("订单 294857362819", "订单 ****2819", Kind.ORDER),
        ("快递单号SF1234567890123", "快递单号****0123", Kind.ORDER),
        ("1234 5678 9012 3456", "****3456", Kind.ORDER),
        ("广东省深圳市南山区科技园路", "[地址]", Kind.ADDRESS),
        ("中山路123号3栋501室", "[地址]", Kind.ADDRESS),
        ("阳光花园3栋2单元501", "[地址]", Kind.ADDRESS),
        ("北京市朝阳区建国路88号SOHO现代城A座1203室", "[地址]", Kind.ADDRESS),
    ],
)
def test_personal_data_is_found_and_masked(text: str, masked: str, kind: Kind) -> None:
    found = find_personal(text)
    assert [data.kind for data in found] == [kind]
    assert mask(text, found) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "怎么还不发货",
        "买了10000块",
        "2026-11-11 20:00:03",
        "拨打12315",
        "400-888-1234",
        "4008881234",
        "199.00 299.00 3",
        "12345678",
        "福建省莆田市",
        "在路上了",
        "我也不知道这个小区",
        "138****8000",
        "到3号楼了",
        "@客服",
    ],
)
def test_near_misses_are_left_alone(text: str) -> None:
    assert find_personal(text) == ()


def test_neighbouring_numbers_are_told_apart() -> None:
    text = "13800138000 13900139000，x@qq.com 中山路5号"
    assert find_personal(text) == (
        PersonalData(Kind.PHONE, 0, 11),
        PersonalData(Kind.PHONE, 12, 23),
        PersonalData(Kind.EMAIL, 24, 32),
        PersonalData(Kind.ADDRESS, 33, 38),
    )


def test_the_check_digit_decides_what_an_id_card_is() -> None:
    assert is_id_card("11010519491231002X")
    assert not is_id_card("110105194912310021")
    assert not is_id_card("11010519491331002X")


def test_luhns_check_digit_decides_what_a_bank_card_is() -> None:
    assert is_bank_card("4111111111111111")
    assert not is_bank_card("4111111111111112")
    assert not is_bank_card("411111111111")


def test_lone_surrogates_do_no_harm() -> None:
    assert mask_all("\ud80013800138000中山路5号") == "\ud800138****8000[地址]"


@pytest.mark.parametrize(
    "text",
    [
        "1 " * 32_000,
        "1" * 65_536,
        "6 2 " * 16_000,
        "a@" * 30_000,
        "a" * 65_536,
        "a." * 32_000 + "@",
        "a@" + "a." * 32_000,
        "路1" * 16_000,
        "中山路123号" * 4_000,
        "13800138000 " * 5_000,
        "13800138000，" * 4_000,
        "北京市" * 7_000,
        "1栋" * 16_000,
        "1 - 2 - " * 8_000,
        "a@b.cc " * 9_000,
        "1****" * 12_000,
    ],
)
def test_hostile_text_is_searched_in_time(text: str) -> None:
    started = time.perf_counter()
    masked = mask_all(text)
    # About a tenth of it on a free core: the limit is there to catch anything worse than linear.
    assert time.perf_counter() - started < 0.5
    assert "13800138000" not in masked
