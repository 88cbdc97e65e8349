"""The folder of a task while it runs: its video, and what the stages write."""

import os
import shutil
import time
from pathlib import Path

from anyio import to_thread

from contanos.bus.topics import checked_task_id, is_task_id
from contanos.disk import as_output_error, whole_file

_VIDEO, _OUT = "video", "out"
_TRIES, _PAUSE = 5, 0.2  # seconds between two


class Work:
    """The folders of all tasks that run, which all backends and the annotation share.

    Args:
        folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def out(self, task_id: str) -> Path:
        """Where a task's outputs go.

        Raises:
            SettingError: it is no id of ours.
        """
        return self._task(task_id) / _OUT

    async def bring(self, task_id: str, video: Path) -> Path:
        """A video, kept for a task under a name of its own, whatever becomes of the original.

        Raises:
            OutputError: the disk is full.
        """
        return await to_thread.run_sync(_bring, video, self._task(task_id) / _VIDEO)

    def without_places(self, task_id: str, text: str) -> str:
        """What users may read: it names a task's files, and not the folders that they lie in."""
        folder = self._task(task_id)
        for each in (folder.absolute(), folder):
            text = text.replace(str(each / _VIDEO), "the video").replace(f"{each}{os.sep}", "")
        return text

    async def remove(self, task_id: str) -> None:
        """Everything of a task; fine if there is nothing."""
        await to_thread.run_sync(_remove, self._task(task_id))

    async def ids(self) -> set[str]:
        """Tasks of which anything is there."""
        return await to_thread.run_sync(self._ids)

    def _ids(self) -> set[str]:
        return {each.name for each in self._folder.glob("*") if is_task_id(each.name)}

    def _task(self, task_id: str) -> Path:
        return self._folder / checked_task_id(task_id)


def _remove(folder: Path) -> None:
    """A stage that was told to stop may still be writing: what it makes meanwhile goes too."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE)


def _bring(video: Path, kept: Path) -> Path:
    """By another name for it where both are on one disk, else by copying."""
    if not kept.exists():
        with as_output_error(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(kept) as partial, as_output_error(kept):
            try:
                os.link(video, partial)
            except OSError:
                shutil.copyfile(video, partial)
    return kept
