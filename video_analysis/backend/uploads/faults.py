"""Why bytes are not taken."""

import errno

from contanos.errors import InputError, OutputError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class TooLarge(InputError):
    """More than one upload may have, or than is left of what its user may store."""


class Busy(InputError):
    """Another request is sending bytes of the same upload."""


class WrongOffset(InputError):
    """Bytes for another place than where the upload goes on."""


class Silent(InputError):
    """No byte came for too long."""


class Gone(InputError):
    """The upload was deleted meanwhile."""


class DiskFull(OutputError):
    """There is no room on the server."""


def disk_error(error: OSError) -> OutputError:
    """What clients are told of it: nothing of the server's folders."""
    if error.errno in _FULL:
        return DiskFull("the server's disk is full: try again once its operator has made room")
    return OutputError(f"the server could not write: {error.strerror}; tell its operator")
