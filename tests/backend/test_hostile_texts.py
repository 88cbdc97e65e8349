"""Texts that nobody sends who means well, in every place that takes one."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.backend.asked import ask
from tests.backend.attacked import (
    PROBLEM,
    TASKS,
    Target,
    either,
    kept,
    result_folder,
    target,
)
from tests.backend.belongings import (
    ADMIN,
    OWNER,
    id_of,
)
from tests.backend.videos import VERSION, Headers

__all__ = ["either", "result_folder", "target"]

pytestmark = pytest.mark.anyio

TEXTS = [
    "a\0b",
    "\0",
    "a\r\nX-Injected: yes",
    "x" * 100_000,
    "' OR '1'='1'; DROP TABLE users; --",
    "../../../../etc/passwd",
    "raw_frames_x,yolox_x",
    "\u202egpj.exe",
    "\ufffe\uffff",
    "🦆" * 300,
    "%s%n%00{0}{{7*7}}${jndi:ldap://x}",
    "-1",
    "\ud800",
    "",
]


def fields(document: dict[str, Any], schema: Any) -> Iterator[str]:
    """Names of a body's fields."""
    if name := schema.get("$ref"):
        schema = document["components"]["schemas"][name.rpartition("/")[2]]
    yield from schema.get("properties", {})


def example(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema["$ref"].rpartition("/")[2]
    found = document["components"]["schemas"][name]["properties"].items()
    return {field: said["examples"][0] for field, said in found if said.get("examples")}


def requests_with(document: dict[str, Any], text: str) -> Iterator[tuple[str, str, Any, Headers]]:
    """Method, address, body and headers; one place holds the text, the others what they should."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            fine = {each["name"]: str(each["schema"]["examples"][0]) for each in parameters}
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            body = example(document, schema) if schema else None
            escaped = quote(text, safe="", errors="surrogatepass")
            for each in parameters:
                if each["in"] == "path" and text:
                    yield method, path.format(**fine | {each["name"]: escaped}), body, {}
                if each["in"] == "query":
                    yield method, f"{path.format(**fine)}?{each['name']}={escaped}", body, {}
                if each["in"] == "header" and text.isprintable() and text.isascii():
                    yield method, path.format(**fine), body, VERSION | {each["name"]: text}
            for each in fields(document, schema or {}):
                yield method, path.format(**fine), (body or {}) | {each: text}, {}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
async def test_no_text_does_harm_anywhere(either: Target, text: str) -> None:
    """In every path, query, header and field, for an administrator, who gets farthest."""
    document = either.server.app.openapi()
    who, before = either.as_(ADMIN), await kept(either)
    for method, url, body, headers in requests_with(document, text):
        sent = json.dumps(body) if body else None
        kind = {"Content-Type": "application/json"} if body else {}
        told = (sent or "").encode()
        answer = await ask(either.server.app, method.upper(), url, who | kind | headers, told)
        assert 200 <= answer.status < 500, (method, url[:200], told[:300], answer.text)
        assert "x-injected" not in answer.headers
        assert len(answer.body) < 10**4 or answer.status < 400
        if answer.status >= 400:
            assert answer.headers["content-type"] == PROBLEM
        if method in ("get", "head", "options"):
            continue
        if answer.status < 400:
            await either.server.state.uploads.close()
            await either.belongings.put_back()
            before = await kept(either)
        assert await kept(either) == before, (method, url[:200])
    assert await kept(either) == before


LABELS = [
    'a"; filename="evil.exe',
    "a\r\nX-Injected: yes.mp4",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "\u202e4pm.exe",
    "Zoë 🦆.mp4",
    "%0d%0aX-Injected: yes",
    "; rm -rf",
    "\x7f\x1b[31mred",
    "x" * 255,
]


@pytest.mark.parametrize("label", LABELS, ids=range(len(LABELS)))
async def test_a_label_stays_within_the_name_that_it_gives(target: Target, label: str) -> None:
    client, who, task_id = target.server.client, target.as_(OWNER.name), id_of("task completed")
    answer = await client.patch(f"{TASKS}/{task_id}", json={"label": label}, headers=who)
    assert answer.status_code == 200, answer.text
    for path in ("files/annotated.mp4", "export/csv"):
        fetched = await client.get(f"{TASKS}/{task_id}/{path}", headers=who)
        assert fetched.status_code == 200
        assert "x-injected" not in fetched.headers
        said = fetched.headers["Content-Disposition"]
        assert said.isascii()
        assert said.isprintable()
        name = said.partition('filename="')[2].partition('"')[0]
        assert said.startswith("attachment; ")
        assert not set(name) & set('/\\"\r\n;%') - {";"}
        assert not name.startswith(".")
        assert said.removeprefix(f'attachment; filename="{name}"').count('"') == 0
