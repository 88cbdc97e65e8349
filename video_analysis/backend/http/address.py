"""The address of whoever makes a request, also behind proxies."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

_HOME = 64  # bits of an IPv6 address that a subscriber does not choose
_SECURE = {"http": "https", "ws": "wss"}


class Forwarded:
    """Puts the client's own address and scheme where everything looks for the peer's.

    Only what a trusted proxy says is believed. `X-Forwarded-For` is read from its end, where the
    nearest proxy wrote: what stands before the first address that is not a proxy's may be made up.

    Args:
        app: the application.
        trusted: addresses of proxies.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            peer = read_address(scope["client"][0])
            if peer and self._trusts(peer):
                self._believe(scope, peer)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, peer: _Address) -> None:
        headers = Headers(scope=scope)
        told = ",".join(headers.getlist("X-Forwarded-For")).split(",")
        scope["client"] = (str(self._client(peer, told)), 0)
        if headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip() == "https":
            scope["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])

    def _client(self, peer: _Address, told: Sequence[str]) -> _Address:
        found = peer
        for each in reversed(told):
            address = read_address(each)
            if address is None:
                break
            found = address
            if not self._trusts(address):
                break
        return found

    def _trusts(self, address: _Address) -> bool:
        return any(address in each for each in self._trusted)


def read_address(text: str) -> _Address | None:
    """An address as proxies write it, perhaps with a port; None if it is none.

    >>> [str(read_address(each)) for each in ("10.0.0.1:80", "[2001:db8::1]:80", "::ffff:10.0.0.1")]
    ['10.0.0.1', '2001:db8::1', '10.0.0.1']
    """
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from; empty where the server does not know."""
    host = connection.client.host if connection.client else ""
    return str(read_address(host) or host)


def network_of(connection: HTTPConnection) -> str:
    """What is counted as one address: of IPv6 the network, of which one client has all addresses.

    >>> from starlette.requests import Request
    >>> network_of(Request({"type": "http", "client": ("2001:db8::5:6:7:8", 0)}))
    '2001:db8::'
    """
    found = read_address(address_of(connection))
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, _HOME), strict=False).network_address)
    return str(found or "")
