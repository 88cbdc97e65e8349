"""COCO's average precision for boxes and keypoints, with paired bootstrap intervals."""

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Kind = Literal["bbox", "keypoints"]
Results = list[dict[str, Any]]
_ALL_AREAS = 0
_SEED = 20260101


@dataclass(frozen=True)
class Ground:
    """Ground truth: images, their files, and the people in them.

    Attributes:
        folder: holds the annotations and the images' files.
        coco: pycocotools' index of the annotations.
        image_ids: ascending.
    """

    folder: Path
    coco: COCO
    image_ids: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> "Ground":
        """From `person_keypoints.json` and `images/`."""
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(folder / "person_keypoints.json"))
        return cls(folder, coco, sorted(coco.getImgIds()))

    def file(self, image_id: int) -> Path:
        """The image's file."""
        name: str = self.coco.loadImgs([image_id])[0]["file_name"]
        return self.folder / "images" / name

    @cached_property
    def views(self) -> list[NDArray[np.intp]]:
        """Places in `image_ids` of the views of each picture; see `bench.views`."""
        shown: dict[int, list[int]] = defaultdict(list)
        for place, image_id in enumerate(self.image_ids):
            image = self.coco.loadImgs([image_id])[0]
            shown[image.get("view_of", image_id)].append(place)
        return [np.array(places) for places in shown.values()]

    def posed(self, image_id: int) -> list[dict[str, Any]]:
        """The people in an image whose keypoints are annotated."""
        people = self.coco.loadAnns(self.coco.getAnnIds([image_id]))
        return [each for each in people if each["num_keypoints"] > 0 and not each["iscrowd"]]


@dataclass(frozen=True)
class Score:
    """Average precision over IoU (or OKS) 0.50 to 0.95, in points of 100.

    Attributes:
        ap: over all images.
        samples: over bootstrap resamples of the images, [S]; the same resamples for every system.
            All views of one picture are drawn together.
    """

    ap: float
    samples: NDArray[np.float64]

    def minus(self, other: "Score") -> tuple[float, float, float]:
        """The difference, and the 2.5th and 97.5th percentile of its paired bootstrap."""
        low, high = np.percentile(self.samples - other.samples, [2.5, 97.5])
        return self.ap - other.ap, float(low), float(high)


def score(ground: Ground, results: Results, kind: Kind, resamples: int = 400) -> Score:
    """Scores COCO results by pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(ground.coco, ground.coco.loadRes(results), kind)
        evaluation.params.imgIds = ground.image_ids
        evaluation.params.catIds = [1]
        evaluation.evaluate()
        views = ground.views
        draws = np.random.default_rng(_SEED).integers(0, len(views), (resamples, len(views)))
        samples = [np.concatenate([views[k] for k in draw]) for draw in draws]
        return Score(
            _average(evaluation, np.arange(len(ground.image_ids))),
            np.array([_average(evaluation, sample) for sample in samples]),
        )


def _average(evaluation: Any, draw: Sequence[int] | NDArray[np.integer]) -> float:
    """Average precision over the images in `draw`, each as often as it was drawn."""
    areas, count = len(evaluation.params.areaRng), len(draw)
    matched = np.array(evaluation.evalImgs, dtype=object).reshape(areas, -1)
    resampled = COCOeval(iouType=evaluation.params.iouType)
    resampled.params.__dict__.update(evaluation.params.__dict__)
    resampled.params.imgIds = list(range(count))
    resampled._paramsEval = resampled.params
    resampled.evalImgs = list(matched[:, draw].ravel())
    resampled.accumulate()
    precision = resampled.eval["precision"][:, :, 0, _ALL_AREAS, -1]
    return 100 * float(precision[precision > -1].mean()) if (precision > -1).any() else 0.0
