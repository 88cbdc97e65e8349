"""`summary.json`: what was asked, what was done, and the proof that nothing was lost."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from contanos.disk import replacing
from contanos.errors import InputError
from contanos.messages import Reason
from video_analysis.results.metadata import ModelUsed

SUMMARY = "summary.json"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The video.

    Attributes:
        path: as the user named it.
        bytes: its size.
        width: after rotation, in pixels.
        height: likewise.
        frames_estimate: what its header promises; None where it says nothing.
        truncated: why it is known that its end is missing; None where it is whole.
        fallbacks: frames that travelled as JPEGs though the file's own packets were asked for, by
            the reason; none on `memory://`.
    """

    path: str
    bytes: int
    width: int
    height: int
    frames_estimate: int | None = None
    truncated: str | None = None
    fallbacks: dict[str, int] = msgspec.field(default_factory=dict)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Frames counted at every stage.

    Attributes:
        read: frames that the source gave, those that could not be decoded included; those before
            the task's first one do not count.
        published: frames put on the bus.
        detected: frames that left the detector.
        posed: frames that left the pose stage.
        tracked: frames that left the tracker.
        blurred: frames in which faces were hidden; None where this was not asked for.
        annotated: frames in the annotated video; None where none was asked for.
        dropped: frames that a live source dropped before they were numbered; 0 for files.
        failed: frames, counted above as well, that a stage could not process.
    """

    read: int
    published: int
    detected: int
    posed: int
    tracked: int
    annotated: int | None
    blurred: int | None = None
    dropped: int = 0
    failed: int = 0

    @property
    def complete(self) -> bool:
        """Whether every frame that was read went all the way, and none was dropped."""
        counts = {self.published, self.detected, self.posed, self.tracked}
        counts |= {each for each in (self.blurred, self.annotated) if each is not None}
        return counts == {self.read} and self.dropped == 0


class People(msgspec.Struct, frozen=True, kw_only=True):
    """Who was seen.

    Attributes:
        tracks: how many identities there were.
        detections: how many detections are stored.
        posed: how many of these have a pose.
        most_at_once: the largest number of tracked people in one frame.
    """

    tracks: int
    detections: int
    posed: int
    most_at_once: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `summary.json` says.

    Attributes:
        task_id: the task.
        version: of this software.
        source: the video.
        reason: why the task ended.
        proof: frames counted at every stage.
        people: who was seen.
        wall_seconds: how long it took, set-up excluded.
        stage_seconds: how long each stage was busy; stages overlap, so the sum may exceed the wall.
        models: those that were run, and how.
        settings: those that decide the result.
        cause: for a failed task, what went wrong.
        schema: of this file.
    """

    task_id: str
    version: str
    source: Source
    reason: Reason
    proof: Proof
    people: People
    wall_seconds: float
    stage_seconds: dict[str, float]
    models: tuple[ModelUsed, ...] = ()
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    cause: str | None = None
    schema: Literal[1] = 1

    @property
    def fps(self) -> float:
        """Frames a second over the whole task."""
        return self.proof.tracked / self.wall_seconds if self.wall_seconds > 0 else 0.0

    @property
    def complete(self) -> bool:
        """Whether the result holds everything that the source does.

        The task ended by itself, every frame went through every stage, none failed, and the
        source is not known to lack its end.
        """
        whole = self.proof.failed == 0 and self.source.truncated is None
        return self.reason == "completed" and self.proof.complete and whole


def write_summary(summary: Summary, folder: Path) -> Path:
    """Writes `summary.json` into `folder`, whole or not at all.

    Raises:
        OutputError: the disk is full, or the folder may not be written to.
    """
    path = folder / SUMMARY
    fields = msgspec.to_builtins(summary)
    fields["proof"]["complete"] = summary.complete
    fields["fps"] = round(summary.fps, 3)
    with replacing(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n")
    return path


def read_summary(path: Path) -> Summary:
    """The summary at `path`: the file, or a folder that holds it.

    Raises:
        InputError: there is none, or it is of another schema.
    """
    file = path / SUMMARY if path.is_dir() else path
    try:
        return msgspec.json.decode(file.read_bytes(), type=Summary)
    except (OSError, msgspec.MsgspecError) as e:
        raise InputError(f"{file} cannot be read: {e}") from e


def render(summary: Summary) -> str:
    """The summary as text for a person at a terminal."""
    lines = [_verdict(summary), "", *(f"  {name:<8} {text}" for name, text in _facts(summary))]
    lines += ["", *(f"  {line}" for line in _stages(summary))]
    return "\n".join(lines)


def _verdict(summary: Summary) -> str:
    proof = summary.proof
    failed = f", {proof.failed} of them failed" if proof.failed else ""
    if summary.complete:
        return f"Complete: {proof.read} frames in, {proof.tracked} frames out{failed}"
    cause = f": {summary.cause}" if summary.cause else ""
    ended = f"INCOMPLETE ({summary.reason}{cause})"
    return f"{ended}: {proof.tracked} of {proof.read} frames processed{failed}"


def _facts(summary: Summary) -> list[tuple[str, str]]:
    source, people = summary.source, summary.people
    facts = [
        ("source", f"{source.path}  {source.width}x{source.height}"),
        ("people", f"{people.tracks} tracks, at most {people.most_at_once} at once"),
        ("time", f"{summary.wall_seconds:.1f} s, {summary.fps:.1f} frames a second"),
    ]
    if source.truncated:
        facts.insert(1, ("", f"TRUNCATED: {source.truncated}"))
    for reason, frames in source.fallbacks.items():
        facts.insert(1, ("", f"{frames} frames travelled as JPEGs: {reason}"))
    return facts + [("model", _model(model)) for model in summary.models]


def _model(model: ModelUsed) -> str:
    why = f" ({model.why})" if model.why else ""
    return f"{model.name} {model.sha256[:12]} on {model.runtime} in {model.precision}{why}"


def _stages(summary: Summary) -> list[str]:
    frames = max(summary.proof.tracked, 1)
    return [
        f"{name:<10} {seconds:8.2f} s busy  {1000 * seconds / frames:7.2f} ms a frame"
        for name, seconds in summary.stage_seconds.items()
    ]
