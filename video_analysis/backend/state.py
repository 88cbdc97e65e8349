"""What the routes of one application share."""

from dataclasses import dataclass

from video_analysis.backend.accounts.tokens import Tokens
from video_analysis.backend.database.engine import Database
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage import Storage, open_storage
from video_analysis.backend.uploads.intake import Intake


@dataclass(frozen=True, slots=True)
class State:
    """Made once, at the start.

    Attributes:
        settings: of the control plane.
        database: open while the application runs.
        storage: of uploads and results.
        tokens: makes and reads access tokens.
        uploads: takes uploads in.
    """

    settings: BackendSettings
    database: Database
    storage: Storage
    tokens: Tokens
    uploads: Intake

    @classmethod
    def of(cls, settings: BackendSettings) -> "State":
        """What these settings lead to.

        Raises:
            SettingError: a setting cannot be used.
        """
        tokens = Tokens(settings.signing_key(), settings.access_seconds)
        storage, database = open_storage(settings), Database(settings.database)
        uploads = Intake(settings, database, storage)
        return cls(settings, database, storage, tokens, uploads)
