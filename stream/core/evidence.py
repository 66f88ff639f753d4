"""The words that show it: a short, masked excerpt of one message."""

from __future__ import annotations

from collections.abc import Sequence

from stream.core.annotation import Annotation, PersonalData, Span
from stream.core.privacy import find_personal, mask

# Fits one line of a chat robot's card on a phone.
EXCERPT_CHARACTERS = 60
# Design §4: the customer's last words, at most 120 bytes.
LAST_WORDS_BYTES = 120
_ELLIPSIS = "…"


def excerpt(annotation: Annotation, spans: Sequence[Span], limit: int = EXCERPT_CHARACTERS) -> str:
    """Return at most ``limit`` original characters round the first of ``spans``, personal data masked."""
    text = annotation.text
    personal = annotation.personal
    if len(text) <= limit:
        return mask(text, personal)
    start, end = spans[0] if spans else (0, 0)
    room = max(0, limit - (end - start)) // 2
    begin = max(0, start - room)
    finish = min(len(text), max(end + room, begin + limit))
    if end - start > limit:
        finish = begin + limit
    return _masked_window(text, personal, begin, finish)


def _masked_window(text: str, personal: Sequence[PersonalData], begin: int, finish: int) -> str:
    # A number cut in two would no longer be known as one: the window grows to hold it whole.
    for item in personal:
        if item.start < begin < item.end:
            begin = item.start
        if item.start < finish < item.end:
            finish = item.end
    inside = tuple(
        PersonalData(item.kind, item.start - begin, item.end - begin)
        for item in personal
        if item.start >= begin and item.end <= finish
    )
    head = _ELLIPSIS if begin > 0 else ""
    tail = _ELLIPSIS if finish < len(text) else ""
    return head + mask(text[begin:finish], inside) + tail


def last_words(annotation: Annotation) -> str:
    """Return the message masked, at most 120 bytes of UTF-8, cut between characters."""
    # 120 bytes hold at most 120 characters; what is cut off need not be masked.
    window = annotation.text
    if len(window) > LAST_WORDS_BYTES:
        masked = _masked_window(window, annotation.personal, 0, LAST_WORDS_BYTES)
    else:
        masked = mask(window, annotation.personal)
    raw = masked.encode("utf-8", "replace")
    if len(raw) <= LAST_WORDS_BYTES:
        return masked
    room = LAST_WORDS_BYTES - len(_ELLIPSIS.encode())
    return raw[:room].decode("utf-8", "ignore").rstrip(_ELLIPSIS) + _ELLIPSIS


def mask_plain(text: str) -> str:
    """Return ``text`` with the personal data in it masked: for notes and names that are no message."""
    return mask(text, find_personal(text))
