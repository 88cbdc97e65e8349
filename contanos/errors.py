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


class TaskFailed(ContanosError):
    """A task ended without a complete result."""
