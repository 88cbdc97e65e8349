"""Conditions and ranges, by RFC 9110, and names of files, by RFC 6266."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_analysis.backend.results.conditions import Decision, Version, decide
from video_analysis.backend.results.name import disposition

VERSION = Version('"v1"', datetime(2026, 11, 24, 5, 0, 0, tzinfo=UTC), 1000)
THEN, BEFORE, LATER = (f"Tue, 24 Nov 2026 0{hour}:00:00 GMT" for hour in (5, 4, 6))
WHOLE = Decision(200, 0, 1000)
GRAMMAR = re.compile(
    r"""attachment; filename="([ -~]*)"(?:; filename\*=UTF-8''([0-9A-Za-z!#$&+.^_`|~%-]+))?"""
)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("bytes=0-0", Decision(206, 0, 1)),
        ("bytes=0-", Decision(206, 0, 1000)),
        ("bytes=10-19", Decision(206, 10, 20)),
        ("Bytes= 10-19 ", Decision(206, 10, 20)),
        ("bytes=990-99999", Decision(206, 990, 1000)),
        ("bytes=-1", Decision(206, 999, 1000)),
        ("bytes=-99999", Decision(206, 0, 1000)),
        ("bytes=1000-", Decision(416)),
        ("bytes=1000-1001", Decision(416)),
        ("bytes=-0", Decision(416)),
        ("bytes=20-10", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=0-1,5-6", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=٣-٤", WHOLE),
        ("items=0-1", WHOLE),
        ("bytes=" + "9" * 5000 + "-", WHOLE),
        ("", WHOLE),
    ],
)
def test_ranges(asked: str, answer: Decision) -> None:
    assert decide({"range": asked}, VERSION) == answer
    assert decide({"range": asked}, VERSION, ranges=False) == WHOLE


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": '"v1"'}, 304),
        ({"if-none-match": 'W/"v1"'}, 304),
        ({"if-none-match": '"v0", "v1"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"v0"'}, 200),
        ({"if-none-match": '"v0"', "if-modified-since": LATER}, 200),
        ({"if-modified-since": THEN}, 304),
        ({"if-modified-since": LATER}, 304),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-match": '"v1"'}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": 'W/"v1"'}, 412),
        ({"if-match": '"v0"'}, 412),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": THEN}, 200),
        ({"range": "bytes=1-2", "if-range": '"v1"'}, 206),
        ({"range": "bytes=1-2", "if-range": 'W/"v1"'}, 200),
        ({"range": "bytes=1-2", "if-range": '"v0"'}, 200),
        ({"range": "bytes=1-2", "if-range": THEN}, 206),
        ({"range": "bytes=1-2", "if-range": LATER}, 200),
        ({"range": "bytes=1-2", "if-range": "nonsense"}, 200),
        ({"range": "bytes=5000-", "if-range": '"v0"'}, 200),
        ({"range": "bytes=1-2", "if-none-match": '"v1"'}, 304),
        ({"if-modified-since": "Tue, 24 Nov 2026 05:00:00 -0000"}, 304),
    ],
)
def test_conditions(headers: dict[str, str], status: int) -> None:
    assert decide(headers, VERSION).status == status


@given(st.text(max_size=40), st.sampled_from(["range", "if-range", "if-match", "if-none-match"]))
def test_nothing_that_is_sent_does_harm(text: str, name: str) -> None:
    decision = decide({"range": "bytes=1-2"} | {name: text}, VERSION)
    assert decision.status in (200, 206, 304, 412, 416)
    assert 0 <= decision.start <= decision.end <= VERSION.size


def read(header: str) -> str:
    """The name that a browser takes, by the grammar of RFC 6266 and 8187."""
    found = GRAMMAR.fullmatch(header)
    assert found
    return unquote(found[2], errors="strict") if found[2] else found[1]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("walk.mp4", "walk.mot.txt"),
        ("Ada's walk", "Ada's walk.mot.txt"),
        ("Zoë läuft – 100%.mp4", "Zoë läuft – 100%.mot.txt"),
        ("散歩.MOV", "散歩.mot.txt"),
        ('a"; filename="evil.exe', "a_; filename=_evil.mot.txt"),
        ("x\r\nSet-Cookie: a=b", "xSet-Cookie_ a=b.mot.txt"),
        ("../../etc/passwd", "_.._etc_passwd.mot.txt"),
        ("..", "task.mot.txt"),
        ("", "video.mot.txt"),
        ("\u202eevil", "evil.mot.txt"),
        ("trial 3.5 metres", "trial 3.5 metres.mot.txt"),
        ("x" * 300, "x" * 100 + ".mot.txt"),
    ],
)
def test_names(label: str, name: str) -> None:
    header = disposition(label, "mot.txt")
    assert header.startswith("attachment; ")
    assert read(header) == name


@given(st.text(max_size=300))
def test_no_label_breaks_the_header_or_leaves_the_folder(label: str) -> None:
    header = disposition(label, "mot.txt")
    name = read(header)
    assert header.count('"') == 2
    assert name.endswith(".mot.txt")
    assert not name.startswith(".")
    assert not set('/\\"\0\r\n') & set(name)
