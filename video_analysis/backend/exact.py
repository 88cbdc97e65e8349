"""Types of fields that take what they are called, and nothing that could pass for it.

Left to itself pydantic takes 0 for false, "7" for 7, and 0.5 for half a second past 1970.
"""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field


def _counted(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("send a number, not in quotes")  # noqa: TRY004 - pydantic asks for it
    return value


def _written(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("write it as 2026-11-24T05:00:00Z")


COUNTED = BeforeValidator(_counted)
"""For numbers; after their bounds, which the document would lose otherwise.

7.0 is a whole number, in JSON Schema's words too.
"""

Truth = Annotated[bool, Field(strict=True)]
"""True or false."""

Instant = Annotated[AwareDatetime, BeforeValidator(_written)]
"""A time with its zone (RFC 3339)."""
