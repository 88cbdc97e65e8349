"""The same tasks again and again, each time with the result that undisturbed ones have."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from contanos.bus import open_bus
from tests.services.results import assert_same
from video_analysis.control.books import Books
from video_analysis.remote import RemoteRun
from video_analysis.run import Run
from video_analysis.settings import Options, Settings
from video_analysis.workspace import OUTPUTS

_FORGOTTEN_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Video:
    """What a task is made of.

    Attributes:
        path: of the file.
        frames: that are processed.
    """

    path: Path
    frames: int


class Rounds:
    """Runs all tasks at once; when they are done, once more, until told that it is enough.

    Args:
        url: of the bus.
        folder: for results.
        videos: by task id.

    Attributes:
        ordering: held while orders are placed; a program may refuse to start without a broker.
        done: rounds that gave the right result.
    """

    def __init__(self, url: str, folder: Path, videos: Mapping[str, Video]) -> None:
        self.ordering = threading.Lock()
        self.done = 0
        self._url = url
        self._folder = folder
        self._videos = videos
        self._enough = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)
        for task_id in videos:
            self._undisturbed(task_id)

    @property
    def outputs(self) -> list[Path]:
        """Where the tasks of this round write."""
        return [self._folder / f"{self.done}" / task_id for task_id in self._videos]

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error:
            raise self._error

    def finish(self, seconds: float) -> None:
        """No further round; the one that runs goes on to its end."""
        self._enough.set()
        self._thread.join(seconds)
        self.check()
        assert not self._thread.is_alive(), f"round {self.done} did not end"

    def _run(self) -> None:
        try:
            while not self._enough.is_set():
                with ThreadPoolExecutor(len(self._videos)) as pool:
                    list(pool.map(self._once_more, self._videos))
                self.done += 1
                self._await_forgotten()
        except BaseException as e:  # raised again by whoever waits
            self._error = e

    def _undisturbed(self, task_id: str) -> None:
        video, settings = self._videos[task_id], Settings(workers=2)
        options = Options(max_frames=video.frames)
        run = Run(video.path, self._reference(task_id), options, settings, task_id)
        assert run.work(lambda _: None).complete

    def _once_more(self, task_id: str) -> None:
        video, folder = self._videos[task_id], self._folder / f"{self.done}" / task_id
        options, settings = Options(max_frames=video.frames), Settings(bus=self._url)
        with self.ordering:
            run = RemoteRun(video.path, folder, options, settings, task_id)
        summary = run.work(lambda _: None)
        assert summary.complete, summary
        assert summary.proof.read == summary.proof.annotated == video.frames, summary
        assert summary.proof.failed == 0, summary
        assert sorted(each.name for each in folder.iterdir()) == sorted(OUTPUTS)
        assert_same(folder, self._reference(task_id))

    def _reference(self, task_id: str) -> Path:
        return self._folder / "undisturbed" / task_id

    def _await_forgotten(self) -> None:
        """A name can be used again once nothing is left of the task that had it."""
        bus = open_bus(self._url)
        books = Books.on(bus)
        deadline = time.monotonic() + _FORGOTTEN_SECONDS
        while any(books.orders.get(each) or books.outcomes.get(each) for each in self._videos):
            assert time.monotonic() < deadline, "a task that ended was not forgotten"
            time.sleep(0.1)
        bus.close()
