"""Configuration of the local Graph server: its users, limits and faults. PUT changes it while it runs."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

TEST_TOKEN = "graph-test-token"
TEST_APP_SECRET = "graph-test-app-secret"
TEST_VERIFY_TOKEN = "graph-test-verify-token"
TEST_WABA_ID = "200000000000001"
TEST_PHONES: Mapping[str, str] = MappingProxyType({"100000000000001": "447700900000"})


@dataclass(frozen=True, slots=True)
class Rules:
    """`phones`: phone number id → number. Rates are shares from 0 to 1, drawn from `seed`, so that a run repeats.

    Limits as published: 80 messages a second for a phone; one message in 6 s to the same person, of which up to 45
    may be borrowed from the future. 0 switches a limit off. `window`: free text only within 24 h of the person's own.
    """

    token: str = TEST_TOKEN
    app_secret: str = TEST_APP_SECRET
    verify_token: str = TEST_VERIFY_TOKEN
    waba_id: str = TEST_WABA_ID
    phones: Mapping[str, str] = field(default_factory=lambda: dict(TEST_PHONES))
    callback_url: str = ""
    throughput_per_s: float = 80.0
    pair_interval_s: float = 6.0
    pair_burst: int = 45
    window: bool = False
    latency_ms: float = 0.0
    slow_answer_ms: float = 60_000.0
    transient_rate: float = 0.0
    lost_answer_rate: float = 0.0
    delayed_answer_rate: float = 0.0
    skip_delivered_rate: float = 0.0
    repeat_rate: float = 0.0
    shuffle_rate: float = 0.0
    sent_after_s: float = 0.05
    delivered_after_s: float = 0.2
    read_after_s: float = 0.5
    status_contacts: bool = False
    statuses_a_webhook: int = 20
    webhook_tries: int = 8
    webhook_retry_s: float = 0.5
    seed: int = 1


def draw(seed: int, purpose: str, n: int) -> float:
    """A number in [0, 1) that is the same in each run for the n-th event of a purpose, whatever else happens."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{n}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / float(1 << 64)
