"""COCO images seen anew: mirrored, and smaller, with their ground truth.

42 images are few: one keypoint that falls the other way moves a score by a tenth of a point or a
whole one. Every view rounds the same people differently, so that a difference between two systems
that is only rounding averages out. It says nothing of other people: intervals draw whole images
with all their views.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIZES = (1.0, 0.9, 0.8, 0.7)
SWAP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
"""COCO's keypoints with left and right exchanged."""

Record = dict[str, Any]


def write_views(source: Path, target: Path) -> None:
    """Make `target` a folder like `source` that shows each image in every view.

    Args:
        source: `person_keypoints.json` and `images/`.
        target: an empty folder; images become PNG, `view_of` names the image that each one shows.
    """
    ground = json.loads((source / "person_keypoints.json").read_text(encoding="utf-8"))
    (target / "images").mkdir()
    people: dict[int, list[Record]] = {}
    for each in ground["annotations"]:
        people.setdefault(each["image_id"], []).append(each)
    images: list[Record] = []
    annotations: list[Record] = []
    for image in ground["images"]:
        for view, persons in _views(source, target, image, people.get(image["id"], [])):
            view["id"] = len(images) + 1
            images.append(view)
            for person in persons:
                person |= {"id": len(annotations) + 1, "image_id": view["id"]}
                annotations.append(person)
    ground |= {"images": images, "annotations": annotations}
    (target / "person_keypoints.json").write_text(json.dumps(ground), encoding="utf-8")


def _views(
    source: Path, target: Path, image: Record, people: list[Record]
) -> Iterator[tuple[Record, list[Record]]]:
    picture = np.asarray(cv2.imread(str(source / "images" / image["file_name"])))
    for size in SIZES:
        for mirrored in (False, True):
            sides = [round(side * size) for side in (image["width"], image["height"])]
            shown = cv2.resize(picture, sides, interpolation=cv2.INTER_AREA)
            name = f"{image['id']}_{size}_{'mirrored' if mirrored else 'plain'}.png"
            cv2.imwrite(str(target / "images" / name), shown[:, ::-1] if mirrored else shown)
            view = {"file_name": name, "width": sides[0], "height": sides[1]}
            view["view_of"] = image["id"]
            scale = np.array(sides) / (image["width"], image["height"])
            yield view, [_seen(each, scale, sides[0] if mirrored else None) for each in people]


def _seen(person: Record, scale: np.ndarray, mirror: int | None) -> Record:
    """A person's ground truth in a view.

    Boxes lie between pixels' edges, keypoints on pixels' centres.

    Args:
        person: an annotation.
        scale: of x and y.
        mirror: the width of the view where it is mirrored.
    """
    (x, y), (width, height) = person["bbox"][:2] * scale, person["bbox"][2:] * scale
    points = np.array(person["keypoints"], float).reshape(-1, 3)
    points[:, :2] = (points[:, :2] + 0.5) * scale - 0.5
    if mirror is not None:
        x = mirror - x - width
        points = points[SWAP]
        points[:, 0] = mirror - 1 - points[:, 0]
    points[points[:, 2] == 0] = 0
    seen = {key: person[key] for key in ("category_id", "iscrowd", "num_keypoints")}
    return seen | {
        "bbox": [float(x), float(y), float(width), float(height)],
        "area": person["area"] * float(scale.prod()),
        "keypoints": points.ravel().tolist(),
    }
