"""Random webhook bodies: every kind of JSON value that JavaScript may spell in another way."""

import random
from typing import Any

_TEXTS = (
    "", "plain", "ünïcödé", "😀🇩🇪", "\u2028\u2029", "\x00\x01\x1f\x7f\x80", '"\\/\b\f\n\r\t', "\ud800", "a\udfffb",
    "\ufeff", "null", "1", "__proto__", "constructor", "toString", "<script>", "é" * 50, "\U0010ffff",
)  # fmt: skip
_NUMBERS = (
    0, -0.0, 1, -1, 1.0, 0.1, -2.5, 1e-5, 9.9e-6, 1e-7, 5e-324, 1e15, 1e16, 1e20, 1e21, 1.5e300, 2**31, 2**53 - 1,
    2**53, 2**53 + 1, -(2**63), 2**70, 0.1 + 0.2, 1 / 3, 52.520008, -13.404954, 123456789.125, float("nan"),
    float("inf"), 999999999999999.9,
)  # fmt: skip
_KEYS = ("id", "data", "0", "1", "10", "2", "01", "-1", "4294967294", "4294967295", "1.5", "__proto__", "ü", "", "a b")


def random_value(chance: random.Random, depth: int = 0) -> Any:
    pick = chance.random()
    if depth < 4 and pick < 0.25:
        return random_object(chance, depth + 1)
    if depth < 4 and pick < 0.4:
        return [random_value(chance, depth + 1) for _ in range(chance.randrange(5))]
    if pick < 0.65:
        return chance.choice(_TEXTS) + "".join(chr(chance.randrange(0x3000)) for _ in range(chance.randrange(6)))
    if pick < 0.85:
        return (
            chance.choice(_NUMBERS) if chance.random() < 0.7 else chance.uniform(-1, 1) * 10 ** chance.randint(-9, 19)
        )
    if pick < 0.9:
        return chance.randint(-(2**64), 2**64)
    return chance.choice((True, False, None))


def random_object(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    return {
        chance.choice(_KEYS) if chance.random() < 0.6 else chance.choice(_TEXTS): random_value(chance, depth)
        for _ in range(chance.randrange(8))
    }
