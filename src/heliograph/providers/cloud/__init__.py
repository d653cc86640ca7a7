"""Provider of WhatsApp's official Cloud API.

The API honours no client id. A message whose answer was lost may have been sent: its outcome is Unknown, and the status
webhook that returns our queue_id (`biz_opaque_callback_data`) settles it.
"""

from heliograph.providers.cloud.spec import SPEC

__all__ = ["SPEC"]
