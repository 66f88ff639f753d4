"""What events say of shop, customer and order: once given, it holds for the conversation."""

from __future__ import annotations

from stream.core.events import Event, Message, Role
from stream.core.state import State

# An attribute is a label, not a document: longer values are cut, further names left out.
ATTRIBUTE_CHARACTERS = 128
ATTRIBUTE_LIMIT = 24
# Asked for by every message: looked up in its enum it costs many times as much.
_CUSTOMER = Role.CUSTOMER


def merge(state: State, event: Event) -> None:
    """Keep the event's attributes; a later value replaces an earlier one."""
    attributes = state.attributes
    if event.shop_id is not None:
        attributes["shop_id"] = event.shop_id
    if event.channel is not None:
        attributes["channel"] = event.channel
    if event.group is not None:
        attributes["group"] = event.group
    customer = event.customer
    if customer is not None:
        if customer.id is not None:
            attributes["customer_id"] = customer.id
        if customer.tier is not None:
            attributes["tier"] = customer.tier
    if isinstance(event, Message) and event.sender.role is _CUSTOMER and event.sender.id is not None:
        attributes.setdefault("customer_id", event.sender.id)
    if event.attributes:
        for name, value in event.attributes.items():
            _keep(state, name, value)


def put(state: State, name: str, value: str | None) -> None:
    """Set an attribute of our own naming, where there is a value."""
    if value is not None:
        state.attributes[name] = value[:ATTRIBUTE_CHARACTERS]


def _keep(state: State, name: str, value: object) -> None:
    """Keep an attribute of the sender's naming, where it is a plain value and there is room."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif not isinstance(value, str | int | float):
        return
    if name in state.attributes or len(state.attributes) < ATTRIBUTE_LIMIT:
        state.attributes[name[:ATTRIBUTE_CHARACTERS]] = str(value)[:ATTRIBUTE_CHARACTERS]
