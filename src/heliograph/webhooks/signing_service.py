"""What the API is handed for webhooks, made of the store's hooks and the secrets' vault."""

from collections.abc import Callable

from heliograph.domain.webhooks.webhook import WebhookRow
from heliograph.ports.secrets import Secrets
from heliograph.ports.webhook_store import WebhookService, WebhookStore, about_keys
from heliograph.webhooks.envelope import sample_body
from heliograph.webhooks.signing import OVERLAP_US, new_signing_key


def webhook_desk(hooks: WebhookStore, secrets: Secrets, wake: Callable[[], None]) -> WebhookService:
    """`wake`: a hint to this process's delivery worker; does nothing where there is none."""

    def new_key(org_no: int) -> str:
        return secrets.seal(new_signing_key(), about=about_keys(org_no))

    def open_key(org_no: int, sealed: str) -> str:
        return secrets.open(sealed, about=about_keys(org_no))

    def sample(hook: WebhookRow, now_us: int) -> str:
        return sample_body(hook, now_us=now_us)

    return WebhookService(hooks, new_key, open_key, sample, OVERLAP_US, wake)
