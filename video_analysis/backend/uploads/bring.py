"""Uploads that the server gets by itself: from a URL, from its media folder."""

from anyio import to_thread

from video_analysis.backend.database.tables import Upload, new_id
from video_analysis.backend.state import State
from video_analysis.backend.uploads.label import label_of
from video_analysis.backend.uploads.media import media_file
from video_analysis.backend.uploads.room import admit
from video_analysis.backend.uploads.sources import address_of, source_of


async def from_url(state: State, user_id: str, url: str) -> Upload:
    """Begin to fetch a video.

    Raises:
        InputError: it may not be fetched from there.
        TooLarge: its user has no room left at all.
    """
    source = source_of(url, state.settings.source_prefixes)
    await address_of(source)
    upload = _row(user_id, "url", "receiving", url, source.url.path)
    await admit(state.database, state.settings, upload)
    state.uploads.begin(upload.id)
    return upload


async def from_media(state: State, user_id: str, given: str) -> Upload:
    """Take a file that lies in the media folder.

    Raises:
        InputError: there is none.
    """
    path = await to_thread.run_sync(media_file, state.settings.media_dir, given)
    upload = _row(user_id, "media", "checking", given, path.name)
    upload.bytes = upload.received = (await to_thread.run_sync(path.stat)).st_size
    async with state.database.transaction() as session:
        session.add(upload)
    state.uploads.begin(upload.id)
    return upload


def _row(user_id: str, source: str, state: str, place: str, name: str) -> Upload:
    return Upload(
        id=new_id(),
        user_id=user_id,
        label=label_of(name),
        source=source,
        place=place,
        state=state,
        bytes=0,
        received=0,
    )
