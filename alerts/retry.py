"""The one place that decides what follows an attempt. Pure: no receiver loops, none sleeps.

`judge_status` reads an HTTP answer, a receiver refines it with its platform's codes, `decide` turns
the verdict into what happens to the notification and to its receiver.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from alerts.model import Notification, Reason

RETRY_AFTER_CAP_MS = 3_600_000
"""An hour: beyond it a receiver's `Retry-After` is taken for a mistake, not a wish."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often to try.

    Delays are drawn uniformly from zero to `base_ms * 2**(attempt - 1)`, at most `cap_ms` (full
    jitter: receivers that come back are not met by everyone at once). `horizon_ms` runs from the
    moment the notification entered the ledger, or its route's hours opened for it. `max_attempts` 0 means
    no limit but the horizon.
    """

    base_ms: int = 1_000  # a blip of the network is over by then, and the alert is still fresh
    cap_ms: int = 300_000  # a receiver that returns waits at most five minutes for its alerts
    horizon_ms: int = 86_400_000  # a day: a night's outage loses nothing
    max_attempts: int = 0

    def ceiling_ms(self, failures: int) -> int:
        """The longest delay after so many failures in a row."""
        # The exponent is bounded first: 2**100000 is a number nobody needs.
        return min(self.cap_ms, self.base_ms << min(max(failures - 1, 0), 40))

    def delay_ms(self, failures: int, rng: Random) -> int:
        """A delay after so many failures in a row."""
        return rng.randint(0, self.ceiling_ms(failures))


class Answer(StrEnum):
    """What an attempt says about the next one."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # this notification, later
    UNREACHABLE = "unreachable"  # nothing gets through now: the receiver rests as well
    THROTTLED = "throttled"  # the receiver asked for rest
    PERMANENT = "permanent"  # the same again would be refused again
    GONE = "gone"  # nothing more to this receiver


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one attempt. `code` is the HTTP status or the platform's own code.

    `retry_after_ms` is a duration, `retry_at` a moment (epoch ms); a receiver names one or none.
    """

    answer: Answer
    reason: Reason | None = None
    code: int | None = None
    retry_after_ms: int | None = None
    retry_at: int | None = None


ACCEPTED = Verdict(Answer.ACCEPTED)


class Next(StrEnum):
    """What becomes of the notification."""

    DELIVERED = "delivered"
    AGAIN = "again"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows an attempt.

    `at` is when to try again (only with `AGAIN`); `rest_until` holds back everything else for this
    receiver too; `disable` ends it for the rest of the run. `reason` explains `FAILED`.
    """

    next: Next
    reason: Reason | None = None
    at: int | None = None
    rest_until: int | None = None
    disable: bool = False


_STATUSES = {
    401: (Answer.PERMANENT, Reason.UNAUTHORIZED),
    403: (Answer.PERMANENT, Reason.UNAUTHORIZED),
    408: (Answer.RETRY, Reason.UNAVAILABLE),
    410: (Answer.GONE, Reason.GONE),
    429: (Answer.THROTTLED, Reason.THROTTLED),
}
_STATUS_CLASSES = {
    2: (Answer.ACCEPTED, None),
    3: (Answer.PERMANENT, Reason.REDIRECTED),
    4: (Answer.PERMANENT, Reason.REJECTED),
    5: (Answer.RETRY, Reason.UNAVAILABLE),
}


def judge_status(status: int, headers: Mapping[str, str]) -> Verdict:
    """What an HTTP status means to Standard Webhooks: 2xx is success, nothing else is.

    `headers` is looked up as `Retry-After`; give a mapping that ignores case.
    """
    answer, reason = _STATUSES.get(status) or _STATUS_CLASSES.get(
        status // 100, (Answer.PERMANENT, Reason.BAD_RESPONSE)
    )
    if answer not in (Answer.RETRY, Answer.THROTTLED):
        return Verdict(answer, reason, status)
    after_ms, at = parse_retry_after(headers.get("Retry-After"))
    if after_ms is not None or at is not None:
        # A server that names a time speaks for all that is on its way to it, not for one request.
        answer = Answer.THROTTLED
    return Verdict(answer, reason, status, after_ms, at)


def parse_retry_after(value: str | None) -> tuple[int | None, int | None]:
    """(milliseconds to wait, None), (None, epoch ms of an HTTP-date), or (None, None) if unreadable."""
    if value is None:
        return None, None
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Longer numbers are capped anyway; int() of megabytes of digits is refused by Python.
        return (int(value) * 1000 if len(value) <= 9 else RETRY_AFTER_CAP_MS), None
    try:
        moment = email.utils.parsedate_to_datetime(value)
        return None, int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None, None


def decide(
    policy: RetryPolicy,
    entry: Notification,
    verdict: Verdict,
    *,
    failures_in_a_row: int,
    now_ms: int,
    rng: Random,
) -> Decision:
    """What follows, now that `entry` (this attempt counted) met `verdict`.

    `failures_in_a_row` counts the receiver's consecutive unreachable or throttled answers, this one
    included: the rest of the receiver grows with them, whichever notification met them.
    """
    match verdict.answer:
        case Answer.ACCEPTED:
            return Decision(Next.DELIVERED)
        case Answer.GONE:
            return Decision(Next.FAILED, Reason.GONE, disable=True)
        case Answer.PERMANENT:
            return Decision(Next.FAILED, verdict.reason)
    at = now_ms + policy.delay_ms(entry.attempt, rng)
    asked = _asked_for(verdict, now_ms)
    if asked is not None:
        # Jitter comes on top: all who were told the same second would return in it.
        at = asked + policy.delay_ms(1, rng)
    rest = None
    if verdict.answer in (Answer.UNREACHABLE, Answer.THROTTLED):
        rest = at if asked is not None else now_ms + policy.delay_ms(failures_in_a_row, rng)
    if policy.max_attempts and entry.attempt >= policy.max_attempts:
        return Decision(Next.FAILED, Reason.MAX_ATTEMPTS, rest_until=rest)
    if at > entry.owed_since + policy.horizon_ms:
        return Decision(Next.FAILED, Reason.HORIZON, rest_until=rest)
    return Decision(Next.AGAIN, at=at, rest_until=rest)


def _asked_for(verdict: Verdict, now_ms: int) -> int | None:
    if verdict.retry_after_ms is not None:
        return now_ms + min(verdict.retry_after_ms, RETRY_AFTER_CAP_MS)
    if verdict.retry_at is not None:
        return min(max(verdict.retry_at, now_ms), now_ms + RETRY_AFTER_CAP_MS)
    return None
