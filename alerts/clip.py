"""Cutting text to a limit in bytes without cutting a character. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

ELLIPSIS = "…"
_JOINER = "\u200d"


def clip(text: str, limit: int) -> str:
    """`text` if it is at most `limit` bytes of UTF-8, else its beginning and `…` within the limit.

    Never splits a character; nor leaves off the accents, variation selectors and joined parts that
    belong to the last one kept, unless a single such cluster is itself over the limit.
    """
    if len(text.encode("utf-8", "replace")) <= limit:
        return text
    room = limit - len(ELLIPSIS.encode())
    if room < 0:
        return ""
    kept = text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    return _whole_clusters(kept, text[len(kept) :]) + ELLIPSIS


def _whole_clusters(kept: str, rest: str) -> str:
    """`kept` without a last character whose marks or joined parts begin `rest`."""
    cut = kept
    while cut and (_continues(rest[:1]) or cut.endswith(_JOINER)):
        cut, rest = cut[:-1], cut[-1]
    return cut or kept


def _continues(character: str) -> bool:
    """Whether it belongs to the character before it: a mark, a selector, a joiner, a skin tone."""
    return character != "" and (
        character == _JOINER
        or unicodedata.category(character).startswith("M")
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )


def clip_to_fit(text: str, size: Callable[[str], int], limit: int) -> str:
    """The longest clipping of `text` for which `size` (of the whole that holds it) is within `limit`.

    For wholes in which a byte of text can cost more than a byte, such as JSON with its escapes.
    Empty if even that does not fit.
    """
    low, high = 0, len(text.encode("utf-8", "replace"))
    if size(text) <= limit:
        return text
    while low < high:
        middle = (low + high + 1) // 2
        if size(clip(text, middle)) <= limit:
            low = middle
        else:
            high = middle - 1
    return clip(text, low)


def clip_strings(value: Any, limit: int) -> Any:
    """A JSON value with each of its strings, keys of objects left alone, clipped to `limit` bytes."""
    if isinstance(value, str):
        return clip(value, limit)
    if isinstance(value, list):
        return [clip_strings(item, limit) for item in value]
    if isinstance(value, dict):
        return {key: clip_strings(item, limit) for key, item in value.items()}
    return value
