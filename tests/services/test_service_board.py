"""What a board reads from the bus."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI

from contanos.bus.topics import topic_name
from contanos.errors import BusError
from contanos.service.address import Address
from contanos.service.answers import ServiceInfo
from contanos.service.app import service_app
from contanos.service.board import Board
from contanos.service.pace import Pace
from contanos.service.recent import Recent
from contanos.service.server import Server, Site
from contanos.testing.stages import TEST_GRAPH
from tests.services.service_line import Line


@contextmanager
def running(line: Line) -> Iterator[Line]:
    line.start()
    try:
        yield line
    finally:
        line.stop()


@contextmanager
def asked(app: FastAPI) -> Iterator[httpx.Client]:
    server = Server([Site(app, Address("127.0.0.1", 0))])
    server.start()
    try:
        with httpx.Client(base_url=server.addresses[0].url, trust_env=False) as client:
            yield client
    finally:
        server.stop()


def test_lag_is_what_waits() -> None:
    gate = threading.Event()
    with running(Line(lambda number: gate.wait(20) if number >= 4 else None)) as line:
        line.add("idle")
        line.feed("a", 30, partitions=2)
        while line.row("double", "a").frames < 4:
            pass
        row = line.row("double", "a")
        assert (row.state, row.frames) == ("running", 4)
        assert row.offset + row.lag == 32  # frames, and one end a partition
        idle = line.row("double", "idle")
        assert (idle.state, idle.lag, idle.offset) == ("waiting", 0, 0)
        gate.set()
        line.finish("a")
        assert line.row("double", "a").lag == 0


def test_a_task_whose_topics_are_gone_is_shown() -> None:
    with running(Line()) as line:
        line.add("a")
        for stage in ("raw_frames", "double", "total"):
            line.bus.delete_topic(topic_name(stage, "a"))
        assert (line.row("double", "a").state, line.row("double", "a").lag) == ("waiting", 0)


def test_a_cancelled_task() -> None:
    with running(Line()) as line:
        line.add("a")
        line.tasks.cancel("a")
        line.feed("a", 5)
        line.finish("a")
        assert {line.row(stage, "a").state for stage in line.boards} == {"cancelled"}


def test_a_task_that_is_forgotten_is_not_shown() -> None:
    with running(Line()) as line:
        line.add("a")
        line.tasks.remove("a")
        assert line.boards["double"].rows() == {}


def test_a_service_of_two_stages_shows_both() -> None:
    with running(Line()) as line:
        line.feed("a", 6)
        line.finish("a")
        total = Board(line.bus, line.tasks, "total", lambda _: TEST_GRAPH)
        board = Board(line.bus, line.tasks, "double", lambda _: TEST_GRAPH, beside=[total])
        info = ServiceInfo(name="two", summary="", stages=("double", "total"))
        with asked(service_app(info, board, line.registry)) as client:
            rows = client.get("/tasks").json()
            assert [(row["stage"], row["frames"]) for row in rows] == [("double", 6), ("total", 6)]
            assert client.get("/tasks/a").json()["stage"] == "double"
            text = client.get("/metrics").text
        for stage in ("double", "total"):
            assert f'contanos_task_frames{{stage="{stage}",task_id="a"}} 6.0' in text
        assert 'contanos_tasks{state="ended"} 1.0' in text


def test_pace() -> None:
    pace = Pace()
    assert pace.note("a", 0, 100.0) is None
    assert pace.note("a", 30, 101.0) == 30
    assert [pace.note("a", 30 * i, 100.0 + i) for i in range(2, 15)] == [30.0] * 13
    assert pace.note("a", 420, 120.0) == pytest.approx(0 + 120 / 10)  # since 110
    assert pace.note("a", 420, 131.0) == 0
    pace.keep([])
    assert pace.note("a", 420, 132.0) is None


def test_pace_of_one_who_looks_seldom() -> None:
    pace = Pace()
    pace.note("a", 0, 0.0)
    assert pace.note("a", 150, 15.0) == 10
    assert pace.note("a", 450, 30.0) == 20


def test_a_failure_is_an_answer_too() -> None:
    now, asked = 0.0, 0

    def ask() -> int:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise BusError("away")
        return asked

    recent = Recent(ask, 1.0, lambda: now)
    for _ in range(3):
        with pytest.raises(BusError, match="away"):
            recent.get()
    now = 1.0
    assert [recent.get(), recent.get()] == [2, 2]
    now = 2.5
    assert recent.get() == 3
