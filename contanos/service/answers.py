"""What a service answers over HTTP; the models are the API's documentation too."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contanos import __version__

TaskState = Literal["waiting", "running", "ended", "failed", "cancelled"]
STATES: tuple[TaskState, ...] = ("waiting", "running", "ended", "failed", "cancelled")

LINKS = {
    "health": "/health",
    "ready": "/ready",
    "metrics": "/metrics",
    "tasks": "/tasks",
    "api": "/docs",
}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ServiceInfo(_Answer):
    """What a service is."""

    name: str = Field(description="Of the service.", examples=["yolox"])
    summary: str = Field(description="What it does.", examples=["Finds people in frames."])
    version: str = Field(__version__, description="Of the program.", examples=["0.1.0"])
    reads: tuple[str, ...] = Field(
        (), description="Topics that it reads.", examples=[["raw_frames_<task_id>"]]
    )
    writes: tuple[str, ...] = Field(
        (), description="Topics that it writes.", examples=[["yolox_<task_id>"]]
    )
    stages: tuple[str, ...] = Field(
        (), description="Stages that it carries; `/metrics` counts these.", examples=[["yolox"]]
    )
    links: dict[str, str] = Field(LINKS, description="Where to go on.", examples=[LINKS])


class Health(_Answer):
    """Whether the process works; where it does not, only a restart helps."""

    healthy: bool = Field(description="Whether it does.", examples=[True])
    reason: str | None = Field(
        None, description="Why not.", examples=["the runner of yolox has ended"]
    )


class Readiness(_Answer):
    """Whether the service can work on frames now."""

    ready: bool = Field(description="Whether it can.", examples=[False])
    reasons: tuple[str, ...] = Field(
        (), description="Why not, one sentence each.", examples=[["model: not loaded yet"]]
    )


class TaskRow(_Answer):
    """How far this stage is with one task, over all workers of the stage."""

    task_id: str = Field(description="Of the task.", examples=["7f3c"])
    stage: str = Field(description="Whose work this is.", examples=["yolox"])
    state: TaskState = Field(description="Of the task in this stage.", examples=["running"])
    offset: int = Field(description="Records read and committed, all partitions.", examples=[120])
    lag: int = Field(description="Records that wait to be read and committed.", examples=[8])
    frames: int = Field(description="Frames that left this stage.", examples=[3840])
    failed: int = Field(
        description="Of these, frames that a stage could not process.", examples=[0]
    )
    fps: float | None = Field(
        description="Frames a second over the last ten seconds; null until it was seen twice.",
        examples=[29.7],
    )
    error: str | None = Field(
        None, description="What ended the task, with the stage.", examples=["yolox: out of memory"]
    )


class Problem(_Answer):
    """Why a request was not answered."""

    error: str = Field(
        description="What happened, and what to do.",
        examples=["no task 7f3c is known to yolox; /tasks lists those that are"],
    )
