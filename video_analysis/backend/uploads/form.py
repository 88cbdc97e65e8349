"""A file in a form (`multipart/form-data`), taken out of the stream as it comes."""

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from contanos.errors import InputError

FIELD = "file"

_MOST_BESIDE = 1 << 16  # bytes of everything in the form that is not the file


class FormFile:
    """The file in a form's body.

    Args:
        content_type: of the request.

    Attributes:
        name: as the client gave it; None as long as the file has not begun.

    Raises:
        InputError: it is no form.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InputError(f"send multipart/form-data with the video in its field {FIELD!r}")
        self.name: str | None = None
        self._found: list[bytes] = []
        self._inside = self._ended = False
        self._beside = 0
        self._header, self._value = bytearray(), bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._read_header,
                "on_end": self._finish,
            },
        )

    async def pieces(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The file's bytes, out of the body's.

        Raises:
            InputError: the body is not as it should be, or has no file.
        """
        async for part in body:
            self._feed(part)
            found, self._found = self._found, []
            for each in found:
                yield each
        if not self._ended:
            raise InputError("the form ends too early: send it again")
        if self.name is None:
            raise InputError(f"the form has no file in its field {FIELD!r}")

    def _feed(self, part: bytes) -> None:
        try:
            self._parser.write(part)
        except FormParserError as e:
            raise InputError(f"the body is not multipart/form-data: {e}") from e
        if self._beside > _MOST_BESIDE:
            raise InputError(f"the form has too much beside its field {FIELD!r}")

    def _begin(self) -> None:
        self._inside = False

    def _read_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            if options.get(b"name") == FIELD.encode() and b"filename" in options:
                self._take(options[b"filename"])
        self._header, self._value = bytearray(), bytearray()

    def _take(self, name: bytes) -> None:
        if self.name is not None:
            raise FormParserError("it has two files; send one after the other")
        self.name, self._inside = name.decode(errors="replace"), True

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._found.append(data[start:end])
        else:
            self._beside += end - start

    def _end(self) -> None:
        self._inside = False

    def _finish(self) -> None:
        self._ended = True
