"""Where uploads and results are kept: a folder by default, an object store by URL."""

from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage.contract import Storage
from video_analysis.backend.storage.folder import FolderStorage


def open_storage(settings: BackendSettings) -> Storage:
    """The storage that `storage_url` names.

    Raises:
        SettingError: there is none of such a URL.
        MachineError: the library for it is not installed.
    """
    if not settings.storage_url:
        return FolderStorage(settings.data_dir / "files")
    from video_analysis.backend.storage.object_store import ObjectStorage  # only with its extra

    return ObjectStorage(settings.storage_url, settings.data_dir / "fetched")


__all__ = ["Storage", "open_storage"]
