"""Makes streams of HTTP/1.1 requests from a grammar (RFC 9110, 9112), right ones and ones with a few mistakes.

Everything follows from the seed.
"""

import random

_TOKEN = b"abcXYZ019!#$%&'*+-.^_`|~"
_NAMES = (b"Accept", b"User-Agent", b"X-Phone", b"X-Empty", b"Authorization", b"Content-Type", b"Cookie", b"Via", b"TE")
_METHODS = (b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH")
_ODD_METHODS = (b"CONNECT", b"FOO", b"get", b"PRI", b"M-SEARCH", b"G(T", b"", b"DESCRIBE", b"SOURCE")
_TARGETS = (b"/", b"/v1/message/send", b"/a%20b?q=1&r=%00", b"/v1/x?a=b?c", b"/%2e%2e/", b"//double", b"/a;b=c")
_ODD_TARGETS = (
    b"*",
    b"http://host/path",
    b"host:80",
    b"/a#b",
    b"/\xc3\xa9",
    b"",
    b"/a b",
    b"?q",
    b"/\x7f",
    b'/<>"{}|^`',
)
_VERSIONS = (b"HTTP/1.1",) * 12 + (b"HTTP/1.0",)
_ODD_VERSIONS = (
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.2",
    b"HTTP/11",
    b"http/1.1",
    b"RTSP/1.0",
    b"ICE/1.0",
    b"HTTP/1.10",
    b"",
)
_LENGTHS = (
    b"+5",
    b"-1",
    b"0x5",
    b"5, 5",
    b"",
    b" 5",
    b"5 ",
    b"05",
    b"5\x00",
    b"1_0",
    b"\xb2",
    b"9" * 19,
    b"0" * 5000 + b"5",
)
_CODINGS = (b"Chunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked", b"chunked ", b"\tchunked", b"")
_SIZES = (b"0x5", b"+5", b"-5", b" 5", b"5 ", b"", b"g", b"00000000000000000005", b"f" * 17, b"5\t", b"5_0")
_LINES = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b"\r\n\r\n")
_NOISE = (
    b"\x00",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b"\x0b",
    b"\x85",
    b"\xff",
    b"\r\n",
    b"\r\n ",
    b";",
    b"\r\n\r\n",
    b"0",
)


class Grammar:
    """`odd`: how likely each place is to hold a mistake."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.odd = self.dice.choice((0.0, 0.0, 0.02, 0.1))

    def stream(self) -> bytes:
        """One to four requests, one behind the other."""
        made = b"".join(self.request() for _ in range(self.dice.randint(1, 4)))
        while self.odd and self.dice.random() < self.odd * 2:
            at = self.dice.randrange(len(made) + 1)
            made = made[:at] + self.dice.choice(_NOISE) + made[at + self.dice.choice((0, 0, 1, 2)) :]
        if self.dice.random() < self.odd:
            made = made[: self.dice.randrange(len(made) + 1)]
        return made

    def _wrong(self) -> bool:
        return self.dice.random() < self.odd

    def _or(self, right: tuple[bytes, ...], wrong: tuple[bytes, ...]) -> bytes:
        return self.dice.choice(wrong if self._wrong() else right)

    def _token(self) -> bytes:
        return bytes(self.dice.choices(_TOKEN, k=self.dice.randint(1, 12)))

    def _space(self, right: bytes) -> bytes:
        return self.dice.choice((b"  ", b"\t", b"", b"\x0b")) if self._wrong() else right

    def _line(self) -> bytes:
        return self._or((b"\r\n",), _LINES)

    def _value(self) -> bytes:
        if self._wrong():
            return self.dice.choice((b"a\x00b", b"a\r\n folded", b"\x7f", b"a\x01", b"a\nb", b"a\rb"))
        inner = b'abc XYZ\t,;="()/\xe9\xff\x80'
        return bytes(self.dice.choices(inner, k=self.dice.randint(0, 20))).strip(b" \t")

    def _field(self) -> bytes:
        name = self.dice.choice(_NAMES) if self.dice.random() < 0.6 else b"X-" + self._token()
        if self._wrong():
            name = self.dice.choice((name + b" ", b" " + name, b"", name + b"\x00", b"a(b", b"\xe9", name + b"\t"))
        pad = (b"", b" ", b"  ", b"\t ")
        return name + b":" + self.dice.choice(pad) + self._value() + self.dice.choice(pad) + self._line()

    def request(self) -> bytes:
        dice = self.dice
        version = self._or(_VERSIONS, _ODD_VERSIONS)
        line = self._or(_METHODS, _ODD_METHODS) + self._space(b" ") + self._or(_TARGETS, _ODD_TARGETS)
        fields = [self._field() for _ in range(dice.choice((0, 1, 3, 8)))]
        if not self._wrong():
            fields.append(b"Host: example.org" + self._line())
        if self._wrong():
            fields.append(b"Host: other" + self._line())
        if dice.random() < 0.1:
            tokens = (b"close", b"keep-alive", b"Close, TE", b"upgrade", b"keep-alive, close")
            fields.append(b"Connection: " + dice.choice(tokens) + self._line())
        if dice.random() < 0.05:
            fields += [b"Upgrade: " + dice.choice((b"h2c", b"websocket")) + b"\r\n", b"Connection: Upgrade\r\n"]
        body = self._body(fields)
        dice.shuffle(fields)
        begin = b"\r\n" if self._wrong() else b""
        return begin + line + self._space(b" ") + version + self._line() + b"".join(fields) + self._line() + body

    def _body(self, fields: list[bytes]) -> bytes:
        dice = self.dice
        kind = dice.choice(("none", "sized", "sized", "chunked"))
        data = bytes(dice.choices(b'ab\r\n\x00{}"', k=dice.randint(0, 30)))
        if kind == "chunked":
            data = data.translate(None, b"\n\x00")  # so that a refusal has its reason in what stands around the data
        if dice.random() < 0.1:
            data = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        if kind == "sized" or self._wrong():
            said = self._or((b"%d" % len(data),), (*_LENGTHS, b"%d" % (len(data) + 1)))
            fields.append(b"Content-Length:" + self._space(b" ") + said + self._line())
            if self._wrong():
                fields.append(b"Content-Length: %d\r\n" % dice.choice((len(data), len(data) + 1)))
        if kind == "chunked" or self._wrong():
            fields.append(b"Transfer-Encoding: " + self._or((b"chunked",), _CODINGS) + self._line())
        return data if kind == "sized" else self._chunks(data) if kind == "chunked" else b""

    def _chunks(self, data: bytes) -> bytes:
        made = []
        while data:
            size = self.dice.randint(1, len(data))
            spelled = self._or((b"%x" % size, b"%X" % size, b"0%x" % size), _SIZES)
            extension = self.dice.choice((b"", b"", b";a=b", b';a="b"', b";a")) if self.dice.random() < 0.3 else b""
            made.append(spelled + extension + self._line() + data[:size] + self._line())
            data = data[size:]
        trailers = [self._field() for _ in range(self.dice.choice((0, 0, 0, 1, 2)))]
        return b"".join(made) + b"0" + self._line() + b"".join(trailers) + self._line()
