"""Tasks that are over, with real results."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from video_analysis.backend.database.columns import now
from video_analysis.backend.database.engine import Database
from video_analysis.backend.database.tables import TaskRow, User, new_id
from video_analysis.backend.results.thumbnail import make_thumbnail
from video_analysis.backend.storage import Storage
from video_analysis.backend.storage.contract import result_name
from video_analysis.run import Run
from video_analysis.settings import Options, Settings

TASKS = "/api/v1/tasks"
FRAMES = 40


@pytest.fixture(scope="session")
def result_folder(demo_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the chain makes of somebody who walks; not to be changed."""
    folder = tmp_path_factory.mktemp("result")
    Run(demo_video, folder, Options(max_frames=FRAMES), Settings()).work(lambda _: None)
    make_thumbnail(folder / "annotated.mp4", folder / "thumbnail.jpg")
    return folder


async def add_task(
    database: Database, storage: Storage, owner: str, folder: Path | None = None, **fields: Any
) -> str:
    """The id of a task that is over, with the files of a folder.

    Args:
        database: where its row goes.
        storage: where its files go.
        owner: name of whose it is.
        folder: its files; they stay where they are.
        fields: of the row.
    """
    files = [each for each in folder.iterdir() if each.is_file()] if folder else []
    size = sum(each.stat().st_size for each in files)
    usual = {
        "label": "walk.mp4",
        "state": "completed",
        "options": {},
        "ended": now(),
        "bytes": size,
    }
    about = usual | fields
    async with database.transaction() as session:
        user_id = await session.scalar(select(User.id).where(User.name == owner))
        task = TaskRow(id=new_id(), user_id=user_id, **about)
        session.add(task)
    for path in sorted(files):
        copy = shutil.copy(path, path.parent.parent / f"{task.id}-{path.name}")
        await storage.keep(result_name(task.id, path.name), Path(copy))
    return task.id
