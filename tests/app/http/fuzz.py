"""Compares the server with h11 on generated streams: python -m tests.app.http.fuzz [--minutes 10] [--seed N]."""

import argparse
import asyncio
import json
import secrets
import time
from collections import Counter

from tests.app.http.grammar import Grammar
from tests.app.http.oracle import compare


async def run(seed: int, until: float) -> Counter[str]:
    """Counts why the server was stricter. A difference that the rule does not allow ends it, and names its seed."""
    counted: Counter[str] = Counter()
    while time.monotonic() < until:
        try:
            counted[await compare(Grammar(seed).stream(), seed) or "alike"] += 1
        except BaseException:
            print(f"seed {seed}")
            raise
        seed += 1
    return counted


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=secrets.randbits(32))
    chosen = options.parse_args()
    print(f"first seed {chosen.seed}", flush=True)
    counted = asyncio.run(run(chosen.seed, time.monotonic() + 60 * chosen.minutes))
    print(json.dumps({"goal": "http_fuzz", "seed": chosen.seed, "streams": counted.total(), "differs": 0, **counted}))


if __name__ == "__main__":
    main()
