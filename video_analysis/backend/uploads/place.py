"""Where the video of an upload lies."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from video_analysis.backend.database.tables import Upload
from video_analysis.backend.state import State


def video_of(state: State, upload: Upload) -> AbstractAsyncContextManager[Path]:
    """The video of an upload that is `ready`, as a local file as long as the block runs.

    It is not to be changed. From an object store it is fetched, which may take a while.

    Raises:
        FileNotFoundError: it is gone.
        InputError: it came from the media folder, and is not there any more.
        OutputError: it could not be fetched.
    """
    return state.uploads.video_of(upload)
