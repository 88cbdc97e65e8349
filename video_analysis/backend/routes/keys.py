"""API keys: for programs, instead of a password."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from video_analysis.backend.accounts.principal import Scope
from video_analysis.backend.accounts.secret import KEY_PREFIX, digest, new_secret
from video_analysis.backend.audit import audit
from video_analysis.backend.database.columns import now
from video_analysis.backend.database.tables import ApiKey
from video_analysis.backend.deps import Reader, Session
from video_analysis.backend.exact import Instant
from video_analysis.backend.problems import refusals, refused

router = APIRouter(prefix="/keys", tags=["keys"])

KeyId = Annotated[str, Path(max_length=24, description="Of a key.", examples=["1f3870be274f"])]


class NewKey(BaseModel):
    """A key to be made."""

    name: str = Field(
        min_length=1, max_length=128, description="To know it by.", examples=["laboratory"]
    )
    scopes: list[Scope] = Field(
        min_length=1, max_length=8, description="What it may be used for.", examples=[["read"]]
    )
    expires: Instant | None = Field(
        None, description="From then on it is good for nothing.", examples=[None]
    )


class Key(BaseModel):
    """A key, as it is shown."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Of the key.", examples=["1f3870be274f"])
    name: str = Field(description="To know it by.", examples=["laboratory"])
    scopes: list[Scope] = Field(description="What it may be used for.", examples=[["read"]])
    created: datetime = Field(description="When.", examples=["2026-11-24T05:00:00Z"])
    expires: datetime | None = Field(description="When it ends by itself.", examples=[None])
    last_used: datetime | None = Field(
        description="When it was last shown, to a minute.", examples=["2026-11-24T06:00:00Z"]
    )
    revoked: datetime | None = Field(description="When it was ended.", examples=[None])


class MadeKey(Key):
    """A new key, with the secret that is not shown again."""

    key: str = Field(description="For `X-API-Key`, or as a bearer token.", examples=["ctn_..."])


@router.get("", responses=refusals(401, 403))
async def keys(who: Reader, session: Session) -> list[Key]:
    """One's own keys, the newest first."""
    found = await session.scalars(
        select(ApiKey).where(ApiKey.user_id == who.user.id).order_by(ApiKey.created.desc())
    )
    return [Key.model_validate(each) for each in found]


@router.post("", status_code=201, responses=refusals(401, 403))
async def make_key(who: Reader, given: NewKey, request: Request, session: Session) -> MadeKey:
    """A new key, which may do no more than whoever makes it. Only a login makes keys."""
    if who.key_id:
        raise refused(403, "a key cannot make keys: log in")
    if over := set(given.scopes) - who.scopes:
        raise refused(403, f"you do not have the scope {', '.join(sorted(over))} yourself")
    secret = new_secret(KEY_PREFIX)
    key = ApiKey(
        user_id=who.user.id,
        name=given.name,
        secret=digest(secret),
        scopes=sorted(set(given.scopes)),
        expires=given.expires,
    )
    session.add(key)
    await session.flush()
    await audit(session, request, "key made", key.id)
    return MadeKey(**Key.model_validate(key).model_dump(), key=secret)


@router.delete("/{key_id}", status_code=204, responses=refusals(401, 403, 404))
async def revoke_key(who: Reader, key_id: KeyId, request: Request, session: Session) -> None:
    """From now on it is good for nothing. A key may end itself, and no other."""
    if who.key_id not in (None, key_id):
        raise refused(403, "a key can end itself only: log in")
    key = await session.get(ApiKey, key_id)
    if key is None or key.user_id != who.user.id:
        raise refused(404, f"no key {key_id} is yours")
    if not key.revoked:
        key.revoked = now()
        await audit(session, request, "key revoked", key.id)
