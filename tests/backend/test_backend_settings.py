"""What the control plane refuses to start with."""

from pathlib import Path

import pytest

from contanos.errors import SettingError
from video_analysis.backend.settings import BackendSettings, read_backend_settings

SECRET = "9f86d081884c7d659a2feaa0c55ad015"


def read(monkeypatch: pytest.MonkeyPatch, **told: str) -> BackendSettings:
    for name, value in told.items():
        monkeypatch.setenv(f"CONTANOS_{name.upper()}", value)
    return read_backend_settings()


@pytest.mark.parametrize(
    "told",
    [
        {"cors_origins": '["*"]', "secret_key": SECRET},
        {"trusted_proxies": '["10.0.0.1", "0.0.0.0/0"]', "secret_key": SECRET},
        {"trusted_proxies": '["::/0"]', "secret_key": SECRET},
        {"admin_password": "short", "secret_key": SECRET},
        {},
    ],
)
def test_production_is_not_open_to_everybody(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str]
) -> None:
    read(monkeypatch, **told)
    with pytest.raises(SettingError, match=r"CONTANOS_(PRODUCTION|ADMIN_PASSWORD)"):
        read(monkeypatch, production="true")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cors_origins", '["https://a.org/"]'),
        ("cors_origins", '["a.org"]'),
        ("cors_origins", '["null"]'),
        ("cors_origins", "https://a.org"),
        ("allowed_hosts", '["https://a.org"]'),
        ("allowed_hosts", '["a.org:80"]'),
        ("allowed_hosts", '["a.*"]'),
        ("trusted_proxies", '["proxy"]'),
        ("trusted_proxies", '["10.0.0.1/8"]'),
        ("body_bytes", "0"),
        ("audit_days", "0"),
        ("login_attempts_a_minute", "0"),
        ("secret_key", "short"),
    ],
)
def test_what_would_not_work_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SettingError, match=f"(?i)({name})"):
        read(monkeypatch, **{name: value})


def test_what_works_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = read(
        monkeypatch,
        production="1",
        secret_key=SECRET,
        cors_origins='["https://a.org", "http://localhost:5173", "http://[::1]:80"]',
        allowed_hosts='["a.org", "*.b.org", "::1"]',
        trusted_proxies='["10.0.0.1", "fd00::/8"]',
    )
    assert [str(each) for each in made.trusted_proxies] == ["10.0.0.1/32", "fd00::/8"]
    assert made.allowed_hosts == ("a.org", "*.b.org", "::1")
