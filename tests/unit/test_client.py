"""The client's pure parts: addresses, answers, events, patience, models."""

from datetime import UTC, datetime

import msgspec
import pytest

from contanos.client import Client, Dropped, Options, Task
from contanos.client.address import key_of, server_of
from contanos.client.answers import error_of, seconds_of
from contanos.client.client import _checked_id
from contanos.client.events import Event, changed, parsed
from contanos.client.patience import Patience
from contanos.errors import (
    InputError,
    NotFound,
    Refused,
    ServerError,
    ServerFailed,
    SettingError,
    TryLater,
    Unauthorised,
    Unreachable,
)

NOW = datetime(2026, 11, 24, 5, 0, 0, tzinfo=UTC)


class Clock:
    """Time that passes while somebody sleeps, and only then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def wait_for_ever(patience: Patience, fault: ServerError) -> None:
    while True:
        patience.wait(fault)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        (" https://video.example.org/ ", "https://video.example.org"),
        ("https://example.org/video/", "https://example.org/video"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses_of_servers(given: str, wanted: str) -> None:
    assert server_of(given) == wanted


@pytest.mark.parametrize(
    "given",
    [
        "",
        "127.0.0.1:8000",
        "ftp://example.org",
        "http://",
        "http://a:0",
        "http://a:99999",
        "http://ada:secret@example.org",
        "http://example.org/?key=ctn_x",
    ],
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(SettingError) as raised:
        server_of(given)
    assert "secret" not in str(raised.value)


def test_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTANOS_SERVER", "http://127.0.0.1:8000/")
    monkeypatch.setenv("CONTANOS_API_KEY", " ctn_abc\n")
    with Client() as client:
        assert client.server == "http://127.0.0.1:8000"
    assert key_of(None) == "ctn_abc"
    monkeypatch.delenv("CONTANOS_API_KEY")
    with pytest.raises(SettingError, match="CONTANOS_API_KEY"):
        Client()


@pytest.mark.parametrize("key", ["two words", "ctn_\r\nX-Evil: 1", "schlüssel"])
def test_a_key_cannot_add_to_the_headers(key: str) -> None:
    with pytest.raises(SettingError) as raised:
        key_of(key)
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Refused),
        (401, Unauthorised),
        (403, Refused),
        (404, NotFound),
        (409, Refused),
        (422, Refused),
        (423, TryLater),
        (429, TryLater),
        (500, ServerFailed),
        (502, TryLater),
        (503, TryLater),
        (507, Refused),
    ],
)
def test_every_refusal_has_its_error(status: int, kind: type[Exception]) -> None:
    error = error_of(status, b'{"title": "x", "status": 1, "detail": "why it was not done"}')
    assert type(error) is kind
    assert error.status == status
    assert str(error) == "why it was not done" or status == 301


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b"[1]", b'{"detail": [1]}'])
def test_an_answer_that_is_not_ours_still_has_words(body: bytes) -> None:
    assert "HTTP 502" in str(error_of(502, body))
    assert "HTTP 404" in str(error_of(404, body))


def test_a_message_cannot_drive_a_terminal() -> None:
    assert str(error_of(404, b'{"detail": "a\\u001b[2Jb\\nc"}')) == "a [2Jb c"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("5", 5.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 05:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 04:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(told: str | None, seconds: float | None) -> None:
    assert seconds_of(told, NOW) == seconds


def test_patience_waits_longer_each_time_and_ends() -> None:
    clock, fault = Clock(), Unreachable("away")
    patience = Patience(30.0, clock, clock.sleep)
    with pytest.raises(Unreachable):
        wait_for_ever(patience, fault)
    assert 15 < clock.now <= 30
    assert clock.slept[0] <= 0.2
    assert max(clock.slept) <= 10
    assert clock.slept[4] > clock.slept[0]


def test_patience_does_as_the_server_asks_or_not_at_all() -> None:
    clock = Clock()
    patience = Patience(30.0, clock, clock.sleep)
    patience.wait(TryLater("later", 503, 7.0))
    assert clock.slept == [7.0]
    with pytest.raises(TryLater):
        patience.wait(TryLater("much later", 429, 24.0))
    assert clock.slept == [7.0]


def test_patience_is_renewed_and_shortened() -> None:
    clock = Clock()
    patience = Patience(10.0, clock, clock.sleep)
    patience.wait(TryLater("later", 503, 9.0))
    patience.renew()
    patience.wait(TryLater("later", 503, 9.0))
    patience.renew()
    patience.shorten(1.0)
    with pytest.raises(TryLater):
        patience.wait(TryLater("later", 503, 2.0))


def test_events_are_the_same_wherever_the_stream_is_cut() -> None:
    stream = (
        ': ping\r\n\r\nevent: state\r\nid: running\r\ndata: {"cause":"a\u2028b"}\r\n\r\n'
        "data: 1\ndata:2\n\nevent: nothing\n\n"
    ).encode()
    wanted = [Event("state", '{"cause":"a\u2028b"}'), Event("message", "1\n2")]
    for size in (1, 2, 7, len(stream)):
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert list(parsed(pieces)) == wanted


def test_events_change_a_task() -> None:
    task = Task(id="a", state="queued", label="walk.mp4", reason="2 of your own come first")
    running = (
        '{"state":"running","reason":null,"cause":null,"new":1,"started":"2026-11-24T05:00:00Z"}'
    )
    task = changed(task, Event("state", running))
    assert (task.state, task.reason, task.label, task.started) == ("running", None, "walk.mp4", NOW)
    task = changed(task, Event("progress", '{"frames":120,"frames_total":250,"fps":24.5}'))
    assert (task.frames, task.frames_total, task.progress) == (120, 250, 0.48)
    assert changed(task, Event("of a later version", "?")) is task
    with pytest.raises(ServerFailed):
        changed(task, Event("progress", "[]"))


def test_models_pass_over_what_they_do_not_know() -> None:
    told = (
        b"""{"id": "a", "state": "resting", "mood": "good", "proof": {"complete": true, "x": 1}}"""
    )
    task = msgspec.json.decode(told, type=Task)
    assert (task.state, task.over, task.complete) == ("resting", False, False)
    assert task.proof
    assert task.proof.complete
    dropped = msgspec.json.decode(b'{"schema": 1, "dropped": 3}', type=Dropped)
    assert dropped.frames == 3


def test_only_options_that_were_chosen_are_sent() -> None:
    options = Options(max_frames=40, video=False)
    assert msgspec.to_builtins(options) == {"max_frames": 40, "video": False}


@pytest.mark.parametrize("given", ["", "..", "a/b", "a?b", "a" * 65, "ä"])
def test_an_id_is_no_path(given: str) -> None:
    with pytest.raises(InputError):
        _checked_id(given)
