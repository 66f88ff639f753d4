"""Small words that turn a clause round: what denies, asks, conditions, is only possible or another's to do.

Shared by the readers of promises and of hand-offs; phrases of the trade are data (``lexicons/promise``).
Looking for one of these costs a microsecond, and a clause has few. So each names its marks: characters, or
pairs of them, one of which stands in whatever it finds. Tables tell which marks stand where in a whole batch
of texts (``marks``); what has no mark in a clause need not be looked for there.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from stream.core.deadlines import MARKS_OF_TIMES
from stream.core.joined import Codes, Marks

Bits = npt.NDArray[np.uint32]


class Cue:
    """A ``pattern``, its marks, and the bit that stands for them; the methods are the pattern's own."""

    __slots__ = ("bit", "finditer", "marks", "match", "pattern", "search")

    def __init__(self, number: int, marks: str, pattern: str) -> None:
        self.bit = 1 << number
        self.marks = tuple(marks.split())
        self.pattern = compiled = re.compile(pattern)
        self.search, self.match, self.finditer = compiled.search, compiled.match, compiled.finditer

    def last(self, text: str) -> re.Match[str] | None:
        """Return the last match, if any."""
        found = None
        for found in self.finditer(text):  # noqa: B007 - the last one is wanted
            pass
        return found


DENIES: Final = Cue(
    0,
    "不 没 未 别 无法 无须 无需 难以 禁止 拒绝 免得",
    "不(?!好意思|客气|便|着急|急|用担心|用着急|要着急|用客气|要担心|要急|谢|过|同|管|仅|但|久|断|少|错"
    "|要离开|要下线|要走|了解)|没(?!问题|事|关系)|无法|无须|无需|别(?!担心|着急|急|的|人|离开)|未|难以|禁止|拒绝|免得",
)
CANNOT: Final = Cue(
    1, "无法 没法 没办 不能 来不 不可", "无法|没法|没办法|不能|来不及|不可以"
)  # fmt: skip
"""Of what denies, what says that it is not possible now."""

USUALLY: Final = Cue(
    2,
    "可能 需要 即可 一般 正常 通常 默认 周期 时效 规则 规定 无理 质保 保修 价保",
    "可能|需要|即可|一般|正常|通常|默认|周期|时效|规则|规定|无理由|质保|保修|价保期",
)
"""Tells of a rule, or what the customer has to do."""

ABLE: Final = Cue(3, "可以 能 需要 建议 方便", "可以|能|需要|建议|方便")

_WHO: Final = (
    "(?P<us>[帮给为替跟和与向让](?:您|你|亲|客户)|我(?!的)|咱们|(?<![您你])这[边里]|[小妹]妹|妹[子纸]|小二|正在|客服|同事"
    "|专员|主管|人员|技术)|(?P<you>[您你](?!的)|客户|顾客|(?<!申)请(?![问稍等]|耐心|放心|注意))"
)
US: Final = Cue(
    4,
    "帮您 给您 为您 替您 跟您 和您 与您 向您 让您 帮你 帮亲 帮客"
    " 我 咱们 这边 这里 小妹 妹妹 妹子 妹纸 小二 正在 客服 同事 专员 主管 人员 技术",
    _WHO,
)
YOU: Final = Cue(5, "您 你 客户 顾客 请", _WHO)
"""Who acts: the last one named before the act. One pattern; the marks are those of either group."""

DONE_BEFORE: Final = Cue(
    6, "已 刚 昨天 前天 昨晚 早就 之前", "已|刚刚?|刚才|昨天|前天|昨晚|早就|(?:^|[您你我])之前(?=.)"
)
DONE_AFTER: Final = Cue(
    7, "了 过 完成 完毕 成功", "[看询找阅]?(?:一下)?(?:了|过|好了|完了|完成|完毕|成功|到了|掉了|清楚了)"
)
"""Around an act: it is told as done."""

FUTURE: Final = Cue(8, "会 将 要 准备 马上 尽快", "会|将|要|准备|马上|尽快")
WILL: Final = Cue(9, "会 将", "会(?!员|议)|将")

SO_THAT: Final = Cue(10, "以便 为了 方便", "以便|为了|方便(?=我|妹|小|专员|工作人员)")
"""Before an act: what the customer is asked for, and not what is promised."""

ASKS: Final = Cue(
    11,
    "什么 哪 怎么 怎样 多久 多少 几点 是不 有没 能不 是否 要不 可不 会不 谁 难道 需不 吗",
    "什么|哪|怎么|怎样|多久|多少|几点|是不是|有没有|能不能|是否|要不要|可不可以|会不会|谁|难道|需不需要|需要.{0,12}吗",
)
ENDS_AS_QUESTION: Final = Cue(12, "吗 么 嘛 没 不 否", "(?:吗|么|嘛|没有|没|不|否)$")
ASKS_AFTER: Final = Cue(13, "对么 对吗 对不 是么 是吗 是不", "^(?:对|是)(?:么|吗|不对|不是)$")
"""Alone behind a clause it makes a question of it."""

IF: Final = Cue(
    14,
    "如 若 要是 假如 万一 一旦 只要 除非 有需 有问 任何 的话",
    "如(?![何下此图实同])|若|要是|假如|万一|一旦|只要|除非|有需要|有问题|任何|[您你如要想需].{0,12}的话",
)
AFTER: Final = Cue(
    15,
    "后 等您 等你 等订 等货 等收 待 审核 一有 一到 接收 了 符合 属实 出现 确定 之日",
    "(?<!已)(?<!已经)(?:收到|签收|退回|返回|送回|寄回|寄出|提交|支付|付款|下单|拒收|乘机|起飞|行程|(?<!退款)完成"
    "|入库|入仓|出库|到货|到库|到达|仓库|揽件|通过|生成|上传|填写|预约|重新申请)[^,，]{0,8}?(?:之后|以后|后)"
    "|^等(?:您|你|订单|货|收到)|待.{1,30}(?:后|完成)|审核通过(?!了)|一[有到]货|^等.{1,8}(?:后|了)$"
    "|接收到.{0,6}商品|(?:符合|属实|出现|确定).{0,12}时|之日",
)
"""What the customer, or somebody whom no promise binds, has to do first."""

FILED: Final = Cue(16, "提交", "[前后][您你]?提交")
"""18点前提交的服务单: whose turn it is; only the next clause is about that."""

REQUEST: Final = Cue(
    17,
    "重新 新的 新订 建议 方便 提供 发给 发我 发一 发下 告知 告诉 给我 给妹 给小 私信 说一 说下 带到 复制 截图"
    " 点击 选择 描述 简述 留一 留下 报一 报下 取消 提交 申请 下单 确认 核对",
    "重新下单|新的?订单|建议您|方便.{0,6}[帮为给]您"
    "|提供|发给|发我|发一?下|告知(?:我|一下|下|妹|小)|告诉[我妹小]|[您你请烦号码息址接额单].{0,6}给[我妹小](?!们)"
    "|私信|给我.{0,4}(?:订单|单号)|说一?下|带到|复制|(?<!办法)截图|点击|选择|描述|简述|留一?下|报一?下"
    "|(?:麻烦|(?<!申)请|辛苦)(?!您?(?:稍|等|耐心|注意|放心|保持|谅解|不要|手机|再等)|问)您?"
    ".{0,10}(?:取消|提交|申请|下单|确认|核对)",
)

CUES: Final = (
    DENIES, CANNOT, USUALLY, ABLE, US, YOU, DONE_BEFORE, DONE_AFTER, FUTURE, WILL, SO_THAT, ASKS,
    ENDS_AS_QUESTION, ASKS_AFTER, IF, AFTER, FILED, REQUEST,
)  # fmt: skip
TIMES, NEAR_TIMES, SOON = (1 << number for number in range(len(CUES), len(CUES) + 3))
"""The bits of times (``stream.core.deadlines``), in a clause and in it or beside it, and of a word for soon,
which is the trade's and not in these tables."""


def is_the_customers(before: str) -> bool:
    """Whether the customer is who acts: 您可以查看, and not 这边给您查看."""
    named = YOU.pattern.findall(before)
    return bool(named) and not named[-1][0]


def is_ours(text: str) -> bool:
    """Whether any of us is named."""
    return any(us for us, _ in US.pattern.findall(text))


_MARKS: Final = Marks([*((cue.bit, cue.marks) for cue in CUES), (TIMES, MARKS_OF_TIMES)], np.uint32)


def marks(codes: Codes) -> Bits:
    """Return, for each character, the bits of the marks that begin with it, and maybe others."""
    return _MARKS.of(codes)
