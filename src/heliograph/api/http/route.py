"""Declaration of routes, one for both Litestar's routing and /openapi.json.

    @route("GET", "/message/{message_id:str}", summary="A message", answer=MessageObject, errors=(404,))
    async def message(call: ApiRequest) -> MessageObject: ...

The types named here decode and encode, so the page agrees with what happens. A handler returns a value to be encoded as
JSON, a `RawResponse`, or None (an empty 204), and raises a Refusal.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from heliograph.api.http.errors import error_body, headers_of, log_refusal
from heliograph.api.http.request import ApiRequest
from heliograph.domain.errors import Refusal

JSON = "application/json"
Handler = Callable[[ApiRequest], Awaitable[Any]]


class PhoneHeader(Enum):
    """Use of x-phone by a route. REQUIRED: the header, or the only phone of the organisation.

    OF_CHAT: as REQUIRED, or the only phone that knows the group of the message; the handler looks it up.
    """

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"
    OF_CHAT = "of_chat"


@dataclass(frozen=True, slots=True)
class QueryParameter:
    name: str
    about: str
    kind: str = "string"
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """Description of a route for /openapi.json."""

    method: str
    path: str
    name: str
    summary: str
    tag: str
    description: str = ""
    phone: PhoneHeader = PhoneHeader.NONE
    body: Any = None
    answer: Any = None
    status: int = 200
    query: tuple[QueryParameter, ...] = ()
    errors: tuple[int, ...] = ()
    idempotent: bool = False
    example: Any = None
    example_answer: Any = None
    media_types: tuple[str, ...] = (JSON,)


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An answer with headers, a media type or a body in pieces."""

    body: bytes | AsyncIterator[bytes]
    status: int = 200
    media_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


def route(
    method: str, path: str, *, summary: str, tag: str, aliases: tuple[str, ...] = (), **more: Any
) -> Callable[[Handler], HTTPRouteHandler]:
    """Declares a route. `more`: other fields of `RouteSpec`. `aliases` are answered too, but are not on the page."""

    def declare(handler: Handler) -> HTTPRouteHandler:
        spec = RouteSpec(
            method=method,
            path=path.replace(":str}", "}"),
            name=getattr(handler, "__name__", path),
            summary=summary,
            tag=tag,
            **more,
        )

        async def endpoint(request: Request[Any, Any, Any]) -> Response[Any] | Stream:
            call: ApiRequest = request.scope["heliograph"]  # type: ignore[typeddict-item]  # put there by asgi.py
            call.path = {name: str(value) for name, value in request.path_params.items()}
            try:
                return as_response(await _called(handler, call, spec), spec.status)
            except Refusal as refusal:
                return error_response(log_refusal(refusal, request.method, request.url.path))

        return HTTPRouteHandler(
            [path, *aliases],
            http_method=method,  # type: ignore[arg-type]  # one of the HTTP methods
            status_code=200,  # the response sets the real one: Litestar allows no body type beside 204
            opt={"about": spec},
            media_type=JSON,
        )(endpoint)

    return declare


def options(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Makes OPTIONS for every path, with all of its methods; Litestar's own names those of one handler."""
    taken: dict[str, tuple[str, set[str]]] = {}
    for handler in handlers:
        for path in handler.paths:
            shape = re.sub(r"{\w+:str}", "{}", path)  # whatever the names of its parameters
            taken.setdefault(shape, (path, {"OPTIONS"}))[1].update(handler.http_methods)
    return [_options(path, ", ".join(sorted(methods))) for path, methods in taken.values()]


def _options(path: str, allow: str) -> HTTPRouteHandler:
    async def endpoint() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allow})

    return HTTPRouteHandler([path], http_method="OPTIONS", status_code=204)(endpoint)


async def _called(handler: Handler, call: ApiRequest, spec: RouteSpec) -> Any:
    if spec.phone is PhoneHeader.REQUIRED:
        call.phone = await call.state.phones.required(call.org_no, call.head.phone)
    elif spec.phone is PhoneHeader.OPTIONAL:
        call.phone = await call.state.phones.optional(call.org_no, call.head.phone)
    return await handler(call)


def as_response(value: Any, status: int) -> Response[Any] | Stream:
    if value is None:
        return Response(None, status_code=204)
    if not isinstance(value, RawResponse):
        return Response(msgspec.json.encode(value), status_code=status, media_type=JSON)
    if isinstance(value.body, bytes):
        return Response(value.body, status_code=value.status, media_type=value.media_type, headers=value.headers)
    return Stream(value.body, status_code=value.status, media_type=value.media_type, headers=value.headers)


def error_response(refusal: Refusal) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in headers_of(refusal)}
    return Response(error_body(refusal), status_code=refusal.status, media_type=JSON, headers=headers)
