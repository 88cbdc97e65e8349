"""TCP ports that a server on this machine may take."""

import random
import socket
from itertools import islice

from contanos.errors import MachineError

# Below those that Linux gives to outgoing connections: a client that tries again and again to
# reach a broker which is down may be given the broker's own port to call from, reach itself, and
# keep the broker from coming back.
_CHOICE = range(15000, 32000)
_ATTEMPTS = 200


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different.

    Raises:
        MachineError: none was found.
    """
    free = (port for port in random.sample(_CHOICE, _ATTEMPTS) if is_free(port))
    found = list(islice(free, count))
    if len(found) < count:
        raise MachineError(
            f"no free port on 127.0.0.1 in {_ATTEMPTS} attempts between {_CHOICE.start} and "
            f"{_CHOICE.stop}; end what listens there"
        )
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen on that port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
