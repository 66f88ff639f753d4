"""The receivers there are. To add one: a file here, a line in `RECEIVERS`, a name in `ReceiverType`.

The contract suite (`tests/contract/test_receiver_contract.py`) is parametrised from `RECEIVERS`.
"""

from collections.abc import Mapping

from alerts.config import ReceiverType
from alerts.receivers.base import Receiver, ReceiverFactory, Request
from alerts.receivers.dingtalk import DingTalk
from alerts.receivers.feishu import Feishu
from alerts.receivers.webhook import Webhook
from alerts.receivers.wecom import WeCom

RECEIVERS: Mapping[ReceiverType, ReceiverFactory] = {
    ReceiverType.DINGTALK: DingTalk,
    ReceiverType.FEISHU: Feishu,
    ReceiverType.WEBHOOK: Webhook,
    ReceiverType.WECOM: WeCom,
}
"""Receivers reached over HTTP. The console is not one of them; see `alerts.senders`."""

__all__ = ["RECEIVERS", "Receiver", "ReceiverFactory", "Request"]
