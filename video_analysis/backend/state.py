"""What the routes of one application share."""

from dataclasses import dataclass

from video_analysis.backend.accounts.tokens import Tokens
from video_analysis.backend.database.engine import Database
from video_analysis.backend.live.station import Station
from video_analysis.backend.results.exports import Exports
from video_analysis.backend.results.stored import Readings
from video_analysis.backend.settings import BackendSettings
from video_analysis.backend.storage import Storage, open_storage
from video_analysis.backend.tasks.office import Office
from video_analysis.backend.uploads.intake import Intake
from video_analysis.control.desk import Desk


@dataclass(frozen=True, slots=True)
class State:
    """Made once, at the start.

    Attributes:
        settings: of the control plane.
        database: open while the application runs.
        storage: of uploads and results.
        tokens: makes and reads access tokens.
        uploads: takes uploads in.
        desk: where tasks are ordered from the stages.
        office: looks after tasks.
        readings: opens results.
        exports: makes other formats of them.
        live: what live connections share.
    """

    settings: BackendSettings
    database: Database
    storage: Storage
    tokens: Tokens
    uploads: Intake
    desk: Desk
    office: Office
    readings: Readings
    exports: Exports
    live: Station

    @classmethod
    def of(cls, settings: BackendSettings, desk: Desk) -> "State":
        """What these settings lead to; the desk is not ours to close.

        Raises:
            SettingError: a setting cannot be used.
        """
        tokens = Tokens(settings.signing_key(), settings.access_seconds)
        storage, database = open_storage(settings), Database(settings.database)
        uploads = Intake(settings, database, storage)
        office = Office(settings, database, storage, uploads, desk)
        readings, exports = Readings(storage), Exports(settings, storage)
        live = Station(database, storage, desk)
        return cls(
            settings, database, storage, tokens, uploads, desk, office, readings, exports, live
        )
