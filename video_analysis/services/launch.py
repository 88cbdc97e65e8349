"""Which services run where: all in this process, one here, or each in a process of its own."""

import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from contanos.errors import SettingError
from contanos.service.address import Address
from contanos.service.child import ChildSpec
from contanos.service.children import Children
from contanos.service.stopping import Stopping
from video_analysis.services import SERVICES
from video_analysis.services.here import Assemble, run_here
from video_analysis.settings import Settings

EVERYTHING = "all"

_STEP = 10  # between the ports of two workers of a service
_OTHER_PORT, _OTHER_HOST = "choose another with --port", "choose another address with --host"


def launch(
    which: str,
    settings: Settings,
    assemble: Assemble,
    host: str = "127.0.0.1",
    port: int | None = None,
    workers: int = 1,
    supervised: bool = False,
) -> int:
    """Run `all` services, or one, until this process is asked to stop.

    Args:
        which: `all`, or the name of a service.
        settings: of the installation; its bus decides whether services can be apart.
        assemble: makes the services of one process.
        host: that they listen on.
        port: of a single service; its usual one by default.
        workers: processes of each service.
        supervised: whether this process was started by one that supervises it.

    Returns:
        An exit status.

    Raises:
        SettingError: these options do not go together, or a port is taken.
        ContanosError: something is missing that services need.
    """
    names = list(SERVICES) if which == EVERYTHING else [which]
    if port is not None and len(names) > 1:
        raise SettingError("--port is for a single service; name one")
    together = _in_memory(settings.bus)
    if together:
        _require_whole(names, workers)
    specs = children(names, host, port, workers)
    remedy = _OTHER_PORT if len(names) == 1 else _OTHER_HOST
    for spec in specs:  # told at once, not after models are loaded, nor by one child after another
        spec.address.listen(remedy).close()
    if together or len(specs) == 1:
        places = {spec.name: spec.address for spec in specs}
        return run_here(places, settings, assemble, remedy, supervised)
    return _run_children(specs)


def children(names: Sequence[str], host: str, port: int | None, workers: int) -> list[ChildSpec]:
    """The processes of some services, in the order of the flow."""
    return [
        _child(name, host, (port or SERVICES[name].port) + _STEP * i, f"{name}-{i}" if i else name)
        for name in names
        for i in range(workers)
    ]


def listing() -> str:
    """The services and their ports, for people."""
    rows = [f"{name:<11}{each.port}  {each.summary}" for name, each in SERVICES.items()]
    return "\n".join(rows)


def _child(name: str, host: str, port: int, called: str) -> ChildSpec:
    module = [sys.executable, "-m", "video_analysis.services"]
    command = [*module, name, "--host", host, "--port", str(port), "--supervised"]
    return ChildSpec(called, command, Address(host, port))


def _run_children(specs: Sequence[ChildSpec]) -> int:
    stopping = Stopping()
    with stopping.on_signals():
        Children(specs).run(stopping)
    return 0


def _in_memory(bus: str) -> bool:
    """Whether the bus lives and ends with one process.

    Raises:
        SettingError: no bus has such a URL.
    """
    scheme = urlsplit(bus).scheme
    if scheme not in ("memory", "kafka"):
        raise SettingError(f"CONTANOS_BUS={bus}: use kafka://host:port or memory://")
    return scheme == "memory"


def _require_whole(names: Sequence[str], workers: int) -> None:
    if len(names) == 1:
        raise SettingError(
            f"{names[0]} by itself on memory:// could talk to nobody; name a Kafka with "
            "CONTANOS_BUS=kafka://host:port or --bus, or start all services in one process"
        )
    if workers > 1:
        raise SettingError(
            "--workers needs processes that can talk to each other; name a Kafka with "
            "CONTANOS_BUS=kafka://host:port or --bus"
        )
