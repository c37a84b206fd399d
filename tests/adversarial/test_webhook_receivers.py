"""What receivers of webhooks do to us: each ends in a delivery or in words that an administrator can read."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import openai
import pytest

from core.egress.addresses import AddressRules
from core.egress.client import open_egress
from core.webhooks.receiver import Receiver
from core.webhooks.sending import Message, NotDelivered, Webhooks
from core.webhooks.signing import key_of, new_secret
from tests.doubles.web import Web, open_web

SECRET = new_secret()
MESSAGE = Message(id="msg_1", body=b'{"type": "alert.firing"}')


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        yield opened


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    async with open_egress(AddressRules(allow_private=[ip_network("127.0.0.0/8")])) as egress:
        yield Webhooks(egress)


async def test_a_message_comes_with_a_signature_that_a_stock_receiver_takes(web: Web, webhooks: Webhooks) -> None:
    web.says("/hook", status="204 No Content", body=b"")
    await webhooks.send(Receiver(url=f"{web.origin}/hook", key=key_of(SECRET)), MESSAGE)
    [request] = web.requests
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
    told = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert (body, headers["content-type"]) == (MESSAGE.body, "application/json")
    openai.OpenAI(api_key="-").webhooks.verify_signature(body, told, secret=SECRET)


@pytest.mark.parametrize(
    ("status", "final"),
    [("500 No", False), ("429 Slow", False), ("404 None", False), ("302 Found", False), ("410 Gone", True)],
)
async def test_what_is_no_success_is_tried_again_unless_the_receiver_is_gone(
    web: Web, webhooks: Webhooks, status: str, final: bool
) -> None:
    web.says("/hook", status=status, Location="http://127.0.0.1:1/")
    with pytest.raises(NotDelivered, match=f"127.0.0.1: answered {status[:3]}") as failed:
        await webhooks.send(Receiver(url=f"{web.origin}/hook", key=key_of(SECRET)), MESSAGE)
    assert failed.value.final is final


async def test_a_receiver_that_is_down_is_tried_again_and_the_secret_is_in_no_word_of_it(webhooks: Webhooks) -> None:
    receiver = Receiver(url="http://127.0.0.1:1/?token=hush", key=key_of(SECRET))
    with pytest.raises(NotDelivered, match="no connection") as failed:
        await webhooks.send(receiver, MESSAGE)
    assert not failed.value.final
    assert "hush" not in str(failed.value)
    assert repr(receiver.key) not in repr(receiver)


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:169.254.169.254]"])
async def test_an_address_that_is_inside_is_given_up_at_once(webhooks: Webhooks, host: str) -> None:
    with pytest.raises(NotDelivered) as failed:
        await webhooks.send(Receiver(url=f"http://{host}/hook", key=key_of(SECRET)), MESSAGE)
    assert failed.value.final


async def test_an_endless_answer_is_not_read_to_its_end(web: Web, webhooks: Webhooks) -> None:
    web.says("/hook", b"x" * 1_000_000)
    with pytest.raises(NotDelivered, match="more than 65536 bytes"):
        await webhooks.send(Receiver(url=f"{web.origin}/hook", key=key_of(SECRET)), MESSAGE)
