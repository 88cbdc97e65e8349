"""Opens a file as a video, or says why it is none.

An upload may be hostile. So the bytes are read through a file object that has no name (a name
could be a pattern, a protocol or an address), only the formats listed here are tried (no playlist
and no script that names other files), and a header's claims are checked before any decoding.
"""

import os
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from contanos.errors import VideoError
from contanos.video.limits import Limits

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,asf,ogg,nut,mxf,dv,rm,"
    "wtv,gxf,ivf,obu,h264,hevc,m4v,h263,vc1,mjpeg,yuv4mpegpipe,gif,apng,jpeg_pipe,png_pipe,"
    "webp_pipe,bmp_pipe,tiff_pipe,mp3,aac,wav,w64,flac,ac3,eac3,aiff,caf,amr"
)
BUFFER_BYTES = 1 << 17
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]", b"v=0")


class _Bytes:
    """A file as bytes without a name."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell
        self.close = self._file.close


class OpenVideo:
    """An open container and the file beneath it; close both with `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open_file(path)
        try:
            self.container = _open_container(path, self._file)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Closes the container, then the file."""
        self.container.close()
        self._file.close()


def pick_video(video: OpenVideo, limits: Limits) -> VideoStream:
    """The stream to process; attached cover pictures do not count.

    Raises:
        VideoError: no video in the file, no decoder for it, or claims beyond `limits`.
    """
    path, container = video.path, video.container
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving and container.streams.audio:
        raise VideoError(f"{path} holds only audio: give a file with a picture track")
    if not moving:
        raise VideoError(f"{path} holds no video that can be read: {_reason(path, None)}")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in moving else moving[0]
    _check_codec(path, stream)
    _check_claims(path, stream, limits)
    return stream


def refuse_size(path: Path, width: int, height: int, limits: Limits) -> None:
    """Raises VideoError where a picture of this size is larger than `limits` allow."""
    if width * height > limits.max_pixels:
        raise VideoError(
            f"{path} claims pictures of {width} x {height} pixels, more than the "
            f"{limits.max_pixels} allowed: scale it down, or check that the file is sound"
        )


def refuse_count(path: Path, frames: int, limits: Limits) -> None:
    """Raises VideoError where this many frames are more than `limits` allow."""
    if frames > limits.max_frames:
        raise VideoError(
            f"{path} claims {frames} frames, more than the {limits.max_frames} allowed: "
            "split it, or check that the file is sound"
        )


def _open_file(path: Path) -> _Bytes:
    try:
        if path.is_dir():
            raise VideoError(f"{path} is a directory: give one video file")
        if path.exists() and not path.is_file():
            raise VideoError(f"{path} is not a regular file: give one video file")
        file = _Bytes(path)
    except FileNotFoundError as e:
        raise VideoError(f"{path} does not exist: check the path") from e
    except OSError as e:
        raise VideoError(f"{path} cannot be read: {e.strerror}") from e
    if not os.path.getsize(path):
        file.close()
        raise VideoError(f"{path} is empty: copy or upload it again")
    return file


def _open_container(path: Path, file: _Bytes) -> InputContainer:
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        return av.open(
            file,
            "r",
            container_options=options,
            buffer_size=BUFFER_BYTES,
            metadata_errors="replace",
        )
    except (FFmpegError, ValueError, UnicodeError) as e:
        raise VideoError(f"{path} cannot be opened as a video: {_reason(path, e)}") from e


def _reason(path: Path, error: Exception | None) -> str:
    with path.open("rb") as file:
        head = file.read(64)
    if head.lstrip().startswith(PLAYLISTS):
        return "it is a playlist or a script naming other files; give the video itself"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return (
            "it is an MP4 or QuickTime file whose index is missing or broken, as when a recording "
            "or a copy was cut short; copy it again, or repair it"
        )
    what = getattr(error, "strerror", None) or error or "no picture track"
    return f"no known video format, or a broken header ({what}); give a video file"


def _check_codec(path: Path, stream: VideoStream) -> None:
    if stream.codec_context is None:
        raise VideoError(f"{path} uses a video codec that this build cannot decode: convert it")


def _check_claims(path: Path, stream: VideoStream, limits: Limits) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width <= 0 or height <= 0:
        raise VideoError(
            f"{path} does not tell the size of its pictures, or claims one that no decoder "
            "accepts: check that the file is sound"
        )
    refuse_size(path, width, height, limits)
    refuse_count(path, stream.frames, limits)
