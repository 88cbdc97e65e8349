"""A constant-velocity Kalman filter over boxes, for all tracks at once.

The measured coordinates are those of DeepSORT (Wojke et al., "Simple Online and Realtime Tracking
with a Deep Association Metric", ICIP 2017, section 2.1), which ByteTrack takes over: centre x,
centre y, aspect ratio (width / height) and height, each with a velocity per frame.

Transition, measurement and noise never mix two coordinates, so the textbook filter with its 8x8
covariance is exactly four filters of two dimensions. `Motion` keeps just their numbers, and every
step is elementwise arithmetic over all tracks: no matrix is inverted and none is multiplied.

`Motion` is float64 [T, 5, 4]. The last axis is the coordinate; the middle one is the mean of the
position, the mean of the velocity, then the variance of the position, the covariance of the two
and the variance of the velocity.
"""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
Motion = NDArray[np.float64]

SHAPE = (5, 4)
POSITION, VELOCITY, POSITION_VAR, COVARIANCE, VELOCITY_VAR = range(5)
ASPECT, HEIGHT = 2, 3

# Standard deviations: of x, y and height in units of the height, of the aspect ratio as they are.
# Rows are position and velocity. The values are those of the DeepSORT authors.
_PER_HEIGHT = np.array([[1, 1, 0, 1]], np.float64) * np.array([[1 / 20], [1 / 160]])
_ASPECT_STEP = np.array([[0, 0, 1e-2, 0], [0, 0, 1e-5, 0]])
_ASPECT_MEASURED = np.array([0, 0, 1e-1, 0])
_FIRST = np.array([[2.0], [10.0]])


def initiate(boxes: Boxes) -> Motion:
    """The motion of tracks that start at `boxes`: at rest, with a wide spread.

    Args:
        boxes: float64 [N, 4], x1, y1, x2, y2 in pixels, of positive width and height.

    Returns:
        float64 [N, 5, 4].
    """
    motion = np.zeros((len(boxes), *SHAPE))
    motion[:, POSITION] = measured(boxes)
    height = motion[:, POSITION, HEIGHT, None, None]
    spread = np.square(height * (_FIRST * _PER_HEIGHT) + _ASPECT_STEP)
    motion[:, POSITION_VAR] = spread[:, 0]
    motion[:, VELOCITY_VAR] = spread[:, 1]
    return motion


def predict(motion: Motion, frame_time: float = 1.0) -> Motion:
    """`motion` one frame later, before anything is measured in that frame.

    The velocity is a random walk, so its variance grows in proportion to time. The authors' value
    is for one thirtieth of a second; at 7 frames per second people turn further between frames.

    Args:
        motion: float64 [T, 5, 4].
        frame_time: from one frame to the next, in thirtieths of a second.

    Returns:
        float64 [T, 5, 4].
    """
    noise = np.square(motion[:, POSITION, HEIGHT, None, None] * _PER_HEIGHT + _ASPECT_STEP)
    noise[:, 1] *= frame_time
    later = motion.copy()
    later[:, POSITION] += motion[:, VELOCITY]
    later[:, POSITION_VAR] += 2 * motion[:, COVARIANCE] + motion[:, VELOCITY_VAR] + noise[:, 0]
    later[:, COVARIANCE] += motion[:, VELOCITY_VAR]
    later[:, VELOCITY_VAR] += noise[:, 1]
    return later


def correct(motion: Motion, boxes: Boxes) -> Motion:
    """`motion` after each track was measured at its box.

    Args:
        motion: float64 [N, 5, 4], as predicted for this frame.
        boxes: float64 [N, 4], x1, y1, x2, y2 in pixels; row i belongs to track i.

    Returns:
        float64 [N, 5, 4].
    """
    height = motion[:, POSITION, HEIGHT, None]
    measurement_var = np.square(height * _PER_HEIGHT[0] + _ASPECT_MEASURED)
    total = motion[:, POSITION_VAR] + measurement_var
    surprise = (measured(boxes) - motion[:, POSITION]) / total
    kept = measurement_var / total
    corrected = np.empty_like(motion)
    corrected[:, :2] = motion[:, :2] + motion[:, 2:4] * surprise[:, None]
    corrected[:, 2:4] = motion[:, 2:4] * kept[:, None]
    corrected[:, VELOCITY_VAR] = motion[:, VELOCITY_VAR] - motion[:, COVARIANCE] ** 2 / total
    return corrected


def measured(boxes: Boxes) -> NDArray[np.float64]:
    """Centre x, centre y, aspect ratio and height, [N, 4], of xyxy boxes [N, 4]."""
    size = boxes[:, 2:] - boxes[:, :2]
    coordinates = np.empty_like(boxes)
    coordinates[:, :2] = boxes[:, :2] + size / 2
    coordinates[:, ASPECT] = size[:, 0] / size[:, 1]
    coordinates[:, HEIGHT] = size[:, 1]
    return coordinates


def boxes_of(motion: Motion) -> Boxes:
    """The mean of each track as a box: float64 [T, 4], x1, y1, x2, y2 in pixels."""
    position = motion[:, POSITION]
    half = np.empty((len(motion), 2))
    half[:, 0] = position[:, ASPECT] * position[:, HEIGHT] / 2
    half[:, 1] = position[:, HEIGHT] / 2
    return np.concatenate((position[:, :2] - half, position[:, :2] + half), axis=1)
