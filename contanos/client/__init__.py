"""A client of a contanos server; `docs/client.md` shows how it is used."""

from contanos.client.client import Client
from contanos.client.models import Dropped, Options, Proof, Task, Track, Upload

__all__ = ["Client", "Dropped", "Options", "Proof", "Task", "Track", "Upload"]
