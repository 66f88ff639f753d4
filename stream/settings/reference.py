"""``docs/configuration.md``, from the settings classes: every key, its type, default and meaning."""

from __future__ import annotations

import types
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from stream.settings.loading import CONFIG_VARIABLE, DATA_VARIABLE, section_type
from stream.settings.model import DEFAULT_FILE, PREFIX, Settings
from stream.settings.values import duration_text, is_duration

_INTRODUCTION: Final = f"""\
# Configuration

<!-- Written by `make docs` from stream/settings/model.py. -->

Everything has a default; without any configuration Yanshao runs on this machine alone. What is set
wins in this order: an environment variable, the file, the default.

The file is the one named by `--config`, else by `{CONFIG_VARIABLE}`, else `{DEFAULT_FILE}` in the current
folder. Every key has an environment variable: `{PREFIX}` and its path in capitals, with two underscores
between the levels. Lists are written with commas there: `YANSHAO_KAFKA__BOOTSTRAP=kafka-1:9092,kafka-2:9092`.
`{DATA_VARIABLE}` is short for `YANSHAO_DATA_DIR`. The `alerts` section is configured in the file alone.

Durations need a unit: `20ms`, `30s`, `10m`, `2h`, `1h30m`. An unknown key is an error, with the line it
stands in and the key that was probably meant; all errors are told at once. Secrets may be given in an
environment variable, in a file (`*_file`), or in an environment variable of any name (`*_env`); they are
never printed. Relative paths of `*_file`, `ssl_*` and `packs` start at the folder of the configuration file,
`data_dir` at the current folder.
"""

_EXAMPLE: Final = """\
## Example

```yaml
zone: Asia/Shanghai
packs: [shipped, ./packs]
disable: [script.farewell_missing]
kafka:
  bootstrap: [kafka-1:9093, kafka-2:9093, kafka-3:9093]
  replication_factor: 3
  min_insync_replicas: 2
  security_protocol: SASL_SSL
  sasl_mechanism: SCRAM-SHA-512
  sasl_username: yanshao
  sasl_password_file: secrets/kafka-password
  ssl_cafile: secrets/ca.pem
conversation:
  idle_close: 20m
alerts:
  receivers:
    night-shift:
      type: dingtalk
      url_env: NIGHT_SHIFT_URL
      secret_env: NIGHT_SHIFT_SECRET
```
"""


def markdown() -> str:
    """Return the reference as Markdown."""
    parts = [_INTRODUCTION, "## Top level\n\n" + _table(Settings, ())]
    for path, section in _sections(Settings, ()):
        about = (section.__doc__ or "").strip()
        parts.append(f"## `{'.'.join(path)}`\n\n{about}\n\n{_table(section, path)}")
    return "\n".join([*parts, _EXAMPLE])


def _sections(
    section: type[BaseModel], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    for name in section.model_fields:
        inner = section_type(section, name)
        if inner is not None:
            yield (*path, name), inner
            yield from _sections(inner, (*path, name))


def _table(section: type[BaseModel], path: tuple[str, ...]) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        if section_type(section, name) is None:
            about = " ".join((field.description or "").split())
            rows.append(f"| `{name}` | {_type(field)} | {_default(field)} | {about} |")
    variable = PREFIX + "".join(f"{part.upper()}__" for part in path) + "…"
    return "\n".join(rows) + f"\n\nEnvironment: `{variable}`\n"


def _type(field: FieldInfo) -> str:
    if is_duration(field):
        return "duration"
    return " or ".join(_names(field.annotation))


def _names(annotation: Any) -> list[str]:
    if isinstance(annotation, types.UnionType):
        choices = [choice for choice in get_args(annotation) if choice is not type(None)]
        return [name for choice in choices for name in _names(choice)]
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return [f"`{item.value}`" for item in annotation]
    origin = get_origin(annotation) or annotation
    plain = {str: "text", int: "number", bool: "true, false", Path: "path", SecretStr: "secret"}
    return [plain.get(origin) or {tuple: "list", dict: "section"}.get(origin, str(annotation))]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "–"
    if is_duration(field):
        return f"`{duration_text(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{value}`" if value != "" else '`""`'
