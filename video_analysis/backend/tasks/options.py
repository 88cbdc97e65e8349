"""How a task is processed, as its user chooses it; whatever else is sent is refused."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from video_analysis.backend.exact import COUNTED, Truth
from video_analysis.models import manifest
from video_analysis.settings import GraphName, Options

_DEFAULT = Options()
_MOST_FRAMES = 2**31 - 1


def _named(kind: str) -> AfterValidator:
    known = tuple(each.name for each in manifest().assets.values() if each.about["task"] == kind)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"choose one of {', '.join(known)}")
        return name

    return AfterValidator(check)


class TaskOptions(BaseModel):
    """How a task is processed."""

    model_config = ConfigDict(extra="forbid")

    graph: GraphName = Field(
        _DEFAULT.graph,
        description="Poses before identities, or identities before poses.",
        examples=[_DEFAULT.graph],
    )
    detector: Annotated[str, _named("detect")] = Field(
        _DEFAULT.detector,
        max_length=64,
        description="Model that finds people.",
        examples=[_DEFAULT.detector],
    )
    pose: Annotated[str, _named("pose")] = Field(
        _DEFAULT.pose,
        max_length=64,
        description="Model that estimates poses.",
        examples=[_DEFAULT.pose],
    )
    det_score: Annotated[float, Field(ge=0.1, le=1), COUNTED] = Field(
        _DEFAULT.det_score,
        description="Detections from this score on get a pose.",
        examples=[0.3],
    )
    first_frame: Annotated[int, Field(ge=0, le=_MOST_FRAMES), COUNTED] = Field(
        _DEFAULT.first_frame,
        description="Number of the first frame.",
        examples=[0],
    )
    max_frames: Annotated[int, Field(ge=1, le=_MOST_FRAMES), COUNTED] | None = Field(
        _DEFAULT.max_frames,
        description="Stop after so many frames.",
        examples=[250],
    )
    trail: Annotated[int, Field(ge=0, le=1000), COUNTED] = Field(
        _DEFAULT.trail,
        description="Frames that a person's trail reaches back.",
        examples=[30],
    )
    blur: Truth = Field(
        _DEFAULT.blur, description="Hide faces in the annotated video.", examples=[False]
    )
    video: Truth = Field(
        _DEFAULT.video, description="Make an annotated video beside the data.", examples=[True]
    )

    @model_validator(mode="after")
    def _blur_what(self) -> Self:
        if self.blur and not self.video:
            raise ValueError("blur is for the annotated video, and none is asked for")
        return self

    def stored(self) -> dict[str, Any]:
        """As the database keeps them; `Options` can be made of it."""
        return self.model_dump()
