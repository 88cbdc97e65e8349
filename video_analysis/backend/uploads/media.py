"""Files on the server's own folder of media."""

from pathlib import Path

from contanos.errors import InputError


def media_file(folder: Path | None, given: str) -> Path:
    """A file below the folder, links in its path followed.

    Args:
        folder: the setting `media_dir`.
        given: relative to it.

    Raises:
        InputError: there is no such folder, or no such file inside it.
    """
    if folder is None:
        raise InputError("this server has no media folder: set CONTANOS_MEDIA_DIR")
    try:
        root = folder.resolve(strict=True)
        path = (root / given).resolve(strict=True)
        inside = path.is_relative_to(root) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # absent; a NUL or a name too long; a loop of links
        inside = False
    if not inside:
        raise InputError(f"{given!r} is no file in the media folder: give a path relative to it")
    return path
