"""Deterministic ids: the same happening always gets the same id, whatever replayed it."""

from __future__ import annotations

from hashlib import blake2b

# 16 bytes: with a billion ids a day for a century a collision stays below 1 in 10^12.
_ID_BYTES = 16
# 8 bytes: compared only with the 64 neighbours of one conversation.
_MARK_BYTES = 8


def stable_id(*parts: str | int) -> str:
    """Return 32 hexadecimal digits that name ``parts``; different parts give different ids.

    Each part is written with its length, so ("ab", "c") and ("a", "bc") differ.
    """
    text = "".join([f"{len(part)}:{part}" if isinstance(part, str) else f"i{part}:" for part in parts])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_ID_BYTES).hexdigest()


def mark(text: str) -> bytes:
    """Return 8 bytes that stand for ``text`` where only a few are compared (message ids, sketches)."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_MARK_BYTES).digest()
