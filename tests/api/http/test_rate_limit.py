"""Tests of the rate limit per key, and of its response headers."""

from pathlib import Path

from tests.api.gateway import Gateway, open_gateway


async def test_over_the_limit_is_a_429_that_says_when_to_come_back(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, rate_limit_per_second=3) as gateway:
        answers = [await gateway.send() for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"3"}
        assert {answer.headers["x-ratelimit-reset"] for answer in answers} == {"1800000001"}
        refused = answers[3]
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["code"] == "RATE_LIMIT_ERROR"
        assert refused.json()["message"] == "You can only make 3 requests per second"
        assert len(await gateway.jobs()) == 3
        gateway.clock.advance(1)
        assert (await gateway.send()).status_code == 200


async def test_each_key_has_its_own_second_and_every_path_counts(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, rate_limit_per_second=2) as gateway:
        await gateway.add_key(gateway.org.org_no, "hg_live_a_second_key_of_it")
        assert (await gateway.http.get("/v1/phones")).status_code == 200
        assert (await gateway.http.get("/v1/nothing")).status_code == 404
        assert (await gateway.http.get("/v1/phones/all")).status_code == 429
        async with gateway.client("hg_live_a_second_key_of_it") as http:
            assert (await http.get("/v1/phones/all")).status_code == 200


async def test_without_a_limit_nothing_is_counted(gateway: Gateway) -> None:
    answers = [await gateway.http.get("/v1/phones") for _ in range(200)]
    assert {answer.status_code for answer in answers} == {200}
    assert "x-ratelimit-limit" not in answers[0].headers
