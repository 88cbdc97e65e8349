"""The folder that a run writes into: made, locked, and left clean."""

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from contanos.disk import PARTIAL, remove
from contanos.errors import OutputError
from video_analysis.results.summary import SUMMARY
from video_analysis.results.writer import RESULTS


class FolderBusy(OutputError):
    """Another run writes to the folder."""


WORK = ".contanos"
VIDEO = "annotated.mp4"
OUTPUTS = (VIDEO, RESULTS, SUMMARY)


class Workspace:
    """A folder for outputs, with a folder inside for what is not final yet.

    What an earlier run left unfinished there, killed, is removed; folders that were made and are
    still empty in the end are removed too. Use it as a context manager.

    Args:
        folder: made where it is missing.
        protect: the input, which no output may replace.
        resume: keep what is not final, to go on from there.

    Attributes:
        keep: leave what is not final when leaving, for somebody who goes on from there.
    """

    def __init__(self, folder: Path, protect: Path, resume: bool = False) -> None:
        self.folder = folder
        self.keep = False
        self._resume = resume
        self._protect = protect
        self._work = folder / WORK
        self._missing = [each for each in (folder, *folder.parents) if not each.exists()]
        self._lock = FileLock(folder / f"{WORK}.lock", timeout=0)

    def __enter__(self) -> Self:
        """Raises `OutputError` where the folder cannot be written, `FolderBusy` if it is in use."""
        if any(_same(each, self._protect) for each in self._outputs()):
            raise OutputError(f"{self._protect} would be replaced; choose another --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            if not self._resume:
                self.clear()
            self._work.mkdir(exist_ok=True)
        except Timeout as e:
            raise FolderBusy(
                f"another run is writing to {self.folder}; wait for it, or choose another --out"
            ) from e
        except OSError as e:
            self._remove_empty()
            why = e.strerror or str(e)
            raise OutputError(f"cannot write to {self.folder}: {why}; choose another --out") from e
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.keep:
            self.clear()
        with suppress(OSError):
            Path(self._lock.lock_file).unlink()
        self._lock.release()
        if not self.keep:
            self._remove_empty()

    def clear(self) -> None:
        """Remove what is not final."""
        shutil.rmtree(self._work, ignore_errors=True)
        for each in self._outputs():
            for partial in self.folder.glob(f".{each.name}.*{PARTIAL}"):
                remove(partial)

    def remove_outputs(self) -> None:
        """Remove what an earlier run left, so that the folder never mixes two results."""
        for each in self._outputs():
            remove(each)

    def _outputs(self) -> list[Path]:
        return [self.folder / name for name in OUTPUTS]

    def _remove_empty(self) -> None:
        with suppress(OSError):  # not empty: it holds a result
            for each in self._missing:
                each.rmdir()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (FileNotFoundError, NotADirectoryError):
        return False  # an input that is gone must not keep its task from ending
