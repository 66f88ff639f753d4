"""Turns the authored day (``day.yaml``) into wire-contract events (``day.jsonl``), the same bytes every time.

``day.yaml`` is the one source of truth; ``python -m stream.resources.demo.build`` rewrites the other file
and a golden test holds the two together. The notation is explained at the top of ``day.yaml``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml

HERE = Path(__file__).parent
SOURCE = HERE / "day.yaml"
TARGET = HERE / "day.jsonl"

# A chat without a written close ends so long after its last line: long enough to look idle, short
# enough that no response clock can breach on the customer's closing word.
IDLE_CLOSE = timedelta(seconds=90)
# A customer who rates does it shortly after the close.
RATING_AFTER = timedelta(seconds=20)

_LINE = re.compile(r"(?P<who>[客服机迎图事])(?:#(?P<tag>[a-z0-9]+))? \+(?P<seconds>\d+)(?: (?P<rest>.+))?\Z")
# Who speaks: role, sender mode, content kind.
_SPEAKERS = {
    "客": ("customer", "human", "text"),
    "图": ("customer", "human", "image"),
    "服": ("agent", "human", "text"),
    "迎": ("agent", "auto_welcome", "text"),
    "机": ("bot", "human", "text"),
}

Event = dict[str, Any]


class Line(NamedTuple):
    """One line of a dialogue."""

    who: str
    tag: str | None
    after: timedelta
    rest: str


def read_line(text: str) -> Line:
    """Return one line of the notation; ``ValueError`` names a line that is none."""
    match = _LINE.match(text.strip())
    if match is None:
        raise ValueError(f"not a line of a dialogue: {text!r}")
    return Line(match["who"], match["tag"], timedelta(seconds=int(match["seconds"])), match["rest"] or "")


def build(source: str) -> list[Event]:
    """Return the day's events in the order of their times."""
    day = yaml.safe_load(source)
    timed: list[tuple[datetime, Event]] = []
    for chat in day["chats"]:
        begin = datetime.fromisoformat(f"{day['date']}T{chat['at']}{day['zone']}")
        timed.extend(_chat(chat, day["shops"][chat["shop"]], begin))
    timed.sort(key=lambda pair: pair[0])
    return [event for _, event in timed]


def render(events: list[Event]) -> str:
    """Return the events as JSON lines."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


def _chat(chat: Event, shop: Event, begin: datetime) -> Iterator[tuple[datetime, Event]]:
    common = {"conversation_id": chat["id"], **shop, "group": chat["group"]}
    opened = {"customer": chat["customer"], "attributes": chat["attributes"]}
    yield begin, {"type": "conversation.opened", **common, "at": begin.isoformat(), **opened}
    if not chat.get("bot"):
        assigned = {"agent": chat["agent"]["id"], "level": chat["agent"]["level"]}
        yield begin, {"type": "conversation.assigned", **common, "at": begin.isoformat(), **assigned}
    now, closed, number = begin, False, 0
    for text in chat["say"].splitlines():
        line = read_line(text)
        now += line.after
        if line.who == "事":
            event = _happening(line.rest, common, now)
            closed = closed or event["type"] == "conversation.closed"
            yield now, event
        else:
            number += 1
            yield now, _message(chat, common, line, number, now)
    if not closed:
        now += IDLE_CLOSE
        yield now, _happening("conversation.closed by=system reason=idle", common, now)
    if "rating" in chat:
        now += RATING_AFTER
        rated = {"score": chat["rating"], "scale": 5}
        comment = {"comment": chat["rating_comment"]} if "rating_comment" in chat else {}
        yield now, {"type": "conversation.rated", **common, "at": now.isoformat(), **rated, **comment}


def _message(chat: Event, common: Event, line: Line, number: int, at: datetime) -> Event:
    role, mode, kind = _SPEAKERS[line.who]
    sender: Event = {
        "role": role,
        "id": {"customer": chat["customer"], "agent": chat["agent"]}.get(role, {}).get("id"),
    }
    if role == "agent":
        sender |= {"mode": mode, "level": chat["agent"]["level"]}
    elif role == "bot":
        sender["id"] = f"{common['shop_id']}-bot"
    return {
        "type": "message",
        **common,
        "message_id": f"{chat['id']}/{line.tag or number}",
        "sent_at": at.isoformat(),
        "sender": sender,
        "content": {"kind": kind, "text": line.rest},
    }


def _happening(text: str, common: Event, at: datetime) -> Event:
    kind, *pairs = text.split()
    return {"type": kind, **common, "at": at.isoformat(), **dict(pair.split("=", 1) for pair in pairs)}


if __name__ == "__main__":
    TARGET.write_text(render(build(SOURCE.read_text("utf-8"))), "utf-8")
