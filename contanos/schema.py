"""JSON Schema of the messages, made from the code: `python -m contanos.schema docs/schemas`."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from contanos.messages import SCHEMA, EndOfStream, FrameResult

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def frame_result_schema() -> dict[str, Any]:
    """Of `FrameResult` as it travels; fields beyond those named are allowed and passed on."""
    schema = _schema(FrameResult)
    _open(schema)
    _open(schema["$defs"]["Detection"])
    schema["properties"] = {"schema": {"const": SCHEMA}} | schema["properties"]
    schema["required"] = ["schema", *schema["required"]]
    return schema


def end_of_stream_schema() -> dict[str, Any]:
    """Of `EndOfStream` as it travels."""
    schema = _schema(EndOfStream)
    constants = {"schema": {"const": SCHEMA}, "end_of_stream": {"const": True}}
    schema["properties"] = constants | schema["properties"]
    schema["required"] = [*constants, *schema["required"]]
    return schema


SCHEMAS = {"frame_result": frame_result_schema, "end_of_stream": end_of_stream_schema}


def text(name: str) -> str:
    """The schema of that name as it is kept in the documents."""
    return json.dumps(SCHEMAS[name](), indent=2) + "\n"


def _schema(message: type) -> dict[str, Any]:
    """With the message itself on top rather than behind a reference."""
    schema = msgspec.json.schema(message)
    definitions: dict[str, Any] = schema["$defs"]
    top: dict[str, Any] = definitions.pop(message.__name__)
    return {"$schema": _DIALECT} | top | ({"$defs": definitions} if definitions else {})


def _open(schema: dict[str, Any]) -> None:
    """`extra` is how the code holds what it does not know, not a field on the wire."""
    del schema["properties"]["extra"]
    schema["additionalProperties"] = True


if __name__ == "__main__":
    for each in SCHEMAS:
        Path(sys.argv[1], f"{each}.json").write_text(text(each))
