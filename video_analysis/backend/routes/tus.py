"""Resumable uploads by tus 1.0, as Uppy, tus-js-client and tuspy speak it."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from video_analysis.backend.database.tables import Upload
from video_analysis.backend.deps import Reader, Shared, Writer
from video_analysis.backend.http.paths import PREFIX
from video_analysis.backend.problems import refusals, refused
from video_analysis.backend.routes.refusals import TAKING, as_refusals
from video_analysis.backend.state import State
from video_analysis.backend.uploads.ownership import delete_upload, readable
from video_analysis.backend.uploads.receive import append, begin_resumable
from video_analysis.backend.uploads.tus import (
    EXTENSIONS,
    MEDIA_TYPE,
    VERSION,
    http_date,
    name_in,
)

router = APIRouter(prefix="/uploads/tus", tags=["uploads"])

_SPOKEN = {"Tus_Resumable": VERSION}
_MOST = 2**53  # what clients in JavaScript can count
_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "Bytes of the file.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_TOLD = {
    "Tus-Resumable": _header("Of the protocol.", VERSION),
    "Upload-Offset": _header("Bytes that are on the disk.", "1048576"),
    "Upload-Expires": _header(
        "When it is removed unless it goes on.", "Wed, 25 Nov 2026 05:00:00 GMT"
    ),
}
_OFFERS: dict[int | str, dict[str, Any]] = {
    204: {
        "description": "What is spoken.",
        "headers": {
            "Tus-Resumable": _TOLD["Tus-Resumable"],
            "Tus-Version": _header("Of the protocol.", VERSION),
            "Tus-Extension": _header("What is understood besides.", EXTENSIONS),
            "Tus-Max-Size": _header("Bytes of one upload, at most.", "21474836480"),
        },
    }
}
_BEGUN: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "It has begun.",
        "headers": _TOLD
        | {
            "Location": _header(
                "Where it goes on.", f"{PREFIX}/uploads/tus/5e884898da28047151d0e56f"
            )
        },
    }
}
_WHERE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Where it goes on.",
        "headers": _TOLD | {"Upload-Length": _header("Bytes of the whole file.", "10485760")},
    }
}
_WENT_ON: dict[int | str, dict[str, Any]] = {
    204: {"description": "What came is on the disk.", "headers": _TOLD}
}
_ENDED: dict[int | str, dict[str, Any]] = {
    204: {
        "description": "Nothing of it is left.",
        "headers": {"Tus-Resumable": _TOLD["Tus-Resumable"]},
    }
}

UploadId = Annotated[
    str, Path(max_length=24, description="Of an upload.", examples=["5e884898da28047151d0e56f"])
]
Offset = Annotated[
    int,
    Header(
        alias="Upload-Offset", ge=0, le=_MOST, description="Where the bytes go.", examples=[1048576]
    ),
]


def _version(
    told: Annotated[
        str,
        Header(
            alias="Tus-Resumable",
            description="Of the protocol.",
            examples=[VERSION],
            json_schema_extra={"enum": [VERSION]},  # refused as the protocol has it
        ),
    ] = "",
) -> None:
    if told != VERSION:
        raise refused(
            412, f"Tus-Resumable: this server speaks {VERSION}", **_SPOKEN, Tus_Version=VERSION
        )


Version = Depends(_version)


@router.options("", status_code=204, response_class=Response, responses=_OFFERS)
async def offers(shared: Shared) -> Response:
    """What of the protocol is spoken here."""
    most = {"Tus-Max-Size": str(shared.settings.upload_bytes)}
    return _answer(204, {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS} | most)


@router.post(
    "",
    status_code=201,
    response_class=Response,
    responses=_BEGUN | refusals(*TAKING, 412),
    openapi_extra=_BODY,
)
async def begin(
    who: Writer,
    request: Request,
    shared: Shared,
    length: Annotated[
        int,
        Header(
            alias="Upload-Length",
            ge=0,
            le=_MOST,
            description="Bytes of the whole file.",
            examples=[10_485_760],
        ),
    ],
    metadata: Annotated[
        str,
        Header(
            alias="Upload-Metadata",
            description="`filename` and its base64 value.",
            examples=["filename d2Fsay5tcDQ="],
        ),
    ] = "",
    _: None = Version,
) -> Response:
    """Begin an upload; its first bytes may come along. `Location` says where it goes on."""
    with as_refusals(**_SPOKEN):
        name = name_in(metadata)
        upload = await begin_resumable(shared, who.owner_id, length, name)
        if _sends_bytes(request) and length:
            upload = await append(shared, upload.id, 0, request.stream())
    place = {"Location": f"{request.url.path.rstrip('/')}/{upload.id}"}
    return _answer(201, place | _progress(shared, upload))


@router.head(
    "/{upload_id}",
    response_class=Response,
    responses=_WHERE | refusals(401, 403, 404, 410, 412),
)
async def offset_of(
    who: Reader, upload_id: UploadId, shared: Shared, _: None = Version
) -> Response:
    """How many bytes are on the disk: there it goes on."""
    with as_refusals(**_SPOKEN):
        upload = await readable(shared, who, upload_id, "tus")
        if upload.state == "refused":
            raise refused(410, f"it was refused: {upload.cause}", **_SPOKEN)
        if upload.state == "receiving":
            upload.received = await shared.uploads.incoming.size(upload_id)
    length = {"Upload-Length": str(upload.bytes), "Cache-Control": "no-store"}
    return _answer(200, length | _progress(shared, upload))


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=_WENT_ON | refusals(*TAKING, 404, 409, 410, 412, 415, 423),
    openapi_extra=_BODY,
)
async def go_on(
    who: Writer,
    upload_id: UploadId,
    request: Request,
    shared: Shared,
    offset: Offset,
    _: None = Version,
) -> Response:
    """More bytes, from where `HEAD` says it goes on. What came is kept whatever ends this."""
    if not _sends_bytes(request):
        raise refused(415, f"Content-Type: send {MEDIA_TYPE}", **_SPOKEN)
    with as_refusals(**_SPOKEN):
        await readable(shared, who, upload_id, "tus")
        upload = await append(shared, upload_id, offset, request.stream())
    return _answer(204, _progress(shared, upload))


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=_ENDED | refusals(401, 403, 404, 409, 412),
)
async def end(
    who: Writer, upload_id: UploadId, request: Request, shared: Shared, _: None = Version
) -> Response:
    """Give it up: what came is removed."""
    with as_refusals(**_SPOKEN):
        await readable(shared, who, upload_id, "tus")
        await delete_upload(shared, upload_id, request)
    return _answer(204, {})


@router.post(
    "/{upload_id}",
    response_class=Response,
    responses=_WHERE | _WENT_ON | refusals(*TAKING, 404, 409, 410, 412, 415, 423),
    openapi_extra=_BODY,
)
async def overridden(
    who: Writer,
    upload_id: UploadId,
    request: Request,
    shared: Shared,
    method: Annotated[
        Literal["PATCH", "DELETE", "HEAD"],
        Header(alias="X-HTTP-Method-Override", description="What is meant.", examples=["PATCH"]),
    ],
    offset: Offset = 0,
    _: None = Version,
) -> Response:
    """Another method, for clients that are let do nothing but `POST`."""
    if method == "PATCH":
        return await go_on(who, upload_id, request, shared, offset)
    if method == "DELETE":
        return await end(who, upload_id, request, shared)
    return await offset_of(who, upload_id, shared)


def _sends_bytes(request: Request) -> bool:
    return request.headers.get("Content-Type", "").partition(";")[0].strip() == MEDIA_TYPE


def _progress(shared: State, upload: Upload) -> dict[str, str]:
    """It expires only as long as it is not whole."""
    told = {"Upload-Offset": str(upload.received)}
    if upload.state == "receiving" and upload.received != upload.bytes:
        expires = upload.touched + timedelta(hours=shared.settings.upload_hours)
        told["Upload-Expires"] = http_date(expires)
    return told


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": VERSION} | headers)
