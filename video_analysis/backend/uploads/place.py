"""Where the video of an upload lies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread

from video_analysis.backend.database.tables import Upload
from video_analysis.backend.state import State
from video_analysis.backend.storage.contract import upload_name
from video_analysis.backend.uploads.media import media_file


@asynccontextmanager
async def video_of(state: State, upload: Upload) -> AsyncIterator[Path]:
    """The video of an upload that is `ready`, as a local file as long as the block runs.

    It is not to be changed. From an object store it is fetched, which may take a while.

    Raises:
        FileNotFoundError: it is gone.
        InputError: it came from the media folder, and is not there any more.
        OutputError: it could not be fetched.
    """
    if upload.source == "media":
        folder, place = state.settings.media_dir, upload.place or ""
        yield await to_thread.run_sync(media_file, folder, place)
    else:
        async with state.storage.local(upload_name(upload.id)) as path:
            yield path
