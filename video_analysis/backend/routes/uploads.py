"""Videos that users bring: in a form, from a URL, from the server's media folder."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.database.tables import Upload, UploadState
from video_analysis.backend.deps import Admin, Owner, Reader, Session, Shared, Writer
from video_analysis.backend.paging import After, Limit, next_after, page
from video_analysis.backend.problems import refusals
from video_analysis.backend.routes.refusals import TAKING, as_refusals
from video_analysis.backend.state import State
from video_analysis.backend.uploads.bring import from_media, from_url
from video_analysis.backend.uploads.ownership import delete_upload, readable
from video_analysis.backend.uploads.receive import receive_form

router = APIRouter(prefix="/uploads", tags=["uploads"])

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "The video.",
                        }
                    },
                }
            }
        },
    }
}

UploadId = Annotated[
    str, Path(max_length=24, description="Of an upload.", examples=["5e884898da28047151d0e56f"])
]


class UploadShown(BaseModel):
    """An upload, as it is shown."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Of the upload.", examples=["5e884898da28047151d0e56f"])
    user_id: str = Field(description="Whose it is.", examples=["7f83b1657ff1fc53b92dc181"])
    label: str = Field(description="What its user calls it.", examples=["walk.mp4"])
    source: str = Field(description="How it came: `tus`, `form`, `url`, `media`.", examples=["tus"])
    place: str | None = Field(
        description="For `url` and `media`, where it was.", examples=["https://a.org/walk.mp4"]
    )
    state: UploadState = Field(
        description="`receiving`, then `checking`, then `ready` or `refused`.", examples=["ready"]
    )
    bytes: int | None = Field(
        description="Its size; as promised, while it is `receiving`.", examples=[10_485_760]
    )
    received: int = Field(description="Bytes that are safe on the disk.", examples=[10_485_760])
    cause: str | None = Field(
        description="Why it was refused.", examples=["the file holds only audio"]
    )
    width: int | None = Field(description="Of its pictures, in pixels.", examples=[1920])
    height: int | None = Field(description="Of its pictures, in pixels.", examples=[1080])
    frames: int | None = Field(description="That its header speaks of.", examples=[250])
    seconds: float | None = Field(description="That its header speaks of.", examples=[10.0])
    created: datetime = Field(description="When it began.", examples=["2026-11-24T05:00:00Z"])


class UploadPage(BaseModel):
    """Some uploads, the newest first."""

    items: list[UploadShown] = Field(description="The uploads.")
    next: str | None = Field(
        description="For `after`; null on the last page.",
        examples=["2026-11-24T05:00:00+00:00~5e884898da28047151d0e56f"],
    )


class FromUrl(BaseModel):
    """A video to be fetched by the server."""

    url: str = Field(
        min_length=1,
        max_length=2048,
        description="http or https; the server allows certain beginnings only.",
        examples=["https://videos.example.org/walk.mp4"],
    )


class FromMedia(BaseModel):
    """A video on the server."""

    path: str = Field(
        min_length=1,
        max_length=2048,
        description="Relative to the server's media folder.",
        examples=["2026/walk.mp4"],
    )


@router.get("", responses=refusals(401, 403))
async def uploads(
    owner: Owner,
    session: Session,
    limit: Limit = 50,
    after: After = None,
) -> UploadPage:
    """One's own uploads, the newest first."""
    mine = select(Upload).where(Upload.user_id == owner)
    rows = (await session.scalars(page(mine, Upload, after, limit))).all()
    shown = [UploadShown.model_validate(each) for each in rows[:limit]]
    return UploadPage(items=shown, next=next_after(rows, limit))


@router.post("", status_code=201, responses=refusals(*TAKING), openapi_extra=FORM)
async def upload_form(who: Writer, request: Request, shared: Shared) -> UploadShown:
    """A video in the field `file` of a form. What breaks off is removed: tus can go on."""
    return UploadShown.model_validate(await received_form(who, request, shared))


async def received_form(who: Principal, request: Request, shared: State) -> Upload:
    """The upload that a request's form is.

    Raises:
        HTTPException: why it was not taken; nothing is left of it.
    """
    length = request.headers.get("Content-Length", "")
    with as_refusals():
        return await receive_form(
            shared,
            who.owner_id,
            request.headers.get("Content-Type", ""),
            int(length) if length.isdecimal() else 0,
            request.stream(),
        )


@router.post("/from-url", status_code=201, responses=refusals(401, 403, 413, 507))
async def upload_from_url(who: Writer, given: FromUrl, shared: Shared) -> UploadShown:
    """Have the server fetch a video; it is `receiving` meanwhile."""
    with as_refusals():
        return UploadShown.model_validate(await from_url(shared, who.owner_id, given.url))


@router.post("/from-media", status_code=201, responses=refusals(401, 403))
async def upload_from_media(who: Admin, given: FromMedia, shared: Shared) -> UploadShown:
    """Take a file of the server's media folder; it stays there, and must stay."""
    return UploadShown.model_validate(await from_media(shared, who.owner_id, given.path))


@router.get("/{upload_id}", responses=refusals(401, 403, 404))
async def one_upload(who: Reader, upload_id: UploadId, shared: Shared) -> UploadShown:
    """One upload, with how much of it is on the disk."""
    upload = await readable(shared, who, upload_id)
    if upload.state == "receiving":
        upload.received = await shared.uploads.incoming.size(upload_id)
    return UploadShown.model_validate(upload)


@router.delete("/{upload_id}", status_code=204, responses=refusals(401, 403, 404, 409))
async def remove_upload(who: Writer, upload_id: UploadId, request: Request, shared: Shared) -> None:
    """Remove its file and all that is known of it; results of its tasks stay."""
    await readable(shared, who, upload_id)
    await delete_upload(shared, upload_id, request)
