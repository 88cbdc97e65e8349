"""Example inputs for calibration: what the stages feed a model, over frames and variations of them.

Recording at the session uses the very preprocessing that inference will use. A few clips show few
scenes, so each frame is also shown cut, mirrored, brighter, darker and tinted: ranges seen on the
clips alone clip what other pictures do.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from contanos.models.runtime import Array, Session

Picture = npt.NDArray[np.uint8]


class Recorder:
    """A session that keeps a copy of what it is fed; for one thread.

    Args:
        session: answers, as ever.
        limit: how many inputs to keep; later ones are not.

    Attributes:
        batches: the inputs so far, in order.
    """

    def __init__(self, session: Session, limit: int = 200) -> None:
        self.runtime = session.runtime
        self.device = session.device
        self.batches: list[Array] = []
        self._session = session
        self._limit = limit

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """See `contanos.models.runtime.Session.run`; the model has one input."""
        if len(self.batches) < self._limit:
            (batch,) = inputs.values()
            self.batches.append(batch.copy())
        return self._session.run(inputs)


def varied(picture: Picture, seed: int) -> Picture:
    """Another picture made of `picture`: a part of it, perhaps mirrored, in another light.

    Args:
        picture: [H, W, 3], 0 to 255.
        seed: the same seed makes the same picture.

    Returns:
        [H', W', 3] of 45 to 100% of each side, brightness by half to half as much again.
    """
    rng = np.random.default_rng(seed)
    part = _part(picture, rng)
    gains = rng.uniform(0.5, 1.5) * rng.uniform(0.8, 1.2, 3)
    lit = np.clip(part * gains + rng.normal(0, 15), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(lit[:, ::-1] if rng.random() < 0.5 else lit)


def _part(picture: Picture, rng: np.random.Generator) -> Picture:
    share = rng.uniform(0.45, 1)
    height, width = (max(1, int(side * share)) for side in picture.shape[:2])
    top = rng.integers(picture.shape[0] - height + 1)
    left = rng.integers(picture.shape[1] - width + 1)
    return picture[top : top + height, left : left + width]
