"""What a kind of clock is, beside its policies: a title, and what makes it start and end."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stream.core.annotation import Annotation
from stream.core.book import RuleBook
from stream.core.clocks import Fired
from stream.core.events import Message
from stream.core.state import State


class Heard(NamedTuple):
    """A message as clocks hear it, at ``t`` in milliseconds UTC."""

    message: Message
    annotation: Annotation
    t: int


class Kind(NamedTuple):
    """One kind of clock: a row of ``KINDS``.

    ``title`` is what alerts call it. ``heard`` is called once a message has changed turns, ``happened``
    once any other event has been applied, ``closing`` before a close stops what ends with the conversation;
    each changes the state in place and returns the told moments that proved wrong. ``by_rule``: rules
    start and end it (``starts``, ``answers``, ``stops``). ``timed_anew``: a change of its policy reaches
    clocks that run, counted from their old start; not where the moments are not the policy's alone.
    ``promised``: the target is what somebody said, and no policy's.
    """

    title: str
    heard: Callable[[RuleBook, State, Heard], tuple[Fired, ...]] | None = None
    happened: Callable[[RuleBook, State, object, int], tuple[Fired, ...]] | None = None
    closing: Callable[[RuleBook, State, int], tuple[Fired, ...]] | None = None
    by_rule: bool = False
    timed_anew: bool = True
    promised: bool = False
