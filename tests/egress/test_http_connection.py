"""Tests of the HTTP of one fetch: the bytes on the wire, and the reuse of connections."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from heliograph.clock import SystemClock
from heliograph.egress.addresses import parse_networks
from heliograph.egress.guarded_fetch import GuardedFetch
from heliograph.ports.fetch import Failure, Fetched, FetchResponse, NoAnswer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Served:
    """The requests that a server got on each connection, as head and body."""

    port: int = 0
    seen: list[list[tuple[str, bytes]]] = field(default_factory=list)
    late: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in?a=1"


@asynccontextmanager
async def serving(answer: Callable[[int], bytes], then: bytes = b"") -> AsyncIterator[Served]:
    """A server that sends `answer(n)` to the n-th request, and `then`, unasked, after each answer."""
    served, count = Served(), 0

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        mine: list[tuple[str, bytes]] = []
        served.seen.append(mine)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next((line for line in head.split("\r\n") if line.lower().startswith("content-length")), ":0")
                mine.append((head, await reader.readexactly(int(length.split(":")[1]))))
                count += 1
                writer.write(answer(count))
                if then:
                    await writer.drain()
                    await asyncio.sleep(0.02)
                    writer.write(then)
                    await writer.drain()
                    await asyncio.sleep(0.02)
                    served.late.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


@pytest.fixture
async def fetch() -> AsyncIterator[GuardedFetch]:
    made = GuardedFetch(clock=SystemClock(), allowed=parse_networks("127.0.0.0/8"))
    yield made
    await made.close()


async def post(fetch: GuardedFetch, url: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> Fetched:
    return await fetch.post(url, body=body, headers=headers or {}, limit_s=5, keep=100)


async def test_a_request_is_exactly_what_was_asked_for(fetch: GuardedFetch) -> None:
    async with serving(lambda n: OK) as served:
        assert isinstance(await post(fetch, served.url, b'{"a":1}', {"X-One": "1"}), FetchResponse)
    ((head, body),) = served.seen[0]
    assert body == b'{"a":1}'
    assert head.split("\r\n") == [
        "POST /in?a=1 HTTP/1.1",
        f"Host: 127.0.0.1:{served.port}",
        "User-Agent: Heliograph/0.1",
        "Accept: */*",
        "Accept-Encoding: identity",
        "X-One: 1",
        "Content-Length: 7",
        "",
        "",
    ]


async def test_a_connection_whose_answer_was_read_serves_the_next_request(fetch: GuardedFetch) -> None:
    async with serving(lambda n: OK) as served:
        for n in range(5):
            answer = await post(fetch, served.url, str(n).encode())
            assert isinstance(answer, FetchResponse) and (answer.status, answer.body) == (200, b"ok")
    assert [[body for _, body in each] for each in served.seen] == [[b"0", b"1", b"2", b"3", b"4"]]


async def test_what_comes_unasked_is_never_the_answer_of_the_next_request(fetch: GuardedFetch) -> None:
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    async with serving(lambda n: b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", then=forged) as served:
        for _ in range(3):
            answer = await post(fetch, served.url)
            assert isinstance(answer, FetchResponse) and answer.status == 500
            await asyncio.wait_for(served.late.wait(), 5)
            served.late.clear()
    assert [len(each) for each in served.seen] == [1, 1, 1]


async def test_two_answers_at_once_are_one_answer_and_the_end_of_the_connection(fetch: GuardedFetch) -> None:
    async with serving(lambda n: OK + OK) as served:
        for _ in range(2):
            answer = await post(fetch, served.url)
            assert isinstance(answer, FetchResponse) and answer.body == b"ok"
    assert [len(each) for each in served.seen] == [1, 1]


async def test_a_connection_is_not_used_again_after_an_answer_that_says_close(fetch: GuardedFetch) -> None:
    async with serving(lambda n: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") as served:
        for _ in range(2):
            assert isinstance(await post(fetch, served.url), FetchResponse)
    assert [len(each) for each in served.seen] == [1, 1]


async def test_an_answer_that_is_cut_ends_its_connection(fetch: GuardedFetch) -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500
    async with serving(lambda n: long) as served:
        for _ in range(2):
            answer = await post(fetch, served.url)
            assert isinstance(answer, FetchResponse) and answer.cut and answer.body == b"x" * 100
    assert sum(len(each) for each in served.seen) == 2


async def test_a_large_body_arrives_whole(fetch: GuardedFetch) -> None:
    body = bytes(range(256)) * 8192
    async with serving(lambda n: OK) as served:
        assert isinstance(await post(fetch, served.url, body), FetchResponse)
    assert served.seen[0][0][1] == body


async def test_answers_that_come_before_the_answer_are_passed_over(fetch: GuardedFetch) -> None:
    async with serving(
        lambda n: b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK
    ) as served:
        answer = await post(fetch, served.url)
    assert isinstance(answer, FetchResponse) and (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb"])
async def test_a_header_with_a_line_break_is_not_written(fetch: GuardedFetch, value: str) -> None:
    async with serving(lambda n: OK) as served:
        assert isinstance(await post(fetch, served.url, headers={"X-One": value}), NoAnswer)
        assert served.seen == []


async def test_a_connection_that_was_closed_while_it_lay_idle_is_not_written_to(fetch: GuardedFetch) -> None:
    closed = asyncio.Event()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for _ in range(3):
        closed.clear()
        assert isinstance(await post(fetch, url), FetchResponse)
        await asyncio.wait_for(closed.wait(), 5)
        await asyncio.sleep(0.01)
    server.close()


@pytest.mark.parametrize(("interim", "taken"), [(10, True), (11, False), (100_000, False)])
async def test_a_receiver_may_give_ten_answers_before_the_answer(
    interim: int, taken: bool, fetch: GuardedFetch
) -> None:
    async with serving(lambda n: b"HTTP/1.1 100 Continue\r\n\r\n" * interim + OK) as served:
        answer = await post(fetch, served.url)
    if taken:
        assert isinstance(answer, FetchResponse) and answer.status == 200
    else:
        assert isinstance(answer, NoAnswer) and answer.code is Failure.BAD_ANSWER


ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "one field": (b"HTTP/1.1 200 OK\r\nA: ", b"a"),
    "a status line": (b"HTTP/1.1 200 ", b"a"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    "one trailer": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"a"),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_an_answer_that_never_ends_is_left_after_a_bounded_part_of_it(kind: str, fetch: GuardedFetch) -> None:
    begin, piece = ENDLESS[kind]
    sent, over = 0, asyncio.Event()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        many = piece * (65_536 // len(piece))
        try:
            while sent < 100_000_000:
                writer.write(many)
                await writer.drain()
                sent += len(many)
        except ConnectionError:
            pass
        finally:
            writer.close()
            over.set()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        answer = await post(fetch, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await fetch.close()
        await over.wait()
    finally:
        server.close()
    assert sent < 20_000_000  # what fits into the system's own buffers, and no more
    if isinstance(answer, FetchResponse):  # its head came, its body was given up
        assert (answer.status, answer.cut) == (200, True)
    else:
        assert isinstance(answer, NoAnswer) and answer.code is Failure.BAD_ANSWER
