"""Record types as they stand on the wire: what can be told of bytes in one pass, without Python in between.

In a record's type times are numbers, on the wire they are texts. A *twin* has the same fields, with times as
msgspec reads texts. It is strict: what its decoder takes, ``read`` takes, but what it refuses may yet be a
record, for one of a later version has more fields, and a time may be a number. So it answers for what we
write ourselves, and anything else goes the long way, which says what is wrong.
"""

from __future__ import annotations

from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import fields

from stream.core.events import At


def twin(kind: type[msgspec.Struct], **others: Any) -> type[msgspec.Struct]:
    """Return the type with times as texts with an offset, and no fields but its own.

    Args:
        kind: the record's type.
        others: what stands for a field's type, by the field's name.
    """
    hints = get_type_hints(kind, include_extras=True)
    columns: list[Any] = []
    for one in fields(kind):
        hint = others[one.name] if one.name in others else _on_wire(hints[one.name])
        if one.default is not msgspec.NODEFAULT:
            columns.append((one.name, hint, one.default))
        elif one.default_factory is not msgspec.NODEFAULT:
            columns.append((one.name, hint, msgspec.field(default_factory=one.default_factory)))
        else:
            columns.append((one.name, hint))
    return msgspec.defstruct(
        f"{kind.__name__}OnWire", columns, kw_only=True, forbid_unknown_fields=True, gc=False
    )


def _on_wire(hint: Any) -> Any:
    """Return how a value of an annotation stands there."""
    if hint == At:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return twin(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return Union[tuple(map(_on_wire, args))]  # noqa: UP007 - of a tuple
    if origin in (tuple, list, dict):
        return origin[tuple(map(_on_wire, args))]
    return hint
