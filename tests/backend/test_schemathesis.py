"""The document against the application: schemathesis sends what it allows, and what it does not.

Ids in the paths are of real things in every state. Whatever a request has changed is put back, so
that each finds them all.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import requests
import schemathesis
from anyio.from_thread import start_blocking_portal
from schemathesis.config import SchemathesisConfig

from contanos.service.address import Address
from contanos.service.server import Server, Site
from tests.backend.belongings import ADMIN, OWNER, TASKS, UPLOADS, Belongings, id_of
from tests.backend.clients import whole
from tests.backend.finished import result_folder
from tests.backend.videos import Headers
from video_analysis.backend.database.engine import Database
from video_analysis.backend.settings import BackendSettings

__all__ = ["result_folder"]

EXAMPLES = 4
"""Of each operation for each of the three, besides what covers the bounds of every value."""

REAL = {
    "task_id": [id_of(f"task {state}") for state in TASKS],
    "upload_id": [id_of(f"upload {state}") for state in UPLOADS],
    "user_id": [id_of(f"user {name}") for name in (OWNER.name, ADMIN)],
    "key_id": [id_of("key spare"), id_of("key revoked")],
}
NOWHERE = id_of("nothing at all")

ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "410", "412", "413", "416", "423"]
"""For what a document allows: refused for who asks, or the state that a thing is in."""

REFUSED = ["400", "401", "403", "404", "405", "409", "410", "412", "415", "422", "423"]

MEANT = [
    "/api/v1/users",  # a viewer, and nobody else, views somebody
    "/api/v1/uploads/from-url",  # where a URL may lead
    "/api/v1/uploads/from-media",  # what lies on the server
    "/api/v1/uploads/tus",  # values in `Upload-Metadata` are base64
    "/api/v1/uploads",  # a form with a file; `after` is what a page before has told
    "/api/v1/tasks",  # a frame that a video has; `after` likewise
    "/upload",
]
"""Where what is meant may be refused, of which the document has no way to speak."""

SHARED = [
    "/api/v1/users/me",
    "/api/v1/uploads/tus",
    "/api/v1/uploads/from-url",
    "/api/v1/uploads/from-media",
]
"""Addresses that might be those of things with such ids, which never are."""

CONFIG: dict[str, Any] = {
    "seed": 4,
    "suppress-health-check": ["all"],
    "generation": {
        "deterministic": True,
        "max-examples": EXAMPLES,
        "database": "none",
        "with-security-parameters": False,
        "allow-extra-parameters": False,
    },
    "phases": {"examples": {"enabled": True}},
    "max-stream-events": 1,
    "operations": [
        {
            "include-path": MEANT,
            "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
        },
        {
            "include-path": SHARED,
            "checks": {
                "unsupported_method": {"enabled": False},
                "allow_header_conformance": {"enabled": False},
            },
        },
    ],
    "checks": {
        "ignored_auth": {"enabled": False},  # test_isolation.py asks for each route
        "negative_data_rejection": {"expected-statuses": REFUSED},
        "positive_data_acceptance": {"expected-statuses": ACCEPTED},
    },
}


def described() -> dict[str, Any]:
    """The document, for a world in which there are no other things than ours."""
    with TemporaryDirectory() as folder:
        found = copy.deepcopy(whole(BackendSettings(data_dir=Path(folder)))[1].openapi())
    _plainer(found)
    for item in found["paths"].values():
        for operation in item.values():
            for each in operation.get("parameters", []):
                if each["in"] == "path" and each["name"] in REAL:
                    each["schema"]["enum"] = [*REAL[each["name"]], NOWHERE]
                    each["schema"]["examples"] = REAL[each["name"]]
    return found


def _plainer(schema: Any) -> None:
    """Tuples of one type as arrays of it: those schemathesis turns into what it then refuses."""
    for each in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(each, dict | list):
            _plainer(each)
    if isinstance(schema, dict) and (first := schema.pop("prefixItems", None)):
        assert all(each == first[0] for each in first)
        schema["items"] = first[0]


@dataclass(frozen=True)
class Api:
    """A backend on a socket.

    Attributes:
        url: of it.
        session: keeps connections to it.
        everybody: their headers, by who they are.
        put_back: has it hold what it held at first.
    """

    url: str
    session: requests.Session
    everybody: dict[str, Headers]
    put_back: Callable[[], None]


@pytest.fixture(scope="module")
def api(result_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = BackendSettings(
        data_dir=tmp_path_factory.mktemp("schemathesis"),
        running_tasks=1,
        requests_a_minute=10**6,
        login_attempts=10**6,
        login_attempts_a_minute=10**6,
        source_prefixes=("http://127.0.0.1:9/",),
    )
    plane, app = whole(settings)
    server, database = Server([Site(app, Address("127.0.0.1", 0))]), Database(settings.database)
    held = Belongings(settings, database, result_folder)
    everybody = {"nobody": {}, "user": held.headers(OWNER.name), "admin": held.headers(ADMIN)}
    with ExitStack() as stack:
        server.start()
        stack.callback(server.stop)
        server.keep(plane.running())
        portal = stack.enter_context(start_blocking_portal())
        stack.callback(portal.call, database.close)
        portal.call(held.put_back)
        session = stack.enter_context(requests.Session())
        yield Api(server.addresses[0].url, session, everybody, lambda: portal.call(held.put_back))


schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")

document = schemathesis.openapi.from_dict(described(), config=SchemathesisConfig.from_dict(CONFIG))


@document.parametrize()
def test_the_document_is_kept_to(case: schemathesis.Case, api: Api) -> None:
    """No defect, and no answer that the document does not speak of, whoever asks."""
    for headers in api.everybody.values():
        answer = case.call_and_validate(api.url, api.session, headers, timeout=10)
        if case.method not in ("GET", "HEAD", "OPTIONS") and answer.status_code < 400:
            api.put_back()
