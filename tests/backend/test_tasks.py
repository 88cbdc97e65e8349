"""Tasks from their making to their end, done by real stages."""

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from contanos.testing.videos import make_video
from tests.backend.clients import ADA, ADMIN, BOB, Server
from tests.backend.tasks import TASKS, in_state, made, task, uploaded
from tests.backend.videos import checked, send_form, video
from video_analysis.backend.database.tables import Audit, TaskRow
from video_analysis.backend.settings import BackendSettings

pytestmark = pytest.mark.anyio


async def gone(server: Server, task_id: str) -> None:
    """Until nothing of a task is left: row, topics, order, outcome."""
    desk = server.state.desk
    async with asyncio.timeout(30):
        while True:
            async with server.state.database.reading() as session:
                row = await session.get(TaskRow, task_id)
            topics = [each for each in desk.bus.topics() if each.endswith(task_id)]
            if row is None and not topics and not desk.ordered(task_id):
                assert desk.outcome(task_id) is None
                return
            await asyncio.sleep(0.05)


async def test_a_task_is_done_and_its_results_are_kept(platform: Server, tmp_path: Path) -> None:
    who = await platform.log_in(ADMIN)
    upload_id = await uploaded(platform.client, who, video(tmp_path, 40))
    begun = await made(platform.client, who, upload_id, options={"trail": 5}, label="one/two")
    assert begun["state"] == "queued"
    assert begun["label"] == "one/two"
    found = await in_state(platform.client, who, begun["id"], "completed")
    assert found["proof"]["complete"]
    assert found["proof"]["read"] == found["proof"]["annotated"] == found["frames"] == 40
    assert found["progress"] == 1.0
    assert found["started"] < found["ended"]
    names = await platform.state.storage.names(f"results/{begun['id']}")
    files = {each.rpartition("/")[2] for each in names}
    assert files == {"annotated.mp4", "results.parquet", "summary.json", "thumbnail.jpg"}
    sizes = [await platform.state.storage.size(each) or 0 for each in names]
    assert found["bytes"] == sum(sizes)
    assert not await platform.state.office.work.ids()


async def test_the_calls_that_this_project_began_with(platform: Server, tmp_path: Path) -> None:
    who = await platform.log_in(ADMIN)
    files = {"file": ("walk.mp4", video(tmp_path, 12), "video/mp4")}
    answer = await platform.client.post("/upload", headers=who, files=files)
    assert answer.status_code == 200, answer.text
    accepted = answer.json()
    assert set(accepted) == {"task_id", "message", "stream_url"}
    early = await platform.client.get(f"/result/{accepted['task_id']}", headers=who)
    assert early.status_code == 404
    async with asyncio.timeout(60):
        while True:
            status = await platform.client.get(f"/status/{accepted['task_id']}", headers=who)
            if status.json()["status"] == "completed":
                break
            await asyncio.sleep(0.1)
    assert status.json()["progress"] == 1.0
    result = await platform.client.get(f"/result/{accepted['task_id']}", headers=who)
    assert result.status_code == 200
    assert result.content[4:8] == b"ftyp"


async def test_a_video_that_is_none_fails_its_task(platform: Server) -> None:
    who = await platform.log_in(ADMIN)
    upload = (await send_form(platform.client, who, b"no video at all")).json()
    early = await made(platform.client, who, upload["id"])
    found = await in_state(platform.client, who, early["id"], "failed")
    refused = await checked(platform.client, who, upload["id"])
    assert found["cause"] == refused["cause"]
    late = await platform.client.post(TASKS, headers=who, json={"upload_id": upload["id"]})
    assert late.status_code == 409


async def test_a_cancel_stops_within_a_second_and_keeps_what_there_is(
    platform: Server, demo_video: Path
) -> None:
    who = await platform.log_in(ADMIN)
    upload_id = await uploaded(platform.client, who, demo_video.read_bytes())
    begun = await made(platform.client, who, upload_id)
    async with asyncio.timeout(60):
        while (await task(platform.client, who, begun["id"]))["frames"] < 20:
            await asyncio.sleep(0.05)
    answer = await platform.client.post(f"{TASKS}/{begun['id']}/cancel", headers=who)
    assert answer.status_code == 200
    assert answer.json()["cancelling"]
    found = await in_state(platform.client, who, begun["id"], "cancelled")
    assert 20 <= found["frames"] == found["proof"]["annotated"] < 230
    assert not found["proof"]["complete"]
    kept = await platform.client.get(f"/result/{begun['id']}", headers=who)
    assert kept.status_code == 200
    again = await platform.client.post(f"{TASKS}/{begun['id']}/cancel", headers=who)
    assert again.status_code == 409
    dropped = await made(platform.client, who, upload_id)
    async with asyncio.timeout(60):
        while not (await task(platform.client, who, dropped["id"]))["frames"]:
            await asyncio.sleep(0.05)
    place = f"{TASKS}/{dropped['id']}/cancel?keep=false"
    assert (await platform.client.post(place, headers=who)).status_code == 200
    found = await in_state(platform.client, who, dropped["id"], "cancelled")
    assert found["bytes"] == 0
    assert not await platform.state.storage.names(f"results/{dropped['id']}")


async def test_one_that_waits_is_cancelled_at_once(server: Server, tmp_path: Path) -> None:
    object.__setattr__(server.state.settings, "running_tasks", 1)
    who = await server.log_in(ADMIN)
    upload_id = await uploaded(server.client, who, video(tmp_path))
    first = await made(server.client, who, upload_id)
    await in_state(server.client, who, first["id"], "running")
    second = await made(server.client, who, upload_id)
    async with asyncio.timeout(10):
        while not (found := await task(server.client, who, second["id"]))["reason"]:
            await asyncio.sleep(0.05)
    assert "as many as this server runs at once" in found["reason"]
    answer = await server.client.post(f"{TASKS}/{second['id']}/cancel", headers=who)
    assert answer.json()["state"] == "cancelled"


async def test_a_deleted_task_leaves_nothing(
    platform: Server, settings: BackendSettings, tmp_path: Path, demo_video: Path
) -> None:
    who = await platform.log_in(ADMIN)
    short = await uploaded(platform.client, who, video(tmp_path))
    done = await made(platform.client, who, short)
    await in_state(platform.client, who, done["id"], "completed")
    long = await uploaded(platform.client, who, demo_video.read_bytes())
    running = await made(platform.client, who, long)
    async with asyncio.timeout(60):
        while not (await task(platform.client, who, running["id"]))["frames"]:
            await asyncio.sleep(0.05)
    for each in (done["id"], running["id"]):
        assert (await platform.client.delete(f"{TASKS}/{each}", headers=who)).status_code == 204
        assert (await platform.client.get(f"{TASKS}/{each}", headers=who)).status_code == 404
        assert (await platform.client.delete(f"{TASKS}/{each}", headers=who)).status_code == 404
    assert (await platform.client.get(TASKS, headers=who)).json()["items"] == []
    for each in (done["id"], running["id"]):
        await gone(platform, each)
        assert not await platform.state.storage.names(f"results/{each}")
    assert not await platform.state.office.work.ids()
    async with platform.state.database.reading() as session:
        told = await session.scalars(select(Audit.about).where(Audit.what == "task deleted"))
        assert set(told) == {done["id"], running["id"]}


async def test_the_same_key_is_the_same_task(server: Server, tmp_path: Path) -> None:
    who = await server.log_in(ADMIN)
    upload_id = await uploaded(server.client, who, video(tmp_path))
    key = {"Idempotency-Key": "once"}
    wish = {"upload_id": upload_id, "options": {"trail": 1}}
    answers = await asyncio.gather(
        *(server.client.post(TASKS, headers=who | key, json=wish) for _ in range(5))
    )
    assert sorted(each.status_code for each in answers) == [200] * 4 + [201]
    assert len({each.json()["id"] for each in answers}) == 1
    other = wish | {"options": {"trail": 2}}
    assert (await server.client.post(TASKS, headers=who | key, json=other)).status_code == 409


async def test_a_retry_is_a_new_task_of_the_same_video(platform: Server, tmp_path: Path) -> None:
    who = await platform.log_in(ADMIN)
    upload_id = await uploaded(platform.client, who, video(tmp_path))
    first = await made(platform.client, who, upload_id, options={"max_frames": 4})
    early = await platform.client.post(f"{TASKS}/{first['id']}/retry", headers=who)
    assert early.status_code == 409
    await in_state(platform.client, who, first["id"], "completed")
    again = await platform.client.post(f"{TASKS}/{first['id']}/retry", headers=who)
    assert again.status_code == 201
    assert again.json()["retry_of"] == first["id"]
    assert again.json()["options"] == first["options"]
    found = await in_state(platform.client, who, again.json()["id"], "completed")
    assert found["proof"]["read"] == 4
    place = f"/api/v1/uploads/{upload_id}"
    assert (await platform.client.delete(place, headers=who)).status_code == 204
    late = await platform.client.post(f"{TASKS}/{first['id']}/retry", headers=who)
    assert late.status_code == 409


async def test_users_have_their_own(platform: Server, tmp_path: Path) -> None:
    await platform.let_in(ADA)
    await platform.let_in(BOB)
    ada, bob = await platform.log_in(ADA), await platform.log_in(BOB)
    upload_id = await uploaded(platform.client, ada, video(tmp_path))
    stolen = await platform.client.post(TASKS, headers=bob, json={"upload_id": upload_id})
    assert stolen.status_code == 404
    mine = await made(platform.client, ada, upload_id)
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/cancel")):
        body = {"json": {}} if method == "PATCH" else {}
        place = f"{TASKS}/{mine['id']}{path}"
        assert (
            await platform.client.request(method, place, headers=bob, **body)
        ).status_code == 404
    assert (await platform.client.get(TASKS, headers=bob)).json()["items"] == []
    assert (await platform.client.get(TASKS, headers=ada)).json()["items"][0]["id"] == mine["id"]
    await in_state(platform.client, ada, mine["id"], "completed")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"graph": "x'; DROP TABLE tasks; --"}, "options.graph"),
        ({"detector": "../../etc/passwd"}, "options.detector"),
        ({"pose": "yolox-tiny-humanart"}, "options.pose"),
        ({"det_score": 0.01}, "options.det_score"),
        ({"trail": -1}, "options.trail"),
        ({"task_id": "raw_frames_x"}, "options.task_id"),
        ({"first_frame": 10}, "options.first_frame"),
        ({"blur": True, "video": False}, "blur"),
    ],
)
async def test_options_that_are_none_are_refused(
    server: Server, tmp_path: Path, options: dict[str, object], told: str
) -> None:
    who = await server.log_in(ADMIN)
    upload_id = await uploaded(server.client, who, video(tmp_path))
    wish = {"upload_id": upload_id, "options": options}
    answer = await server.client.post(TASKS, headers=who, json=wish)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


async def test_minutes_of_a_day_are_counted(server: Server, tmp_path: Path) -> None:
    who = await server.log_in(ADMIN)
    upload_id = await uploaded(server.client, who, video(tmp_path, 40))
    first = await made(server.client, who, upload_id)
    await in_state(server.client, who, first["id"], "running")
    async with server.state.database.transaction() as session:
        row = await session.get(TaskRow, first["id"])
        assert row
        assert row.seconds > 0
        object.__setattr__(server.state.settings, "quota_minutes", row.seconds * 1.5 / 60)
    second = await made(server.client, who, upload_id)
    async with asyncio.timeout(10):
        while not (found := await task(server.client, who, second["id"]))["reason"]:
            await asyncio.sleep(0.05)
    assert "minutes of video a day are used" in found["reason"]
    half = await made(server.client, who, upload_id, options={"max_frames": 10}, priority=1)
    await in_state(server.client, who, half["id"], "running")
    object.__setattr__(server.state.settings, "quota_minutes", 0.0001)
    never = await server.client.post(TASKS, headers=who, json={"upload_id": upload_id})
    assert never.status_code == 422
    assert "first_frame and max_frames" in never.json()["detail"]


async def test_lists_are_filtered_and_paged(server: Server, tmp_path: Path) -> None:
    who = await server.log_in(ADMIN)
    upload_id = await uploaded(server.client, who, video(tmp_path))
    ids = [(await made(server.client, who, upload_id, label=f"t{i}"))["id"] for i in range(5)]
    async with server.state.database.transaction() as session:
        await session.execute(update(TaskRow).where(TaskRow.id == ids[0]).values(state="failed"))
    seen: list[str] = []
    after: str | None = None
    while True:
        params = {"limit": "2"} | ({"after": after} if after else {})
        found = (await server.client.get(TASKS, headers=who, params=params)).json()
        seen += [each["id"] for each in found["items"]]
        if (after := found["next"]) is None:
            break
    assert seen == ids[::-1]
    params = {"state": "failed"}
    failed = (await server.client.get(TASKS, headers=who, params=params)).json()["items"]
    assert [each["id"] for each in failed] == ids[:1]


async def test_what_is_left_of_no_task_is_swept(server: Server, settings: BackendSettings) -> None:
    work = settings.data_dir / "work" / "0badcafe" / "out"
    work.mkdir(parents=True)
    (work / "annotated.mp4").write_bytes(b"x")
    left = settings.data_dir / "files" / "results" / "0badbeef"
    left.mkdir(parents=True)
    (left / "summary.json").write_bytes(b"{}")
    await server.state.office.sweep()
    assert not work.exists()
    assert not (left / "summary.json").exists()


async def test_a_long_video_of_one_does_not_keep_another_from_its_turn(
    platform: Server, tmp_path: Path, demo_video: Path
) -> None:
    await platform.let_in(ADA)
    await platform.let_in(BOB)
    ada, bob = await platform.log_in(ADA), await platform.log_in(BOB)
    long = await uploaded(platform.client, ada, demo_video.read_bytes())
    short = await uploaded(platform.client, bob, make_video(tmp_path / "s.mp4", 20).read_bytes())
    slow = [await made(platform.client, ada, long) for _ in range(3)]
    quick = await made(platform.client, bob, short)
    started = time.monotonic()
    await in_state(platform.client, bob, quick["id"], "completed")
    took = time.monotonic() - started
    states = [(await task(platform.client, ada, each["id"]))["state"] for each in slow]
    assert "completed" not in states, took
    for each in slow:
        await platform.client.delete(f"{TASKS}/{each['id']}", headers=ada)
    for each in slow:
        await gone(platform, each["id"])
