"""A way to a server that breaks where a test says so: TCP, passed on byte for byte."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Literal, NamedTuple, Self

_AT_ONCE = 1 << 14
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"

Direction = Literal["up", "down"]


class _Cut(NamedTuple):
    about: bytes
    direction: Direction
    after: int


class _Pair:
    """One client's connection and ours to the server.

    Attributes:
        left: bytes that are still passed on in a direction; missing where nothing breaks.
    """

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.left: dict[Direction, int] = {}

    def passed_on(self, direction: Direction, data: bytes) -> bool:
        """Whether it goes on after these."""
        target = self.server if direction == "up" else self.client
        left = self.left.get(direction)
        if left is None:
            target.sendall(data)
            return True
        target.sendall(data[:left])
        self.left[direction] = left - len(data)
        return left > len(data)

    def close(self) -> None:
        for each in (self.client, self.server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Way:
    """Passes connections on to a port of 127.0.0.1, as long as the block runs.

    Attributes:
        asked: the first line of every request.
        broken: connections that were broken, as `cut` said.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[_Pair] = []
        self._cuts: list[_Cut] = []
        self._barred: list[bytes] = []
        self.asked: list[bytes] = []
        self.broken = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._pairs:
            each.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self, about: bytes, after: int, direction: Direction = "down") -> None:
        """Break the next connection on which `about` is asked, after so many bytes from then on."""
        self._cuts.append(_Cut(about, direction, after))

    def bar(self, about: bytes) -> None:
        """Answer whoever asks that as a proxy does that cannot pass it on."""
        self._barred.append(about)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    client.close()
                    continue
                pair = _Pair(client, server)
                self._pairs.append(pair)
                for way in (self._up, self._down):
                    threading.Thread(target=way, args=(pair,), daemon=True).start()

    def _up(self, pair: _Pair) -> None:
        with suppress(OSError):
            while data := pair.client.recv(_AT_ONCE):
                if any(each in data for each in self._barred):
                    pair.client.sendall(_BAD_GATEWAY)
                    continue
                self._note(pair, data)
                if not pair.passed_on("up", data):
                    self.broken += 1
                    break
        pair.close()

    def _down(self, pair: _Pair) -> None:
        with suppress(OSError):
            while data := pair.server.recv(_AT_ONCE):
                if not pair.passed_on("down", data):
                    self.broken += 1
                    break
        pair.close()

    def _note(self, pair: _Pair, data: bytes) -> None:
        if b" HTTP/1.1\r\n" in data:
            self.asked.append(data.partition(b"\r\n")[0])
        for each in [each for each in self._cuts if each.about in data][:1]:
            self._cuts.remove(each)
            pair.left[each.direction] = each.after
