"""Where each track's feet were over the last frames."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from contanos.messages import Detection

Step = tuple[int, float, float]


class Trail(msgspec.Struct, frozen=True):
    """One track's way.

    Attributes:
        track_id: whose it is.
        points: [N, 2], x, y from old to new in source pixels.
        freshness: [N], 1 in the last frame, falling to 0 at the trails' length.
    """

    track_id: int
    points: NDArray[np.float64]
    freshness: NDArray[np.float64]


class _State(msgspec.Struct, frozen=True):
    frame: int
    steps: dict[int, list[Step]]


class Trails:
    """The middle of each box's lower side over the last `length` frames.

    Memory is bounded by the people of those frames: a track that has left is forgotten with its
    last point. Call `update` once for every frame, also for one that holds nobody.
    """

    def __init__(self, length: int) -> None:
        """Keeps `length` frames; 0 keeps none."""
        self.length = length
        self._state = _State(frame=0, steps={})

    def update(self, detections: Sequence[Detection]) -> None:
        """Takes in the next frame's detections; those without a track leave no trail."""
        frame = self._state.frame + 1
        steps = {track_id: list(trail) for track_id, trail in self._state.steps.items()}
        for detection in detections:
            if detection.track_id is not None:
                x1, _, x2, y2 = detection.bbox
                steps.setdefault(detection.track_id, []).append((frame, (x1 + x2) / 2, y2))
        oldest = frame - self.length
        recent = {key: [step for step in trail if step[0] > oldest] for key, trail in steps.items()}
        self._state = _State(frame, {key: trail for key, trail in recent.items() if trail})

    def trails(self) -> list[Trail]:
        """One for each track of the last frames, in the order in which they came."""
        found = []
        for track_id, steps in self._state.steps.items():
            table = np.array(steps, np.float64)
            freshness = 1 - (self._state.frame - table[:, 0]) / self.length
            found.append(Trail(track_id, table[:, 1:], freshness))
        return found

    def snapshot(self) -> bytes:
        """The state, for `restore`: equal states give equal bytes."""
        return msgspec.json.encode(self._state)

    def restore(self, snapshot: bytes) -> None:
        """Goes back to exactly the state that `snapshot` was taken of."""
        self._state = msgspec.json.decode(snapshot, type=_State)
