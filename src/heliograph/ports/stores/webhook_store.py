"""Webhooks and their deliveries as the API needs them."""

from collections.abc import Sequence
from typing import Protocol

from heliograph.domain.jobs.job import Idempotency
from heliograph.domain.webhooks.webhook import Delivery, DeliveryAttempt, HookPatch, NewHook, SigningKeyRow, WebhookRow


def about_keys(org_no: int) -> str:
    """Returns the context that the sealed signing keys of an organisation are bound to."""
    return f"webhooks of {org_no}"


class WebhookStore(Protocol):
    """Hooks, signing keys (sealed text), and deliveries."""

    async def create_hooks(
        self, org_no: int, hooks: Sequence[NewHook], first_key: str, idempotency: Idempotency | None = None
    ) -> tuple[list[WebhookRow], bool] | None:
        """Adds all hooks or none; returns them, and whether this is a replay. None: the key is another request's.

        `first_key` becomes the signing key of an organisation without one.
        """
        ...

    async def hooks(self, org_no: int) -> list[WebhookRow]:
        """Lists the hooks of an organisation, oldest first."""
        ...

    async def hook(self, org_no: int, hook_id: str) -> WebhookRow | None:
        """Reads one hook; None if it is unknown or deleted."""
        ...

    async def update_hook(self, org_no: int, hook_id: str, patch: HookPatch) -> WebhookRow | None:
        """Changes a hook and returns it as stored; None: there is no such hook."""
        ...

    async def delete_hook(self, org_no: int, hook_id: str) -> bool:
        """Deletes a hook; its waiting deliveries end. Returns False if there is none."""
        ...

    async def signing_keys(self, org_no: int, first_key: str) -> SigningKeyRow:
        """Reads the signing keys of an organisation, and stores `first_key` if there are none."""
        ...

    async def rotate_key(self, org_no: int, new_key: str, *, first_key: str, overlap_us: int) -> SigningKeyRow:
        """Replaces the signing key; the old one stays valid for `overlap_us`."""
        ...

    async def deliveries(
        self, hook: WebhookRow, *, state: str | None = None, below: int | None = None, limit: int = 100
    ) -> list[Delivery]:
        """Lists deliveries of a hook, newest first, with numbers below `below`."""
        ...

    async def delivery(self, org_no: int, no: int) -> tuple[Delivery, str | None, list[DeliveryAttempt]] | None:
        """Reads a delivery, its body as sent if it is kept for another try, and its attempts."""
        ...

    async def replay(self, org_no: int, no: int) -> bool:
        """Sends a delivery again at once, with the same id and bytes. False: it is unknown or already in flight."""
        ...

    async def replay_many(self, hook: WebhookRow, *, dead_only: bool, since_us: int, until_us: int) -> int:
        """Sends the deliveries of a time range again, in steps, and returns their number."""
        ...

    async def add_test(self, hook: WebhookRow, body: str) -> Delivery:
        """Adds a test delivery outside all streams; `{delivery_id}` in `body` stands for its id."""
        ...
