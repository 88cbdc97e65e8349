"""A service's routes, on a real server, over stages that really run."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contanos import __version__
from contanos.errors import TaskFailed
from contanos.service.address import Address
from contanos.service.app import service_app
from contanos.service.server import Server, Site
from tests.services.service_line import STAGES, Line

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def refuse_seven(number: int) -> None:
    if number == 7:
        raise ValueError("seven")


class Web:
    """The services of a line, and who asks them."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.phase: str | None = None
        self.server = Server(
            [
                Site(
                    service_app(
                        line.infos[stage],
                        line.boards[stage],
                        line.registry,
                        alive=line.dead,
                        started=lambda: self.phase,
                    ),
                    Address("127.0.0.1", 0),
                )
                for stage in STAGES
            ]
        )
        self.server.start()
        self.clients = {
            stage: httpx.Client(base_url=address.url, trust_env=False, timeout=20)
            for stage, address in zip(STAGES, self.server.addresses, strict=True)
        }

    def get(self, path: str, stage: str = "double", status: int = 200) -> Any:
        answer = self.clients[stage].get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def metrics(self, stage: str) -> Samples:
        text = self.clients[stage].get("/metrics").raise_for_status().text
        samples = [
            each for family in text_string_to_metric_families(text) for each in family.samples
        ]
        found = {(each.name, frozenset(each.labels.items())): each.value for each in samples}
        assert len(found) == len(samples), "a series is shown twice"
        return found

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
        self.server.stop()
        self.line.stop()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web(Line(refuse_seven))
    made.line.start()
    yield made
    made.close()


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_it_says_what_it_is(web: Web) -> None:
    said = web.get("/", "total")
    assert (said["name"], said["version"]) == ("total", __version__)
    assert said["reads"] == ["before_total_<task_id>"]
    for path in said["links"].values():
        assert web.clients["total"].get(path).status_code == 200, path


def test_counts_are_those_of_the_frames(web: Web) -> None:
    web.line.feed("a", 50)
    web.line.feed("b", 30, partitions=3)
    web.line.finish("a")
    web.line.finish("b")
    for stage in STAGES:
        samples = web.metrics(stage)
        done = sample(samples, "contanos_frames_total", stage=stage, failed="false")
        failed = sample(samples, "contanos_frames_total", stage=stage, failed="true")
        assert (done, failed) == (78, 2)  # frame 7 of each
        assert sample(samples, "contanos_latency_seconds_count", stage=stage) == 80
        assert sample(samples, "contanos_task_frames", stage=stage, task_id="a") == 50
        assert sample(samples, "contanos_task_frames", stage=stage, task_id="b") == 30
        assert sample(samples, "contanos_lag_records", stage=stage, task_id="a") == 0
        assert sample(samples, "contanos_tasks", state="ended") == 2
        assert sample(samples, "contanos_tasks", state="running") == 0
        assert sample(samples, "contanos_restarts_total", stage=stage) == 0
        assert sample(samples, "contanos_repeats_total", stage=stage) == 0
        assert sample(samples, "contanos_bus_bytes_sent_total") == 12


def test_every_service_shows_its_own_stage_only(web: Web) -> None:
    web.line.feed("a", 3)
    web.line.finish("a")
    for stage in STAGES:
        shown = {
            value for _, labels in web.metrics(stage) for key, value in labels if key == "stage"
        }
        assert shown == {stage}


def test_batches_and_buckets(web: Web) -> None:
    web.line.feed("a", 40)
    web.line.finish("a")
    samples = web.metrics("double")
    assert sample(samples, "contanos_batch_units_sum", stage="double") == 40
    assert sample(samples, "contanos_batch_units_count", stage="double") >= 10
    buckets = {
        dict(labels)["le"] for name, labels in samples if name == "contanos_latency_seconds_bucket"
    }
    assert {"0.005", "60.0", "+Inf"} <= buckets


def test_the_process_is_measured(web: Web) -> None:
    assert sample(web.metrics("double"), "process_resident_memory_bytes") > 1e6


def test_openmetrics_is_spoken_to_those_who_ask(web: Web) -> None:
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = web.clients["double"].get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert "_created" not in answer.text


def test_tasks(web: Web) -> None:
    web.line.feed("a", 20)
    web.line.finish("a")
    row = web.get("/tasks/a")
    assert {key: row[key] for key in ("task_id", "state", "offset", "lag", "frames", "failed")} == {
        "task_id": "a",
        "state": "ended",
        "offset": 21,
        "lag": 0,
        "frames": 20,
        "failed": 1,
    }
    assert web.get("/tasks") == [row]


def test_unknown_and_impossible_tasks(web: Web) -> None:
    assert web.get("/tasks/zz", status=404) == {
        "error": "no task zz is known to double; /tasks lists those that are"
    }
    assert "task id 'A_B'" in web.get("/tasks/A_B", status=422)["error"]
    assert web.get("/nothing", status=404) == {"error": "Not Found"}


def test_a_failed_task_says_why(web: Web) -> None:
    web.line.add("a")
    web.line.tasks.fail("a", "double", TaskFailed("the disk is full"))
    row = web.get("/tasks/a")
    assert (row["state"], row["error"]) == ("failed", "double: the disk is full")


def test_health(web: Web) -> None:
    assert web.get("/health") == {"healthy": True, "reason": None}
    web.line.cause = "the runner of double has ended"
    assert web.get("/health", status=503) == {"healthy": False, "reason": web.line.cause}
    assert web.get("/ready", status=503)["reasons"] == [web.line.cause]


def test_readiness_names_every_reason(web: Web) -> None:
    assert web.get("/ready") == {"ready": True, "reasons": []}
    web.phase = "starting"
    web.line.checks["model"] = lambda: "not loaded yet"
    assert web.get("/ready", status=503)["reasons"] == ["starting", "model: not loaded yet"]
    web.line.bus.closed = True
    time.sleep(1.05)  # what the bus said lately serves for a second
    reasons = web.get("/ready", status=503)["reasons"]
    assert reasons[-1] == "bus: the bus is closed"


def test_a_bus_that_hangs_leaves_health_alone(web: Web) -> None:
    web.line.add("a")
    web.line.bus.answers.clear()
    with ThreadPoolExecutor(4) as pool:
        stuck = [pool.submit(web.get, "/tasks") for _ in range(4)]
        time.sleep(0.2)
        started = time.monotonic()
        assert web.get("/health")["healthy"]
        assert web.get("/", "total")["name"] == "total"
        assert time.monotonic() - started < 2
        assert not any(each.done() for each in stuck)
        web.line.bus.answers.set()
        assert [[row["task_id"] for row in each.result()] for each in stuck] == [["a"]] * 4


def test_many_who_ask_are_one_question(web: Web) -> None:
    web.line.add("a")
    web.line.now = lambda: 5.0  # a clock that stands still
    asked = web.line.bus.asked
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda _: web.get("/tasks/a"), range(40)))) == 40
    web.metrics("double")
    assert web.line.bus.asked == asked + 1


def test_what_is_answered_is_described(web: Web) -> None:
    api = web.get("/openapi.json")
    paths = {"/", "/health", "/ready", "/metrics", "/tasks", "/tasks/{task_id}"}
    assert set(api["paths"]) == paths
    assert all(each["get"]["description"] for each in api["paths"].values())
    for name in ("ServiceInfo", "Health", "Readiness", "TaskRow", "Problem"):
        for key, field in api["components"]["schemas"][name]["properties"].items():
            assert field["description"], (name, key)
            assert field["examples"], (name, key)


def test_answers_on_a_connection_that_is_kept_wait_for_nothing() -> None:
    with (
        Address("127.0.0.1", 0).listen("") as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_nothing_is_left_after_the_end() -> None:
    before = set(threading.enumerate())
    made = Web(Line())
    made.line.start()
    made.line.feed("a", 10)
    made.line.finish("a")
    assert made.get("/tasks/a")["state"] == "ended"
    port = made.server.addresses[0]
    made.close()
    # Workers of the web server's pool notice the end of their loop by themselves.
    deadline = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left
    port.listen("").close()
