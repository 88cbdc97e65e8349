"""One group object for all who read the same record in this process."""

from collections.abc import Callable
from threading import Lock
from weakref import WeakValueDictionary

from contanos.video.group import FrameGroup

Key = tuple[str, int, int]  # topic, partition, offset

_lock = Lock()
_groups: WeakValueDictionary[Key, FrameGroup] = WeakValueDictionary()


def shared(key: Key, make: Callable[[], FrameGroup]) -> FrameGroup:
    """The group of a record, made by `make` only while nobody holds it.

    Args:
        key: topic, partition and offset of the record.
        make: reads the record; what it raises goes to the caller, and the next one tries again.
    """
    with _lock:
        group = _groups.get(key)
        if group is None:
            group = _groups[key] = make()
        return group
