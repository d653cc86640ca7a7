"""The key that deliveries are signed with, one for an organisation: shown, and changed with an overlap."""

import msgspec
from litestar.handlers import HTTPRouteHandler

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import route
from heliograph.api.webhooks.manage import TAG, webhook_service
from heliograph.domain.timestamps import iso
from heliograph.domain.webhooks.webhook import SigningKeyRow


class SigningKey(msgspec.Struct, omit_defaults=True):
    """`previous_signing_key` is valid until then, beside the current one."""

    signing_key: str
    previous_signing_key: str | None = None
    previous_valid_until: str | None = None


@route("GET", "/webhooks/signing-key", summary="The key that deliveries are signed with", tag=TAG, answer=SigningKey)
async def signing_key(call: ApiRequest) -> SigningKey:
    desk = webhook_service(call)
    return _key_shown(call, await desk.hooks.signing_keys(call.org_no, desk.new_key(call.org_no)))


@route(
    "POST", "/webhooks/signing-key/rotate",
    summary="A new signing key", tag=TAG, answer=SigningKey,
    description="The old one stays valid for 24 h: the Standard Webhooks header carries both signatures, "
    "x-periskope-signature switches at the end.",
)  # fmt: skip
async def rotate(call: ApiRequest) -> SigningKey:
    desk = webhook_service(call)
    new, first = desk.new_key(call.org_no), desk.new_key(call.org_no)
    return _key_shown(call, await desk.hooks.rotate_key(call.org_no, new, first_key=first, overlap_us=desk.overlap_us))


def _key_shown(call: ApiRequest, keys: SigningKeyRow) -> SigningKey:
    open_key = webhook_service(call).open_key
    if keys.previous is None or call.deps.clock.now_us() >= keys.switch_at_us:
        return SigningKey(open_key(call.org_no, keys.current))
    return SigningKey(open_key(call.org_no, keys.current), open_key(call.org_no, keys.previous), iso(keys.switch_at_us))


def routes() -> list[HTTPRouteHandler]:
    return [signing_key, rotate]
