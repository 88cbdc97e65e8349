"""A server that videos are fetched from."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, rest = self.path.lstrip("/").partition("/")
        asked: list[str] = self.server.asked  # type: ignore[attr-defined]
        asked.append(self.path)
        getattr(self, f"_{kind}", self._missing)(rest)

    def log_message(self, *_: object) -> None:
        pass

    @property
    def _data(self) -> bytes:
        data: bytes = self.server.data  # type: ignore[attr-defined]
        return data

    def _videos(self, _: str) -> None:
        self._begin(200, **{"Content-Length": str(len(self._data))})
        self.wfile.write(self._data)

    def _chunked(self, _: str) -> None:
        self._begin(200, **{"Transfer-Encoding": "chunked"})
        for at in range(0, len(self._data), 1000):
            piece = self._data[at : at + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _endless(self, _: str) -> None:
        self._begin(200)
        self.close_connection = True
        try:
            while True:
                self.wfile.write(b"x" * 65_536)
        except OSError:
            pass

    def _silent(self, _: str) -> None:
        self._begin(200, **{"Content-Length": "1000"})
        self.wfile.write(b"x" * 10)
        self.wfile.flush()
        time.sleep(3)
        self.close_connection = True

    def _cut(self, _: str) -> None:
        self._begin(200, **{"Content-Length": str(len(self._data) + 1)})
        self.wfile.write(self._data)
        self.close_connection = True

    def _huge(self, _: str) -> None:
        self._begin(200, **{"Content-Length": str(1 << 40)})
        self.close_connection = True

    def _to(self, rest: str) -> None:
        """`/to/videos/x` and `/to/http://elsewhere/x`."""
        place = rest if "://" in rest else f"/{rest}"
        self._begin(302, Location=place, **{"Content-Length": "0"})

    def _missing(self, _: str) -> None:
        self._begin(404, **{"Content-Length": "0"})

    def _begin(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class VideoSite(ThreadingHTTPServer):
    """On a free port of 127.0.0.1.

    Attributes:
        data: of its video.
        asked: paths, in order.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data = data
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        pass  # a client that leaves is no error


@contextmanager
def video_site(data: bytes) -> Iterator[VideoSite]:
    """Serves a video as long as the block runs."""
    site = VideoSite(data)
    thread = threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield site
    site.shutdown()
    site.server_close()
    thread.join()
