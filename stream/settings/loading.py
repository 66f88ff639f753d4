"""Reads the configuration file and the environment; the only module that does."""

from __future__ import annotations

import difflib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from stream import yamltext
from stream.settings.model import DEFAULT_FILE, PREFIX, Settings, Where
from stream.settings.values import duration_text, is_duration

CONFIG_VARIABLE: Final = "YANSHAO_CONFIG"
DATA_VARIABLE: Final = "YANSHAO_DATA"
TOKEN_FILE: Final = "token"  # noqa: S105 - the name of a file
MASKED: Final = "**********"

_TOKEN_BYTES: Final = 32  # 256 bits; what `secrets` recommends
_MODE: Final = 0o700  # the owner's alone: the folder holds chats and a token

# Settings that may also come from a file or a variable of another name.
_SECRETS: Final[tuple[tuple[str, ...], ...]] = (
    ("token",),
    ("kafka", "sasl_password"),
    ("kafka", "ssl_key_password"),
)
_FILES: Final = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")


class ConfigError(ValueError):
    """The configuration cannot be used. ``problems`` has one line a fault, with its place."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load(path: str | Path | None = None, *, env: Mapping[str, str] | None = None) -> Settings:
    """Return the configuration: defaults, then the file, then the environment.

    Args:
        path: the file; else ``YANSHAO_CONFIG``; else ``yanshao.yaml`` here, which need not exist.
        env: the environment, by default the process's.

    Raises:
        ConfigError: with every fault of file and environment.
    """
    env = os.environ if env is None else env
    return _Loading(path, env).settings()


class _Loading:
    """One reading: what was found, and the faults so far."""

    def __init__(self, path: str | Path | None, env: Mapping[str, str]) -> None:
        self.env = env
        self.problems: list[str] = []
        named = path or env.get(CONFIG_VARIABLE) or None
        self.source = str(named or DEFAULT_FILE)
        self.parsed = self._read(required=named is not None)
        self.from_env = self._environment()

    def settings(self) -> Settings:
        document = self.parsed.value if isinstance(self.parsed.value, dict) else {}
        merged = _merge(document, self.from_env)
        self._resolve_secrets(merged)
        self._resolve_paths(merged)
        try:
            settings = Settings(**merged)
        except ValidationError as error:
            self.problems += [f"{self.place(where)}: {text}" for where, text in _faults(error)]
            settings = None
        if settings is not None:
            self.problems += [f"{self.place(where)}: {text}" for where, text in _contradictions(settings)]
        if settings is None or self.problems:
            raise ConfigError(sorted(set(self.problems), key=self.problems.index))
        settings._source = self.source
        settings._locate = self._line
        return settings

    def place(self, where: Where) -> str:
        """Return where a key was set: its variable, or its line of the file; with the key itself."""
        variable = self._variable(where)
        if variable:
            return variable
        dotted = ".".join(map(str, where))
        return f"{self._line(where)}: {dotted}" if dotted else self._line(where)

    def _line(self, where: Where) -> str:
        return f"{self.source}:{self.parsed.line(where)}"

    def _variable(self, where: Where) -> str | None:
        """Return the environment variable that set a key or the section it is in."""
        if where == ("data_dir",) and DATA_VARIABLE in self.env:
            return DATA_VARIABLE
        wanted = [PREFIX + "__".join(map(str, where[:size])) for size in range(len(where), 0, -1)]
        for name in wanted:
            for given in self.env:
                if given.upper() == name.upper():
                    return given
        return None

    def _read(self, *, required: bool) -> yamltext.Parsed:
        try:
            text = Path(self.source).read_text("utf-8-sig")
        except FileNotFoundError:
            if required:
                self.problems.append(f"{self.source}: there is no such file")
            return yamltext.parse("")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{self.source}: cannot be read: {type(error).__name__}")
            return yamltext.parse("")
        parsed = yamltext.parse(text)
        self.problems += [problem.said_of(self.source) for problem in parsed.problems]
        if not isinstance(parsed.value, dict):
            self.problems.append(f"{self.source}:1: expected keys with values")
        return parsed

    def _environment(self) -> dict[str, Any]:
        env = {name: value for name, value in self.env.items() if name != CONFIG_VARIABLE}
        if DATA_VARIABLE in env:
            env[PREFIX + "DATA_DIR"] = env.pop(DATA_VARIABLE)
        for name in list(env):
            if name.upper() == PREFIX + "ALERTS" or name.upper().startswith(PREFIX + "ALERTS__"):
                del env[name]
                self.problems.append(f"{name}: alerts are configured in the file; its secrets by *_env")
        try:
            return _Environment(env)()
        except SettingsError as error:
            # "error parsing value for field "kafka" from source …": a section cannot be one variable.
            self.problems.append(f"environment: {str(error).split(' from source', maxsplit=1)[0]}")
            return {}

    def _resolve_secrets(self, merged: dict[str, Any]) -> None:
        for where in _SECRETS:
            section: Any = merged
            for part in where[:-1]:
                section = section.get(part, {}) if isinstance(section, dict) else {}
            if not isinstance(section, dict):
                continue
            key = where[-1]
            given = [name for name in (key, f"{key}_file", f"{key}_env") if section.get(name) is not None]
            if len(given) > 1:
                self.problems.append(f"{self.place(where)}: give only one of {', '.join(given)}")
            elif given and given[0] != key:
                self._fetch(section, (*where[:-1], given[0]), key)

    def _resolve_paths(self, merged: dict[str, Any]) -> None:
        """Let certificate files start at the configuration's folder: clients see the section alone."""
        kafka = merged.get("kafka")
        if not isinstance(kafka, dict):
            return
        folder = Path(self.source).absolute().parent
        merged["kafka"] = kafka | {
            name: str(folder / kafka[name]) for name in _FILES if isinstance(kafka.get(name), str)
        }

    def _fetch(self, section: dict[str, Any], where: Where, key: str) -> None:
        """Put the secret that ``where`` points to under ``key``."""
        pointer = str(section[str(where[-1])])
        if str(where[-1]).endswith("_env"):
            value = self.env.get(pointer, "").strip()
            missing = f"environment variable {pointer} is not set"
        else:
            try:
                value = (Path(self.source).parent / pointer).read_text("utf-8").strip()
                missing = f"{pointer} is empty"
            except (OSError, UnicodeDecodeError) as error:
                value, missing = "", f"cannot read {pointer}: {type(error).__name__}"
        if value:
            section[key] = value
        else:
            self.problems.append(f"{self.place(where)}: {missing}")


class _Environment(EnvSettingsSource):
    """pydantic-settings' reading of variables, of the environment that was handed in."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in env.items()}
        super().__init__(Settings, case_sensitive=False)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged


def _faults(error: ValidationError) -> Iterator[tuple[Where, str]]:
    """Say what pydantic found, never with the value that was given."""
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        where = fault["loc"]
        if fault["type"] == "extra_forbidden":
            yield where, "unknown key" + _suggestion(str(where[-1]), _keys_at(where[:-1]))
        else:
            section = fault["type"] == "model_type"
            text = "expected keys with values" if section else fault["msg"].removeprefix("Value error, ")
            yield where, text[:1].lower() + text[1:]


def _keys_at(where: Where) -> list[str]:
    section: type[BaseModel] = Settings
    for part in where:
        section = section_type(section, str(part)) or section
    return list(section.model_fields)


def section_type(section: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Return the class of a key that is a section; None for a plain value."""
    annotation = section.model_fields[key].annotation if key in section.model_fields else None
    for choice in (annotation, *get_args(annotation)):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _contradictions(settings: Settings) -> Iterator[tuple[Where, str]]:
    """Find settings that are right one by one and wrong together."""
    kafka = settings.kafka
    if kafka.heartbeat_interval * 3 > kafka.session_timeout:
        yield ("kafka", "heartbeat_interval"), "must be at most a third of session_timeout"
    if kafka.security_protocol.value.startswith("SASL") and not (
        kafka.sasl_mechanism and kafka.sasl_username and kafka.sasl_password
    ):
        yield (
            ("kafka", "security_protocol"),
            "SASL needs sasl_mechanism, sasl_username and sasl_password",
        )
    if kafka.sasl_mechanism and not kafka.security_protocol.value.startswith("SASL"):
        yield (
            ("kafka", "sasl_mechanism"),
            "has no effect unless security_protocol is a SASL one",
        )
    if kafka.ssl_keyfile and not kafka.ssl_certfile:
        yield ("kafka", "ssl_keyfile"), "needs ssl_certfile"
    if kafka.min_insync_replicas and 0 < kafka.replication_factor < kafka.min_insync_replicas:
        yield ("kafka", "min_insync_replicas"), "is larger than replication_factor: nothing could be written"


# What follows from the configuration.


def ensure_data_dir(settings: Settings) -> Path:
    """Return the data folder, made with mode 0700 where it was not there.

    Raises:
        OSError: it cannot be made, or is a file.
    """
    path = settings.data_dir.expanduser()
    path.mkdir(mode=_MODE, parents=True, exist_ok=True)
    return path


def ensure_token(settings: Settings) -> str:
    """Return the bearer token of the HTTP door: the configured one, else the one in the data folder.

    The latter is made once, readable by its owner alone; two processes that start together get the
    same one.

    Raises:
        OSError: the data folder cannot be used.
    """
    if settings.token is not None:
        return settings.token.get_secret_value()
    path = ensure_data_dir(settings) / TOKEN_FILE
    made = path.with_name(f"{TOKEN_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(secrets.token_urlsafe(_TOKEN_BYTES) + "\n")
        try:
            os.link(made, path)  # unlike a rename it does not replace another process's token
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_text("ascii").strip()


def show(settings: Settings) -> str:
    """Return the effective configuration as YAML; every secret masked, durations as people write them."""
    return yaml.safe_dump(_plain(settings), allow_unicode=True, sort_keys=False)


_TELLING: Final = ("url", "secret", "password", "token", "key")


def _plain(section: BaseModel) -> dict[str, Any]:
    return {name: _shown(section, name, getattr(section, name)) for name in type(section).model_fields}


def _shown(section: BaseModel, name: str, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value)
    if isinstance(value, SecretStr):
        return MASKED
    if name == "alerts":
        return _masked(value)
    if isinstance(value, int) and is_duration(type(section).model_fields[name]):
        return duration_text(value)
    if isinstance(value, tuple):
        return list(map(str, value))
    return str(value) if isinstance(value, str | Path) else value


def _masked(value: Any, key: str = "") -> Any:
    """Mask what may be secret in a section that others parse; a robot's URL carries its token."""
    if isinstance(value, dict):
        return {name: _masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, key) for item in value]
    points = key.endswith(("_env", "_file"))
    if isinstance(value, str) and not points and any(word in key.lower() for word in _TELLING):
        return MASKED
    return value
