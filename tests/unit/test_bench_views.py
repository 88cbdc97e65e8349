"""The ground truth of a view lies where the view shows it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.views import SIZES, SWAP, write_views

LEFT_WRIST, RIGHT_WRIST = 9, 10
AT = (60.0, 80.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One picture: a soft white dot, the left wrist of somebody in a box."""
    y, x = np.mgrid[:160, :200]
    dot = 255 * np.exp(-((x - AT[0]) ** 2 + (y - AT[1]) ** 2) / 50)
    folder = tmp_path / "coco"
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "1.png"), np.repeat(dot[..., None], 3, 2).astype(np.uint8))
    keypoints = np.zeros((17, 3))
    keypoints[LEFT_WRIST] = (*AT, 2)
    person = {"id": 7, "image_id": 1, "category_id": 1, "iscrowd": 0, "num_keypoints": 1}
    person |= {"area": 100.0, "bbox": [50, 60, 40, 50], "keypoints": keypoints.ravel().tolist()}
    image = {"id": 1, "file_name": "1.png", "width": 200, "height": 160}
    ground = {"images": [image], "annotations": [person], "categories": [{"id": 1}]}
    (folder / "person_keypoints.json").write_text(json.dumps(ground))
    return folder


def test_each_view_shows_the_keypoint_where_its_truth_has_it(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "views"
    target.mkdir()
    write_views(source, target)
    ground = json.loads((target / "person_keypoints.json").read_text())
    assert len(ground["images"]) == len(ground["annotations"]) == 2 * len(SIZES)
    for image, person in zip(ground["images"], ground["annotations"], strict=True):
        assert person["image_id"] == image["id"]
        assert image["view_of"] == 1
        dot = cv2.imread(str(target / "images" / image["file_name"]))[..., 0].astype(float)
        assert dot.shape == (image["height"], image["width"])
        y, x = np.mgrid[: dot.shape[0], : dot.shape[1]]
        seen = np.array([(x * dot).sum(), (y * dot).sum()]) / dot.sum()
        points = np.array(person["keypoints"]).reshape(17, 3)
        (wrist,) = np.flatnonzero(points[:, 2])
        assert wrist == (RIGHT_WRIST if "mirrored" in image["file_name"] else LEFT_WRIST)
        np.testing.assert_allclose(points[wrist, :2], seen, atol=0.1)
        left, top, width, height = person["bbox"]
        assert left < seen[0] < left + width
        assert top < seen[1] < top + height
        assert width * height == pytest.approx(2000 * person["area"] / 100)


def test_exchanging_left_and_right_twice_changes_nothing() -> None:
    assert [SWAP[k] for k in SWAP] == list(range(17))
