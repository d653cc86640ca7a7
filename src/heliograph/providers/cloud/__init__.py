"""WhatsApp's official Cloud API as a provider.

It honours no client id: a message whose answer was lost may have been sent, so it is told as Unknown, never sent again,
and settled by the status webhook that hands our queue_id back (`biz_opaque_callback_data`).
"""

from heliograph.providers.cloud.provider import CloudProvider
from heliograph.providers.cloud.webhook_payload import read_delivery
from heliograph.providers.cloud.webhook_receiver import CloudWebhookReceiver

__all__ = ["CloudProvider", "CloudWebhookReceiver", "read_delivery"]
