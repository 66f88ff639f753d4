"""What the topics are called in one installation, and who reads which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
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
    messages: str = "chat.messages"
    timers: str = "qa.timers"
    control: str = "qa.control"
    state: str = "qa.state"
    findings: str = "qa.findings"
    alerts: str = "qa.alerts"
    conversations: str = "qa.conversations"
    contacts: str = "qa.contacts"
    config: str = "qa.config"
    ledger: str = "qa.ledger"
    dlq: str = "qa.dlq"

    @classmethod
    def under(cls, prefix: str) -> Names:
        """Return the names with a prefix before each."""
        plain = {field.name: str(field.default) for field in fields(cls) if field.name != "prefix"}
        return cls(prefix=prefix, **{name: prefix + topic for name, topic in plain.items()})

    def notify(self, receiver: str) -> str:
        """Return the topic of one receiver."""
        return f"{self.prefix}qa.notify.{receiver}"

    def receiver(self, topic: str) -> str | None:
        """Return the receiver whose topic this is, None for any other topic."""
        head = self.notify("")
        return topic.removeprefix(head) if topic.startswith(head) else None

    def sources(self) -> dict[str, Source]:
        """Return the topics of the conversation processor and what each is to a state."""
        return {self.messages: Source.MESSAGES, self.timers: Source.TIMERS, self.control: Source.CONTROL}

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
