"""The HTTP face of the local Graph server: published paths under /vN.N, and /_graph for tests and curious people."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from aiohttp import web

from heliograph.ports.clock import Clock
from heliograph.simulator.graph import validation
from heliograph.simulator.graph.config import Rules
from heliograph.simulator.graph.errors import UNAUTHORIZED, GraphError, bad_parameter, fault, unknown_object
from heliograph.simulator.graph.network import GraphNetwork, GraphReply
from heliograph.simulator.graph.test_numbers import NumberBehaviour, Way
from heliograph.simulator.graph.webhooks import Callbacks

MAX_BODY_BYTES = 101 * 1024 * 1024
_MEDIA_TYPES = frozenset(
    {
        "audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus",
        "image/jpeg", "image/png", "image/webp", "video/mp4", "video/3gpp", "text/plain", "application/pdf",
        "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/zip",
        "application/octet-stream", "text/csv",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    }
)  # fmt: skip

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class GraphRoutes:
    def __init__(self, network: GraphNetwork, callbacks: Callbacks, clock: Clock) -> None:
        self._network = network
        self._callbacks = callbacks
        self._clock = clock

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        version = "/{version:v[0-9]+[.][0-9]+}"
        app.add_routes(
            [
                web.post(version + "/{object_id}/messages", self._allowed(self.messages)),
                web.post(version + "/{object_id}/media", self._allowed(self.upload)),
                web.get(version + "/{object_id}/subscribed_apps", self._allowed(self.subscribed)),
                web.post(version + "/{object_id}/subscribed_apps", self._allowed(self.subscribe)),
                web.get(version + "/{object_id}", self._allowed(self.show)),
                web.delete(version + "/{object_id}", self._allowed(self.drop)),
                web.get("/_graph/files/{object_id}", self._allowed(self.file)),
                web.get("/_graph", self.settings),
                web.put("/_graph", self.change),
                web.get("/_graph/messages", self.journal),
                web.delete("/_graph/messages", self.forget),
                web.put("/_graph/recipients/{number}", self.choose),
                web.post("/_graph/inbound", self.inbound),
            ]
        )
        return app

    def _allowed(self, handler: Handler) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bearer {self._network.rules.token}":
                return _fault(UNAUTHORIZED)
            return await handler(request)

        return checked

    async def messages(self, request: web.Request) -> web.StreamResponse:
        body = await _object(request)
        if body is None:
            return _fault(bad_parameter("The body is not a JSON object."))
        if body.get("status") == "read":
            ok = isinstance(body.get("message_id"), str)
            return _json({"success": True}) if ok else _fault(fault(131008, "message_id is required."))
        bad_file = await self._callbacks.look_behind(validation.link_of(body))
        reply = self._network.post(request.match_info["object_id"], body, bad_file=bad_file)
        if reply.late_s:
            await self._clock.sleep(reply.late_s)
        return _answer(request, reply, body)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        phone_number_id = request.match_info["object_id"]
        if phone_number_id not in self._network.rules.phones:
            return _fault(unknown_object(phone_number_id))
        if not request.content_type.startswith("multipart/"):
            return _fault(bad_parameter("The body must be multipart/form-data."))
        form = await request.post()
        file, said = form.get("file"), form.get("type")
        if form.get("messaging_product") != "whatsapp" or not isinstance(file, web.FileField):
            return _fault(fault(131008, "messaging_product and file are required."))
        mimetype = (said if isinstance(said, str) and said else file.content_type).partition(";")[0]
        if mimetype not in _MEDIA_TYPES:
            return _fault(bad_parameter(f"Param file must be a file with one of the supported types, not {mimetype}."))
        kept = self._network.keep_file(phone_number_id, mimetype, file.filename, file.file.read())
        return _json({"id": kept.media_id})

    async def show(self, request: web.Request) -> web.StreamResponse:
        object_id, rules = request.match_info["object_id"], self._network.rules
        if object_id in rules.phones:
            return _json(
                {
                    "id": object_id,
                    "display_phone_number": "+" + rules.phones[object_id],
                    "verified_name": "Heliograph test",
                    "code_verification_status": "VERIFIED",
                    "quality_rating": "GREEN",
                    "throughput": {"level": "STANDARD"},
                }
            )
        file = self._network.file(object_id)
        if file is None:
            return _fault(unknown_object(object_id))
        return _json(
            {
                "messaging_product": "whatsapp",
                "url": str(request.url.with_path(f"/_graph/files/{object_id}").with_query({})),
                "mime_type": file.mimetype,
                "sha256": file.sha256,
                "file_size": len(file.data),
                "id": object_id,
            }
        )

    async def file(self, request: web.Request) -> web.StreamResponse:
        file = self._network.file(request.match_info["object_id"])
        return web.Response(body=file.data, content_type=file.mimetype) if file else web.Response(status=404)

    async def drop(self, request: web.Request) -> web.StreamResponse:
        object_id = request.match_info["object_id"]
        return _json({"success": True}) if self._network.drop_file(object_id) else _fault(unknown_object(object_id))

    async def subscribed(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["object_id"] != self._network.rules.waba_id:
            return _fault(unknown_object(request.match_info["object_id"]))
        app = {"id": "1", "name": "Local app", "link": "http://127.0.0.1/"}
        url = self._network.rules.callback_url
        return _json({"data": [{"whatsapp_business_api_data": app, "override_callback_uri": url}] if url else []})

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        """With `override_callback_uri` and `verify_token`: makes the handshake first, as Meta does."""
        if request.match_info["object_id"] != self._network.rules.waba_id:
            return _fault(unknown_object(request.match_info["object_id"]))
        body = await _object(request) or {}
        url = body.get("override_callback_uri")
        if isinstance(url, str) and url:
            challenge = str(self._clock.now_us())
            if not await self._callbacks.verify(url, str(body.get("verify_token", "")), challenge):
                return _fault(
                    GraphError(2200, "Callback verification failed", "The callback did not echo the challenge.")
                )
            self._network.rules = replace(self._network.rules, callback_url=url)
        return _json({"success": True})

    async def settings(self, _request: web.Request) -> web.StreamResponse:
        counts = {
            "messages": self._network.taken,
            "uploads": self._network.uploads,
            "webhooks_delivered": self._callbacks.delivered,
            "webhooks_given_up": self._callbacks.given_up,
            "webhooks_waiting": self._callbacks.waiting,
        }
        return _json({"rules": asdict(self._network.rules), "counts": counts})

    async def change(self, request: web.Request) -> web.StreamResponse:
        wanted = await _object(request)
        known = {f.name for f in fields(Rules)}
        if wanted is None or set(wanted) - known:
            return _json({"message": f"Give an object with some of {sorted(known)}."}, status=422)
        self._network.rules = replace(self._network.rules, **wanted)
        return await self.settings(request)

    async def journal(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        limit = query.get("limit", "1000")
        return _json(
            self._network.journal(
                tracker=query.get("tracker", ""),
                to=query.get("to", ""),
                phone_number_id=query.get("phone_number_id", ""),
                limit=min(int(limit), 100_000) if limit.isascii() and limit.isdigit() else 1000,
            )
        )

    async def forget(self, _request: web.Request) -> web.StreamResponse:
        self._network.forget_messages()
        return web.Response(status=204)

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """{"way", "answer": code, "failed": code, "times", "statuses": […], "says"}: each may be left out."""
        wanted = await _object(request)
        try:
            behaviour = _behaviour(wanted or {})
        except (KeyError, TypeError, ValueError) as error:
            return _json({"message": f"This is not a behaviour: {error}"}, status=422)
        self._network.choose(request.match_info["number"], behaviour)
        return web.Response(status=204)

    async def inbound(self, request: web.Request) -> web.StreamResponse:
        """{"phone_number_id", "from", "text"} or instead of text {"message": {"type": …, …}}."""
        body = await _object(request) or {}
        sender, phone = str(body.get("from", "")), str(body.get("phone_number_id", ""))
        parts = body.get("message")
        if phone not in self._network.rules.phones or not sender.isdigit():
            return _json({"message": "phone_number_id and from (digits) are required."}, status=422)
        text = str(body.get("text", ""))
        wamid = self._network.write(phone, sender, text, **(parts if isinstance(parts, dict) else {}))
        return _json({"id": wamid})


def _behaviour(wanted: Mapping[str, Any]) -> NumberBehaviour:
    ordinary = NumberBehaviour()
    return NumberBehaviour(
        way=Way(wanted.get("way", "normal")),
        answer=fault(int(wanted["answer"])) if "answer" in wanted else None,
        failed=fault(int(wanted["failed"])) if "failed" in wanted else None,
        times=int(wanted["times"]) if "times" in wanted else None,
        statuses=tuple(str(name) for name in wanted.get("statuses", ordinary.statuses)),
        says=str(wanted.get("says", "")),
    )


def _answer(request: web.Request, reply: GraphReply, body: Mapping[str, Any]) -> web.StreamResponse:
    if reply.way in (Way.LOST, Way.CUT):
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    if reply.way in (Way.HTML_502, Way.HTML_503, Way.HTML_404):
        status = int(reply.way.removeprefix("html_"))
        return web.Response(status=status, text="<html><body>Sorry.</body></html>", content_type="text/html")
    if reply.way is Way.NOT_JSON:
        return web.Response(text="accepted, more or less", content_type="application/json")
    if reply.fault is not None:
        return _fault(reply.fault)
    return _json(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": str(body.get("to")), "wa_id": reply.to}],
            "messages": [{"id": reply.wamid, "message_status": "accepted"}],
        }
    )


async def _object(request: web.Request) -> dict[str, Any] | None:
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(value, status=status, headers=headers)


def _fault(fault: GraphError) -> web.Response:
    return _json(fault.body(), status=fault.status, headers=fault.headers)
