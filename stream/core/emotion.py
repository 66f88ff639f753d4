"""Does the text deny a term, and how strongly does it say it? 不生气, 没那么生气, 非常生气, 气死了.

Chinese negation and degree stand before what they govern, close to it and in the same clause. So the
few characters before a match are read backwards, longest known piece first, until something unknown
stands there; the pieces read are what governs the match. 我不处理就投诉: 就 is known and says nothing,
处理 is unknown and ends the reading before 不 is reached. So does whatever ends a clause: a comma, or the
blank that people type for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

SCOPE: Final = 10
"""Characters read before a term: 从来没有这么 and 一点儿也不是很 fit, the next thought does not."""

MIN_DEGREE: Final = 0.25
MAX_DEGREE: Final = 4.0
"""超级非常特别生气 is not eight times as angry."""


class Role(StrEnum):
    """What a piece before a term does."""

    DENIES = "denies"
    WEAKENS_DENIAL = "weakens_denial"  # 不太: denied, and not sharply
    GRADES = "grades"
    PASSES = "passes"  # says nothing, and more may stand before it
    ENDS = "ends"  # looks like a negation and is none


class Piece(NamedTuple):
    """A known piece: what it does and by how much."""

    role: Role
    degree: float = 1.0

    @property
    def denials(self) -> int:
        """How many denials it is."""
        return int(self.role in {Role.DENIES, Role.WEAKENS_DENIAL})


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a text makes of a term."""

    negated: bool = False
    degree: float = 1.0


_WORDS: Final = (
    (
        Role.DENIES,
        1.0,
        """
        不 没 没有 别 莫 勿 无 未 不是 并不 并不是 并非 并没有 并没 不会 没有在 不用 不必 不要 不想 不该
        不应该 不需要 不敢 不能 不可 不可以 不得 无法 无需 无须 难以 从不 从没 从未 从来不 从来没 从来没有
        毫不 毫无 绝不 绝非 决不 不曾 未曾 谈不上 说不上 算不上 不至于 不再 没必要 没什么 没啥 没怎么 不存在
        免得 以免 避免
        """,
    ),
    (
        Role.WEAKENS_DENIAL,
        0.5,
        "不太 不大 不怎么 不很 不算 不够 没太 没多 不那么 没那么 没有那么 不是那么 不是很",
    ),
    (
        Role.GRADES,
        2.0,
        """
        极其 极度 极为 极 最 最最 超级 无比 万分 极端 彻底 完全 简直 别提多 别提有多 不知道多 不知道有多
        从来没这么 从来没有这么 从没这么 从未这么 从没有这么 没见过这么 没有见过这么 从来没有如此 从未如此
        """,  # never this angry (从来没有这么生气) says very angry
    ),
    (
        Role.GRADES,
        1.5,
        """
        非常 特别 十分 太 真 真是 真的 真心 实在 实在是 相当 超 巨 贼 尤其 格外 分外 异常 好 多么 太过 何等
        严重
        """,
    ),
    (Role.GRADES, 1.25, "很 挺 蛮 更 更加 越来越 越 这么 那么 如此 这样 怪"),
    (
        Role.GRADES,
        0.5,
        "有点 有点儿 有些 有一点 有一些 稍微 稍 略 略微 些许 一点 一点点 多少有点 不免有点",
    ),
    (
        Role.PASSES,
        1.0,
        """
        的 地 得 会 再 就 也 都 又 还 让人 令人 让我 觉得 感到 感觉 感 在 去 是 要 想 有 什么 任何 半点
        值得 过
        """,
    ),
    (
        Role.ENDS,
        1.0,
        """
        不仅 不但 不光 不只 不止 不断 不停 不禁 不免 不由得 忍不住 不得不 不能不 不会不 无不
        不然 要不 要不是 要不然 不就 不如 动不动 动不动就 差点没 别提 没少 没完 没完没了 说不定 怕不是
        是不是 有没有 会不会 能不能 要不要 可不可以 该不该 好不好
        能不 怎能不 怎么能不 哪能不 谁能不 岂能不 怎会不 怎么会不 何不
        区别 告别 性别 级别 类别 差别 分别 识别 个别 除非 是非 若非 无非 日没 出没 非得 非要 非
        """,  # not denials although they look it: words, threats, questions, rhetorical questions
    ),
)

BEFORE: Final[Mapping[str, Piece]] = {
    word: Piece(role, degree) for role, degree, words in _WORDS for word in words.split()
}
"""What may stand before a term. The longest piece holds: 特别 grades although 别 denies."""

AFTER: Final[Mapping[str, float]] = {
    word: degree
    for degree, words in (
        (2.0, "极了 死了 死我了 透了 透顶 至极 到极点 到家 要命 得要命 不得了 得不得了"),
        (1.5, "得很 得不行 得慌 坏了"),
    )
    for word in words.split()
}
"""What may stand behind a term and raises it."""

CANCELS: Final = ("才怪", "不行", "不可", "都不行", "吗才怪")
"""Behind a denied term these deny it once more: 不生气才怪, 不投诉不行."""

_ENDING: Final = {
    last: tuple(sorted({len(word) for word in BEFORE if word[-1] == last}, reverse=True))
    for last in {word[-1] for word in BEFORE}
}
"""The lengths of the known pieces by the character that touches the term, the longest first: for most
characters there are none, which one look-up says."""

_BEGINNING: Final = {
    first: tuple(sorted((word for word in AFTER if word[0] == first), key=len, reverse=True))
    for first in {word[0] for word in AFTER}
}
"""The same behind the term, where they are few: the pieces."""

_COUNTS: Final = {
    word: (piece.role is Role.ENDS, piece.denials, piece.degree) for word, piece in BEFORE.items()
}
"""What the pieces come to: whether the reading ends there, how many denials it is, and the degree."""

PLAIN: Final = Reading()
"""Of a term that nothing round it denies or grades."""


def read(text: str, start: int, end: int, *, negatable: bool = True) -> Reading:
    """Return whether the text denies what stands at ``[start, end)``, and its degree.

    ``text`` is normalised. The degree is 1.0 where nothing grades the term, else within
    [``MIN_DEGREE``, ``MAX_DEGREE``]. Two denials make none. With ``negatable`` false only the degree is
    read. Looks at ``SCOPE`` characters before and at one piece behind, never beyond the clause.
    """
    after = _BEGINNING.get(text[end : end + 1])
    if after is None and text[start - 1 : start] not in _ENDING:
        return PLAIN  # no known piece on either side: four terms of five
    denials, degree = _read_before(text, start)
    for word in after or ():
        if text.startswith(word, end):
            degree *= AFTER[word]
            break
    if not denials and degree == 1.0:
        return PLAIN
    if denials and text.startswith(CANCELS, end):
        denials += 1
    negated = negatable and denials % 2 == 1
    return Reading(negated, round(min(max(degree, MIN_DEGREE), MAX_DEGREE), 4))


def _read_before(text: str, start: int) -> tuple[int, float]:
    """Return the number of denials before ``start`` and the product of the degrees."""
    denials, degree = 0, 1.0
    low = max(0, start - SCOPE)
    place = start
    while place > low:
        for length in _ENDING.get(text[place - 1], ()):
            first = place - length
            counts = _COUNTS.get(text[first:place]) if first >= low else None
            if counts is not None:
                break
        else:
            break
        ends, denied, graded = counts
        if ends or _asks(text, first, start):
            break
        place = first
        denials += denied
        degree *= graded
    return denials, degree


def _asks(text: str, place: int, start: int) -> bool:
    """Whether a piece at ``place`` is the middle of an A-not-A question: 生不生气, 气不气人."""
    return place == start - 1 and place > 0 and text[place] in "不没" and text[place - 1] == text[start]
