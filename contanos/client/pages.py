"""Lists that come in pages, as they are wanted."""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from contanos.client.connection import Connection
from contanos.errors import MessageError, ServerFailed
from contanos.messages import FrameResult, decode

T = TypeVar("T")


class _Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next: str | int | None = None


def pages(
    connection: Connection, kind: type[T], path: str, after: str, query: Mapping[str, Any]
) -> Iterator[T]:
    """Everything in a list, page after page.

    Args:
        connection: to the server.
        kind: of what is listed.
        path: of the list.
        after: the parameter that says where a page begins.
        query: the other ones; None for those that are not asked for.
    """
    asked = {key: value for key, value in query.items() if value is not None}
    while True:
        page = connection.ask(_Page[kind], "GET", path, params=asked)  # type: ignore[valid-type]
        yield from page.items
        if page.next is None:
            return
        asked[after] = page.next


def frame_pages(
    connection: Connection, path: str, query: Mapping[str, Any]
) -> Iterator[FrameResult]:
    """Frames, page after page."""
    for each in pages(connection, msgspec.Raw, path, "start", query):
        try:
            frame = decode(bytes(each))
        except MessageError as e:
            raise ServerFailed(f"the server sends what is no frame: {e}") from e
        if not isinstance(frame, FrameResult):
            raise ServerFailed("the server sends what is no frame")
        yield frame
