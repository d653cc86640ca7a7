"""A webhook receiver as a user would write it: it checks both signatures before it believes a word."""

import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

MAX_BYTES = 1 << 20


class Receiver:
    """Collected events. `good`: those with both signatures right, in order; `bad`: the number of others."""

    def __init__(self) -> None:
        self.good: list[dict[str, Any]] = []
        self.bad = 0
        self.key: str | None = None
        self.url = ""
        self._lock = threading.Lock()
        self._early: list[tuple[bytes, dict[str, str]]] = []

    def trust(self, key: str) -> None:
        """From now on deliveries are held against this signing key; those that came before it are looked at now."""
        with self._lock:
            self.key = key
            early, self._early = self._early, []
        for body, headers in early:
            self.take(body, headers)

    def take(self, body: bytes, headers: dict[str, str]) -> bool:
        with self._lock:
            if self.key is None:
                self._early.append((body, headers))
                return True
            if signed(self.key, body, headers):
                self.good.append(json.loads(body))
                return True
            self.bad += 1
            return False

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for event in list(self.good):
            name = str(event.get("event") or event.get("event_type"))
            found[name] = found.get(name, 0) + 1
        return found

    def read_ids(self) -> set[str]:
        """The queue_ids that a `message.read` named."""
        return {str(event.get("queue_id")) for event in list(self.good) if event.get("event") == "message.read"}


def signed(key: str, body: bytes, headers: dict[str, str]) -> bool:
    """Both signatures: `x-periskope-signature`, and the Standard Webhooks headers by their own library."""
    wanted = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, headers.get("x-periskope-signature", "")):
        return False
    try:
        Webhook(key).verify(body, headers)
    except (WebhookVerificationError, ValueError):
        return False
    return True


@contextlib.contextmanager
def listening() -> Iterator[Receiver]:
    """Listens on a free port of this machine until the block ends."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BYTES))
            good = receiver.take(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(204 if good else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hooks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="webhook receiver")
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
