"""What the settings say of conversations: how long one may be silent or is remembered, how it is measured."""

from __future__ import annotations

from dataclasses import dataclass

from stream.core.platforms import DEFINITIONS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Limits:
    """Times after which silence itself says something, in milliseconds; and what is measured at the close.

    ``idle_close_ms``: a conversation with no event for so long counts as closed (``inferred``).
    Thirty minutes: Tmall and JD end a session after 10 to 30 minutes of silence.
    ``keep_ms``: how long a closed conversation stays in memory for a rating or a late event.
    ``issue_keep_ms``: how long it stays while an issue of it is owed an answer, after the last event and
    the last moment of its clocks. Seven days: what a warehouse has not answered a week after everybody
    was told is nobody's fresh alert any more.
    ``reopen_ms``: how soon a customer must come back for it to be the same matter again.
    ``contact_late_ms``: how much longer a customer's conversations are kept for one that opened in time
    and is told of later: it may last, or the worker have been down, for a day.
    ``settle_ms``: how long after a day's end its response metrics are counted. One hour: what was under way
    at midnight has been silent for the half hour that closes it.
    ``definitions``: ids of the response metrics whose units a summary holds.
    """

    idle_close_ms: int = 30 * MINUTE_MS
    keep_ms: int = 10 * MINUTE_MS
    issue_keep_ms: int = 7 * 24 * HOUR_MS
    reopen_ms: int = 24 * HOUR_MS
    contact_late_ms: int = 24 * HOUR_MS
    settle_ms: int = HOUR_MS
    definitions: tuple[str, ...] = tuple(DEFINITIONS)


DEFAULT_LIMITS = Limits()
