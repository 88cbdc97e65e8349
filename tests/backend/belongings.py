"""Four people, and for one of them things of every kind, put back as often as a test likes.

Ids are the same in every run, so that what is generated from them is, too.
"""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from filelock import FileLock
from sqlalchemy import delete, insert, select

from tests.backend.clients import Person
from tests.backend.videos import Headers
from video_analysis.backend.accounts.secret import KEY_PREFIX, digest
from video_analysis.backend.accounts.tokens import Claims, Tokens
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import (
    ApiKey,
    Login,
    Table,
    TaskRow,
    TaskState,
    Upload,
    UploadState,
    User,
)
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.tasks.options import TaskOptions

OWNER = Person("ada", "analytical-engine")
OTHER, VIEWER, ADMIN = "bob", "eve", "root"
LABEL = "only-adas.mp4"
"""Of all that is hers: nobody else may read it."""

BYTES, CAME = 1000, 400
"""Of the upload that is on its way."""

UPLOADS: tuple[UploadState, ...] = ("receiving", "checking", "ready", "refused")
TASKS: tuple[TaskState, ...] = (
    "uploaded",
    "queued",
    "running",
    "completed",
    "failed",
    "cancelled",
)

_WITH_FILES = ("task completed", "upload ready", "upload spare", "upload receiving")

_BEGAN = datetime(2026, 11, 24, 5, tzinfo=UTC)
_LATER = datetime(2099, 1, 1, tzinfo=UTC)
_HASH = PasswordHasher(time_cost=1, memory_cost=64).hash(OWNER.password)

Rows = dict[str, list[tuple[Any, ...]]]


def id_of(name: str) -> str:
    """Of a thing by a name of ours, such as "task running"."""
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def key_of(name: str) -> str:
    """The secret of a key."""
    return f"{KEY_PREFIX}{name}-{id_of(name)}"


class Belongings:
    """What a control plane holds.

    Args:
        settings: of the control plane, which keeps things in its data folder.
        database: the same.
        results: what the completed task left, from `finished.result_folder`.
    """

    def __init__(self, settings: BackendSettings, database: Database, results: Path) -> None:
        self._database = database
        self._folder = settings.data_dir
        self._results = results
        # Nobody looks at the upload that is being checked: it would be refused.
        self._held = FileLock(
            self._folder / "incoming" / f"{id_of('upload checking')}.lock", thread_local=False
        )
        self._tokens = Tokens(settings.signing_key(), 10**6)
        self._expired = Tokens(settings.signing_key(), -60)

    async def put_back(self) -> None:
        """Everything as it was, and nothing besides."""
        (self._folder / "incoming").mkdir(parents=True, exist_ok=True)
        if not self._held.is_locked:
            self._held.acquire(timeout=10)
        async with self._database.transaction() as session:
            for table in reversed(Table.metadata.sorted_tables):
                await session.execute(delete(table))
            for model, rows in _rows().items():
                for row in rows:
                    await session.execute(insert(model).values(**row))
        self._put_files_back()

    async def rows(self) -> Rows:
        """All that is written down, but for what changes by a mere look, or by itself."""
        left_behind = {"audit", "wrong_logins", "api_keys.last_used", "tasks.reason"}
        found: Rows = {}
        async with self._database.reading() as session:
            for table in Table.metadata.sorted_tables:
                if table.name not in left_behind:
                    kept = [each for each in table.c if str(each) not in left_behind]
                    rows = await session.execute(select(*kept).order_by(*table.primary_key))
                    found[table.name] = [tuple(each) for each in rows]
        return found

    def files(self) -> dict[str, int]:
        """All that is kept, by name, with its size."""
        found = (each for each in self._folder.rglob("*") if each.is_file())
        named = {str(each.relative_to(self._folder)): each.stat().st_size for each in found}
        ours = ("files/", "incoming/", "work/", "exports/")
        return {
            name: size
            for name, size in named.items()
            if name.startswith(ours) and not name.endswith(".lock")
        }

    def headers(self, who: str) -> Headers:
        """Of somebody who has logged in."""
        return {"Authorization": f"Bearer {self._tokens.make(_claims(who))}"}

    def expired(self, who: str) -> Headers:
        """Of somebody whose token was good until a minute ago."""
        return {"Authorization": f"Bearer {self._expired.make(_claims(who))}"}

    def _put_files_back(self) -> None:
        for name in self.files():
            if not any(id_of(each) in name for each in _WITH_FILES):
                (self._folder / name).unlink(missing_ok=True)
        task_id = id_of("task completed")
        for each in self._results.iterdir():
            if each.is_file():
                _link(each, self._folder / "files" / "results" / task_id / each.name)
        video = self._results / "annotated.mp4"
        for name in ("upload ready", "upload spare"):
            _link(video, self._folder / "files" / "uploads" / id_of(name))
        incoming = self._folder / "incoming"
        incoming.mkdir(exist_ok=True)
        (incoming / id_of("upload receiving")).write_bytes(bytes(CAME))


def _claims(who: str) -> Claims:
    return Claims(id_of(f"user {who}"), id_of(f"login {who}"))


def _link(file: Path, kept: Path) -> None:
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, kept)


def _rows() -> dict[type[Table], list[dict[str, Any]]]:
    people = {OWNER.name: "user", OTHER: "user", VIEWER: "viewer", ADMIN: "admin"}
    users = [
        {
            "id": id_of(f"user {name}"),
            "name": name,
            "password": _HASH,
            "role": role,
            "views": id_of(f"user {OWNER.name}") if role == "viewer" else None,
            "created": _BEGAN,
        }
        for name, role in people.items()
    ]
    logins = [
        {
            "id": id_of(f"login {name}"),
            "user_id": id_of(f"user {name}"),
            "token": digest(f"refresh {name}"),
            "expires": _LATER,
        }
        for name in people
    ]
    return {User: users, Login: logins, ApiKey: _keys(), Upload: _uploads(), TaskRow: _tasks()}


def _keys() -> list[dict[str, Any]]:
    both = ["read", "write"]
    scopes = {"spare": both, "writing": both, "reading": ["read"], "revoked": both}
    return [
        {
            "id": id_of(f"key {name}"),
            "user_id": id_of(f"user {OWNER.name}"),
            "name": LABEL,
            "secret": digest(key_of(name)),
            "scopes": granted,
            "created": _BEGAN,
            "revoked": _BEGAN if name == "revoked" else None,
        }
        for name, granted in scopes.items()
    ]


def _uploads() -> list[dict[str, Any]]:
    seen = {"width": 64, "height": 48, "frames": 40, "seconds": 4.0}
    states = {f"upload {state}": state for state in UPLOADS} | {"upload spare": "ready"}
    return [
        {
            "id": id_of(name),
            "user_id": id_of(f"user {OWNER.name}"),
            "label": LABEL,
            "source": "tus",
            "state": state,
            "bytes": BYTES,
            "received": CAME if state == "receiving" else BYTES,
            "cause": "the file holds only audio" if state == "refused" else None,
            "created": _BEGAN + timedelta(minutes=minute),
            "touched": datetime.now(UTC),
        }
        | (seen if state == "ready" else dict.fromkeys(seen))
        for minute, (name, state) in enumerate(states.items())
    ]


def _tasks() -> list[dict[str, Any]]:
    begun = {"running", "completed", "failed", "cancelled"}
    return [
        {
            "id": id_of(f"task {state}"),
            "user_id": id_of(f"user {OWNER.name}"),
            "upload_id": id_of("upload checking" if state == "uploaded" else "upload ready"),
            "label": LABEL,
            "state": state,
            "options": TaskOptions().stored(),
            "frames": 40 if state == "completed" else 0,
            "frames_total": 40,
            "bytes": 1 if state == "completed" else 0,
            "cause": "the disk is full" if state == "failed" else None,
            "reason": "4 of your tasks are running" if state == "queued" else None,
            "claimed_by": "another" if state == "running" else None,
            "claimed_until": _LATER if state == "running" else None,
            "created": _BEGAN + timedelta(minutes=minute),
            "started": _BEGAN if state in begun else None,
            "ended": _BEGAN if state in begun - {"running"} else None,
        }
        for minute, state in enumerate(TASKS)
    ]
