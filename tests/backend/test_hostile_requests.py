"""Ranges, keys and videos that nobody sends who means well."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from contanos.testing.videos import make_video, patch_avi
from tests.backend.asked import ask
from tests.backend.attacked import (
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
from tests.backend.clients import ADA, Server
from tests.backend.tasks import in_state, made
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow, Upload, User, new_id
from video_analysis.backend.storage.contract import upload_name

__all__ = ["either", "result_folder", "target"]

pytestmark = pytest.mark.anyio

RANGES = {
    "bytes=0-0": 206,
    "bytes=-1": 206,
    "bytes=0-99999999999999999": 206,
    "bytes=-0": 416,
    "bytes=99999999999999999-": 416,
    "bytes=5-1": 200,
    "bytes=--1": 200,
    "bytes=a-b": 200,
    "bytes=": 200,
    "bytes=-": 200,
    "lines=0-1": 200,
    "bytes=0-" + "9" * 5000: 200,
    "bytes=" + ",".join(["0-"] * 1000): 200,
    "bytes=" + ",".join(f"{each}-{each}" for each in range(1000)): 200,
    "bytes=0-0,-1": 200,
    "bytes=0x0-0x1": 200,
    "bytes=1e1-2e1": 200,
    "bytes=+0-+1": 200,
    "bytes=0-0\t": 206,
}


async def test_no_range_makes_a_server_work(target: Target, result_folder: Path) -> None:
    """Many of them are the whole file once, never as many parts."""
    client, who = target.server.client, target.as_(OWNER.name)
    size = (result_folder / "annotated.mp4").stat().st_size
    for asked, status in RANGES.items():
        url = f"/result/{id_of('task completed')}"
        answer = await client.get(url, headers=who | {"Range": asked})
        assert answer.status_code == status, asked[:50]
        assert len(answer.content) <= max(size, 1000), asked[:50]
        if status == 416:
            assert answer.headers["Content-Range"] == f"bytes */{size}"


@pytest.mark.parametrize("key", ["", " ", "x" * 129, "a b", "é", "a\tb", "x" * 5000])
async def test_a_key_of_idempotency_that_is_none_is_refused(target: Target, key: str) -> None:
    before = await kept(target)
    headers = target.as_(OWNER.name) | {"Content-Type": "application/json"}
    answer = await ask(
        target.server.app,
        "POST",
        TASKS,
        headers | {"Idempotency-Key": key},
        json.dumps({"upload_id": id_of("upload ready")}).encode(),
    )
    assert (answer.status, "idempotency-key" in answer.text.lower()) == (422, True)
    assert await kept(target) == before


async def test_one_key_makes_one_task_however_often_and_at_once(either: Target) -> None:
    client, who = either.server.client, either.as_(OWNER.name)
    wish, key = {"upload_id": id_of("upload ready"), "priority": -7}, {"Idempotency-Key": "'--"}
    answers = await asyncio.gather(
        *(client.post(TASKS, json=wish, headers=who | key) for _ in range(8))
    )
    assert {each.status_code for each in answers} <= {200, 201, 409}
    assert len({each.json()["id"] for each in answers if each.status_code != 409}) == 1
    assert [each.status_code for each in answers].count(201) == 1
    other = wish | {"options": {"trail": 1}}
    refused(await client.post(TASKS, json=other, headers=who | key), 409)
    async with either.server.state.database.reading() as session:
        made_ones = list(await session.scalars(select(TaskRow).where(TaskRow.priority == -7)))
    assert len(made_ones) == 1


async def test_a_bomb_that_was_let_in_ends_its_task_with_a_cause(
    platform: Server, tmp_path: Path
) -> None:
    """As if its check had missed it: whoever opens it later does not trust its header either."""
    await platform.let_in(ADA)
    ada = await platform.log_in(ADA)
    plain = make_video(tmp_path / "plain.avi", codec="ffv1")
    bomb = patch_avi(plain, tmp_path / "bomb.avi", size=(15_000, 15_000))
    upload_id = await let_in_unchecked(platform.state.database, ADA.name)
    await platform.state.storage.keep(upload_name(upload_id), bomb)
    task = await made(platform.client, ada, upload_id)
    found = await in_state(platform.client, ada, task["id"], "failed")
    assert "15000 x 15000" in found["cause"]
    assert str(platform.state.settings.data_dir) not in found["cause"]
    async with asyncio.timeout(10):
        while list((platform.state.settings.data_dir / "work").glob("*")):
            await asyncio.sleep(0.05)
    assert found["bytes"] == 0


async def let_in_unchecked(database: Database, owner: str) -> str:
    """An upload that calls itself ready."""
    upload_id = new_id()
    said = {"width": 64, "height": 48, "frames": 10, "seconds": 1.0, "bytes": 1, "received": 1}
    async with database.transaction() as session:
        user_id = await session.scalar(select(User.id).where(User.name == owner))
        about = {"label": "walk.avi", "state": "ready", "source": "form"} | said
        session.add(Upload(id=upload_id, user_id=user_id, **about))
    return upload_id
