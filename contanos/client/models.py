"""What a server tells of uploads, tasks and results. What it tells besides is passed over."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

FINAL = frozenset({"completed", "failed", "cancelled"})

ExportFormat = Literal["coco", "mot", "csv", "jsonl"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a task is to be processed; what is left out is as the server has it.

    Attributes:
        graph: `pose_first` or `track_first`.
        detector: name of a detection model.
        pose: name of a pose model.
        det_score: detections from this score on get a pose.
        first_frame: the number of the first frame to process.
        max_frames: stop after so many frames.
        trail: frames that a person's trail reaches back.
        blur: whether faces are hidden in the annotated video.
        video: whether an annotated video is made.
    """

    graph: str | UnsetType = UNSET
    detector: str | UnsetType = UNSET
    pose: str | UnsetType = UNSET
    det_score: float | UnsetType = UNSET
    first_frame: int | UnsetType = UNSET
    max_frames: int | UnsetType = UNSET
    trail: int | UnsetType = UNSET
    blur: bool | UnsetType = UNSET
    video: bool | UnsetType = UNSET


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A video that was brought.

    Attributes:
        id: of the upload.
        state: `receiving`, then `checking`, then `ready` or `refused`.
        label: what its user calls it.
        bytes: its size.
        received: bytes that are safe on the server's disk.
        cause: why it was refused.
        width: of its pictures, in pixels; what follows is known once it is `ready`.
        height: likewise.
        frames: that its header speaks of.
        seconds: likewise.
    """

    id: str
    state: str
    label: str = ""
    bytes: int | None = None
    received: int = 0
    cause: str | None = None
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    seconds: float | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Frames counted at every stage.

    Attributes:
        complete: whether the result holds everything that the video does.
        truncated: why it is known that the video's end is missing.
        read: frames that the video gave; the others left the stage that they are named after.
        failed: frames, counted above as well, that a stage could not process.
        dropped: frames that a live source dropped.
    """

    complete: bool
    truncated: str | None = None
    read: int = 0
    published: int = 0
    detected: int = 0
    posed: int = 0
    tracked: int = 0
    blurred: int | None = None
    annotated: int | None = None
    failed: int = 0
    dropped: int = 0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task, as it is at some moment.

    Attributes:
        id: of the task.
        state: `uploaded`, `queued`, `running`, and in the end `completed`, `failed`, `cancelled`.
        label: what its user calls it.
        upload_id: its video; None once that was deleted.
        options: how it is processed, as the server has them.
        priority: among its user's tasks.
        retry_of: the task that it repeats.
        reason: why it waits.
        cancelling: whether it is about to end early.
        cause: why it failed.
        frames: that came out at the end of the chain.
        frames_total: that are expected; None where nobody knows.
        progress: 0 to 1; None where nobody knows.
        fps: frames a second, of late.
        seconds_left: at this pace.
        proof: of completeness, once it is over.
        bytes: of its results.
        created: when it was made; the next two, when its turn came and when it was over.
    """

    id: str
    state: str
    label: str = ""
    upload_id: str | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    priority: int = 0
    retry_of: str | None = None
    reason: str | None = None
    cancelling: bool = False
    cause: str | None = None
    frames: int = 0
    frames_total: int | None = None
    progress: float | None = None
    fps: float | None = None
    seconds_left: float | None = None
    proof: Proof | None = None
    bytes: int = 0
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether nothing of it changes any more."""
        return self.state in FINAL

    @property
    def complete(self) -> bool:
        """Whether its result holds everything that its video does."""
        return self.state == "completed" and self.proof is not None and self.proof.complete


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One person's stay in the picture.

    Attributes:
        track_id: unique within the task.
        first_frame: `frame_id` of the first detection.
        last_frame: of the last one.
        first_seconds: when the first is shown.
        last_seconds: when the last is shown.
        detections: how many there are.
        path_pixels: how far the person came, in source pixels.
        mean_score: of the detections.
    """

    track_id: int
    first_frame: int
    last_frame: int
    first_seconds: float
    last_seconds: float
    detections: int
    path_pixels: float
    mean_score: float


class Dropped(msgspec.Struct, frozen=True):
    """Frames that a live stream left out, since we were too slow for them.

    Attributes:
        frames: how many.
    """

    frames: int = msgspec.field(name="dropped")
