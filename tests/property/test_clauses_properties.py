"""Tables say what expressions would: where clauses end, and which small words may stand in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core import clauses, deadlines, grammar
from stream.core.clauses import Message
from stream.core.joined import Joined, code_points

WORDS = """
不 没 无法 不能 可能 即可 可以 能 我 帮您 这边 您 客户 请 已 刚 之前 了 完成 会 将 要 马上 以便 什么
是不是 吗 对么 如 若 要是 的话 收到 之后 后 等您 等 待 审核通过 一到货 接收到商品 符合 时 提交 前提交 新订单
提供 发一下 给我 给小妹 麻烦您 取消 今天 明天 后天 24小时内 三个工作日 下午三点 前 周五 月底 两 半 小时 天
稍等 查 发货
"""
PIECES = st.sampled_from(WORDS.split())
spoken = st.lists(PIECES, max_size=12).map("".join)
cut_up = st.lists(
    st.sampled_from([*"好查a1.。，!?~…#*() \n\u2028", "3.5", "3.", ".5", "好#", "查**", "#,"]), max_size=16
).map("".join)
CUES = {name: cue for name, cue in vars(grammar).items() if isinstance(cue, grammar.Cue)}


def bits(text: str) -> int:
    found = 0
    for one in grammar.marks(code_points(Joined([text]).text)).tolist():
        found |= one
    return found


def shape(message: Message) -> list[tuple[int, int, str]]:
    return [
        (start, end, message.gap(number))
        for number, (start, end) in enumerate(zip(message.starts, message.ends, strict=True))
    ]


def by_expression(text: str) -> list[tuple[int, int, str]]:
    pieces, done = [], 0
    for gap in clauses._BREAK.finditer(text):
        if gap.start() > done:
            pieces.append((done, gap.start(), gap[0]))
        done = gap.end()
    return pieces if done == len(text) else [*pieces, (done, len(text), "")]


def test_every_cue_has_its_marks_in_the_tables():
    assert set(CUES.values()) == set(grammar.CUES)
    reserved = [grammar.TIMES, grammar.NEAR_TIMES, grammar.SOON]
    assert len({cue.bit for cue in grammar.CUES} | set(reserved)) == len(grammar.CUES) + len(reserved)


def branches(pattern: str) -> list[str]:
    """Return the alternatives of a pattern, so that each is tried, with what they look ahead for."""
    found, depth = [""], 0
    for char in pattern.replace("(?=", "(?:"):
        depth += (char in "([") - (char in ")]")
        if char == "|" and not depth:
            found.append("")
        else:
            found[-1] += char
    return found


@pytest.mark.parametrize("name", sorted(CUES.keys() - {"US", "YOU"}))
@given(st.data())
@settings(deadline=None, max_examples=25)
def test_what_a_cue_finds_has_a_mark_of_it(name: str, data: st.DataObject):
    cue = CUES[name]
    for branch in branches(cue.pattern.pattern):
        text = data.draw(st.from_regex(branch, fullmatch=True))
        assert not cue.search(text) or bits(text) & cue.bit
    text = data.draw(spoken)
    assert not cue.search(text) or bits(text) & cue.bit


@given(st.one_of(st.from_regex(grammar.US.pattern), spoken))
@settings(deadline=None, max_examples=200)
def test_whoever_is_named_has_a_mark(text: str):
    for match in grammar.US.finditer(text):
        assert bits(match[0]) & (grammar.US if match["us"] else grammar.YOU).bit


@given(st.one_of(st.from_regex(deadlines._TIME), spoken))
@settings(deadline=None, max_examples=400)
def test_every_time_without_a_blank_has_a_mark(text: str):
    for time in deadlines.find_deadlines(text):
        said = text[time.start : time.end]
        # A digit of another script is folded before anything reads it.
        if said.isprintable() and " " not in said and all(c.isascii() for c in said if c.isdecimal()):
            assert bits(said) & grammar.TIMES


@given(st.lists(st.one_of(cut_up, spoken), max_size=6))
@settings(deadline=None, max_examples=400)
def test_texts_are_cut_together_as_the_expression_cuts_each(texts: list[str]):
    assert [shape(message) for message in clauses.cut(texts)] == [
        by_expression(text)[: clauses.MAX_CLAUSES] for text in texts
    ]


@given(st.lists(st.one_of(cut_up, spoken), max_size=6))
@settings(deadline=None, max_examples=200)
def test_a_clause_has_the_marks_of_its_own_words(texts: list[str]):
    for message in clauses.cut(texts):
        for number, marks in enumerate(message.marks[: clauses.MAX_CLAUSES]):
            own = bits(message.words(number))
            assert marks & own == own
            if own & grammar.TIMES:
                assert all(
                    near & grammar.NEAR_TIMES for near in message.marks[max(0, number - 1) : number + 2]
                )
