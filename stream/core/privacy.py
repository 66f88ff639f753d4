"""Personal data in a text: where it stands, and the text with it masked.

Works on the original text, in three steps, each blanking what it explained: e-mail addresses; numbers
(phone, ID card, bank card, order), by the digits alone, however they are spaced; postal addresses.
Most texts hold none of the characters that any of it needs, which one look at a whole batch tells.

What a mask leaves of a number (``138****8000``) is known and never read as part of another number, so
masking twice changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from enum import StrEnum
from string import ascii_letters
from typing import Final, NamedTuple

import numpy as np
import re2

from stream.core.annotation import PersonalData
from stream.core.joined import FEW, Joined, Marks, Texts


class Kind(StrEnum):
    """Kinds of personal data."""

    PHONE = "phone"
    ID_CARD = "id_card"
    BANK_CARD = "bank_card"
    EMAIL = "email"
    ADDRESS = "address"
    ORDER = "order"


STARS: Final = "****"
"""Stands for hidden digits, four whatever their number: the mask tells no length."""

ADDRESS_MASK: Final = "[地址]"

MIN_ORDER: Final = 10
"""Digits in one piece from which a number nothing else explains is taken for an order or parcel number:
prices, dates and hotlines are shorter."""

MIN_NAMED_ORDER: Final = 6
"""The same where the words before it say that it is one (订单号：123456)."""

MIN_SPACED: Final = 16
"""The same for groups of four or more digits with spaces between (a card number with a typing error)."""

MAX_DIGITS: Final = 19
"""The longest number looked for across spaces, a bank card."""

MAX_GROUP: Final = 256
MAX_EXAMINED: Final = 2_000
"""Characters of one group of digits, and of all groups of a text, that are examined. What is beyond is no
chat message and is hidden as it stands: hostile texts cost linear time and leak nothing."""

_BLANK: Final = "\0"
"""Takes the place of what is explained: nothing matches it."""

_HALF: Final[dict[int, int | str]] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | dict.fromkeys(
    range(0xD800, 0xE000), _BLANK
)
"""Full-width forms to ASCII, one for one; lone surrogates, which RE2 refuses, to blanks."""


def _wide(ascii_chars: str) -> str:
    """Return the full-width forms of ASCII characters."""
    return "".join([chr(ord(char) + 0xFEE0) for char in ascii_chars])


_DIGITS: Final = "0123456789０１２３４５６７８９"
_AT: Final = "@＠"
_DIGIT_OR_AT: Final = re.compile(f"[{_DIGITS}{_AT}]").search
_PLACE: Final = re.compile("[路街道巷弄胡栋幢座楼区园寓村镇乡厦]").search

_WIDE: Final = re.compile("[\uff02-\uff0b\uff0d-\uff1a\uff1c-\uff1e\uff20-\uff5e\ud800-\udfff]").search
"""Full-width forms but the exclamation mark, comma, semicolon and question mark: nothing below asks for
those, and they stand in half of all messages."""


_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+\-]+(@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,})?")
"""Takes every word, and its domain where there is one: no word is read twice, so this is linear on any
engine, and the standard one is five times as fast on many short matches."""

_GAP: Final = (
    "[ \\t\\xa0\\u3000\\-\\u2010-\\u2015\\u2212._\\xb7()（）\\xad\\u200b-\\u200f\\u2060\\ufeff]{0,3}"
)
"""What people, and those who want to get past a filter, put between the digits of one number."""

_GROUP: Final = re.compile(rf"[0-9](?:{_GAP}[0-9]){{{MIN_NAMED_ORDER - 1},}}")
"""Digits near one another, at least as many as any number has. Gap and digit have no character in
common, so this cannot backtrack far; the standard engine is then the faster one."""

_REMNANT: Final = re.compile(r"(?<=\*{4})[0-9]{1,4}(?![0-9])|(?<![0-9])[0-9]{1,4}(?=\*{4})")
"""What a mask leaves of a number."""

_RUN: Final = re.compile("[0-9]+")
_CHECK_X: Final = re.compile(rf"{_GAP}[xX]")
_ORDER_WORD: Final = re.compile(r"(?:订单|单号|运单|流水号|编号)[号编码是为:#\s]{0,4}$")

_MOBILE: Final = re.compile(r"(?:(?:00)?86)?1[3-9][0-9]{9}")
_LANDLINE: Final = re.compile(r"0(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}")
_HOTLINE: Final = re.compile(r"[48]00[0-9]{7}")
_ID: Final = re.compile(r"[1-8][0-9]{5}((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]")
_CARD: Final = re.compile(r"[34569][0-9]{14,18}")

_PROVINCES: Final = (
    "北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|"
    "陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_CHINESE_NUMERALS: Final = "一二三四五六七八九十百"
_NUMERAL: Final = f"[0-9A-Za-z{_CHINESE_NUMERALS}]{{1,6}}"
_ADDRESS: Final = re2.compile(
    # province, districts and a street or place; street and number; building and room; estate and building
    rf"(?:(?:{_PROVINCES})(?:省|市|自治区|特别行政区)?(?:\p{{Han}}{{1,6}}?(?:市|区|县|州|旗|盟)){{1,3}}"
    r"\p{Han}{1,8}?(?:路|街|大道|巷|弄|胡同|村|镇|乡|小区|花园|大厦)"
    rf"|\p{{Han}}{{1,6}}?(?:路|街|大道|巷|弄|胡同){_NUMERAL}(?:号|弄)"
    rf"|\b{_NUMERAL}(?:号楼|栋|幢|座)(?:{_NUMERAL}单元)?(?:{_NUMERAL}[层楼])?{_NUMERAL}[室号户]"
    rf"|\p{{Han}}{{2,6}}?(?:小区|花园|公寓|家园|新村){_NUMERAL}(?:号楼|栋|幢|座))"
    rf"(?:[\p{{Han}}A-Za-z]{{0,10}}?{_NUMERAL}(?:号院|号楼|号|栋|幢|座|单元|层|楼|室|户))*(?:[0-9]{{3,4}}\b)?"
)
"""A town alone is no address. A number belongs to it whole or not at all, so that what is left cannot be
read together with other digits."""


_NUMBERED: Final = _DIGITS + ascii_letters + _wide(ascii_letters) + _CHINESE_NUMERALS
_ADDRESS_MARKS: Final = (
    [road + number for road in "路街道巷弄同" for number in _NUMBERED],
    [number + building for number in _NUMBERED for building in "栋幢座"],
    ["号楼"],
    [province[:2] for province in _PROVINCES.split("|")],
)
"""Pairs of characters of which every address has one: number of a street, of a building, or a province."""

_MARKS: Final = Marks(
    [(1, _DIGITS), (2, _AT), *((4 << kind, pairs) for kind, pairs in enumerate(_ADDRESS_MARKS))], np.uint8
)
_WEIGHTS: Final = np.full(1 << 6, MIN_NAMED_ORDER, np.int32)
_WEIGHTS[:2] = 0, 1
"""What a character weighs by its marks: a text may hold personal data that weighs as much as the digits of
the shortest number; any other mark does by itself."""


def find_personal_all(texts: Texts) -> list[tuple[PersonalData, ...]]:
    """Return what ``find_personal`` returns of each text, for a fraction of the price."""
    joined = Joined.of(texts)
    originals = joined.texts
    if len(originals) < FEW:
        return [find_personal(text) for text in originals]
    found: list[tuple[PersonalData, ...]] = [()] * len(originals)
    weights = np.add.reduceat(_WEIGHTS.take(_MARKS.of(joined.codes)), joined.starts)
    for number in (weights >= MIN_NAMED_ORDER).nonzero()[0].tolist():
        found[number] = find_personal(originals[number])
    return found


def find_personal(text: str) -> tuple[PersonalData, ...]:
    """Return the personal data of a text by place; spans are original offsets and do not overlap.

    Linear in ``len(text)``; raises nothing.
    """
    digits, place = _DIGIT_OR_AT(text), _PLACE(text)
    if digits is None and place is None:
        return ()
    plain = text if _WIDE(text) is None else text.translate(_HALF)
    found: list[PersonalData] = []
    if digits is not None:
        if STARS in plain:
            plain = _REMNANT.sub(lambda match: _BLANK * len(match.group()), plain)
        if "@" in plain:
            found += [PersonalData(Kind.EMAIL, *match.span()) for match in _EMAIL.finditer(plain) if match[1]]
            plain = _blank(plain, found)
        numbers = list(_find_numbers(plain))
        found += numbers
        if place is not None:
            plain = _blank(plain, numbers)
    if place is not None:
        found += [PersonalData(Kind.ADDRESS, *match.span()) for match in _ADDRESS.finditer(plain)]
    if len(found) > 1:
        found.sort(key=lambda data: data.start)
    return tuple(found)


def mask(text: str, personal: Sequence[PersonalData]) -> str:
    """Return the text with the personal data that ``find_personal`` found in it made unreadable.

    Phone ``138****8000``, ID card ``110****34``, bank card and order ``****1234`` (``****34`` under
    eight digits), e-mail ``a***@***``, address ``[地址]``. Masking the result again changes nothing.
    """
    if not personal:
        return text
    pieces: list[str] = []
    done = 0
    for kind, start, end in personal:
        pieces += (text[done:start], _masked(kind, text[start:end].translate(_HALF)))
        done = end
    pieces.append(text[done:])
    return "".join(pieces)


def mask_all(text: str) -> str:
    """Return the text with all its personal data masked."""
    return mask(text, find_personal(text))


def _masked(kind: str, plain: str) -> str:
    if kind == Kind.ADDRESS:
        return ADDRESS_MASK
    if kind == Kind.EMAIL:
        # A digit left standing could be read together with a number before it.
        return f"{plain[0] if plain[0].isalpha() else ''}***@***"
    digits = "".join(
        char for char in plain.upper() if char in "0123456789" or (char == "X" and kind == Kind.ID_CARD)
    )
    if kind == Kind.PHONE:
        local = digits[-11:] if _MOBILE.fullmatch(digits) else digits
        return local[:3] + STARS + local[-4:]
    if kind == Kind.ID_CARD:
        return digits[:3] + STARS + digits[-2:]
    return STARS + digits[-4 if len(digits) >= 8 else -2 :]


class _Run(NamedTuple):
    """Digits in one piece."""

    digits: str
    start: int
    end: int


def _find_numbers(plain: str) -> Iterator[PersonalData]:
    """Yield the phone, ID, card and order numbers by place."""
    examined = done = 0
    for match in _GROUP.finditer(plain):
        start, end = match.span()
        examined += end - start
        if end - start > MAX_GROUP or examined > MAX_EXAMINED:
            yield PersonalData(Kind.ORDER, max(start, done), end)
            continue
        runs = [_Run(run.group(), run.start(), run.end()) for run in _RUN.finditer(plain, start, end)]
        for number in _read_group(plain, runs):
            # The X of an ID number may stand where the letters of a parcel number are looked for.
            yield number if number.start >= done else number._replace(start=done)
            done = number.end


def _read_group(plain: str, runs: list[_Run]) -> Iterator[PersonalData]:
    """Yield the numbers that neighbouring runs make up, the longest first from each."""
    place = 0
    first = runs[0]
    if _ORDER_WORD.search(plain, max(0, first.start - 12), first.start):
        place = 1 if len(first.digits) >= MIN_NAMED_ORDER else len(runs)
        yield PersonalData(Kind.ORDER, _with_letters(plain, first.start), runs[place - 1].end)
    while place < len(runs):
        number, place = _read_number(plain, runs, place)
        if number is not None:
            yield number


def _read_number(plain: str, runs: list[_Run], place: int) -> tuple[PersonalData | None, int]:
    """Return the longest number that starts with the run at ``place``, and the place after it."""
    joined = ""
    ends: list[tuple[str, int]] = []
    for index in range(place, len(runs)):
        joined += runs[index].digits
        if len(joined) > MAX_DIGITS:
            break
        ends.append((joined, index))
    for digits, index in reversed(ends):
        if len(digits) < MIN_ORDER:
            break
        number = _judge(plain, digits, runs[place : index + 1])
        if number is not None:
            return number, index + 1
    first = runs[place]
    if len(first.digits) >= MIN_ORDER and not _HOTLINE.fullmatch(first.digits):
        return PersonalData(Kind.ORDER, _with_letters(plain, first.start), first.end), place + 1
    return None, place + 1


def _judge(plain: str, digits: str, runs: list[_Run]) -> PersonalData | None:
    """Return what the digits of these runs together are, if anything but an order in one piece."""
    start, end = runs[0].start, runs[-1].end
    if len(digits) == 17 and is_id_card(digits + "X"):
        check = _CHECK_X.match(plain, end)
        if check is not None:
            return PersonalData(Kind.ID_CARD, start, check.end())
    if is_id_card(digits):
        return PersonalData(Kind.ID_CARD, start, end)
    if is_phone(digits) and not _is_arithmetic(plain, runs):
        return PersonalData(Kind.PHONE, start - (plain[start - 1 : start] == "+"), end)
    if is_bank_card(digits):
        return PersonalData(Kind.BANK_CARD, start, end)
    if len(digits) >= MIN_SPACED and len(runs) > 1 and min(len(run.digits) for run in runs) >= 4:
        return PersonalData(Kind.ORDER, start, end)
    return None


def _is_arithmetic(plain: str, runs: list[_Run]) -> bool:
    """Whether points between the digits look like prices or versions: 199.00 299.00 3."""
    return "." in plain[runs[0].start : runs[-1].end] and min(len(run.digits) for run in runs) < 3


def _with_letters(plain: str, start: int) -> int:
    """Return where a number starts with the carrier's letters before it: SF1234567890123."""
    first = start
    while first > 0 and start - first < 4 and plain[first - 1].isascii() and plain[first - 1].isalpha():
        first -= 1
    return first


def is_phone(digits: str) -> bool:
    """Whether the digits are a mobile number (with or without 86, 0086) or a landline with area code."""
    return _MOBILE.fullmatch(digits) is not None or _LANDLINE.fullmatch(digits) is not None


def is_id_card(digits: str) -> bool:
    """Whether the digits are a resident's ID number: region, birth date and check digit of GB 11643."""
    match = _ID.fullmatch(digits)
    if match is None:
        return False
    try:
        date(*map(int, match.groups()))
    except ValueError:
        return False
    total = sum((2 ** (17 - place) % 11) * int(digit) for place, digit in enumerate(digits[:17]))
    return "10X98765432"[total % 11] == digits[17]


def is_bank_card(digits: str) -> bool:
    """Whether the digits are a card number: 15 to 19, a scheme's first digit, Luhn's check digit."""
    if _CARD.fullmatch(digits) is None:
        return False
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _blank(plain: str, found: Sequence[PersonalData]) -> str:
    """Return the text with what was found, in order, made unmatchable; its length stays."""
    pieces: list[str] = []
    done = 0
    for _, start, end in found:
        pieces += (plain[done:start], _BLANK * (end - start))
        done = end
    pieces.append(plain[done:])
    return "".join(pieces)
