"""Whether the control plane works; anybody may ask."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from contanos import __version__
from video_analysis.backend.deps import Reaching

router = APIRouter(prefix="/health", tags=["health"])


class HealthShown(BaseModel):
    """What works and what does not."""

    healthy: bool = Field(description="Whether all of it does.", examples=[True])
    version: str = Field(__version__, description="Of the program.", examples=["0.1.0"])
    database: bool = Field(description="Whether it is reached.", examples=[True])
    storage: bool = Field(description="Whether it is reached.", examples=[True])
    bus: bool = Field(description="Whether it is reached.", examples=[True])


_SICK: dict[int | str, dict[str, Any]] = {
    503: {"model": HealthShown, "description": "Something is not reached."}
}


@router.get("", responses=_SICK)
async def health(reach: Reaching, response: Response) -> HealthShown:
    """200 if all that the control plane works with is reached."""
    found = await reach.look()
    response.status_code = 200 if found.all else 503
    return HealthShown(
        healthy=found.all, database=found.database, storage=found.storage, bus=found.bus
    )
