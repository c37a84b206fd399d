import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from core.errors import ConfigurationError, NotFound
from core.llm.contract import ModelRequest, TextChunk
from core.llm.declaration import ModelDeclaration, Prices, validate_model
from core.llm.router import open_router
from core.messages import Usage


def scripted(name: str, **fields: Any) -> ModelDeclaration:
    return validate_model({"name": name, "backend": "scripted", "script": [{"reply": f"I am {name}"}], **fields})


async def test_models_are_found_by_name_and_the_first_is_the_default() -> None:
    async with open_router([scripted("zoe"), scripted("adam")]) as router:
        assert router.names == ("zoe", "adam")
        chunks = [chunk async for chunk in router.get("adam").stream(ModelRequest(messages=[]))]
        assert chunks[0] == TextChunk(text="I am adam")


async def test_an_unknown_model_is_told_with_those_there_are() -> None:
    async with open_router([scripted("zoe"), scripted("adam")]) as router:
        with pytest.raises(NotFound, match="unknown model 'eve'; available: zoe, adam") as caught:
            router.get("eve")
        assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
        with pytest.raises(NotFound) as caught:
            router.prices("x" * 100_000)
        assert len(caught.value.message) < 300


async def test_a_router_without_models_says_so() -> None:
    async with open_router([]) as router:
        assert router.names == ()
        with pytest.raises(NotFound, match="none is declared"):
            router.get("any")


async def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two models are named 'zoe'"):
        async with open_router([scripted("zoe"), scripted("zoe")]):
            pass


async def test_a_provider_that_is_down_does_not_keep_the_router_from_opening() -> None:
    down = validate_model({"name": "down", "backend": "openai", "model": "m", "api_base": "http://127.0.0.1:9/v1"})
    async with open_router([down, scripted("up")]) as router:
        assert router.get("up").count_tokens("abc") == 1


async def test_what_a_model_is_said_to_be_is_what_it_says_it_is() -> None:
    async with open_router([scripted("zoe", context_tokens=4096, accepts_images=True), scripted("adam")]) as router:
        assert (router.get("zoe").context_tokens, router.get("zoe").accepts_images) == (4096, True)
        assert (router.get("adam").context_tokens, router.get("adam").accepts_images) == (None, False)


async def test_prices_are_per_model_and_cached_input_may_be_cheaper() -> None:
    prices = {"input": 2, "output": 10, "cached_input": 0.5}
    usage = Usage(input=1_000_000, output=500_000, cached=400_000, reasoning=100_000)
    async with open_router([scripted("zoe", prices=prices), scripted("adam", prices={"input": 2}), scripted("free")]) as router:
        assert router.prices("zoe").cost(usage) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.5 * 10)
        assert router.prices("adam").cost(usage) == pytest.approx(2)
        assert router.prices("free") == Prices()
        assert router.prices("free").cost(usage) == 0


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({}, ("backend",)),
        ({"backend": "opanai", "name": "m", "api_key": "k"}, ("backend",)),
        ({"backend": ["openai"], "name": "m"}, ("backend",)),
        ({"backend": "../openai", "name": "m"}, ("backend",)),
        ({"backend": "scripted", "name": "two words", "script": [{"reply": "a"}]}, ("name",)),
        ({"backend": "scripted", "name": "", "script": [{"reply": "a"}]}, ("name",)),
        ({"backend": "scripted", "name": "m", "script": [{"reply": "a"}], "context_tokens": 0}, ("context_tokens",)),
        (
            {"backend": "scripted", "name": "m", "script": [{"reply": "a"}], "timeouts": {"total": "long"}},
            ("timeouts", "total"),
        ),
        ({"backend": "scripted", "name": "m", "script": [{"reply": "a"}], "breaker": {"failures": 0}}, ("breaker", "failures")),
    ],
)
def test_a_mistake_in_an_entry_is_told_with_its_place(raw: Any, place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        validate_model(raw)
    assert [error["loc"] for error in caught.value.errors()] == [place]


@pytest.mark.parametrize("raw", [None, "openai", ["openai"], 7])
def test_an_entry_that_is_no_mapping_is_a_mistake(raw: Any) -> None:
    with pytest.raises(ValidationError):
        validate_model(raw)


def test_an_unknown_backend_is_told_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match=r"unknown backend 'opanai'; available: .*openai.*scripted"):
        validate_model({"name": "m", "backend": "opanai"})


def test_providers_libraries_are_imported_only_where_such_a_model_is_opened() -> None:
    program = """
import sys
from core.llm import router
from core.llm.declaration import validate_model
validate_model({"name": "m", "backend": "litellm", "model": "openai/m"})
assert not {"litellm", "openai", "aiohttp.web"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
