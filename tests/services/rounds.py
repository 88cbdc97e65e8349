"""The same tasks again and again, each time with the result that undisturbed ones have."""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.services.results import assert_same_pictures
from video_analysis.remote import RemoteRun
from video_analysis.results.metadata import PREFIX
from video_analysis.results.writer import RESULTS
from video_analysis.run import Run
from video_analysis.settings import Options, Settings
from video_analysis.workspace import OUTPUTS


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
        return [self._folder / self._named(task_id) for task_id in self._videos]

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
        except BaseException as e:  # raised again by whoever waits
            self._error = e

    def _undisturbed(self, task_id: str) -> None:
        video, settings = self._videos[task_id], Settings(workers=2)
        options = Options(max_frames=video.frames)
        run = Run(video.path, self._reference(task_id), options, settings, task_id)
        assert run.work(lambda _: None).complete

    def _once_more(self, task_id: str) -> None:
        video, folder = self._videos[task_id], self._folder / self._named(task_id)
        options, settings = Options(max_frames=video.frames), Settings(bus=self._url)
        with self.ordering:
            run = RemoteRun(video.path, folder, options, settings, folder.name)
        summary = run.work(lambda _: None)
        assert summary.complete, summary
        assert summary.proof.read == summary.proof.annotated == video.frames, summary
        assert summary.proof.failed == 0, summary
        assert sorted(each.name for each in folder.iterdir()) == sorted(OUTPUTS)
        assert_same_but_for_the_name(folder, self._reference(task_id))

    def _named(self, task_id: str) -> str:
        """The task in this round; in the first one it has the name of the undisturbed one."""
        return f"{task_id}-{self.done}" if self.done else task_id

    def _reference(self, task_id: str) -> Path:
        return self._folder / "undisturbed" / task_id


def assert_same_but_for_the_name(one: Path, other: Path) -> None:
    """Every row, what the files say of themselves, every pixel; tasks have names of their own."""
    rows = [pq.read_table(each / RESULTS).drop_columns(["task_id"]) for each in (one, other)]
    assert rows[0].equals(rows[1])
    names = {
        each: pq.read_table(each / RESULTS)["task_id"].unique().to_pylist() for each in (one, other)
    }
    assert names == {one: [one.name], other: [other.name]}
    said = [pq.read_metadata(each / RESULTS).metadata for each in (one, other)]
    key = f"{PREFIX}task_id".encode()
    assert [json.loads(each.pop(key)) for each in said] == [one.name, other.name]
    assert said[0] == said[1]
    assert_same_pictures(one, other)
