"""The words of tus 1.0, the protocol of resumable uploads (https://tus.io)."""

import base64
import binascii
from datetime import datetime
from email.utils import format_datetime

from contanos.errors import InputError

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination"
MEDIA_TYPE = "application/offset+octet-stream"
EXPOSED = (
    "Location",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Expires",
    "Upload-Metadata",
)
"""Headers that pages of other origins must be let read, where any are allowed."""

_NAMES = ("filename", "name")


def name_in(metadata: str) -> str:
    """What the client calls the file; empty where it does not say.

    Args:
        metadata: of `Upload-Metadata`: pairs of a key and a base64 value, by commas.

    Raises:
        InputError: it is no such list.

    >>> name_in("filetype dmlkZW8vbXA0,filename d2Fsay5tcDQ=")
    'walk.mp4'
    """
    pairs = (each.strip().partition(" ") for each in metadata.split(",") if each.strip())
    try:
        told = {key: base64.b64decode(value.strip(), validate=True) for key, _, value in pairs}
    except (binascii.Error, ValueError) as e:
        raise InputError(f"Upload-Metadata: values are base64: {e}") from e
    found = next((told[key] for key in _NAMES if told.get(key)), b"")
    return found.decode(errors="replace")


def http_date(moment: datetime) -> str:
    """A time as headers have it (RFC 9110, section 5.6.7)."""
    return format_datetime(moment, usegmt=True)
