"""What users fetch of a task that is over: frames, tracks, files, exports."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from contanos.schema import frame_result_schema
from video_analysis.backend.deps import Reader, Shared
from video_analysis.backend.problems import refusals
from video_analysis.backend.results.counted import track_totals
from video_analysis.backend.results.download import download
from video_analysis.backend.results.exports import MEDIA_TYPES as EXPORTED
from video_analysis.backend.results.exports import Wanted as WantedExport
from video_analysis.backend.results.frames import MOST_FRAMES, Wanted, frames_page
from video_analysis.backend.results.outputs import MEDIA_TYPES, OutputName, output_of
from video_analysis.backend.results.stream import Streamed
from video_analysis.results.layout import Layout
from video_analysis.results.tracks import TrackSummary
from video_analysis.settings import ExportFormat

router = APIRouter(prefix="/tasks", tags=["results"])

_MOST = 2**53  # what clients in JavaScript can count
_MOST_TRACK = 2**31 - 1
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_RECORD: dict[str, Any] = {
    "schema": 1,
    "task_id": "7f83b1657ff1fc53b92dc181",
    "frame_id": 42,
    "pts": 42042,
    "time_base": [1, 30000],
    "width": 1280,
    "height": 720,
    "stage": "bytetrack",
    "error": None,
    "detections": [
        {
            "bbox": [411.5, 160.25, 498.0, 402.75],
            "score": 0.92,
            "keypoints": [[452.1, 181.4, 0.97]],
            "track_id": 3,
            "track_bbox": [411.2, 160.5, 497.75, 402.5],
        }
    ],
    "partition": 0,
}

TaskId = Annotated[
    str,
    Path(
        pattern="^[0-9a-z-]{1,64}$",
        description="Of a task.",
        examples=["7f83b1657ff1fc53b92dc181"],
    ),
]


class TrackShown(BaseModel):
    """One person's stay in the picture."""

    track_id: int = Field(description="Unique within the task.", examples=[3])
    first_frame: int = Field(description="`frame_id` of the first detection.", examples=[12])
    last_frame: int = Field(description="`frame_id` of the last one.", examples=[250])
    first_seconds: float = Field(description="When the first is shown.", examples=[0.4])
    last_seconds: float = Field(description="When the last is shown.", examples=[8.34])
    detections: int = Field(
        description="How many there are; fewer than frames where the person was hidden.",
        examples=[231],
    )
    path_pixels: float = Field(
        description="How far the person came, in source pixels: the way of the middle of the "
        "lower side of `track_bbox`, in straight lines from detection to detection.",
        examples=[812.25],
    )
    mean_score: float = Field(description="Of the detections.", examples=[0.871])


class TrackPage(BaseModel):
    """Some tracks, by `track_id`."""

    items: list[TrackShown] = Field(description="The tracks.")
    next: int | None = Field(description="For `start`; null on the last page.", examples=[1001])


def _record_schema() -> dict[str, Any]:
    """Of one frame, with what it refers to written out in its place."""
    schema = frame_result_schema()
    detection = schema.pop("$defs")["Detection"]
    del schema["$schema"]
    schema["properties"]["detections"]["items"] = detection
    for each in (schema, detection):
        each["description"] = each["description"].partition("\n")[0]
    return schema


_FRAMES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of frames.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["items", "next"],
                    "properties": {
                        "items": {
                            "type": "array",
                            "items": _record_schema(),
                            "description": "The frames; see `docs/messages.md`.",
                        },
                        "next": {
                            "type": ["integer", "null"],
                            "description": "For `start`; null on the last page.",
                        },
                    },
                },
                "example": {"items": [_RECORD], "next": 43},
            }
        },
    }
}


@router.get(
    "/{task_id}/frames",
    response_class=Response,
    responses=_FRAMES | refusals(401, 403, 404, 409, 503),
)
async def frames(
    who: Reader,
    task_id: TaskId,
    shared: Shared,
    start: Annotated[
        int, Query(ge=0, le=_MOST, description="The first `frame_id`.", examples=[0])
    ] = 0,
    limit: Annotated[
        int,
        Query(ge=1, le=MOST_FRAMES, description="Frames of a page, at most.", examples=[100]),
    ] = 100,
    track: Annotated[
        int | None,
        Query(
            ge=1,
            le=_MOST_TRACK,
            description="Only frames with this track, and only it in them.",
            examples=[3],
        ),
    ] = None,
    from_seconds: Annotated[
        float | None,
        Query(
            allow_inf_nan=False,
            description="Only frames that are shown then or later.",
            examples=[1.5],
        ),
    ] = None,
    to_seconds: Annotated[
        float | None,
        Query(
            allow_inf_nan=False, description="Only frames that are shown before.", examples=[2.5]
        ),
    ] = None,
) -> Response:
    """Frames in order, those without people too, unless a `track` is asked for.

    All that is given has to hold. A page may be short, even empty, where it would take long to
    fill: where there are crowds, or a track is away for long. Only a `next` of null is the end.
    """
    output = await output_of(shared, who, task_id, "results.parquet")
    wanted = Wanted(start, limit, track, from_seconds, to_seconds)
    async with shared.readings.reading(output.task.id, output.size) as result:
        page = await frames_page(result, wanted)
    return Response(page, media_type="application/json")


@router.get("/{task_id}/tracks", responses=refusals(401, 403, 404, 409, 503))
async def tracks(
    who: Reader,
    task_id: TaskId,
    shared: Shared,
    start: Annotated[
        int, Query(ge=0, le=_MOST, description="The first `track_id`.", examples=[1])
    ] = 0,
    limit: Annotated[
        int, Query(ge=1, le=5000, description="Tracks of a page, at most.", examples=[1000])
    ] = 1000,
) -> TrackPage:
    """Each person's stay in the picture, in short."""
    output = await output_of(shared, who, task_id, "results.parquet")
    async with shared.readings.reading(output.task.id, output.size) as result:
        found = (await track_totals(result)).summaries(start, limit + 1)
    shown = [_shown(result.layout, each) for each in found[:limit]]
    return TrackPage(items=shown, next=found[limit].track_id if len(found) > limit else None)


_JSON = {"schema": {"type": "object", "description": "See `docs/results.md`."}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY) | {"application/json": _JSON},
    },
    206: {
        "description": "A part of it.",
        "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY),
    },
    304: {"description": "It is the version that you have."},
}
_HEAD: dict[int | str, dict[str, Any]] = {
    200: {"description": "What `GET` would answer, without the file."},
    304: _FILE[304],
}
_TEXT = {"schema": {"type": "string"}}
_COCO = {
    "application/json": {
        "schema": {"type": "array", "items": {"type": "object", "description": "Of one person."}}
    }
}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The export.",
        "content": {each.partition(";")[0]: _TEXT for each in EXPORTED.values()} | _COCO,
    }
}
_REFUSED = refusals(401, 403, 404, 409, 412, 416, 503)


@router.get("/{task_id}/files/{name}", response_class=Response, responses=_FILE | _REFUSED)
@router.head("/{task_id}/files/{name}", response_class=Response, responses=_HEAD | _REFUSED)
async def file(
    who: Reader,
    task_id: TaskId,
    name: Annotated[OutputName, Path(description="Which file.", examples=["annotated.mp4"])],
    request: Request,
    shared: Shared,
) -> Response:
    """A file as it was made, or a part of it: players may seek, downloads may go on.

    `Range` with one range, `If-Range`, `If-None-Match` and the like are understood.
    """
    return download(shared.storage, await output_of(shared, who, task_id, name), request)


@router.get(
    "/{task_id}/export/{format}",
    response_class=Response,
    responses=_EXPORT | refusals(401, 403, 404, 409, 429, 503),
)
async def export(
    who: Reader,
    task_id: TaskId,
    format: Annotated[  # noqa: A002 - as on the command line
        ExportFormat, Path(description="See the documents on results.", examples=["coco"])
    ],
    shared: Shared,
) -> Response:
    """The result in another format, made now: some seconds for each hour of video and person."""
    output = await output_of(shared, who, task_id, "results.parquet")
    wanted = WantedExport(who.user.id, output.task.id, output.task.label, format)
    return Streamed(shared.exports.made(wanted))


def _shown(layout: Layout, track: TrackSummary) -> TrackShown:
    return TrackShown(
        track_id=track.track_id,
        first_frame=track.first_frame,
        last_frame=track.last_frame,
        first_seconds=layout.seconds(track.first_frame),
        last_seconds=layout.seconds(track.last_frame),
        detections=track.detections,
        path_pixels=round(track.path, 2),
        mean_score=round(track.score, 6),
    )
