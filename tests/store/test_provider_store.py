"""Tests of the provider inbox and of stored uploads, on both databases."""

from heliograph.ports.provider_inbox import NewInboxItem
from heliograph.store.provider_store import SqlProviderInbox
from tests.kit.phone_queue import PhoneQueue


def inbox_of(queue: PhoneQueue) -> SqlProviderInbox:
    return queue.stores.inbox


async def test_deliveries_come_out_oldest_first_for_the_phones_that_are_asked_for(queue: PhoneQueue) -> None:
    inbox = inbox_of(queue)
    await inbox.keep_deliveries([NewInboxItem(1, 7, 100, b'{"n":1}'), NewInboxItem(1, 8, 101, b'{"n":2}')])
    await inbox.keep_deliveries([NewInboxItem(1, 7, 102, "é€".encode()), NewInboxItem(2, 9, 103, b"\xff")])
    found = await inbox.deliveries([(1, 7), (2, 9)], 10)
    assert [(d.phone_no, d.received_at_us, d.payload) for d in found] == [
        (7, 100, b'{"n":1}'),
        (7, 102, "é€".encode()),
        (9, 103, "\ufffd".encode()),
    ]
    assert [d.payload for d in await inbox.deliveries([(1, 7), (1, 8)], 1)] == [b'{"n":1}', b'{"n":2}']
    assert await inbox.deliveries([], 10) == [] and await inbox.deliveries([(2, 7)], 10) == []


async def test_an_applied_webhook_is_removed_and_a_second_removal_does_no_harm(queue: PhoneQueue) -> None:
    inbox = inbox_of(queue)
    await inbox.keep_deliveries([NewInboxItem(1, 7, n, b"{}") for n in range(5)])
    found = await inbox.deliveries([(1, 7)], 10)
    await inbox.drop_deliveries(found[:3])
    await inbox.drop_deliveries(found[:3])
    assert await inbox.deliveries([(1, 7)], 10) == found[3:]
    await inbox.drop_deliveries([])
    await inbox.prune_deliveries(4)
    assert [d.received_at_us for d in await inbox.deliveries([(1, 7)], 10)] == [4]


async def test_an_upload_is_found_until_it_runs_out_or_is_forgotten(queue: PhoneQueue) -> None:
    uploads, now = queue.stores.uploads, queue.clock.us
    await uploads.keep_upload(7, "a" * 64, "image/png", media_id="1", expires_at_us=now + 10)
    await uploads.keep_upload(7, "a" * 64, "image/png", media_id="2", expires_at_us=now + 20)
    assert await uploads.uploaded(7, "a" * 64, "image/png", now_us=now + 19) == "2"
    assert await uploads.uploaded(7, "a" * 64, "image/png", now_us=now + 20) is None
    assert await uploads.uploaded(8, "a" * 64, "image/png", now_us=now) is None
    assert await uploads.uploaded(7, "a" * 64, "image/jpeg", now_us=now) is None
    await uploads.keep_upload(7, "b" * 64, "image/png", media_id="3", expires_at_us=now + 100)
    await uploads.forget_upload(7, "b" * 64, "image/png")
    await uploads.forget_upload(7, "b" * 64, "image/png")
    assert await uploads.uploaded(7, "b" * 64, "image/png", now_us=now) is None
