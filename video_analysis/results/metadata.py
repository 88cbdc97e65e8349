"""What a result says of itself: stored in the Parquet file, one key for each field."""

from collections.abc import Mapping
from typing import Any

import msgspec

from contanos.errors import InputError
from contanos.models.runtime import Precision, Runtime
from contanos.skeleton import Skeleton

PREFIX = "contanos."


class ModelUsed(msgspec.Struct, frozen=True, kw_only=True):
    """A model, and how it was run.

    Attributes:
        name: as the manifest calls it.
        sha256: of the file that was loaded.
        runtime: e.g. `onnxruntime`.
        precision: e.g. `f32`.
        why: the reason for this runtime and precision, in words.
    """

    name: str
    sha256: str
    runtime: Runtime
    precision: Precision
    why: str = ""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every frame of a task.

    Attributes:
        task_id: the task.
        version: of this software.
        width: of the source after rotation, in pixels.
        height: likewise.
        time_base: numerator and denominator of the unit of `pts`, in seconds.
        stage: the stage that wrote the frames' records.
        skeleton: of the keypoints; None where no poses were estimated.
        models: those that were run.
        settings: those that decide the result.
    """

    task_id: str
    version: str
    width: int
    height: int
    time_base: tuple[int, int]
    stage: str
    skeleton: Skeleton | None = None
    models: tuple[ModelUsed, ...] = ()
    settings: dict[str, Any] = msgspec.field(default_factory=dict)


def to_keys(metadata: Metadata) -> dict[str, str]:
    """One key for each field, its value as JSON."""
    return {
        PREFIX + field: msgspec.json.encode(getattr(metadata, field), order="sorted").decode()
        for field in metadata.__struct_fields__
    }


def from_keys(keys: Mapping[str, str]) -> Metadata:
    """The inverse of `to_keys`; keys that it does not know are left alone.

    Raises:
        InputError: a key is missing, or its value is not what it should be.
    """
    try:
        fields = {
            field: msgspec.json.decode(keys[PREFIX + field])
            for field in Metadata.__struct_fields__
            if PREFIX + field in keys
        }
        return msgspec.convert(fields, Metadata)
    except msgspec.MsgspecError as e:
        raise InputError(f"this Parquet file is not a result of contanos: {e}") from e
