"""Bodies that nobody sends who means well: each is refused in clear words."""

import asyncio
import gzip
import json

import pytest

from tests.backend.attacked import (
    API,
    TASKS,
    Target,
    either,
    kept,
    refused,
    result_folder,
    target,
)
from tests.backend.belongings import (
    OWNER,
    id_of,
)

__all__ = ["either", "result_folder", "target"]

pytestmark = pytest.mark.anyio

DEEP = 100_000
BODIES: dict[str, bytes] = {
    "deep lists": b"[" * DEEP,
    "deep and closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep options": b'{"upload_id":"x","options":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "many of nothing": b"[" + b"[]," * 300_000 + b"[]]",
    "many names": b"{" + b",".join(b'"%d":0' % each for each in range(60_000)) + b"}",
    "the same name often": b"{" + b'"upload_id":"x",' * 20_000 + b'"upload_id":{}}',
    "a long number": b'{"upload_id":"x","priority":' + b"9" * 500_000 + b"}",
    "a great number": b'{"upload_id":"x","priority":1e999999999}',
    "no number": b'{"upload_id":"x","priority":NaN}',
    "infinity": b'{"upload_id":"x","options":{"det_score":Infinity}}',
    "half a character": b'{"upload_id":"\\ud800"}',
    "half a character as a name": b'{"upload_id":"x","\\ud800":1}',
    "no UTF-8": b'{"upload_id":"\xff\xfe"}',
    "UTF-16": '{"upload_id":"x"}'.encode("utf-16"),
    "UTF-32": '{"upload_id":1}'.encode("utf-32"),
    "nothing": b"",
    "a NUL": b"\0",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "packed": gzip.compress(b'{"upload_id":"' + b"x" * 10**8 + b'"}'),
    "a prototype": b'{"upload_id":"x","__proto__":{"admin":true},"constructor":1}',
    "whose it is": b'{"upload_id":"x","user_id":"someone","state":"completed"}',
    "XML": b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
}


@pytest.mark.parametrize("case", BODIES)
async def test_no_body_does_harm(target: Target, case: str) -> None:
    """Neither to the process: answered within seconds, with little memory, and then the next."""
    client, who, before = target.server.client, target.as_(OWNER.name), await kept(target)
    headers = who | {"Content-Type": "application/json"}
    if case == "packed":
        headers |= {"Content-Encoding": "gzip"}
    async with asyncio.timeout(20):
        answer = await client.post(TASKS, content=BODIES[case], headers=headers)
    said = refused(answer, 400, 404, 413, 422)
    assert len(said) < 2000 + 100 * said.count(";"), "the refusal grows with what was sent"
    assert len(answer.content) < 1 << 20
    assert await kept(target) == before
    assert (await client.get(f"{API}/users/me", headers=who)).status_code == 200


KINDS = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/xml",
    "application/json; charset=utf-7",
    "application/octet-stream",
    "image/svg+xml",
    "a" * 5000,
    "",
]


@pytest.mark.parametrize("kind", KINDS, ids=range(len(KINDS)))
async def test_what_is_called_otherwise_is_not_read_as_json(target: Target, kind: str) -> None:
    """So that no page of another origin can send it without asking first."""
    client, who = target.server.client, target.as_(OWNER.name)
    body = json.dumps({"upload_id": id_of("upload ready")}).encode()
    answer = await client.post(TASKS, content=body, headers=who | {"Content-Type": kind})
    if not kind.startswith("application/json"):
        refused(answer, 400, 415, 422)
    form = await client.post(f"{API}/uploads", content=body, headers=who | {"Content-Type": kind})
    refused(form, 422)
