"""URLs that videos may be fetched from, and the addresses that may be asked."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from contanos.errors import InputError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Source:
    """A URL that is allowed.

    Attributes:
        url: of the video.
        trusted: a prefix names its host, so that it may be one of ours.
    """

    url: httpx.URL
    trusted: bool


def source_of(url: str, prefixes: Sequence[str]) -> Source:
    """The URL, if it begins with one of the prefixes.

    Host and port must be a prefix's own: text alone would let `https://a.org.evil.net` pass for
    `https://a.org`. A prefix without a host, `https://`, stands for every public one.

    Raises:
        InputError: it is not allowed.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError, ValueError) as e:
        raise InputError(f"url: not the URL of a video: {e}") from e
    strange = parsed.userinfo or "\\" in parsed.path or ".." in parsed.path.split("/")
    if parsed.scheme not in ("http", "https") or not parsed.host or strange:
        raise InputError("url: give a plain http or https URL")
    matching = [each for each in map(httpx.URL, prefixes) if _begins(parsed, each)]
    if not matching:
        raise InputError("url: this server does not fetch from there; ask its operator")
    return Source(parsed.copy_with(fragment=None), any(each.host for each in matching))


async def address_of(source: Source) -> str | None:
    """The address to connect to; None for the one that the host's name leads to.

    A name that anybody may choose is looked up once, here, so that it cannot lead elsewhere when
    it is looked up again.

    Raises:
        InputError: there is none, or it is not a public one.
    """
    if source.trusted:
        return None
    loop, url = asyncio.get_running_loop(), source.url
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    try:
        found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise InputError(f"url: no such host: {url.host}") from e
    addresses = [str(each[4][0]) for each in found]
    if not addresses or not all(map(_is_public, addresses)):
        raise InputError(f"url: {url.host} is not a public host, and no prefix names it")
    return addresses[0]


def _begins(url: httpx.URL, prefix: httpx.URL) -> bool:
    if url.scheme != prefix.scheme:
        return False
    if not prefix.host:
        return True
    here = (url.host, url.port) == (prefix.host, prefix.port)
    return here and url.path.startswith(prefix.path)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast
