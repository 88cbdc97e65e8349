"""Writes a stored result in the formats that other tools read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

from contanos.disk import replacing
from contanos.errors import OutputError, SettingError
from video_analysis.results.export_coco import coco_chunks
from video_analysis.results.export_mot import mot_lines
from video_analysis.results.export_rows import csv_lines, json_lines
from video_analysis.results.reader import Results
from video_analysis.settings import ExportFormat

FORMATS: tuple[str, ...] = get_args(ExportFormat)

_WRITERS: dict[str, Callable[[Results], Iterator[str]]] = {
    "coco": coco_chunks,
    "mot": mot_lines,
    "csv": csv_lines,
    "jsonl": json_lines,
}
DEFAULT_NAMES = {
    "coco": "coco.json",
    "mot": "mot.txt",
    "csv": "results.csv",
    "jsonl": "results.jsonl",
}


def export(
    results: Results,
    format: str,  # noqa: A002 - as on the CLI
    out: Path,
    given_up: Callable[[], bool] = lambda: False,
) -> Path:
    """Writes `results` to `out`, whole or not at all, frame by frame.

    Args:
        results: from `open_results`.
        format: one of `FORMATS`.
        out: the file, or a folder, in which it gets the name in `DEFAULT_NAMES`.
        given_up: asked again and again; once it says so, nobody waits for the file any more.

    Returns:
        The file that was written.

    Raises:
        SettingError: no such format, or one that this result cannot fill.
        InputError: the stored result is damaged.
        OutputError: the disk is full, the folder may not be written to, or it was given up.
    """
    if format not in _WRITERS:
        raise SettingError(f"no export format {format!r}: choose one of {', '.join(FORMATS)}")
    path = out / DEFAULT_NAMES[format] if out.is_dir() else out
    with replacing(path) as file:
        for chunk in _WRITERS[format](results):
            if given_up():
                raise OutputError(f"{path} was given up")
            file.write(chunk.encode())
    return path
