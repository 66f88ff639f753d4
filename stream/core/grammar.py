"""Small words that turn a clause round: what denies, what is only possible, usual, or another's to do.

Shared by the readers of promises and of hand-offs; phrases of the trade are data (``lexicons/promise``).
"""

from __future__ import annotations

import re
from typing import Final

DENIES: Final = re.compile(
    "不(?!好意思|客气|便|着急|急|用担心|用着急|要着急|用客气|要担心|要急|谢|过|同|管|仅|但|久|断|少|错"
    "|要离开|要下线|要走|了解)|没(?!问题|事|关系)|无法|无须|无需|别(?!担心|着急|急|的|人|离开)|未|难以|禁止|拒绝|免得"
)
CANNOT: Final = re.compile("无法|没法|没办法|不能|来不及|不可以")
"""Of what denies, what says that it is not possible now."""

USUALLY: Final = re.compile("可能|需要|即可|一般|正常|通常|默认|周期|时效|规则|规定|无理由|质保|保修|价保期")
"""Tells of a rule, or what the customer has to do."""

ABLE: Final = re.compile("可以|能|需要|建议|方便")

WHO: Final = re.compile(
    "(?P<us>[帮给为替跟和与向让](?:您|你|亲|客户)|我(?!的)|咱们|(?<![您你])这[边里]|[小妹]妹|妹[子纸]|小二|正在|客服|同事"
    "|专员|主管|人员|技术)|(?P<you>[您你](?!的)|客户|顾客|(?<!申)请(?![问稍等]|耐心|放心|注意))"
)
"""Who acts: the last one named before the act."""


def last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the last match, if any."""
    found = None
    for found in pattern.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    return found


def is_the_customers(before: str) -> bool:
    """Whether the customer is who acts: 您可以查看, and not 这边给您查看."""
    named = last(WHO, before)
    return named is not None and named["you"] is not None
