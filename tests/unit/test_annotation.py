"""Annotation on real segments: restarts, frames without pixels, and what may not be shown."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from contanos.errors import MessageError
from contanos.messages import Detection, EndOfStream, FrameResult
from contanos.skeleton import COCO_17
from contanos.stage.contract import Item, Task
from contanos.video.encoder import EncoderSettings, PictureFormat
from contanos.video.frame import Frame
from video_analysis.annotation.stage import AnnotationPlan, AnnotationStage

WIDTH, HEIGHT, SEGMENT = 160, 120, 4
FACE = [40.0, 20.0, 100.0, 100.0]
GREY = 96
TASK = Task("t", WIDTH, HEIGHT, 25.0)


def stage(folder: Path) -> AnnotationStage:
    pictures = PictureFormat(WIDTH, HEIGHT, Fraction(1, 25), Fraction(25))
    return AnnotationStage(
        AnnotationPlan(
            segments=folder / "segments",
            video=folder / "annotated.mp4",
            source=None,
            pictures=pictures,
            encoder=EncoderSettings(crf=10),
            segment_frames=SEGMENT,
            skeleton=COCO_17,
            trail=10,
        )
    )


def frame(frame_id: int) -> Frame:
    """Stripes, which lose their contrast where they are hidden; each frame's are shifted."""
    columns = (np.arange(WIDTH) + 4 * frame_id) // 8 % 2
    luma = np.tile(np.where(columns, 200, 40).astype(np.uint8), (HEIGHT, 1))
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return Frame(frame_id, frame_id, Fraction(1, 25), luma, chroma, chroma)


def item(frame_id: int, *, pixels: bool = True, error: str | None = None, **extra: Any) -> Item:
    person = Detection(bbox=(60.0 + frame_id, 30.0, 90.0, 90.0), score=0.9, track_id=1)
    result = FrameResult(
        task_id="t",
        frame_id=frame_id,
        pts=frame_id,
        time_base=(1, 25),
        width=WIDTH,
        height=HEIGHT,
        stage="bytetrack",
        error=error,
        detections=() if error else (person,),
        extra=extra,
    )
    return Item(TASK, result, frame(frame_id) if pixels else None)


def bad(frame_id: int) -> Item:
    return item(frame_id, pixels=False, error="not decodable")


def finish(annotation: AnnotationStage, frames: int) -> None:
    annotation.finish(EndOfStream(task_id="t", frames=frames, reason="completed"))
    annotation.close()


def shown(folder: Path, items: list[Item]) -> list[np.ndarray]:
    """Luma of the video that the stage makes of `items`."""
    annotation = stage(folder)
    for each in items:
        annotation.process(each)
    finish(annotation, len(items))
    return luma(folder)


def luma(folder: Path) -> list[np.ndarray]:
    with av.open(str(folder / "annotated.mp4")) as video:
        return [each.to_ndarray()[:HEIGHT].astype(float) for each in video.decode(video=0)]


def contrast(picture: np.ndarray) -> float:
    """Of the stripes in the middle of the face's upper half, beside the box."""
    return float(np.ptp(picture[40:56, 48:58].mean(0)))


def is_grey(picture: np.ndarray) -> bool:
    return bool(np.abs(picture[:, :30] - GREY).max() < 6)


def files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in (folder / "segments").iterdir()}


@pytest.mark.parametrize("killed", [4, 6, 8, 9])
def test_a_restart_gives_the_same_segments(killed: int, tmp_path: Path) -> None:
    """A worker dies before frame `killed`; the next goes on at the last snapshot."""
    items = [item(i, hide=[FACE]) if i != 5 else bad(i) for i in range(10)]
    undisturbed, first = stage(tmp_path / "a"), stage(tmp_path / "b")
    for each in items:
        undisturbed.process(each)
    finish(undisturbed, len(items))
    state, resume = first.snapshot(), 0
    for each in items[:killed]:
        first.process(each)
        if first.checkpoint_due():
            state, resume = first.snapshot(), each.result.frame_id + 1
    first.close()
    assert resume == killed // SEGMENT * SEGMENT
    second = stage(tmp_path / "b")
    second.restore(state)
    for each in items[resume:]:
        second.process(each)
    finish(second, len(items))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "a")) == 3
    videos = [(tmp_path / name / "annotated.mp4").read_bytes() for name in "ab"]
    assert videos[0] == videos[1]


def test_a_checkpoint_is_due_with_a_segment_only(tmp_path: Path) -> None:
    annotation, due = stage(tmp_path), []
    for i in range(9):
        annotation.process(item(i))
        due.append(annotation.checkpoint_due())
    annotation.close()
    assert [i for i, each in enumerate(due) if each] == [3, 7]


def test_a_frame_without_pixels_repeats_the_one_before_it(tmp_path: Path) -> None:
    pictures = shown(tmp_path, [item(0), item(1), bad(2), bad(3), bad(4), item(5)])
    assert len(pictures) == 6
    for repeat in pictures[2:4]:
        assert np.abs(repeat - pictures[1])[:, :50].max() < 12
    assert np.abs(pictures[0] - pictures[1])[:, :50].max() > 100
    assert is_grey(pictures[4]), "the first of a segment depends on nothing before it"
    assert not is_grey(pictures[5])


def test_what_is_to_be_hidden_is_hidden_and_drawn_upon(tmp_path: Path) -> None:
    plain = shown(tmp_path / "a", [item(0)])[0]
    hidden = shown(tmp_path / "b", [item(0, hide=[FACE])])[0]
    assert contrast(plain) > 120
    assert contrast(hidden) < 10
    assert np.abs(plain - hidden)[:, 115:].max() < 8
    box = np.s_[40:80, 60]
    assert np.abs(plain - hidden)[box].max() < 15
    assert np.ptp(hidden[60, 56:66]) > 20


@pytest.mark.parametrize("own", [{}, {"hide": []}, {"hide": [[0.0, 0.0, 9.0, 9.0]]}])
def test_a_repeated_picture_stays_hidden(own: dict[str, Any], tmp_path: Path) -> None:
    unread = [item(i, pixels=False, error="not decodable", **own) for i in (1, 2)]
    pictures = shown(tmp_path, [item(0, hide=[FACE]), *unread, item(3, hide=[])])
    assert [contrast(each) < 10 for each in pictures] == [True, True, True, False]


def test_a_frame_on_which_a_stage_failed_is_not_shown(tmp_path: Path) -> None:
    """It may have been the stage that hides."""
    failed = [item(i, error="faceblur: out of order") for i in (1, 4)]
    pictures = shown(tmp_path, [item(0, hide=[FACE]), failed[0], item(2), item(3), failed[1]])
    assert contrast(pictures[1]) < 10
    assert contrast(pictures[2]) > 120
    assert is_grey(pictures[4])


def test_a_picture_whose_hide_cannot_be_obeyed_is_grey_and_the_frame_fails(tmp_path: Path) -> None:
    annotation = stage(tmp_path)
    annotation.process(item(0))
    with pytest.raises(MessageError, match="cannot tell what to hide"):
        annotation.process(item(1, hide="the face"))
    annotation.process(bad(2))
    finish(annotation, 3)
    pictures = luma(tmp_path)
    assert [is_grey(each) for each in pictures] == [False, True, False]
    assert np.abs(pictures[2] - pictures[0])[:, :50].max() < 12


def test_a_frame_that_cannot_be_drawn_still_comes_out(tmp_path: Path) -> None:
    annotation = stage(tmp_path)
    short = Detection(bbox=(1.0, 1.0, 9.0, 9.0), score=1, track_id=1, keypoints=((1.0, 1.0, 1.0),))
    good = item(0)
    with pytest.raises(ValueError, match="1 keypoints"):
        annotation.process(Item(TASK, FrameResult(**_with(good.result, short)), good.frame))
    annotation.process(item(1))
    finish(annotation, 2)
    assert [is_grey(each) for each in luma(tmp_path)] == [True, False]


def _with(result: FrameResult, person: Detection) -> dict[str, Any]:
    fields = {name: getattr(result, name) for name in result.__struct_fields__}
    return fields | {"detections": (person,)}
