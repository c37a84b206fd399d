# /// script
# requires-python = ">=3.11"
# dependencies = ["instructor==1.17.0"]
# ///
"""Instructor, which asks for objects: by tools and by JSON, whole and in parts; with the older `openai` that it needs."""

import logging
from collections.abc import Iterable
from typing import Any

import instructor
import openai
from cases import KEY, URL, case, raises, run_cases
from instructor.core import InstructorRetryException
from pydantic import BaseModel, field_validator

BY_TOOL = [instructor.Mode.TOOLS, instructor.Mode.RESPONSES_TOOLS]
AS_JSON = [instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA, instructor.Mode.MD_JSON]
ANN = {"name": "Ann", "age": 31}
logging.getLogger("instructor").setLevel(logging.CRITICAL)  # it tells of each error that it raises
raw = openai.OpenAI(base_url=URL, api_key=KEY, max_retries=0)


class Person(BaseModel):
    name: str
    age: int


class Child(Person):
    @field_validator("age")
    @classmethod
    def is_young(cls, age: int) -> int:
        if age >= 18:
            raise ValueError("not a child")
        return age


def asked(text: str, model: str = "scripted", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "response_model": Person, **more}


@case
def an_object_with_its_usage_in_every_mode() -> None:
    for mode in BY_TOOL + AS_JSON:
        client = instructor.from_openai(raw, mode=mode)
        text = "a person by a tool" if mode in BY_TOOL else "a person as JSON"
        person, answer = client.chat.completions.create_with_completion(**asked(text))
        assert person.model_dump() == ANN
        assert answer.usage.total_tokens > 0


@case
async def an_object_by_the_client_that_does_not_block() -> None:
    client = instructor.from_openai(openai.AsyncOpenAI(base_url=URL, api_key=KEY, max_retries=0))
    person = await client.chat.completions.create(**asked("a person by a tool"))
    assert person.model_dump() == ANN


@case
def an_object_is_streamed_in_parts() -> None:
    for mode in BY_TOOL + AS_JSON:
        client = instructor.from_openai(raw, mode=mode)
        text = "a person by a partial tool" if mode in BY_TOOL else "a person as JSON"
        *_, last = client.chat.completions.create_partial(**asked(text))
        assert last.model_dump() == ANN


@case
def objects_by_parallel_calls() -> None:
    client = instructor.from_openai(raw, mode=instructor.Mode.PARALLEL_TOOLS)
    people = client.chat.completions.create(**asked("two people by a tool", response_model=Iterable[Person]))
    assert [person.model_dump() for person in people] == [ANN, {"name": "Bob", "age": 7}]


@case
def an_answer_that_is_not_valid_is_asked_for_again() -> None:
    for mode in BY_TOOL:
        client = instructor.from_openai(raw, mode=mode)
        child = client.chat.completions.create(**asked("a child by a tool", response_model=Child, max_retries=1))
        assert child.model_dump() == {"name": "Bob", "age": 7}


@case
def an_unknown_model_is_a_typed_error() -> None:
    with raises(InstructorRetryException) as caught:
        instructor.from_openai(raw).chat.completions.create(**asked("a person by a tool", "nonsense", max_retries=0))
    assert "model_not_found" in str(caught.exception)


run_cases()
