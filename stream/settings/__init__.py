"""The configuration, and the only reader of the environment.

``load`` merges, later ones winning: the defaults, ``yanshao.yaml``, and environment variables
``YANSHAO_…`` (``__`` between the levels: ``YANSHAO_KAFKA__BOOTSTRAP``). Every fault is reported at
once, with its place. Durations are written with a unit (``30s``) and are integer milliseconds in the
program. Secrets show themselves only to ``get_secret_value()``. All keys: ``docs/configuration.md``.
"""

from stream.settings.loading import (
    CONFIG_VARIABLE,
    DATA_VARIABLE,
    ConfigError,
    ensure_data_dir,
    ensure_token,
    load,
    show,
)
from stream.settings.model import (
    SHIPPED,
    Batch,
    Conversation,
    Kafka,
    Listen,
    Local,
    Metrics,
    ResponseMetric,
    SaslMechanism,
    SecurityProtocol,
    Settings,
)
from stream.settings.values import duration_ms, duration_text, zone_of

__all__ = [
    "CONFIG_VARIABLE",
    "DATA_VARIABLE",
    "SHIPPED",
    "Batch",
    "ConfigError",
    "Conversation",
    "Kafka",
    "Listen",
    "Local",
    "Metrics",
    "ResponseMetric",
    "SaslMechanism",
    "SecurityProtocol",
    "Settings",
    "duration_ms",
    "duration_text",
    "ensure_data_dir",
    "ensure_token",
    "load",
    "show",
    "zone_of",
]
