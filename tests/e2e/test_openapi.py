"""Good and bad requests, made of the OpenAPI document: none makes the server fail, all are answered as the document says."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from api import routes
from api.openapi import openapi_document
from api.wire.body import MOST_ELEMENTS
from tests.e2e.conftest import Gateway
from tests.e2e.tenants import furnished, organization


def without_long_arrays(schema: Any) -> Any:
    """To break the limit of arrays that have no lower one takes bodies of hundreds of megabytes: test_wire_refusals does."""
    if isinstance(schema, dict):
        limit = ("maxItems", MOST_ELEMENTS)
        return {name: without_long_arrays(value) for name, value in schema.items() if (name, value) != limit}
    return [without_long_arrays(value) for value in schema] if isinstance(schema, list) else schema


document = schemathesis.openapi.from_dict(without_long_arrays(openapi_document(routes.load_all())))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def owner(gateway: Gateway) -> Iterator[httpx.Client]:
    with organization(gateway.url, gateway.key, "made up") as client:
        yield client


@pytest.fixture(scope="module")
def ids(owner: httpx.Client) -> dict[str, str]:
    return furnished(owner)


@document.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_one_of_those_that_are_described(
    case: schemathesis.Case, gateway: Gateway, owner: httpx.Client, ids: dict[str, str]
) -> None:
    """Once as it was made up, and once about an object that there is."""
    asked: Any = {"base_url": gateway.url, "headers": {"authorization": owner.headers["authorization"]}, "timeout": 60}
    case.call_and_validate(**asked, checks=CHECKS)
    known = {name: ids[name] for name in case.path_parameters if name in ids}
    if known and case.method != "DELETE":
        case.path_parameters = {**case.path_parameters, **known}
        case.call_and_validate(**asked, checks=CHECKS)
