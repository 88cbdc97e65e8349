"""Skeletons as data: what each keypoint is called, which are joined, which mirror each other.

Coordinates never appear here. "Left" is the person's own left.
"""

from typing import Literal

import msgspec

Side = Literal["left", "right", "centre"]


class Skeleton(msgspec.Struct, frozen=True, kw_only=True):
    """The keypoints of a person, in the order in which a pose model gives them.

    Attributes:
        name: how results and manifests refer to it.
        keypoints: one name each; those of the left and right half start with `left_`, `right_`.
        links: pairs of indices into `keypoints` that are joined by a limb.
        sigmas: the per-keypoint constants of object keypoint similarity, without unit.
    """

    name: str
    keypoints: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    def side(self, *indices: int) -> Side:
        """The half of the body that these keypoints lie in, "centre" if in both or neither."""
        sides = {self.keypoints[index].partition("_")[0] for index in indices}
        for side in ("left", "right"):
            if sides == {side}:
                return side
        return "centre"


def skeleton(name: str) -> Skeleton:
    """The skeleton called `name`.

    Raises:
        KeyError: no skeleton has this name.
    """
    return SKELETONS[name]


def _links(names: tuple[str, ...], pairs: str) -> tuple[tuple[int, int], ...]:
    """`a-b c-d` as indices. `*_x` stands for left_x and right_x, so each pair is said once."""
    mirrored = (pair.replace("*", side) for pair in pairs.split() for side in ("left", "right"))
    once = dict.fromkeys(mirrored)
    return tuple((names.index(a), names.index(b)) for a, b in (pair.split("-") for pair in once))


_BODY = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
)
_HALPE = (
    *_BODY,
    *("head", "neck", "hip"),
    *("left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe"),
    *("left_heel", "right_heel"),
)
_BODY_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
_FACE_AND_LIMBS = (
    "left_eye-right_eye nose-*_eye *_eye-*_ear *_shoulder-*_elbow *_elbow-*_wrist "
    "*_hip-*_knee *_knee-*_ankle "
)

# Links and sigmas of the COCO keypoint annotations (Lin et al. 2014; cocoapi's cocoeval).
COCO_17 = Skeleton(
    name="coco17",
    keypoints=_BODY,
    links=_links(
        _BODY,
        _FACE_AND_LIMBS + "*_ear-*_shoulder left_shoulder-right_shoulder *_shoulder-*_hip "
        "left_hip-right_hip",
    ),
    sigmas=_BODY_SIGMAS,
)

# Halpe Full-Body (Li et al. 2020, AlphaPose), body and feet. Its spine replaces COCO's trunk box.
HALPE_26 = Skeleton(
    name="halpe26",
    keypoints=_HALPE,
    links=_links(
        _HALPE,
        _FACE_AND_LIMBS + "head-neck neck-hip neck-*_shoulder hip-*_hip "
        "*_ankle-*_big_toe *_ankle-*_small_toe *_ankle-*_heel",
    ),
    sigmas=(*_BODY_SIGMAS, 0.026, 0.026, 0.066, *(0.079,) * 6),
)

SKELETONS = {each.name: each for each in (COCO_17, HALPE_26)}
