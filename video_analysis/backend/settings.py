"""Settings of the control plane, from the environment."""

import os
import re
import secrets
from pathlib import Path
from typing import Self

from filelock import FileLock
from platformdirs import user_data_path
from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from contanos.errors import SettingError

_LEAST_SECRET = 32  # characters; RFC 7518, section 3.2: a key as long as the hash, at least
_LEAST_PASSWORD = 10  # characters, as for everybody's
_SECRET_FILE = "secret.key"
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_HOST = re.compile(r"(\*\.)?[a-zA-Z0-9._-]+|[0-9a-f:.]+")

MIB, GIB, DAY = 2**20, 2**30, 86_400


class BackendSettings(BaseSettings):
    """How users are served. Each field is the environment variable `CONTANOS_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="CONTANOS_", extra="ignore")

    production: bool = Field(
        False,
        description="Refuse to start with secrets that nobody has chosen, or open to everybody; "
        "have browsers come by TLS alone; show no pages of the API.",
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("contanos"),
        description="Folder of the database, uploads and results, unless these lie elsewhere.",
    )
    database_url: str = Field(
        "", description="`postgresql://...`; empty for a SQLite file in the data folder."
    )
    storage_url: str = Field(
        "", description="`s3://bucket/prefix`; empty for a folder in the data folder."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs access tokens, 32 characters at least; made and kept in the data "
        "folder where it is empty, which production refuses.",
    )
    admin_name: str = Field("admin", description="The first account's name.")
    admin_password: SecretStr = Field(
        SecretStr(""), description="Its password; made, and printed once, where it is empty."
    )
    access_seconds: int = Field(900, ge=1, description="Seconds that an access token is good for.")
    refresh_seconds: int = Field(
        14 * DAY, ge=1, description="Seconds after which a login must be repeated."
    )
    login_attempts: int = Field(
        5, ge=1, description="Wrong passwords in a row after which a name is locked for a while."
    )
    lockout_seconds: int = Field(300, ge=1, description="Seconds for which it is locked.")
    login_attempts_a_minute: int = Field(
        30, ge=1, description="Wrong names or passwords that one address may send in a minute."
    )
    requests_a_minute: int = Field(
        1200, ge=1, description="Requests that one user, or one address, may make in a minute."
    )
    body_bytes: int = Field(
        MIB, ge=1024, description="Bytes of a request's body that is no upload, at most."
    )
    upload_bytes: int = Field(20 * GIB, ge=1, description="Bytes of one upload, at most.")
    upload_idle_seconds: float = Field(
        30.0,
        gt=0,
        description="Seconds without a byte after which an upload's request is ended; all of "
        "another request's body must come within them.",
    )
    upload_hours: float = Field(
        24.0, gt=0, description="Hours after which an upload that was not finished is removed."
    )
    check_seconds: float = Field(
        60.0, gt=0, description="Seconds that looking at an uploaded video may take."
    )
    check_memory: int = Field(
        2 * GIB, ge=1, description="Bytes of memory that looking at an uploaded video may take."
    )
    quota_bytes: int = Field(50 * GIB, ge=0, description="Bytes that a user may have stored.")
    quota_tasks: int = Field(4, ge=1, description="Tasks of a user that may run at once.")
    quota_minutes: float = Field(
        600.0, ge=0, description="Minutes of video that a user may have processed in a day."
    )
    running_tasks: int = Field(16, ge=1, description="Tasks of all users that may run at once.")
    claim_seconds: float = Field(
        10.0, gt=0, description="Seconds after which a silent backend's tasks pass to another."
    )
    media_dir: Path | None = Field(
        None, description="Folder of files on the server that administrators may make tasks of."
    )
    source_prefixes: tuple[str, ...] = Field(
        (), description="What URLs must begin with for videos to be fetched from them, as JSON."
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the API, as JSON; none by default."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Names in `Host` that are answered, as JSON; any by default."
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Addresses or networks of proxies whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` are believed, as JSON; none by default.",
    )
    audit_days: int = Field(
        365, ge=1, le=36_500, description="Days for which the audit log is kept."
    )

    @model_validator(mode="after")
    def _chosen_secrets(self) -> Self:
        given = self.secret_key.get_secret_value()
        if given and len(given) < _LEAST_SECRET:
            raise ValueError(f"CONTANOS_SECRET_KEY has fewer than {_LEAST_SECRET} characters")
        if self.production and not given:
            raise ValueError("CONTANOS_PRODUCTION needs CONTANOS_SECRET_KEY: choose a random one")
        return self

    @model_validator(mode="after")
    def _usable_names(self) -> Self:
        """A name that no browser sends would look as if it let somebody in."""
        for each in self.cors_origins:
            if each != "*" and not _ORIGIN.fullmatch(each):
                raise ValueError(f"CONTANOS_CORS_ORIGINS: {each!r} is not like https://host:port")
        for each in self.allowed_hosts:
            if each != "*" and not _HOST.fullmatch(each):
                raise ValueError(f"CONTANOS_ALLOWED_HOSTS: {each!r} is no name, nor *.name")
        return self

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if self.production and "*" in self.cors_origins:
            raise ValueError(
                "CONTANOS_PRODUCTION: name each origin in CONTANOS_CORS_ORIGINS, not *"
            )
        if self.production and any(each.prefixlen == 0 for each in self.trusted_proxies):
            raise ValueError(
                "CONTANOS_PRODUCTION: name the proxies in CONTANOS_TRUSTED_PROXIES, not everybody"
            )
        chosen = self.admin_password.get_secret_value()
        if self.production and chosen and len(chosen) < _LEAST_PASSWORD:
            raise ValueError(f"CONTANOS_ADMIN_PASSWORD has fewer than {_LEAST_PASSWORD} characters")
        return self

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'contanos.db'}"

    def signing_key(self) -> str:
        """What access tokens are signed with; the same after a restart.

        Raises:
            SettingError: it cannot be kept.
        """
        if given := self.secret_key.get_secret_value():
            return given
        path = self.data_dir / _SECRET_FILE
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                if not path.exists():
                    _write_private(path, secrets.token_urlsafe(48))
            return path.read_text()
        except OSError as e:
            raise SettingError(f"cannot keep {path}: {e.strerror}; set CONTANOS_SECRET_KEY") from e


def read_backend_settings() -> BackendSettings:
    """The control plane's settings, from the environment.

    Raises:
        SettingError: one of them is not what it may be; all that are wrong are named.
    """
    try:
        return BackendSettings()
    except ValidationError as e:
        raise SettingError("; ".join(map(_fault, e.errors()))) from e
    except SettingsError as e:  # what is no JSON at all; it names the field
        raise SettingError(f'{e}: lists are JSON, as in ["one", "two"]') from e


def _fault(error: ErrorDetails) -> str:
    named = [f"CONTANOS_{name}".upper() for name in error["loc"][:1]]
    return ": ".join([*named, error["msg"]])


def _write_private(path: Path, text: str) -> None:
    """A file that only its owner reads; there whole or not at all."""
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
