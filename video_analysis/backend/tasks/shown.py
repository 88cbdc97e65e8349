"""A task as it is shown to whoever may see it."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from video_analysis.backend.database.tables import TaskRow, TaskState
from video_analysis.backend.tasks.options import TaskOptions

_AN_ID = "9f86d081884c7d659a2feaa0"
_PROOF = {
    "read": 250,
    "published": 250,
    "detected": 250,
    "posed": 250,
    "tracked": 250,
    "annotated": 250,
    "dropped": 0,
    "failed": 0,
    "complete": True,
    "truncated": None,
}


class TaskShown(BaseModel):
    """A task, as it is shown."""

    id: str = Field(description="Of the task.", examples=[_AN_ID])
    user_id: str = Field(description="Whose it is.", examples=["7f83b1657ff1fc53b92dc181"])
    upload_id: str | None = Field(
        description="Its video; null once that was deleted.", examples=["5e884898da28047151d0e56f"]
    )
    label: str = Field(description="What its user calls it.", examples=["walk.mp4"])
    state: TaskState = Field(
        description="`uploaded` until its video is checked, `queued` until its turn comes, "
        "`running`, and in the end `completed`, `failed` or `cancelled`.",
        examples=["running"],
    )
    options: TaskOptions = Field(description="How it is processed.")
    priority: int = Field(
        description="Among its user's tasks; the higher, the sooner.", examples=[0]
    )
    retry_of: str | None = Field(description="The task that it repeats.", examples=[None])
    reason: str | None = Field(
        description="Why it waits.", examples=["2 of your own tasks come first"]
    )
    cancelling: bool = Field(description="Whether it is about to end early.", examples=[False])
    cause: str | None = Field(description="Why it failed.", examples=[None])
    frames: int = Field(description="That came out at the end of the chain.", examples=[120])
    frames_total: int | None = Field(description="That are expected.", examples=[250])
    progress: float | None = Field(description="0 to 1; null where nobody knows.", examples=[0.48])
    fps: float | None = Field(description="Frames a second, of late.", examples=[24.5])
    seconds_left: float | None = Field(description="At this pace.", examples=[5.3])
    proof: dict[str, Any] | None = Field(
        description="Frames counted at every stage, once the task is over.", examples=[_PROOF]
    )
    bytes: int = Field(description="Of its results.", examples=[1_048_576])
    created: datetime = Field(description="When it was made.", examples=["2026-11-24T05:00:00Z"])
    started: datetime | None = Field(
        description="When its turn came.", examples=["2026-11-24T05:00:01Z"]
    )
    ended: datetime | None = Field(description="When it was over.", examples=[None])


def shown(row: TaskRow) -> TaskShown:
    """A row of the database, for its user."""
    return TaskShown(
        **{name: getattr(row, name) for name in _AS_STORED},
        options=TaskOptions.model_validate(row.options),
        cancelling=row.cancel and row.state == "running",
        progress=progress_of(row),
        seconds_left=seconds_left(row),
    )


def progress_of(row: TaskRow) -> float | None:
    """How much of a task is done, 0 to 1; None where nobody knows."""
    if row.state == "completed":
        return 1.0
    if row.state in ("uploaded", "queued"):
        return 0.0
    return min(1.0, row.frames / row.frames_total) if row.frames_total else None


def seconds_left(row: TaskRow) -> float | None:
    """Until a running task is over, at its pace; None where nobody knows."""
    if row.state != "running" or not row.fps or not row.frames_total:
        return None
    return round(max(0, row.frames_total - row.frames) / row.fps, 1)


_COMPUTED = {"options", "cancelling", "progress", "seconds_left"}
_AS_STORED = tuple(name for name in TaskShown.model_fields if name not in _COMPUTED)
