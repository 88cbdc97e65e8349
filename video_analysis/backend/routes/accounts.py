"""Accounts: one's own, and for administrators everybody's."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from video_analysis.backend.accounts.lockout import counted, note_wrong, refuse_locked
from video_analysis.backend.accounts.passwords import LEAST, MOST, hashed, matches
from video_analysis.backend.audit import audit
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import Login, Role, User
from video_analysis.backend.deps import Admin, Reader, Session, Shared
from video_analysis.backend.exact import COUNTED, Truth
from video_analysis.backend.problems import refusals, refused

router = APIRouter(prefix="/users", tags=["users"])

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$"),
    Field(description="Of the account.", examples=["ada"]),
]
Password = Annotated[
    str,
    StringConstraints(min_length=LEAST, max_length=MOST),
    Field(description="Of the account.", examples=["analytical!"]),
]
UserId = Annotated[
    str, Path(max_length=24, description="Of an account.", examples=["5e884898da28"])
]


class Account(BaseModel):
    """An account, as it is shown."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Of the account.", examples=["5e884898da28"])
    name: Name
    role: Role = Field(description="What it may do.", examples=["user"])
    views: str | None = Field(
        description="For a viewer, the id of the user whose tasks it sees.", examples=[None]
    )
    active: bool = Field(description="Whether it may come in.", examples=[True])
    created: datetime = Field(description="When.", examples=["2026-11-24T05:00:00Z"])
    quota_bytes: int | None = Field(description="Instead of the usual one.", examples=[None])
    quota_tasks: int | None = Field(description="Instead of the usual one.", examples=[None])
    quota_minutes: float | None = Field(description="Instead of the usual one.", examples=[None])


class Quotas(BaseModel):
    """What a user may use; null for the installation's setting."""

    quota_bytes: Annotated[int, Field(ge=0, le=2**53), COUNTED] | None = Field(
        None, description="Bytes stored.", examples=[53_687_091_200]
    )
    quota_tasks: Annotated[int, Field(ge=1, le=10_000), COUNTED] | None = Field(
        None, description="Tasks running at once.", examples=[4]
    )
    quota_minutes: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False), COUNTED] | None = (
        Field(
            None,
            description="Minutes of video a day.",
            examples=[600.0],
        )
    )


class NewAccount(Quotas):
    """An account to be made."""

    name: Name
    password: Password
    role: Role = Field("user", description="What it may do.", examples=["user"])
    views: str | None = Field(
        None,
        max_length=24,
        description="For a viewer, the id of the user whose tasks it sees.",
        examples=[None],
    )

    @model_validator(mode="after")
    def _viewers_view(self) -> Self:
        if (self.role == "viewer") != (self.views is not None):
            raise ValueError("a viewer, and nobody else, has a user that it views")
        return self


class Change(Quotas):
    """What to change of an account; what is left out stays."""

    active: Truth | None = Field(None, description="Whether it may come in.", examples=[True])
    password: Password | None = Field(
        None, description="A new one; all logins end.", examples=["analytical!"]
    )


class NewPassword(BaseModel):
    """A change of one's own password."""

    old: str = Field(
        max_length=MOST, description="The password until now.", examples=["build-it-again!"]
    )
    new: Password


@router.get("/me", responses=refusals(401))
async def me(who: Reader) -> Account:
    """One's own account."""
    return Account.model_validate(who.user)


@router.put("/me/password", status_code=204, responses=refusals(401, 403, 429))
async def change_password(
    who: Reader, given: NewPassword, request: Request, shared: Shared
) -> None:
    """A new password; all logins end. An API key cannot do this.

    Who has stolen a token cannot try passwords here: they count as those of logins do.
    """
    if who.login_id is None:
        raise refused(403, "an API key cannot change the password: log in")
    # Hashing takes long, so nobody's changes wait for it.
    right, new = await matches(given.old, who.user.password), await hashed(given.new)
    async with shared.database.transaction() as session:
        count = await counted(session, shared.tokens.veiled(who.user.name))
        refuse_locked(count)
        if not right:
            await audit(session, request, "password change refused", who.user.id)
            if note_wrong(count, shared.settings):
                await audit(session, request, "name locked", who.user.id)
            await session.commit()
            raise refused(403, "the old password is another one")
        user = await session.get_one(User, who.user.id)
        user.password = new
        await _end_logins(session, user)
        await session.delete(count)
        await audit(session, request, "password changed", user.id)


@router.get("", responses=refusals(401, 403))
async def accounts(_: Admin, session: Session) -> list[Account]:
    """Everybody, by name."""
    found = await session.scalars(select(User).order_by(User.name))
    return [Account.model_validate(each) for each in found]


@router.post("", status_code=201, responses=refusals(401, 403, 409))
async def make_account(_: Admin, given: NewAccount, request: Request, session: Session) -> Account:
    """Let somebody in."""
    viewed = await session.get(User, given.views) if given.views else None
    if given.views and (viewed is None or viewed.role == "viewer"):
        raise refused(422, "views: no such user")
    fields = given.model_dump(exclude={"password"})
    user = User(**fields, password=await hashed(given.password))
    try:
        session.add(user)
        await session.flush()
    except IntegrityError as e:
        raise refused(409, f"the name {given.name} is taken") from e
    await audit(session, request, "account made", user.id)
    return Account.model_validate(user)


@router.get("/{user_id}", responses=refusals(401, 403, 404))
async def account(_: Admin, user_id: UserId, session: Session) -> Account:
    """One account."""
    return Account.model_validate(await _found(session, user_id))


@router.patch("/{user_id}", responses=refusals(401, 403, 404))
async def change_account(
    _: Admin, user_id: UserId, given: Change, request: Request, session: Session
) -> Account:
    """Lock somebody out, or in; set a password or quotas."""
    user = await _found(session, user_id)
    for name, value in given.model_dump(exclude_unset=True, exclude={"password"}).items():
        if name != "active" or value is not None:
            setattr(user, name, value)
    if given.password:
        user.password = await hashed(given.password)
    if given.password or given.active is False:
        await _end_logins(session, user)
    await audit(session, request, "account changed", user.id)
    if given.password:
        await audit(session, request, "password changed", user.id)
    return Account.model_validate(user)


async def _found(session: Session, user_id: str) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise refused(404, f"no account {user_id}")
    return user


async def _end_logins(session: Session, user: User) -> None:
    ended = update(Login).where(Login.user_id == user.id, Login.ended.is_(None))
    await session.execute(ended.values(ended=now()))
