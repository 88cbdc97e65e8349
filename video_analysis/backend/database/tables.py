"""What the database holds. A change here needs a migration; a test holds the two together."""

from datetime import datetime
from secrets import token_hex
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from video_analysis.backend.database.columns import Moment, now

Role = Literal["admin", "user", "viewer"]
UploadState = Literal["receiving", "checking", "ready", "refused"]
TaskState = Literal["uploaded", "queued", "running", "completed", "failed", "cancelled"]

FINAL: frozenset[TaskState] = frozenset({"completed", "failed", "cancelled"})


def new_id() -> str:
    """Nobody guesses it; it may be part of a file's or topic's name."""
    return token_hex(12)


class Table(DeclarativeBase):
    """The root of all tables."""

    type_annotation_map = {  # noqa: RUF012
        datetime: Moment,
        int: BigInteger().with_variant(Integer, "sqlite"),  # bytes of large files
        dict[str, Any]: JSON,
        list[str]: JSON,
        Role: String(16),
        UploadState: String(16),
        TaskState: String(16),
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class User(Table):
    """An account.

    Attributes:
        role: `admin` may do everything; `user` owns uploads and tasks; `viewer` looks at what one
            user has, and changes nothing.
        views: for a viewer, that user.
        password: argon2 hash.
        active: whether it may come in.
        quota_bytes: instead of the setting of that name; the other quotas likewise.
    """

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    password: Mapped[str] = mapped_column(String(256))
    role: Mapped[Role]
    views: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    active: Mapped[bool] = mapped_column(default=True)
    created: Mapped[datetime] = mapped_column(default=now)
    quota_bytes: Mapped[int | None]
    quota_tasks: Mapped[int | None]
    quota_minutes: Mapped[float | None]


class Login(Table):
    """One login on one device, kept alive by refresh tokens, each good for one use.

    Attributes:
        token: SHA-256 of the refresh token that counts now.
        before: of the one before it; who shows that has stolen one of them.
        expires: when the password is asked for again.
        ended: when it was ended before that.
    """

    __tablename__ = "logins"

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    before: Mapped[str | None] = mapped_column(String(64), index=True)
    created: Mapped[datetime] = mapped_column(default=now)
    expires: Mapped[datetime]
    ended: Mapped[datetime | None]


class WrongLogins(Table):
    """Wrong passwords for a name in a row, whether or not there is an account of that name.

    Attributes:
        name: digest of the name, by a key of ours: what was typed may have been a password.
        wrong: how many.
        at: when the last one was.
        locked_until: no password is tried before.
    """

    __tablename__ = "wrong_logins"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    wrong: Mapped[int] = mapped_column(default=0)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    locked_until: Mapped[datetime | None]


class ApiKey(Table):
    """A key that a program shows instead of a password.

    Attributes:
        name: what its owner calls it.
        secret: SHA-256 of the key.
        scopes: what it may be used for.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(128))
    secret: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]]
    created: Mapped[datetime] = mapped_column(default=now)
    expires: Mapped[datetime | None]
    last_used: Mapped[datetime | None]
    revoked: Mapped[datetime | None]


class Upload(Table):
    """A video that a user has brought, or is bringing.

    Attributes:
        label: what its user calls it; never part of a path.
        source: how it comes: by `tus` or a `form`, from a `url`, or the server's `media` folder.
        place: for the latter two, the URL or the path below the folder.
        bytes: its size; what was promised as long as it is `receiving`.
        received: bytes that were safe on the disk when that was last noted.
        cause: why it was refused.
        width: of the pictures, after rotation; what follows is known once it is `ready`.
        frames: that its header promises, if it does.
        seconds: likewise.
        touched: when the last byte came.
    """

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(16), default="tus")
    place: Mapped[str | None] = mapped_column(String(2048))
    state: Mapped[UploadState] = mapped_column(index=True)
    bytes: Mapped[int | None]
    received: Mapped[int] = mapped_column(default=0)
    cause: Mapped[str | None] = mapped_column(String(1024))
    width: Mapped[int | None]
    height: Mapped[int | None]
    frames: Mapped[int | None]
    seconds: Mapped[float | None]
    created: Mapped[datetime] = mapped_column(default=now)
    touched: Mapped[datetime] = mapped_column(default=now)


class TaskRow(Table):
    """A task, from the order to the end; its id names its topics and its folder.

    Attributes:
        upload_id: its video; None once that was deleted.
        label: what its user calls it.
        options: how it is processed.
        priority: among the tasks of the same user, the higher the sooner.
        idempotency_key: chosen by the client; the same one is the same task.
        reason: why it waits, in words for its user.
        retry_of: the task whose video and options it repeats.
        cancel: whether it is to end early.
        keep_partial: whether what there is by then is kept.
        cause: of a failure, in words for its user.
        frames: that came out at the end of the chain.
        frames_total: that are expected, if that is known.
        fps: frames a second of late, while it runs.
        seconds: of video, counted against the user's quota from the start.
        proof: of completeness, once it is over.
        bytes: of its results.
        claimed_by: the backend that looks after it.
        claimed_until: after that, another one may.
        deleted: when its user deleted it; nobody sees it any more, and soon it is gone.
    """

    __tablename__ = "tasks"
    __table_args__ = (UniqueConstraint("user_id", "idempotency_key"),)

    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id", ondelete="SET NULL"))
    label: Mapped[str] = mapped_column(String(255))
    state: Mapped[TaskState] = mapped_column(index=True)
    options: Mapped[dict[str, Any]]
    priority: Mapped[int] = mapped_column(default=0)
    idempotency_key: Mapped[str | None] = mapped_column(String(128))
    retry_of: Mapped[str | None] = mapped_column(String(24))
    reason: Mapped[str | None] = mapped_column(String(1024))
    cancel: Mapped[bool] = mapped_column(default=False)
    keep_partial: Mapped[bool] = mapped_column(default=True)
    cause: Mapped[str | None] = mapped_column(String(2048))
    frames: Mapped[int] = mapped_column(default=0)
    frames_total: Mapped[int | None]
    fps: Mapped[float | None]
    seconds: Mapped[float] = mapped_column(default=0.0)
    proof: Mapped[dict[str, Any] | None]
    bytes: Mapped[int] = mapped_column(default=0)
    created: Mapped[datetime] = mapped_column(default=now, index=True)
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(24))
    claimed_until: Mapped[datetime | None]
    deleted: Mapped[datetime | None]


class Audit(Table):
    """What was done by whom: logins, use of keys, deletions.

    Attributes:
        user_id: who; no foreign key, since the record outlives the account.
        what: one of `audit.What`.
        about: id of the thing; of a refused login, of the account, or a digest of the name that
            is no account's.
        address: where the request came from.
        request_id: that the log lines carry too.
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    user_id: Mapped[str | None] = mapped_column(String(24), index=True)
    what: Mapped[str] = mapped_column(String(64))
    about: Mapped[str | None] = mapped_column(String(128))
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
