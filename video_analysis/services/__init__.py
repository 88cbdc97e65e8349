"""The services, in the order of the flow: the order in which they start and stop."""

from typing import NamedTuple


class Service(NamedTuple):
    """One service.

    Attributes:
        port: that it listens on unless told otherwise.
        summary: what it does.
        stages: those that it carries, its own first.
    """

    port: int
    summary: str
    stages: tuple[str, ...] = ()


SERVICES = {
    "backend": Service(
        8000, "Takes videos in, watches over their tasks, writes the results.", ("results",)
    ),
    "yolox": Service(8001, "Finds people in frames.", ("yolox",)),
    "rtmpose": Service(8002, "Estimates the poses of people.", ("rtmpose",)),
    "bytetrack": Service(
        8004,
        "Gives people identities that last from frame to frame, and hides faces.",
        ("bytetrack", "faceblur"),
    ),
    "annotation": Service(8003, "Draws what was found, and makes a video of it.", ("annotation",)),
}
