"""Fetches a video from a URL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import httpx

from contanos import __version__
from contanos.errors import InputError
from video_analysis.backend.uploads.sources import Source, address_of, source_of

_REDIRECTS = 5
_HEADERS = {
    "User-Agent": f"contanos/{__version__}",
    "Accept-Encoding": "identity",  # what is packed may be far larger than it seems
}


@asynccontextmanager
async def fetching(
    url: str, prefixes: Sequence[str], idle: float
) -> AsyncIterator[tuple[int | None, AsyncIterator[bytes]]]:
    """The size that a source promises, if it does, and its bytes.

    Args:
        url: of the video.
        prefixes: what it, and whatever it redirects to, must begin with.
        idle: seconds that the source may be silent.

    Raises:
        InputError: it may not be fetched, or cannot.
    """
    try:
        async with httpx.AsyncClient(timeout=idle, trust_env=False, headers=_HEADERS) as client:
            answer = await _open(client, url, prefixes)
            try:
                length = answer.headers.get("Content-Length", "")
                yield int(length) if length.isdecimal() else None, answer.aiter_raw()
            finally:
                with anyio.CancelScope(shield=True):
                    await answer.aclose()
    except httpx.HTTPError as e:
        raise InputError(f"its source did not deliver it: {e or type(e).__name__}") from e


async def _open(client: httpx.AsyncClient, url: str, prefixes: Sequence[str]) -> httpx.Response:
    for _ in range(_REDIRECTS):
        source = source_of(url, prefixes)
        answer = await client.send(await _request(client, source), stream=True)
        if answer.status_code == httpx.codes.OK:
            return answer
        await answer.aclose()
        if not answer.has_redirect_location:
            raise InputError(f"its source answers {answer.status_code} {answer.reason_phrase}")
        url = str(source.url.join(answer.headers["Location"]))
    raise InputError(f"its source redirects more than {_REDIRECTS} times")


async def _request(client: httpx.AsyncClient, source: Source) -> httpx.Request:
    url, address = source.url, await address_of(source)
    if address is None:
        return client.build_request("GET", url)
    return client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={"Host": url.netloc.decode()},
        extensions={"sni_hostname": url.host},
    )
