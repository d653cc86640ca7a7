"""Receivers that each misbehave in one way, with a certificate where it matters."""

import asyncio
import datetime
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Conduct = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(answer: bytes) -> Conduct:
    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return conduct


def status(line: str, extra: str = "", body: bytes = b"") -> Conduct:
    head = f"HTTP/1.1 {line}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return says(head.encode() + body)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def dripping(prefix: bytes, drop: bytes) -> Conduct:
    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(prefix)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.05)

    return conduct


def endless(prefix: bytes, block: bytes) -> Conduct:
    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(prefix)
        while True:
            writer.write(block)
            await writer.drain()

    return conduct


_BOMB = gzip.compress(b"\0" * 50_000_000)
_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

PLAIN: dict[str, Conduct] = {
    "200": status("200 OK", body=b"thanks"),
    "200 in HTTP/1.0": says(b"HTTP/1.0 200 OK\r\n\r\nok"),
    "201": status("201 Created"),
    "204": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "299": status("299 Odd"),
    "100, then 200": says(b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Content-Length: 0\r\n\r\n"),
    "301": status("301 Moved", "Location: http://127.0.0.1/elsewhere\r\n"),
    "302 without Location": status("302 Found"),
    "304": says(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "307 to itself": status("307 Temporary Redirect", "Location: /\r\n"),
    "308": status("308 Permanent Redirect", "Location: https://example.com/\r\n"),
    "400": status("400 Bad Request", body=b"no"),
    "401": status("401 Unauthorized", "WWW-Authenticate: Basic\r\n"),
    "404": status("404 Not Found"),
    "407": status("407 Proxy Authentication Required"),
    "408": status("408 Request Timeout"),
    "410": status("410 Gone"),
    "413": status("413 Content Too Large"),
    "429": status("429 Too Many Requests"),
    "429 with Retry-After": status("429 Too Many Requests", "Retry-After: 7\r\n"),
    "500": status("500 Internal Server Error"),
    "503 with Retry-After in centuries": status("503 Service Unavailable", "Retry-After: 999999999\r\n"),
    "503 with Retry-After as a date": status(
        "503 Service Unavailable",
        "Date: Wed, 21 Oct 2026 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2026 07:29:30 GMT\r\n",
    ),
    "status 999": status("999 What"),
    "closes before the answer": says(b""),
    "closes within the headers": says(_OK + b"Content-Le"),
    "resets the connection": resets,
    "200, closes within the body": says(_OK + b"Content-Length: 100\r\n\r\nshort"),
    "200, endless body": endless(_OK + _CHUNKED, b"1000\r\n" + b"x" * 0x1000 + b"\r\n"),
    "200, body of 10 GB announced": endless(_OK + b"Content-Length: 10000000000\r\n\r\n", b"x" * 4096),
    "200, gzip bomb": status("200 OK", "Content-Encoding: gzip\r\n", _BOMB),
    "200, body a byte at a time": dripping(_OK + _CHUNKED, b"1\r\nx\r\n"),
    "headers a byte at a time": dripping(_OK, b"x"),
    "accepts and says nothing": silent,
    "endless headers": endless(_OK, b"X-More: " + b"y" * 1000 + b"\r\n"),
    "one endless header": endless(_OK + b"X-More: ", b"y" * 4096),
    "not HTTP": says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "binary noise": says(bytes(range(256)) * 4),
    "HTTP/2 preface": says(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0"),
    "two Content-Lengths": says(_OK + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\nokokok"),
    "broken chunks": says(_OK + _CHUNKED + b"zz\r\nbad\r\n"),
}


@dataclass(frozen=True)
class Certificates:
    """Certificates for the receivers. `trusted`: the authority that the client trusts."""

    trusted: Path
    good: Path
    expired: Path
    not_yet: Path
    wrong_host: Path
    self_signed: Path


def make_certificates(folder: Path) -> Certificates:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])

    def build(
        file: str,
        name: x509.GeneralName | None,
        *,
        begins: datetime.datetime = now - 30 * day,
        ends: datetime.datetime = now + 30 * day,
        own: bool = False,
    ) -> Path:
        key = authority_key if name is None else ec.generate_private_key(ec.SECP256R1())
        subject = authority if name is None else x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, file)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if own else authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=name is None, path_length=None), critical=True)
        )
        if name is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        cert = builder.sign(key if own else authority_key, hashes.SHA256())
        path = folder / f"{file}.pem"
        path.write_bytes(
            cert.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path

    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return Certificates(
        trusted=build("authority", None),
        good=build("good", here),
        expired=build("expired", here, ends=now - day),
        not_yet=build("not-yet", here, begins=now + day),
        wrong_host=build("wrong-host", x509.DNSName("other.example")),
        self_signed=build("self-signed", here, own=True),
    )


@asynccontextmanager
async def receiving(conduct: Conduct, certificate: Path | None = None) -> AsyncIterator[int]:
    """A server on 127.0.0.1 that reads one request and then behaves as given; returns its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length"))
            await reader.readexactly(length)
            await conduct(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass  # a cancelled one too: the stream's own callback would report it as an error
        finally:
            writer.close()

    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
