"""What a receiver is: two pure functions round one HTTP request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Protocol

import msgspec
from yarl import URL

from alerts.clip import clip, clip_to_fit
from alerts.config import ReceiverConfig
from alerts.model import Notification, Reason
from alerts.retry import Answer, Verdict, judge_status
from alerts.text import MEASURES, Message, compose


@dataclass(frozen=True, slots=True)
class Request:
    """A POST. Its URL and headers may hold secrets, so neither is shown."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Receiver(Protocol):
    """One kind of place that alerts go to. No I/O, no clock, no loop: those belong to the sender."""

    def payload(self, notification: Notification, now_ms: int) -> Request:
        """The request for one attempt; the same arguments give the same bytes."""
        ...

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """What an answer means. `headers` ignore case; `body` may have been cut or broken off."""
        ...


ReceiverFactory = Callable[[ReceiverConfig, tzinfo], Receiver]

JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json; charset=utf-8"}


def url_of(config: ReceiverConfig) -> str:
    """The receiver's URL; the configuration has made sure that there is one."""
    if config.url is None:
        raise ValueError(f"receiver {config.name} has no URL")
    url = config.url.reveal()
    return url if url.isascii() else str(URL(url))


def fitting(
    notification: Notification,
    zone: tzinfo,
    limit: int,
    *,
    dress: Callable[[Message], str],
    size: Callable[[Message, str], int],
) -> tuple[Message, str]:
    """The fullest message whose `size` is within `limit` bytes, with its dressed text.

    Says less before it cuts, and cuts on a character boundary only when the tersest is still too
    long.
    """
    for measure in MEASURES:
        message = compose(notification.alert, notification.audiences, zone, measure)
        text = dress(message)
        if size(message, text) <= limit:
            return message, text
    return message, clip_to_fit(text, lambda cut: size(message, cut), limit)


_NEUTRAL = str.maketrans("[]<>@*`\\\r\n", "［］＜＞＠＊｀＼  ")


def neutral(text: str) -> str:
    """Text that no chat platform takes for markup, a mention or a link.

    What a customer typed goes to a group of people who trust the robot: it must not ring everybody,
    nor offer a link. The platforms know no common escape, so the characters become full-width.
    """
    return text.translate(_NEUTRAL).replace("://", "：//")


def markdown_links(message: Message) -> str:
    """The message's links in Markdown; those that are no http(s) URLs are left out."""
    return "　".join(
        f"[{neutral(word)}]({href})"
        for word, href in message.links
        if href.startswith(("https://", "http://")) and not set(href) & set(" ()<>\r\n") and len(href) <= 1000
    )


def lines_of(message: Message, *, quote: str, plain: str) -> list[str]:
    """The message's lines, each as `quote` or `plain` with `{name}` and `{text}` filled in."""
    return [
        (quote if line.quote else plain).format(name=neutral(line.name), text=neutral(line.text))
        for line in message.lines
    ]


@dataclass(frozen=True, slots=True)
class PlatformCodes:
    """How a chat platform answers: HTTP 200 whatever happens, the truth in a JSON field.

    Unlisted codes are refusals for good. `penalty_ms` is how long a throttled robot stays so.
    """

    fields: tuple[str, ...]
    throttled: frozenset[int]
    busy: frozenset[int]
    unauthorized: frozenset[int]
    penalty_ms: int

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Success is code 0 and nothing else."""
        by_status = judge_status(status, headers)
        code = self._code(body)
        if code is None and by_status.reason is None:
            # A gateway's or a captive portal's page: the platform itself has not spoken.
            return Verdict(Answer.RETRY, Reason.BAD_RESPONSE, status)
        if code is None or status == 429 or (code == 0 and by_status.reason is not None):
            return by_status
        if code == 0:
            return Verdict(Answer.ACCEPTED, code=0)
        if code in self.throttled:
            return Verdict(Answer.THROTTLED, Reason.THROTTLED, code, retry_after_ms=self.penalty_ms)
        if code in self.busy:
            return Verdict(Answer.RETRY, Reason.UNAVAILABLE, code)
        reason = Reason.UNAUTHORIZED if code in self.unauthorized else Reason.REJECTED
        return Verdict(Answer.PERMANENT, reason, code)

    def _code(self, body: bytes) -> int | None:
        try:
            answer: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not isinstance(answer, dict):
            return None
        for name in self.fields:
            code = answer.get(name)
            if isinstance(code, int) and not isinstance(code, bool):
                return code
        return None


def clipped_title(message: Message) -> str:
    """The title for places that show one short line of it: 120 bytes are some 40 characters."""
    return clip(neutral(message.title), 120)
