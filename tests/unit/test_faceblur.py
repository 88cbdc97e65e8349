from msgspec.structs import replace

from contanos.messages import Detection, FrameResult
from contanos.stage.contract import Item, Task
from contanos.testing.stages import grey_frame
from video_analysis.faceblur.stage import FaceBlurStage

TASK = Task("t", 640, 480, rate=10.0)
HEAD = ((100.0, 60.0, 0.9), (106.0, 54.0, 0.9), (94.0, 54.0, 0.9))
PERSON = Detection(bbox=(60.0, 30.0, 140.0, 330.0), score=0.9, keypoints=HEAD, track_id=1)


def item(frame_id: int, *people: Detection) -> Item:
    result = FrameResult(
        task_id="t",
        frame_id=frame_id,
        pts=frame_id,
        time_base=(1, 10),
        width=640,
        height=480,
        stage="bytetrack",
        detections=people,
    )
    return Item(TASK, result, grey_frame(frame_id, 640, 480))


def covers(result: FrameResult, x: float, y: float) -> bool:
    return any(x1 < x < x2 and y1 < y < y2 for x1, y1, x2, y2 in result.extra["hide"])


def test_a_face_is_hidden_with_and_without_keypoints() -> None:
    for person in (PERSON, replace(PERSON, keypoints=None)):
        hidden = FaceBlurStage().process(item(0, person))
        assert covers(hidden, 100, 60)
        assert not covers(hidden, 100, 200)


def test_who_is_missed_for_a_moment_stays_hidden() -> None:
    stage = FaceBlurStage()
    stage.process(item(0, PERSON))
    hidden = [stage.process(item(frame_id)) for frame_id in range(1, 8)]
    assert [covers(each, 100, 60) for each in hidden] == [True] * 5 + [False] * 2


def test_a_restart_at_any_frame_changes_nothing() -> None:
    items = [item(i, PERSON) if i % 4 == 0 else item(i) for i in range(20)]
    undisturbed, restarted = FaceBlurStage(), FaceBlurStage()
    for each in items:
        state, restarted = restarted.snapshot(), FaceBlurStage()
        restarted.restore(state)
        assert restarted.process(each) == undisturbed.process(each)
