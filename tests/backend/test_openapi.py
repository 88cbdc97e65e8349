"""The document of the API is complete, and the page in `docs/` names every route."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.backend.clients import Server, whole
from video_analysis.backend.settings import BackendSettings

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PROBLEM = "application/problem+json"

OPEN = {
    "GET /",
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "GET /api/v1/health",
    "POST /api/v1/login",
    "POST /api/v1/login/refresh",
    "OPTIONS /api/v1/uploads/tus",
}
"""What anybody may ask."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return whole(BackendSettings(data_dir=tmp_path_factory.mktemp("data")))[1]


@pytest.fixture
def document(app: FastAPI) -> Json:
    found: Json = app.openapi()
    return found


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, each in document["paths"].items():
        for method, operation in each.items():
            yield f"{method.upper()} {path}", operation


def contents(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Where, of which type, and what is said of it: of all bodies that are sent or answered."""
    for name, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} body", kind, content
        for status, said in operation["responses"].items():
            for kind, content in said.get("content", {}).items():
                yield f"{name} {status}", kind, content


def refers(field: Json) -> bool:
    """To a model whose fields have examples of their own."""
    return "$ref" in field or "$ref" in field.get("items", {})


@pytest.mark.anyio
async def test_it_is_served_as_it_is(backend: Server, document: Json) -> None:
    assert (await backend.client.get("/openapi.json")).json() == document
    assert backend.app.openapi() == document, "it does not grow with each request"


def test_it_says_what_it_is(document: Json) -> None:
    assert {"title", "version", "summary", "description", "license"} <= set(document["info"])
    assert document["servers"] == [{"url": "/", "description": "This server."}]
    described = {each["name"]: each["description"] for each in document["tags"]}
    used = [tag for _, operation in operations(document) for tag in operation["tags"]]
    assert set(described) == set(used)
    assert all(described.values())


def test_every_operation_is_described(document: Json) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name


def test_every_parameter_is_described_with_an_example_that_it_takes(document: Json) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            where, schema = f"{name} {parameter['name']}", parameter["schema"]
            assert parameter.get("description"), where
            assert schema.get("examples"), where
            for each in schema["examples"]:
                jsonschema.validate(each, schema)


def test_every_field_is_described_with_an_example_that_it_takes(document: Json) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        assert schema["description"], name
        for field, said in schema["properties"].items():
            where = f"{name}.{field}"
            assert said.get("description"), where
            assert said.get("examples") or refers(said), where
            for each in said.get("examples", []):
                jsonschema.validate(each, said | {"components": document["components"]})
    for where, _, content in contents(document):
        for field, said in content["schema"].get("properties", {}).items():
            assert said.get("description"), f"{where} {field}"


def test_every_answer_is_described(document: Json) -> None:
    for name, operation in operations(document):
        assert any(status < "400" for status in operation["responses"]), name
        for status, said in operation["responses"].items():
            assert said["description"], f"{name} {status}"
            assert said["headers"]["X-Request-ID"]["required"], f"{name} {status}"
            if status >= "400" and PROBLEM not in said["content"]:
                assert (status, operation["tags"][0] in ("health", "service")) == ("503", True)


def test_every_refusal_is_a_problem_with_an_example_of_it(document: Json) -> None:
    problem = document["components"]["schemas"]["ProblemDetails"]
    for where, kind, content in contents(document):
        if kind != PROBLEM:
            continue
        status = where.rpartition(" ")[2]
        assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}, where
        jsonschema.validate(content["example"], problem)
        assert content["example"]["status"] == int(status), where


def test_every_operation_names_what_may_become_of_any(document: Json) -> None:
    for name, operation in operations(document):
        told = set(operation["responses"])
        assert {"408", "413", "429"} <= told, name
        if operation.get("security"):
            assert {"401", "503"} <= told, name
        if "{" in name:
            assert {"404", "422"} <= told, name
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert {"400", "422"} <= told, name


def test_every_body_has_a_type_and_a_schema(document: Json) -> None:
    for where, kind, content in contents(document):
        schema = content["schema"]
        assert schema, where
        if kind.startswith(("video/", "image/")) or "octet" in kind or "parquet" in kind:
            assert schema == {"type": "string", "format": "binary"}, where


def test_every_reference_leads_somewhere(document: Json) -> None:
    text = str(document)
    for name in set(re.findall(r"'#/components/schemas/([^']+)'", text)):
        assert name in document["components"]["schemas"], name
    for name in document["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in text, f"{name} is of no use"


def test_what_needs_somebody_to_be_known_says_so_and_nothing_else(document: Json) -> None:
    schemes = set(document["components"]["securitySchemes"])
    found = set()
    for name, operation in operations(document):
        security = operation.get("security", [])
        assert {each for one in security for each in one} in (set(), schemes), name
        assert bool(security) == (operation["responses"].get("401") is not None) or name in OPEN
        if not security:
            found.add(name)
    assert found == OPEN


def served(app: FastAPI) -> set[str]:
    """Every route, also those that the document does not show."""
    found = set()
    for each in iter_route_contexts(app.routes):
        found |= {f"{method} {each.path}" for method in each.methods or ("WEBSOCKET",)}
    return found


def of_the_document_itself(name: str) -> bool:
    return name.rpartition(" ")[2] in ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")


def test_every_route_is_in_the_document_or_can_not_be(app: FastAPI, document: Json) -> None:
    left = served(app) - {name for name, _ in operations(document)}
    left = {each for each in left if not of_the_document_itself(each)}
    assert left == {"WEBSOCKET /api/v1/tasks/{task_id}/frames/live"}


def test_the_page_has_a_row_for_every_route_under_its_tag(app: FastAPI, document: Json) -> None:
    """`| GET | /api/v1/tasks | users, ... | what it does |`, in a table beneath `## tag`."""
    rows, tag = {}, ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            tag = line[3:]
        if row := re.fullmatch(r"\| `([A-Z]+)` \| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", line):
            assert f"{row[1]} {row[2]}" not in rows, line
            rows[f"{row[1]} {row[2]}"] = tag, row[3].strip()
    assert set(rows) == {each for each in served(app) if not of_the_document_itself(each)}
    for name, operation in operations(document):
        assert rows[name][0] == operation["tags"][0], name
        assert (rows[name][1] == "anybody") == (name in OPEN), name
