"""Standard Webhooks signatures, checked by a receiver that somebody else wrote; and what is no secret or address."""

import openai
import pytest
from openai import InvalidWebhookSignatureError

from core.webhooks.receiver import check_url
from core.webhooks.sending import AGAIN_SECONDS, seconds_until_next
from core.webhooks.signing import key_of, new_secret, signed


def test_the_example_of_the_specification_is_signed_as_it_is_there() -> None:
    """From the reference implementations' tests."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("spoil", ["body", "id", "time", "secret"])
def test_a_stock_receiver_takes_our_messages_and_no_other(spoil: str) -> None:
    client, secret, now = openai.OpenAI(api_key="-"), new_secret(), 1_800_000_000
    headers = dict(signed(key_of(secret), "msg_1", now, b"{}"))
    client.webhooks.verify_signature(b"{}", headers, secret=secret, tolerance=10**9)
    body = b"{ }" if spoil == "body" else b"{}"
    if spoil == "id":
        headers["webhook-id"] = "msg_2"
    if spoil == "time":
        headers["webhook-timestamp"] = str(now + 1)
    with pytest.raises(InvalidWebhookSignatureError):
        client.webhooks.verify_signature(body, headers, secret=new_secret() if spoil == "secret" else secret, tolerance=10**9)


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*", "whsec_" + "A" * 400, "whsec_é" * 9],
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        key_of(secret)
    assert len(secret) < 7 or secret not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://10.0.0.1:9/hook?a=b", "https://[::1]/x", "https://bücher.example/"]
)
def test_an_address_is_taken_as_it_is(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://example.com",
        "file:///etc/passwd",
        "https://",
        "https://a:b@example.com",
        "http://[::1",
        "https://e/" + "a" * 2000,
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        check_url(url)


def test_attempts_are_ever_further_apart_and_end() -> None:
    waits = [seconds_until_next(attempts) for attempts in range(1, len(AGAIN_SECONDS) + 2)]
    assert waits[-1] is None
    assert [wait for wait in waits if wait] == sorted(wait for wait in waits if wait)
