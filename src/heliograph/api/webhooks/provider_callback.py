"""GET and POST of a provider's webhook: statuses and inbound messages from the provider's servers.

An ASGI app mounted outside /v1: the provider has no API key, it signs its bytes. Promise: a 200 is given only after the
webhook is on disk; any other answer makes the provider send it again.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import structlog

from heliograph.api.http.body import ClientGone, read_body
from heliograph.api.http.dependencies import AsgiApp
from heliograph.domain.errors import PayloadTooLarge, Unavailable
from heliograph.ports.provider_inbox import ReceiveStatus, WebhookReceiver

MAX_WEBHOOK_BYTES = 4 * 1024 * 1024
_STATUS = {ReceiveStatus.STORED: 200, ReceiveStatus.FORGED: 403, ReceiveStatus.MALFORMED: 400}
_log = structlog.get_logger("heliograph.cloud_webhook")

Scope = dict[str, Any]


def webhook_app(
    receiver: WebhookReceiver,
    *,
    stored: Callable[[Sequence[int]], None],
    signature_header: str = "x-hub-signature-256",
) -> AsgiApp:
    """Makes the app of a provider's webhook. `stored(phone_nos)`: a hint to the sender of these phones."""
    signature = signature_header.lower().encode()

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await _answer(send, *await _challenge(receiver, scope))
        elif scope["method"] == "POST":
            status, text = await _receive(receiver, scope, receive, stored, signature)
            if status:
                await _answer(send, status, text)
        else:
            await _answer(send, 405, "Only GET and POST are known here.")

    return app


async def _challenge(receiver: WebhookReceiver, scope: Scope) -> tuple[int, str]:
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), errors="replace"))
    mode, token, challenge = (query.get(f"hub.{name}", "") for name in ("mode", "verify_token", "challenge"))
    try:
        echo = await receiver.challenge(mode, token, challenge)
    except Unavailable as problem:
        return 503, problem.message
    return (200, echo) if echo is not None else (403, "hub.verify_token is not one of a phone here.")


async def _receive(
    receiver: WebhookReceiver,
    scope: Scope,
    receive: Any,
    stored: Callable[[Sequence[int]], None],
    signature: bytes,
) -> tuple[int, str]:
    """Stores one webhook. Status 0: the caller is gone."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    try:
        raw = bytes(await read_body(receive, headers.get(b"content-length"), MAX_WEBHOOK_BYTES))
        verdict = await receiver.receive(raw, headers.get(signature, b"").decode("latin-1"))
    except ClientGone:
        return 0, ""
    except PayloadTooLarge as problem:
        return 413, problem.message
    except Unavailable as problem:
        return 503, problem.message
    if verdict.answer is ReceiveStatus.STORED:
        stored(verdict.phone_nos)
    else:
        _log.warning("webhook_refused", why=verdict.answer.value, detail=verdict.detail, bytes=len(raw))
    return _STATUS[verdict.answer], verdict.detail


async def _answer(send: Any, status: int, text: str) -> None:
    body = text.encode()
    # never text/html, as the challenge is echoed unchanged
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
