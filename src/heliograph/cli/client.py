"""The server as commands reach it: plain HTTP from the standard library, so that start-up stays short.

Promise: whatever goes wrong becomes `Failed` with what to do; a request that was sent is never repeated by itself.
"""

import json
import os
from collections.abc import Collection
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click

from heliograph.cli.exit_codes import Exit, Failed
from heliograph.domain.explain.status_style import shown_number
from heliograph.settings import load_settings

TIMEOUT_S = 30.0
_NO_PHONE = "Missing Header: {x-phone}"
_PHONES = 5  # are named where one is to be chosen
# what shows the things that a path is about, its longest beginning counts
_SHOWN_BY = {
    "/": "`heliograph jobs`",
    "/message/broadcast": "`heliograph broadcast list`",
    "/queue/broadcast": "`heliograph broadcast list`",
    "/message/scheduled": "`heliograph schedule list`",
    "/suppressions": "`heliograph queue suppress list`",
    "/webhooks": "`heliograph webhooks list`",
    "/phones": "`heliograph phones list`",
}


class ApiClient:
    """One server, one key. `phone` (number or phone_id) goes along with every call."""

    def __init__(self, url: str, key: str | None, phone: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._phone = phone
        parts = urlsplit(self.url)
        self._prefix = parts.path.rstrip("/")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
        return self.call("POST", path, body=body, headers=headers)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        root: str = "/v1",
    ) -> Any:
        """The parsed answer of `<root><path>`; None for an empty one."""
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{self._prefix}{root}{path}" + (f"?{urlencode(asked)}" if asked else "")
        sent = {"Accept": "application/json", **self._identity(), **(headers or {})}
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(body, ensure_ascii=False).encode()
        status, raw = self._exchange(method, target, data, sent)
        answer = _parsed(raw)
        if status >= 400:
            problem = failure_of(status, answer, path)
            raise self._which_phone() if problem.what == _NO_PHONE else problem
        return answer

    def _which_phone(self) -> Failed:
        """A header that is missing, as what a person can do about it."""
        numbers = [shown_number(str(phone["org_phone"])) for phone in self.get("/phones/all")]
        if not numbers:
            return Failed("there is no phone yet.", todo="Add one: heliograph phones add", code=Exit.USAGE)
        shown = ", ".join(numbers[:_PHONES]) + (f" and {len(numbers) - _PHONES} more" if numbers[_PHONES:] else "")
        todo = f"Add --phone NUMBER. There are {shown}."
        return Failed("there are several phones: which one?", todo=todo, code=Exit.USAGE)

    def probe(self, path: str) -> tuple[int, bytes]:
        """Status and body of a path outside `/v1`, whatever the status."""
        return self._exchange("GET", self._prefix + path, None, self._identity())

    def _identity(self) -> dict[str, str]:
        known = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return known | ({} if self._phone is None else {"x-phone": self._phone})

    def _exchange(self, method: str, target: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, target, body=data, headers=headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException) as problem:
            self._connection.close()
            raise Failed(
                f"cannot reach the server at {self.url}.",
                why=_reason(problem),
                todo="Is it running? Start it with `heliograph serve`, or set HELIOGRAPH_URL to where it runs.",
                code=Exit.UNREACHABLE,
            ) from None

    def close(self) -> None:
        self._connection.close()


def connect(phone: str | None = None) -> ApiClient:
    """The server and key that the settings name; closed when the command ends."""
    settings = load_settings(os.environ)
    gateway = ApiClient(settings.server_url, settings.api_key, phone)
    if context := click.get_current_context(silent=True):
        context.call_on_close(gateway.close)
    return gateway


def segment(handle: str) -> str:
    """An id as one piece of a path."""
    return quote(handle, safe="")


def person() -> dict[str, str]:
    """Names the person who types, as a part of a body; empty where the machine has no name for them."""
    import getpass

    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return {}
    return {"by": name} if name.isprintable() and len(name) <= 100 else {}


def failure_of(status: int, answer: Any, path: str = "/") -> Failed:
    """The server's error body as what, why and what to do; `path`: what was asked for."""
    from heliograph.cli.main import exit_for_status

    body = answer if isinstance(answer, dict) else {}
    fields = body.get("fields") or {}
    message = str(body.get("message") or f"the server answered {status}.")
    causes = [str(field.get("message", "")) for field in fields.values() if isinstance(field, dict)]
    why = " ".join(cause for cause in causes if cause and cause not in message)
    todo = {
        401: "Set HELIOGRAPH_API_KEY to a key of this server; `heliograph keys create NAME` makes one.",
        404: f"{_shown_by(path, fields)} shows what is there.",
        429: "Wait a moment, then try again.",
        503: "The server will go on by itself when the cause is gone. Try again in a few seconds.",
    }.get(status, "")
    code = Exit.REFUSED if body.get("reason") == "suppressed" else exit_for_status(status)
    return Failed(message, why=why, todo=todo, code=code, fields=tuple(fields))


def _shown_by(path: str, fields: Collection[str]) -> str:
    sought = "/phones" if "x-phone" in fields else path
    return _SHOWN_BY[max((start for start in _SHOWN_BY if sought.startswith(start)), key=len)]


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _reason(problem: Exception) -> str:
    if isinstance(problem, ConnectionRefusedError):
        return "Nothing listens there."
    if isinstance(problem, TimeoutError):
        return f"No answer within {TIMEOUT_S:.0f} s."
    return str(problem) or type(problem).__name__
