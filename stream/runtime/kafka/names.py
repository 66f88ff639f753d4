"""What the topics are called in one installation, and who reads which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import StrEnum

from stream.core.state import Source


class Role(StrEnum):
    """What a worker does; several workers may share the roles among them."""

    CONVERSATIONS = "conversations"
    ALERTS = "alerts"
    DELIVERY = "delivery"


ALL_ROLES = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Names:
    """Topic names under one prefix; `stream/resources/topics.yaml` says what each is for."""

    prefix: str = ""
    messages: str = field(init=False, default="chat.messages")
    timers: str = field(init=False, default="qa.timers")
    state: str = field(init=False, default="qa.state")
    findings: str = field(init=False, default="qa.findings")
    alerts: str = field(init=False, default="qa.alerts")
    conversations: str = field(init=False, default="qa.conversations")
    contacts: str = field(init=False, default="qa.contacts")
    customers: str = field(init=False, default="qa.customers")
    config: str = field(init=False, default="qa.config")
    ledger: str = field(init=False, default="qa.ledger")
    dlq: str = field(init=False, default="qa.dlq")

    def __post_init__(self) -> None:
        for one in fields(self):
            if not one.init:
                object.__setattr__(self, one.name, self.prefix + str(one.default))

    def notify(self, receiver: str) -> str:
        """Return the topic of one receiver."""
        return f"{self.prefix}qa.notify.{receiver}"

    def receiver(self, topic: str) -> str | None:
        """Return the receiver whose topic this is, None for any other topic."""
        head = self.notify("")
        return topic.removeprefix(head) if topic.startswith(head) else None

    def sources(self) -> dict[str, Source]:
        """Return the topics of the conversation processor and what each is to a state, or to a customer."""
        return {
            self.messages: Source.MESSAGES,
            self.timers: Source.TIMERS,
            self.contacts: Source.CONTACTS,
        }

    def read_by(self, roles: Iterable[Role], receivers: Iterable[str]) -> list[str]:
        """Return the topics that a worker of these roles subscribes to."""
        wanted = set(roles)
        topics: list[str] = []
        if Role.CONVERSATIONS in wanted:
            topics += self.sources()
        if Role.ALERTS in wanted:
            topics.append(self.alerts)
        if Role.DELIVERY in wanted:
            topics += map(self.notify, receivers)
        return topics
