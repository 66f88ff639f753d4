"""Any text may come: nothing is raised, places are inside it, and nothing is due before it was said."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.calendars import Calendar, Span
from stream.core.deadlines import due, find_deadlines
from stream.core.said import Act
from stream.models import normaliser
from stream.packs.promises import load_promises

PROMISES = load_promises().build(normaliser())
OFFICE = Calendar("office", ZoneInfo("Asia/Shanghai"), ((Span(540, 1080),),) * 5 + ((), ()))
WORDS = """
稍等 马上 今天 明天 发货 回复您 24小时内 三个工作日 下午三点前 周五 月底 已经 没法 不 了 吗 ？ ， 。 如果
您 帮您 我 查 退款 后 的 12点 半 1-3 两三天 31号前 2月30日 25点前 99个工作日 给您回电 专员 仓库
"""
PIECES = st.sampled_from(WORDS.split())
texts = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map("".join))
# From 1970 to the end of 2099, as the wire lets in.
moments = st.integers(0, 4_102_444_799_999)


@given(texts)
@settings(deadline=None, max_examples=400)
def test_what_is_found_stands_in_the_text(raw: str):
    text = normaliser().text(raw)
    last = 0
    for time in find_deadlines(text):
        assert last <= time.start < time.end <= len(text)
        last = time.end
    for said in PROMISES.find(text):
        assert 0 <= said.start < said.end <= len(text)


@given(texts, moments)
@settings(deadline=None, max_examples=400)
def test_nothing_is_due_when_it_is_said(raw: str, said_at: int):
    for time in find_deadlines(normaliser().text(raw)):
        assert due(time.deadline, said_at, OFFICE) > said_at


@given(texts)
@settings(deadline=None, max_examples=400)
def test_one_message_makes_one_vague_promise_of_a_kind_at_most(raw: str):
    made = [one for one in PROMISES.find(normaliser().text(raw)) if one.act is Act.MADE]
    vague = [one.kind for one in made if one.vague]
    assert len(vague) == len(set(vague))
    assert not set(vague) & {one.kind for one in made if not one.vague}
