"""Names of topics: `<stage>_<task_id>`. Task ids come from outside and are checked here."""

import re

from contanos.errors import SettingError

RAW_FRAMES = "raw_frames"

PATTERN = "^[0-9a-z][0-9a-z-]{0,63}$"
"""Of a task's id."""

_TASK_ID = re.compile(PATTERN.strip("^$"))


def topic_name(stage: str, task_id: str) -> str:
    """The topic that `stage` writes for a task.

    Raises:
        SettingError: `task_id` is not 1 to 64 of a-z, 0-9 and '-', starting with a letter or digit.

    >>> topic_name("yolox", "7f3c")
    'yolox_7f3c'
    """
    return f"{stage}_{checked_task_id(task_id)}"


def topic_prefix(stage: str) -> str:
    """What every topic that `stage` writes starts with."""
    return f"{stage}_"


def task_of(topic: str) -> str:
    """The task id in a topic's name.

    >>> task_of("raw_frames_7f3c")
    '7f3c'
    """
    return topic.rpartition("_")[2]


def is_task_id(name: str) -> bool:
    """Whether `name` may be a task's id, and so part of a topic's or a file's name.

    >>> is_task_id("7f3c"), is_task_id("lost+found")
    (True, False)
    """
    return _TASK_ID.fullmatch(name) is not None


def checked_task_id(task_id: str) -> str:
    """`task_id` unchanged, if it may become part of a topic's or a file's name.

    Raises:
        SettingError: it may not.
    """
    if not is_task_id(task_id):
        raise SettingError(
            f"task id {task_id[:80]!r}: use 1 to 64 of a-z, 0-9 and '-', starting with a letter or "
            "digit"
        )
    return task_id
