"""The requests that h11, an audited parser, reads from a stream, and their comparison with those of the server.

The rule: what the server takes, h11 takes too, with the same method, target, headers and body. What h11 takes and the
server refuses has a reason from `STRICTER`, which the bytes of the refused request must show.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import h11

from heliograph.app.http.strict import REQUEST_LINE, SINGLE, check_trailer
from heliograph.domain.errors import Refusal
from tests.app.http.socketless_server import Seen, SocketlessServer, statuses

_METHODS = frozenset(
    b"DELETE GET HEAD POST PUT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND".split()
    + b"UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE".split()
    + b"MKCALENDAR LINK UNLINK QUERY".split()
)


@dataclass(frozen=True)
class Read:
    """`refused`: why reading stopped before the end of the stream. `rest`: from the first request that was not read."""

    requests: tuple[Seen, ...]
    refused: str
    rest: bytes
    closes: bool


def by_h11(stream: bytes) -> Read:
    """Request by request, each answered at once. One empty line before a request is forgiven, as RFC 9112 asks for."""
    found: list[Seen] = []
    rest = stream
    while True:
        try:
            one = _one_by_h11(rest.removeprefix(b"\r\n"))
        except h11.RemoteProtocolError as error:
            return Read(tuple(found), str(error), rest, False)
        if one is None:
            return Read(tuple(found), "", rest, False)
        seen, rest, closes = one
        found.append(seen)
        if closes:
            return Read(tuple(found), "", rest, True)


def _one_by_h11(stream: bytes) -> tuple[Seen, bytes, bool] | None:
    """A whole request, what comes after it, and whether the connection ends with it; None if it is not whole."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(stream)
    request, body = connection.next_event(), b""
    if not isinstance(request, h11.Request):
        return None
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            return None
        body += bytes(event.data)
    headers = tuple((bytes(name), bytes(value)) for name, value in request.headers)
    seen = Seen(request.method.decode(), bytes(request.target), headers, body)
    rest = bytes(connection.trailing_data[0])
    connection.send(h11.Response(status_code=404, headers=[(b"content-length", b"0")]))
    connection.send(h11.EndOfMessage())
    return seen, rest, connection.our_state is not h11.DONE


async def by_server(stream: bytes, seed: int) -> Read:
    """In pieces of random size."""
    server = SocketlessServer()
    connection, wire = server.connect()
    dice = random.Random(seed)
    at = 0
    while at < len(stream) and not wire.closed and not wire.ended:
        size = dice.choice((1, 3, 17, 200, len(stream)))
        await server.give(connection, wire, stream[at : at + size])
        at += size
    connection.connection_lost(None)
    await server.calm()
    answers = statuses(wire.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
    refused = [status for status in answers if status != 200]
    assert len(answers) - len(refused) == len(server.seen), "one answer for each request"
    assert set(refused) <= {400, 413, 431}, refused
    assert not refused or wire.ended
    return Read(tuple(server.seen), str(refused[0]) if refused else "", b"", wire.closed)


def _spelled(one: Seen) -> Seen:
    """Makes requests of both comparable. The server takes the path of a whole URL, which h11 gives as it is.

    h11 writes `chunked` in small letters. The server leaves out an Upgrade that it does not follow.
    """
    headers = tuple(
        (name, value.lower() if name == b"transfer-encoding" else value)
        for name, value in one.headers
        if name != b"upgrade"
    )
    return replace(one, headers=headers, target=re.sub(rb"^http://[^/]*(?=/)", b"", one.target))


def _head(rest: bytes) -> bytes:
    return re.split(rb"\r?\n\r?\n", rest, maxsplit=1)[0]


def _names(rest: bytes) -> list[bytes]:
    return [line.partition(b":")[0].strip().lower() for line in _head(rest).split(b"\r\n")[1:]]


def _target(rest: bytes) -> bytes:
    parts = rest.split(b" ", 2)
    return parts[1] if len(parts) == 3 else b""


def _unwanted_trailer(rest: bytes) -> bool:
    for name in re.findall(rb"\r\n([!-9;-~]+):", rest.partition(b"\r\n\r\n")[2]):
        try:
            check_trailer(name)
        except Refusal:
            return True
    return False


# what the server refuses on purpose although h11 takes it
STRICTER: dict[str, Callable[[bytes], bool]] = {
    "a line that ends without CR": lambda rest: re.search(rb"(?<!\r)\n", rest) is not None,
    "a folded field": lambda rest: re.search(rb"\r\n[ \t]", rest) is not None,
    "a version that is not 1.0 or 1.1": lambda rest: REQUEST_LINE.match(rest) is None,
    "a method that is not known": lambda rest: rest.split(b" ", 1)[0] not in _METHODS,
    "a target that is no path": lambda rest: re.fullmatch(rb"/[!-\"$-~]*", _target(rest)) is None,
    "a field that decides, twice": lambda rest: any(_names(rest).count(name) > 1 for name in SINGLE),
    "both Content-Length and Transfer-Encoding": lambda rest: (
        {b"content-length", b"transfer-encoding"} <= set(_names(rest))
    ),
    "Transfer-Encoding in HTTP/1.0": lambda rest: b" HTTP/1.0\r\n" in rest and b"transfer-encoding" in _names(rest),
    "a list of lengths": lambda rest: re.search(rb"(?i)content-length:[^\r\n]*,", _head(rest)) is not None,
    "a length of more than 18 digits": lambda rest: re.search(rb"(?i)content-length:\s*\d{19}", rest) is not None,
    "a control character in a value": lambda rest: re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", rest) is not None,
    "a trailer that acts as a header": _unwanted_trailer,
    "a chunk size of more than 16 digits": lambda rest: re.search(rb"\r\n[0-9a-fA-F]{17}", rest) is not None,
    "a control character in a chunk extension": lambda rest: (
        re.search(rb"\n[0-9a-fA-F]+;[^\n]*\r(?!\n)", rest) is not None
    ),
    "white space behind a chunk size": lambda rest: re.search(rb"\r\n[0-9a-fA-F]+[ \t]+\r\n", rest) is not None,
}


async def compare(stream: bytes, seed: int) -> str:
    """The reason for which the server was stricter, empty if both agree. Fails where the rule is broken."""
    ours, theirs = await by_server(stream, seed), by_h11(stream)
    for mine, other in zip(ours.requests, theirs.requests, strict=False):
        assert _spelled(mine) == _spelled(other), (stream, mine, other)
    assert len(ours.requests) <= len(theirs.requests), ("the server takes what h11 refuses", stream, ours, theirs)
    if len(ours.requests) == len(theirs.requests):
        if theirs.refused and not ours.refused:
            # only where the server still waits for the end of the head or body that h11 refuses already
            assert not theirs.closes
        return ""
    assert ours.refused, ("the server stopped without a word", stream, ours, theirs)
    rest = stream
    for _ in ours.requests:
        one = _one_by_h11(rest.removeprefix(b"\r\n"))
        assert one is not None
        rest = one[1]
    rest = rest.removeprefix(b"\r\n")
    if not re.search(rb"(?i)transfer-encoding:", _head(rest)):
        rest = rest[: len(_head(rest)) + 4]  # the bytes of a sized body are no reason
    reasons = [name for name, shows in STRICTER.items() if shows(rest)]
    assert reasons, ("refused without a reason", rest, ours.refused, theirs.requests)
    return reasons[0]
