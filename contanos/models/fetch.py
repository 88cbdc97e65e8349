"""Brings a pinned file to this machine, and never hands out one whose bytes differ.

Looked up in `CONTANOS_MODEL_DIR`, then the user's cache, then the manifest's sources in order. Two
processes at once fetch once: the second waits for the first one's lock. A download that broke off
goes on where it stopped.
"""

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import structlog
from filelock import FileLock
from platformdirs import user_cache_path

from contanos.errors import ModelCorrupt, ModelUnavailable, OutputError
from contanos.models.download import Progress, SourceFailed, download
from contanos.models.manifest import Asset

log = structlog.get_logger(__name__)


def cache_dir() -> Path:
    """Where fetched files are kept: `CONTANOS_CACHE_DIR`, or the user's cache folder."""
    if named := os.environ.get("CONTANOS_CACHE_DIR"):
        return Path(named)
    return user_cache_path("contanos", appauthor=False)


def find(asset: Asset) -> Path | None:
    """The verified file on this machine, or None; asks no source.

    Raises:
        ModelCorrupt: `CONTANOS_MODEL_DIR` holds a file of that name with other bytes.
    """
    path = locate(asset)
    if path is None or (path.parent == cache_dir() and sha256_of(path) != asset.sha256):
        return None
    verify(asset, path)
    return path


def locate(asset: Asset) -> Path | None:
    """Where a file of the asset's name lies, whatever its bytes, or None."""
    named = os.environ.get("CONTANOS_MODEL_DIR")
    folders = [Path(named)] if named else []
    paths = (folder / asset.file for folder in (*folders, cache_dir()))
    return next((path for path in paths if path.is_file()), None)


def fetch(asset: Asset, progress: Progress | None = None) -> Path:
    """The verified file, fetched if it is not on this machine yet.

    Args:
        asset: what to bring.
        progress: told of bytes received and bytes expected.

    Raises:
        ModelCorrupt: `CONTANOS_MODEL_DIR` holds other bytes, or every source delivered such.
        ModelUnavailable: no source could be reached; the message says what each one answered.
        OutputError: the cache folder cannot be written.
    """
    if found := find(asset):
        return found
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{asset.file}.lock"):
            return find(asset) or _fetch_locked(asset, folder, progress or (lambda *_: None))
    except OSError as e:
        raise OutputError(f"cannot write {folder}: {e}; set CONTANOS_CACHE_DIR elsewhere") from e


def verify(asset: Asset, path: Path) -> None:
    """Check the bytes of `path`.

    Raises:
        ModelCorrupt: its sha256 is not the manifest's.
    """
    if (found := sha256_of(path)) != asset.sha256:
        raise ModelCorrupt(
            f"{path} is not {asset.name}: sha256 {found[:16]}… where the manifest pins "
            f"{asset.sha256[:16]}…; remove it, then `contanos models pull {asset.name}`"
        )


def sha256_of(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_locked(asset: Asset, folder: Path, progress: Progress) -> Path:
    answers, corrupt = [], False
    for source in asset.sources:
        part = folder / f"{asset.file}.part"
        try:
            download(source, part, folder, asset.bytes, progress)
            verify(asset, part)
        except (SourceFailed, zipfile.BadZipFile, KeyError) as e:
            answers.append(f"{source}: {e}")
        except ModelCorrupt as e:
            part.unlink()
            corrupt = True
            answers.append(f"{source}: other bytes than the manifest pins ({e})")
        else:
            log.info("fetched", asset=asset.name, source=str(source))
            return part.rename(folder / asset.file)
    raise (ModelCorrupt if corrupt else ModelUnavailable)(_no_source(asset, answers))


def _no_source(asset: Asset, answers: list[str]) -> str:
    lines = "\n  ".join(answers)
    return (
        f"{asset.name} could not be fetched:\n  {lines}\nOn a machine without a network, put "
        f"{asset.file} into a folder and set CONTANOS_MODEL_DIR to it"
    )


Fetch = Callable[[Asset], Path]
