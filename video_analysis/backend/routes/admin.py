"""What administrators look at: who did what, and how full everything is."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import or_, select

from contanos import __version__
from video_analysis.backend.audit import What
from video_analysis.backend.database.tables import Audit, Role, TaskState
from video_analysis.backend.deps import Admin, Reaching, Session, Shared
from video_analysis.backend.overview import free_bytes, tasks_by_state, users_by_role, users_stored
from video_analysis.backend.paging import Limit
from video_analysis.backend.problems import refusals

router = APIRouter(prefix="/admin", tags=["admin"])


class AuditShown(BaseModel):
    """One line of the audit log."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="Of the line; later ones have greater ones.", examples=[4711])
    at: datetime = Field(description="When.", examples=["2026-11-24T05:00:00Z"])
    user_id: str | None = Field(
        description="Who; null where nobody was known.", examples=["7f83b1657ff1fc53b92dc181"]
    )
    what: str = Field(description="Was done.", examples=["login"])
    about: str | None = Field(
        description="Id of the thing. Of a refused login, of the account; or `name` and a digest, "
        "for the name of no account: it may have been a password.",
        examples=["5e884898da28047151d0e56f"],
    )
    address: str | None = Field(description="Where the request came from.", examples=["192.0.2.7"])
    request_id: str | None = Field(
        description="That log lines have too.", examples=["5b1f0c7e9a2d4e68"]
    )


class AuditPage(BaseModel):
    """Some lines, the newest first."""

    items: list[AuditShown] = Field(description="The lines.")
    next: int | None = Field(description="For `after`; null on the last page.", examples=[4661])


class Stored(BaseModel):
    """What a user has stored."""

    user_id: str = Field(description="Who.", examples=["7f83b1657ff1fc53b92dc181"])
    name: str = Field(description="Of the account.", examples=["ada"])
    bytes: int = Field(description="Of uploads and results.", examples=[10_485_760])


class Overview(BaseModel):
    """The installation at a glance."""

    version: str = Field(__version__, description="Of the program.", examples=["0.1.0"])
    users: dict[Role, int] = Field(description="Accounts, by role.", examples=[{"admin": 1}])
    tasks: dict[TaskState, int] = Field(
        description="Tasks that are not deleted, by state.", examples=[{"running": 2}]
    )
    stored: list[Stored] = Field(description="By user, the hundred with the most first.")
    disk_free: int = Field(description="Bytes, in the data folder.", examples=[107_374_182_400])
    database: bool = Field(description="Whether it is reached.", examples=[True])
    storage: bool = Field(description="Whether it is reached.", examples=[True])
    bus: bool = Field(description="Whether it is reached.", examples=[True])


@router.get("/audit", responses=refusals(401, 403))
async def audit_log(
    _: Admin,
    session: Session,
    limit: Limit = 50,
    after: Annotated[
        int | None,
        Query(
            ge=1,
            lt=2**63,
            description="`next` of the page before; none for the first.",
            examples=[4661],
        ),
    ] = None,
    user: Annotated[
        str | None,
        Query(
            max_length=24,
            description="By this user, or about their account.",
            examples=["7f83b1657ff1fc53b92dc181"],
        ),
    ] = None,
    what: Annotated[What | None, Query(description="Only this.", examples=["login"])] = None,
) -> AuditPage:
    """Who did what, the newest first."""
    query = select(Audit).order_by(Audit.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(Audit.id < after)
    if user is not None:
        query = query.where(or_(Audit.user_id == user, Audit.about == user))
    if what is not None:
        query = query.where(Audit.what == what)
    rows = (await session.scalars(query)).all()
    shown = [AuditShown.model_validate(each) for each in rows[:limit]]
    return AuditPage(items=shown, next=shown[-1].id if len(rows) > limit else None)


@router.get("/overview", responses=refusals(401, 403))
async def overview(_: Admin, session: Session, shared: Shared, reach: Reaching) -> Overview:
    """Accounts, tasks, what is stored, and whether everything is reached."""
    found = await reach.look()
    return Overview(
        users=await users_by_role(session),
        tasks=await tasks_by_state(session),
        stored=[Stored(**each._asdict()) for each in await users_stored(session)],
        disk_free=await free_bytes(shared.settings.data_dir),
        database=found.database,
        storage=found.storage,
        bus=found.bus,
    )
