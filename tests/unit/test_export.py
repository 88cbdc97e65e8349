"""Exports, read back by the tools they are made for."""

import csv
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from contanos.errors import OutputError, SettingError
from contanos.messages import Detection, FrameResult, decode
from contanos.skeleton import COCO_17, HALPE_26
from tests.unit.result_frames import ABOUT, frame, person
from video_analysis.results.export import FORMATS, export
from video_analysis.results.reader import Results, open_results
from video_analysis.results.writer import ResultsWriter

FRAMES = [
    frame(0, [person(1, 10.0), person(2, 200.5)]),
    frame(1),
    frame(2, [person(1, 14.0), person(None, 300.0, posed=False)]),
    frame(3, error="the decoder gave up"),
]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    writer = ResultsWriter(tmp_path / "run", ABOUT)
    for each in FRAMES:
        writer.add(each)
    return open_results(writer.finish())


def annotation(number: int, frame_id: int, detection: Detection) -> dict[str, object]:
    x1, y1, x2, y2 = detection.bbox
    return {
        "id": number,
        "image_id": frame_id,
        "category_id": 1,
        "iscrowd": 0,
        "area": (x2 - x1) * (y2 - y1),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "num_keypoints": 17,
        "keypoints": [value for x, y, _ in detection.keypoints or () for value in (x, y, 2)],
    }


def truth(path: Path) -> COCO:
    people = [(f.frame_id, d) for f in FRAMES for d in f.detections if d.keypoints]
    images = [{"id": f.frame_id, "width": 640, "height": 480} for f in FRAMES]
    annotations = [annotation(n, *each) for n, each in enumerate(people, 1)]
    categories = [{"id": 1, "name": "person"}]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return COCO(str(path))


def test_pycocotools_loads_and_scores_the_coco_export(results: Results, tmp_path: Path) -> None:
    out = export(results, "coco", tmp_path / "coco.json")
    gt = truth(tmp_path / "gt.json")
    evaluation = COCOeval(gt, gt.loadRes(str(out)), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)
    entries = json.loads(out.read_text())
    assert [entry["image_id"] for entry in entries] == [0, 0, 2]
    assert entries[0]["bbox"] == [10.0, 20.25, 30.1, 59.75]
    assert entries[0]["score"] == pytest.approx(0.92 * 0.9)
    assert entries[0]["bbox_score"] == 0.92


def test_coco_takes_its_17_out_of_26(tmp_path: Path) -> None:
    keypoints = tuple((float(i), float(i), 0.5) for i in range(26))
    about = msgspec.structs.replace(ABOUT, skeleton=HALPE_26)
    writer = ResultsWriter(tmp_path / "run", about)
    writer.add(frame(0, [Detection(bbox=(0, 0, 9, 9), score=0.5, keypoints=keypoints, track_id=1)]))
    out = export(open_results(writer.finish()), "coco", tmp_path / "coco.json")
    (entry,) = json.loads(out.read_text())
    assert entry["keypoints"] == [value for point in keypoints[:17] for value in point]
    assert HALPE_26.keypoints[:17] == COCO_17.keypoints


def test_coco_without_poses_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    about = msgspec.structs.replace(ABOUT, skeleton=None)
    results = open_results(ResultsWriter(tmp_path / "run", about).finish())
    with pytest.raises(SettingError, match="no poses"):
        export(results, "coco", tmp_path / "coco.json")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_trackeval_scores_the_mot_export(results: Results, tmp_path: Path) -> None:
    out = export(results, "mot", tmp_path / "mot.txt")
    assert out.read_text().splitlines() == [
        "1,1,10.0,20.25,30.1,59.75,0.92,-1,-1,-1",
        "1,2,200.5,20.25,30.1,59.75,0.92,-1,-1,-1",
        "3,1,14.0,20.25,30.1,59.75,0.92,-1,-1,-1",
    ]
    assert _hota_by_trackeval(out, tmp_path) == pytest.approx(1.0)


def _hota_by_trackeval(tracks: Path, folder: Path) -> float:
    import trackeval

    sequence = folder / "gt" / "SEQ"
    (sequence / "gt").mkdir(parents=True)
    (sequence / "seqinfo.ini").write_text("[Sequence]\nname=SEQ\nseqLength=4\n")
    rows = [line.split(",")[:6] for line in tracks.read_text().splitlines()]
    text = "".join(",".join([*row, "1", "1", "1"]) + "\n" for row in rows)
    (sequence / "gt" / "gt.txt").write_text(text)
    ours = folder / "trackers" / "ours" / "data"
    ours.mkdir(parents=True)
    (ours / "SEQ.txt").write_text(tracks.read_text())
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder / "gt"), "TRACKERS_FOLDER": str(folder / "trackers"),
            "SKIP_SPLIT_FOL": True, "SEQ_INFO": {"SEQ": 4}, "BENCHMARK": "MOT17",
            "DO_PREPROC": False, "PRINT_CONFIG": False, "OUTPUT_FOLDER": str(folder / "scores"),
        }
    )  # fmt: skip
    raw = dataset.get_raw_seq_data("ours", "SEQ")
    data = dataset.get_preprocessed_seq_data(raw, "pedestrian")
    return float(np.mean(trackeval.metrics.HOTA().eval_sequence(data)["HOTA"]))


def test_csv_has_a_named_column_for_every_number(results: Results, tmp_path: Path) -> None:
    out = export(results, "csv", tmp_path / "rows.csv")
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame_id"] for row in rows] == ["0", "0", "2", "2"]
    assert rows[1]["x1"] == "200.5"
    assert rows[1]["score"] == "0.92"
    assert rows[0]["right_ankle_y"] == "66.3"
    assert rows[3]["track_id"] == ""
    assert rows[3]["nose_x"] == ""
    assert float(rows[2]["pts_seconds"]) == 2002 / 30000


def test_jsonl_has_every_frame_as_its_message(results: Results, tmp_path: Path) -> None:
    lines = export(results, "jsonl", tmp_path / "frames.jsonl").read_bytes().splitlines()
    read = [decode(line) for line in lines]
    assert all(isinstance(each, FrameResult) for each in read)
    assert [len(each.detections) for each in read if isinstance(each, FrameResult)] == [2, 0, 2, 0]
    assert json.loads(lines[3])["error"] == "the decoder gave up"
    assert json.loads(lines[2])["pts_seconds"] == 2002 / 30000


@pytest.mark.parametrize("name", FORMATS)
def test_exports_are_the_same_every_time_and_named_in_a_folder(
    name: str, results: Results, tmp_path: Path
) -> None:
    first = export(results, name, tmp_path).read_bytes()
    assert export(results, name, tmp_path).read_bytes() == first
    assert first


def test_an_unknown_format_and_a_bad_folder_are_refused(results: Results, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="choose one of coco, mot, csv, jsonl"):
        export(results, "xml", tmp_path / "out")
    with pytest.raises(OutputError, match="could not be written"):
        export(results, "csv", tmp_path / "missing" / "out.csv")
