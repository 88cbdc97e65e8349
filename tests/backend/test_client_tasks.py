"""The client's tasks, on a real server with all stages: done, watched, fetched."""

from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from contanos.client import Client, Options, Task
from contanos.client.fetching import folder_for
from contanos.errors import InputError, NotFound, OutputError, Refused, Unreachable
from contanos.messages import EndOfStream, FrameResult
from tests.backend.cuts import Way
from tests.backend.finished import result_folder
from tests.backend.live import WorkingServer
from tests.backend.working import client, key, upload_id, working
from tests.services.results import assert_same_pictures
from video_analysis.results.export import export
from video_analysis.results.reader import open_results

__all__ = ["client", "key", "result_folder", "upload_id", "working"]

FRAMES = 40
NAMES = ["annotated.mp4", "thumbnail.jpg", "results.parquet", "summary.json"]


@pytest.fixture(scope="module")
def seen(working: WorkingServer, key: str, upload_id: str) -> list[Task]:
    """One task as it was watched, to its end."""
    with Client(working.url, key) as client:
        task = client.submit(upload_id, Options(max_frames=FRAMES), label="a walk", priority=3)
        return list(client.watch(task.id))


@pytest.fixture
def done(seen: list[Task]) -> Task:
    return seen[-1]


def rows(path: Path) -> list[dict[str, Any]]:
    """Without the task's id, which is not the same in two tasks."""
    found: list[dict[str, Any]] = pq.read_table(path).drop_columns("task_id").to_pylist()
    return found


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_task_is_watched_to_its_end(seen: list[Task]) -> None:
    assert seen[-1].complete
    assert seen[-1].proof
    assert seen[-1].proof.read == seen[-1].frames == FRAMES
    assert (seen[-1].label, seen[-1].priority) == ("a walk", 3)
    assert [each.over for each in seen] == [False] * (len(seen) - 1) + [True]
    assert "running" in {each.state for each in seen}
    frames = [each.frames for each in seen]
    assert frames == sorted(frames)


def test_what_is_fetched_is_what_a_run_here_gives(
    client: Client, done: Task, result_folder: Path, tmp_path: Path
) -> None:
    told: dict[str, tuple[int, int]] = {}

    def progress(name: str, here: int, total: int) -> None:
        told[name] = (here, total)

    files = client.fetch(done.id, tmp_path / "new" / "out", progress=progress)
    assert [each.name for each in files] == NAMES
    assert names(tmp_path / "new" / "out") == sorted(NAMES)
    assert all(
        here == total == (tmp_path / "new" / "out" / name).stat().st_size
        for name, (here, total) in told.items()
    )
    assert rows(files[2]) == rows(result_folder / "results.parquet")
    assert len(rows(files[2])) >= FRAMES
    assert_same_pictures(files[0].parent, result_folder)


def test_the_same_key_makes_no_second_task(client: Client, upload_id: str) -> None:
    options = Options(max_frames=1)
    first = client.submit(upload_id, options, key="once")
    assert client.submit(upload_id, options, key="once").id == first.id
    assert client.submit(upload_id, options).id != first.id
    with pytest.raises(Refused, match="Idempotency-Key"):
        client.submit(upload_id, Options(max_frames=2), key="once")
    client.wait(first.id)


def test_an_answer_that_is_lost_makes_no_second_task(
    working: WorkingServer, key: str, upload_id: str
) -> None:
    with Way(working.port) as way, Client(way.url, key) as client:
        before = len(list(client.tasks()))
        way.cut(b"POST /api/v1/tasks ", 0)
        task = client.submit(upload_id, Options(max_frames=1))
        asked = [each for each in way.asked if each.startswith(b"POST")]
        assert (way.broken, len(asked)) == (1, 2)
        assert len(list(client.tasks())) == before + 1
        assert client.wait(task.id).complete


def test_tasks_are_listed_over_pages(client: Client, upload_id: str, done: Task) -> None:
    made = [client.submit(upload_id, Options(max_frames=1)) for _ in range(3)]
    for each in made:
        client.wait(each.id)
    listed = [each.id for each in client.tasks()]
    assert listed[:3] == [each.id for each in reversed(made)]
    assert done.id in listed
    assert list(client.tasks(state=["failed", "queued"])) == []
    assert [each.id for each in client.tasks(upload_id=upload_id)] == listed
    assert made[0].created
    later = [each.id for each in client.tasks(since=made[0].created)]
    assert later == listed[:3]
    with pytest.raises(InputError, match="time zone"):
        client.tasks(before=made[0].created.replace(tzinfo=None))


def test_frames_and_tracks_are_those_of_the_result(
    client: Client, done: Task, result_folder: Path
) -> None:
    frames = list(client.frames(done.id))
    assert [each.frame_id for each in frames] == list(range(FRAMES))
    stored = pq.read_table(result_folder / "results.parquet")
    assert sum(len(each.detections) for each in frames) == stored.num_rows
    assert [each.frame_id for each in client.frames(done.id, start=37)] == [37, 38, 39]
    (track,) = [each for each in client.tracks(done.id) if each.detections > FRAMES // 2]
    found = list(client.frames(done.id, track=track.track_id))
    assert len(found) == track.detections
    assert found[0].frame_id == track.first_frame
    early = list(client.frames(done.id, to_seconds=frames[10].seconds))
    assert [each.frame_id for each in early] == list(range(10))


def test_live_frames_come_once_each_though_the_connection_breaks(
    working: WorkingServer, key: str, upload_id: str, done: Task
) -> None:
    with Way(working.port) as way, Client(way.url, key) as client:
        for after in (0, 2_000, 4_000):
            way.cut(b"/frames/live", after)
        task = client.submit(upload_id, Options(max_frames=FRAMES))
        *frames, end = client.live(task.id, since=0)
        assert way.broken == 3
        assert [each.frame_id for each in frames if isinstance(each, FrameResult)] == list(
            range(FRAMES)
        )
        assert isinstance(end, EndOfStream)
        assert (end.frames, end.reason) == (FRAMES, "completed")
        assert len({each for each in way.asked if b"/frames/live?since=" in each}) == 3
        stored = list(client.frames(client.wait(task.id).id))
        live = [each.detections for each in frames if isinstance(each, FrameResult)]
        assert live == [each.detections for each in stored]


def test_live_frames_of_nobodys_task(client: Client) -> None:
    with pytest.raises(NotFound):
        list(client.live("abc"))


def test_watching_goes_on_though_the_stream_breaks(
    working: WorkingServer, key: str, upload_id: str
) -> None:
    with Way(working.port) as way, Client(way.url, key) as client:
        task = client.submit(upload_id, Options(max_frames=120))
        way.cut(b"/events", 700)  # after the first event, long before the last
        seen = list(client.watch(task.id))
        assert way.broken == 1
        assert sum(b"/events" in each for each in way.asked) >= 2
    assert seen[-1].complete
    assert len({each.frames for each in seen}) >= 2


def test_without_events_the_server_is_asked(
    working: WorkingServer, key: str, upload_id: str
) -> None:
    with Way(working.port) as way, Client(way.url, key) as client:
        way.bar(b"/events ")
        seen = list(client.watch(client.submit(upload_id, Options(max_frames=FRAMES)).id))
    assert seen[-1].complete
    assert len(seen) > 1


def test_a_watched_task_that_is_deleted(
    client: Client, working: WorkingServer, key: str, upload_id: str
) -> None:
    task = client.submit(upload_id)
    watching = client.watch(task.id)
    next(watching)
    with Client(working.url, key) as other:
        other.delete(task.id)
    with pytest.raises(NotFound):
        list(watching)
    with pytest.raises(NotFound):
        client.delete(task.id)


def test_a_deletion_whose_answer_is_lost_is_done(
    working: WorkingServer, key: str, upload_id: str
) -> None:
    with Way(working.port) as way, Client(way.url, key) as client:
        task = client.submit(upload_id, Options(max_frames=1))
        way.cut(b"DELETE ", 0)
        client.delete(task.id)
        assert way.broken == 1
        with pytest.raises(NotFound):
            client.task(task.id)


def test_cancelled_and_repeated(client: Client, upload_id: str, tmp_path: Path) -> None:
    task = client.submit(upload_id, label="cut short")
    for now in client.watch(task.id):
        if now.frames >= 10:
            break
    client.cancel(task.id)
    last = client.wait(task.id)
    assert (last.state, last.complete) == ("cancelled", False)
    files = client.fetch(task.id, tmp_path / "out")
    assert len(open_results(files[0].parent)) == last.frames
    with pytest.raises(Refused, match="over"):
        client.cancel(task.id)
    again = client.retry(task.id)
    assert (again.retry_of, again.label) == (task.id, "cut short")
    with pytest.raises(Refused, match="not over"):
        client.retry(again.id)
    with pytest.raises(Refused, match="once it is over"):
        client.fetch(again.id, tmp_path / "early")
    assert not (tmp_path / "early").exists()
    client.cancel(again.id, keep=False)
    client.wait(again.id)
    with pytest.raises(NotFound):
        client.fetch(again.id, tmp_path / "dropped")


@pytest.mark.parametrize("format", ["coco", "mot", "csv", "jsonl"])
def test_exports_are_those_of_the_command(
    client: Client,
    done: Task,
    result_folder: Path,
    tmp_path: Path,
    format: str,  # noqa: A002
) -> None:
    here = export(open_results(result_folder), format, tmp_path / "here")  # type: ignore[arg-type]
    there = client.export(done.id, format, tmp_path / "there")  # type: ignore[arg-type]
    told = here.read_text().replace(open_results(result_folder).metadata.task_id, done.id)
    assert there.read_text() == told
    with pytest.raises(OutputError):
        client.export(done.id, format, tmp_path / "missing" / "there")  # type: ignore[arg-type]


def test_an_export_that_breaks_off_is_asked_for_again(
    working: WorkingServer, key: str, done: Task, tmp_path: Path
) -> None:
    with Way(working.port) as way, Client(way.url, key) as client:
        whole = client.export(done.id, "csv", tmp_path / "whole").read_bytes()
        way.cut(b"/export/", 5_000)
        assert client.export(done.id, "csv", tmp_path / "cut").read_bytes() == whole
        assert way.broken == 1
    assert names(tmp_path) == ["cut", "whole"]


def ranges(way: Way) -> int:
    return sum(b"/files/annotated.mp4" in each for each in way.asked)


def test_a_download_that_breaks_off_goes_on(
    working: WorkingServer, key: str, done: Task, tmp_path: Path
) -> None:
    with Way(working.port) as way, Client(way.url, key) as client:
        for _ in range(3):
            way.cut(b"/files/annotated.mp4", 150_000)
        client.fetch(done.id, tmp_path / "cut")
        assert (way.broken, ranges(way)) == (3, 4)
        client.fetch(done.id, tmp_path / "whole")
    for name in NAMES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_download_goes_on_when_it_is_asked_for_again(
    working: WorkingServer, key: str, done: Task, tmp_path: Path
) -> None:
    """As after Ctrl-C, a crash, or a night."""
    out, sizes = tmp_path / "out", []
    with Way(working.port) as way:
        with Client(way.url, key, patience=0.0) as client:
            way.cut(b"/files/annotated.mp4", 150_000)
            with pytest.raises(Unreachable):
                client.fetch(done.id, out)
        (partial,) = out.iterdir()
        assert partial.name.startswith(".annotated.mp4.")
        came = partial.stat().st_size
        assert came > 100_000
        with Client(way.url, key) as client:
            client.fetch(done.id, out, progress=lambda name, here, _: sizes.append((name, here)))
            client.fetch(done.id, tmp_path / "whole")
    assert min(here for name, here in sizes if name == "annotated.mp4") > came
    assert names(out) == sorted(NAMES)
    for name in NAMES:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("tag", ["0" * 32, "none", "strange tag"])
def test_what_came_of_another_version_is_not_gone_on_with(
    client: Client, done: Task, tmp_path: Path, tag: str
) -> None:
    (tmp_path / f".results.parquet.{tag}.partial").write_bytes(b"of another one")
    client.fetch(done.id, tmp_path)
    assert names(tmp_path) == sorted(NAMES)
    assert len(open_results(tmp_path)) == FRAMES


def test_what_came_whole_and_got_no_name(
    working: WorkingServer, key: str, client: Client, done: Task, tmp_path: Path
) -> None:
    """Who made it was killed just before; more than there is must not stay either."""
    address = f"{working.api}/tasks/{done.id}/files/results.parquet"
    answer = httpx.get(address, headers={"X-API-Key": key})
    tag = answer.headers["ETag"].strip('"')
    for more in (b"", b"more than there is"):
        out = tmp_path / str(len(more))
        out.mkdir()
        (out / f".results.parquet.{tag}.partial").write_bytes(answer.content + more)
        client.fetch(done.id, out)
        assert (out / "results.parquet").read_bytes() == answer.content
        assert names(out) == sorted(NAMES)


def test_two_results_are_not_mixed(
    client: Client, done: Task, upload_id: str, tmp_path: Path
) -> None:
    client.fetch(done.id, tmp_path)
    data_only = client.wait(client.submit(upload_id, Options(max_frames=1, video=False)).id)
    with pytest.raises(OutputError, match="of another task"):
        client.fetch(data_only.id, tmp_path)
    files = client.fetch(data_only.id, tmp_path / "data")
    assert [each.name for each in files] == ["results.parquet", "summary.json"]


def test_one_fetches_into_a_folder_at_a_time(client: Client, done: Task, tmp_path: Path) -> None:
    with folder_for(tmp_path), pytest.raises(OutputError, match="something else"):
        client.fetch(done.id, tmp_path)
    assert len(client.fetch(done.id, tmp_path)) == 4


def test_a_folder_that_cannot_be_written_to(client: Client, done: Task, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="could not be written"):
        client.fetch(done.id, tmp_path / "file")
