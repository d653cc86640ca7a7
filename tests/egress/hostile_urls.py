"""Hostile URLs by rule: spellings of private addresses, ports and credentials, and names with bad addresses."""

# every one of these leads to something private, special or inside, whatever a library says of it
FOUR = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.254",
    "127.0.0.1", "127.0.0.53", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.9", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
)  # fmt: skip
SIX = (
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "0:0:0:0:0:ffff:7f00:1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1",
    "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1",
)  # fmt: skip
ODD = (
    "127.1", "127.0.1", "0x7f.1", "0x7f000001", "0x7f.0.0.1", "0X7F.0.0.1", "2130706433", "017700000001",
    "0177.0.0.1", "0177.0.0.01", "127.0.0.01", "127.000.000.001", "0", "0x0", "00", "0x", "127.0.0.1.",
    "１２７.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①", "１２７．１", "127.0.0.0x1",
    "0300.0250.0.1", "3232235521", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518", "4294967296",
    "127.0.0.1%00", "127.0.0.1%2e", "%31%32%37.0.0.1", "localhost%00", "%6cocalhost",
)  # fmt: skip
NAMES = {
    "loop.test": ["127.0.0.1"],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "meta.test": ["169.254.169.254"],
    "meta6.test": ["fd00:ec2::254"],
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    "mixed-last.test": ["2606:2800:220:1::1", "93.184.216.34", "10.0.0.1"],
    "zone.test": ["fe80::1%1"],
    "multicast.test": ["239.1.1.1"],
    "any.test": ["0.0.0.0"],
    "odd-answer.test": ["127.1"],
    "empty-answer.test": [""],
    "xn--bcher-kva.test": ["127.0.0.1"],
    "_dmarc.test": ["192.168.1.1"],
    "wild.127.0.0.1.nip.test": ["127.0.0.1"],
}
SCHEMES = (
    "ftp", "file", "gopher", "dict", "ldap", "ws", "wss", "javascript", "data", "unix", "jar", "tftp", "httpx", "tcp",
)  # fmt: skip
BROKEN = (
    "", "http", "http:", "http:/", "http://", "http:///", "https:///x", "http://?", "http://#", "http:127.0.0.1",
    "http:/127.0.0.1/", "//127.0.0.1/", "///127.0.0.1", "http://[::1", "http://::1/", "http://[]/", "http://[x]/",
    "http://127.0.0.1\\@example.com/", "http://example.com\\@127.0.0.1/", "http://exa mple.com/", " http://127.0.0.1/",
    "http://example.com/\r\nHost: x", "http://example.com\t.test/", "http://127.0.0.1\x00.test/", "http://.test/",
    "http://a..b/", "http://-/", "http://*/", "http://loop.test:99999/", "http://loop.test:0/", "http://loop.test:x/",
    "http://loop.test:-1/", "http://[fe80::1%25lo]/", "http://[fe80::1%lo]/", "http://[::ffff:127.1]/",
    "http://example.com/" + "a" * 2048, "http://" + "a" * 300 + ".test/", "HtTp://LOOP.TEST/",
)  # fmt: skip


def hostile_urls(port: int) -> list[str]:
    hosts = [*FOUR, *ODD, *(f"[{six}]" for six in SIX), *NAMES]
    urls = [f"http://{host}:{port}/hook" for host in hosts]
    urls += [f"https://{host}:{port}/" for host in hosts]
    urls += [f"http://{host}/" for host in (*FOUR[:8], *ODD[:8], *(f"[{six}]" for six in SIX[:8]))]
    for dress in ("user@", "user:secret@", "@", ":@", "example.com@", "example.com:80@", "93.184.216.34@", "a%40b@"):
        urls += [f"http://{dress}{host}:{port}/" for host in ("127.0.0.1", "[::1]", "loop.test", "example.com")]
    urls += [f"{scheme}://127.0.0.1:{port}/" for scheme in SCHEMES]
    urls += [f"http://{name.upper()}:{port}/" for name in NAMES]
    urls += [f"http://{name}.:{port}/a?b=http://93.184.216.34/#c" for name in NAMES]
    urls += [text.replace("127.0.0.1/", f"127.0.0.1:{port}/") for text in BROKEN]
    return list(dict.fromkeys(urls))
