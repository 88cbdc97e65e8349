"""The mark: what a stage notes beside its offsets, so that counts survive a crash as offsets do."""

import msgspec

from contanos.messages import Reason


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a stage has come with one partition of a task.

    Attributes:
        next_frame_id: the frame that it will hand on next, or a later one.
        done: frames that it put out.
        failed: of these, the ones that it, or a stage before it, could not process.
        seconds: time that it spent in `process`.
        end: why the stream ended, once the stage has nothing left to do.
        frames: how many the whole stream had, then.
    """

    next_frame_id: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    end: Reason | None = None
    frames: int | None = None


def to_note(mark: Mark) -> str:
    """The mark as a note of a `Position`."""
    return msgspec.json.encode(mark).decode()


def from_note(note: str) -> Mark:
    """The inverse; an empty note is a stage that has not begun."""
    return msgspec.json.decode(note, type=Mark) if note else Mark()
