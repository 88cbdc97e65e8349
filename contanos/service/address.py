"""Where a service listens, and how others reach it."""

import errno
import socket
from typing import NamedTuple

from contanos.errors import SettingError

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class Address(NamedTuple):
    """A host and a TCP port; port 0 is any that is free."""

    host: str
    port: int

    @property
    def reached(self) -> "Address":
        """Where this machine reaches it: a server may listen on all addresses at once."""
        return Address(_ANYWHERE.get(self.host, self.host), self.port)

    @property
    def url(self) -> str:
        """For a browser on this machine."""
        host, port = self.reached
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def listen(self, remedy: str) -> socket.socket:
        """A socket that listens here.

        Args:
            remedy: what a person can do where the port is taken, such as "choose another port".

        Raises:
            SettingError: the port is taken, or the host is not this machine.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listening = socket.create_server(self, family=family)
        except OSError as e:
            raise SettingError(self._refused(e, remedy)) from e
        # Connections inherit it. asyncio leaves sockets that it was given as they are, and each
        # answer on a connection that is kept would wait 40 ms for the client's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening

    def _refused(self, error: OSError, remedy: str) -> str:
        if error.errno == errno.EADDRINUSE:
            return f"port {self.port} of {self.host} is taken; end what listens there, or {remedy}"
        why = error.strerror or str(error)
        return f"cannot listen on {self.host}, port {self.port}: {why}; {remedy}"
