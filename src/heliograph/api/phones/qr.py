"""GET /v1/phones/qr: the code to pair a phone with, as JSON for the published client, as PNG for a browser.

Source: contract 6.13. The client parses the answer as JSON, so bytes come as Node's `{"type": "Buffer", "data": […]}`.
"""

import base64
import io
from typing import Literal

import msgspec

from heliograph.api.http.request import ApiRequest
from heliograph.api.http.route import JSON, PhoneHeader, QueryParameter, RawResponse, route
from heliograph.domain.errors import Conflict, invalid

PNG = "image/png"


class QrAnswer(msgspec.Struct, frozen=True):
    """`qr_code` is the text of the code, `image` a data URI of its picture, `data` the picture's bytes."""

    type: Literal["Buffer"]
    data: list[int]
    qr_code: str
    image: str


@route(
    "GET", "/phones/qr",
    summary="The code to pair a phone with", tag="Phones", phone=PhoneHeader.REQUIRED, answer=QrAnswer, errors=(404,
    409),
    query=(QueryParameter("format", "png or json; without it as Accept and client-version say"),), media_types=(JSON,
    PNG),
    description="Only while the phone is not connected. JSON for the published client and on request, else PNG.",
)  # fmt: skip
async def qr(call: ApiRequest) -> RawResponse:
    format_ = call.text("format")
    if format_ not in (None, "png", "json"):
        raise invalid("format", "format must be png or json", format_)
    if call.required_phone.state == "connected":
        raise Conflict("The phone is connected, so there is no code to scan; reset it first to connect it anew")
    code = call.deps.pairing_code(call.required_phone)
    if code is None:
        raise Conflict(f"A phone of kind {call.required_phone.provider} is not paired by a code")
    import segno  # rarely needed, so it does not slow the start

    picture = io.BytesIO()
    segno.make(code, micro=False).save(picture, kind="png", scale=8, border=4)
    image = picture.getvalue()
    if (format_ or _format(call)) == "png":
        return RawResponse(image, media_type=PNG, headers={"Cache-Control": "no-store"})
    uri = f"data:{PNG};base64,{base64.b64encode(image).decode()}"
    return RawResponse(
        msgspec.json.encode(QrAnswer("Buffer", list(image), code, uri)), headers={"Cache-Control": "no-store"}
    )


def _format(call: ApiRequest) -> str:
    """Chooses the format: a browser asks for an image, the published client names itself."""
    accept = (call.head.accept or b"").lower()
    if b"image/" in accept:
        return "png"
    return "json" if call.head.client_version is not None or b"json" in accept else "png"
