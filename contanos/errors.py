"""Every error that this project raises on purpose.

    ContanosError
    ├── InputError              what the user gave cannot be used; nothing is wrong with us
    │   ├── VideoError          a video that cannot be opened, or claims what we refuse
    │   └── SettingError        an option or setting outside what it may be
    ├── ModelError              a model file is missing, unknown or not what its manifest says
    │   ├── ModelUnavailable    no source could deliver it
    │   └── ModelCorrupt        its bytes do not match the pinned sha256
    ├── BusError                the bus refused or lost what it was asked to carry
    │   ├── UnknownTopic        no such topic, or it was deleted
    │   ├── TopicExists         created twice with different settings
    │   ├── TopicFull           bounded capacity, and nobody consumed in time
    │   └── NotAssigned         a commit by a consumer that no longer owns the partition
    ├── MachineError            this machine lacks a program that is needed, or a free port
    ├── MessageError            bytes that are not a message of a known schema
    ├── OutputError             a result could not be written: disk full, no permission
    ├── ServerError             a server did not do what we asked of it, as its client
    │   ├── Unreachable         it did not answer, or not to the end
    │   ├── TryLater            not now; it was asked again for a while
    │   ├── ServerFailed        something is wrong there; its log says what
    │   └── Refused             asked the same once more, it would say the same
    │       ├── Unauthorised    it knows nobody with this key
    │       └── NotFound        no such thing, or it is somebody else's
    └── TaskFailed              a task ended without a complete result; carries the cause

Each message says what happened and what to do about it.
"""


class ContanosError(Exception):
    """The root: catch this to catch everything that we raise on purpose."""


class InputError(ContanosError):
    """What the user gave cannot be used."""


class VideoError(InputError):
    """A video that cannot be opened, or that claims what we refuse to process."""


class SettingError(InputError):
    """An option or setting outside what it may be."""


class ModelError(ContanosError):
    """A model file is missing, unknown or not what its manifest says."""


class ModelUnavailable(ModelError):
    """No source could deliver the file."""


class ModelCorrupt(ModelError):
    """The file's bytes do not match the pinned sha256."""


class BusError(ContanosError):
    """The bus refused or lost what it was asked to carry."""


class UnknownTopic(BusError):
    """No such topic, or it was deleted."""


class TopicExists(BusError):
    """A topic of that name exists with other settings."""


class TopicFull(BusError):
    """The topic holds all that it may, and no consumer made room in time."""


class NotAssigned(BusError):
    """The partition belongs to another member of the group by now."""


class MachineError(ContanosError):
    """This machine lacks a program that is needed, or a free port; the message says which."""


class MessageError(ContanosError):
    """Bytes that are not a message of a known schema."""


class OutputError(ContanosError):
    """A result could not be written."""


class ServerError(ContanosError):
    """A server did not do what we asked of it, as its client.

    Attributes:
        status: of its answer; None where there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Unreachable(ServerError):
    """It did not answer, or not to the end.

    Attributes:
        heard: whether it may have got the request.
    """

    def __init__(self, message: str, heard: bool = True) -> None:
        super().__init__(message)
        self.heard = heard


class TryLater(ServerError):
    """It would not now.

    Attributes:
        seconds: after which to ask again; None where it did not say.
    """

    def __init__(
        self, message: str, status: int | None = None, seconds: float | None = None
    ) -> None:
        super().__init__(message, status)
        self.seconds = seconds


class ServerFailed(ServerError):
    """Something is wrong there; its log says what."""


class Refused(ServerError):
    """It will not: asked the same once more, it would say the same."""


class Unauthorised(Refused):
    """It knows nobody with this key."""


class NotFound(Refused):
    """There is no such thing, or it is somebody else's."""


class TaskFailed(ContanosError):
    """A task ended without a complete result."""
