"""What `docker/` says fits the program: images, settings, ports, limits, and Kafka's."""

import importlib.util
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from contanos import __version__
from contanos.bus import open_bus
from contanos.service.address import Address
from contanos.service.answers import ServiceInfo
from contanos.service.app import service_app
from contanos.service.board import Board
from contanos.service.server import Server, Site
from contanos.stage.tasks import Tasks
from contanos.testing.kafka.jars import kafka_version
from video_analysis.backend.settings import BackendSettings
from video_analysis.job import read_task
from video_analysis.pipeline import graph_of
from video_analysis.services import SERVICES, Service
from video_analysis.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE_TEXT = (DOCKER / "compose.yaml").read_text()
OURS_IN_KAFKA = ROOT / "contanos" / "testing" / "kafka"


COMPOSE = yaml.safe_load(COMPOSE_TEXT)
CONTAINERS: dict[str, Any] = COMPOSE["services"]

# They run to an end, so there is nothing to keep healthy.
ONE_SHOT = {
    name
    for container in CONTAINERS.values()
    for name, how in container.get("depends_on", {}).items()
    if how["condition"] == "service_completed_successfully"
}


# ---- compose.yaml


@pytest.mark.parametrize("name", CONTAINERS)
def test_images_are_pinned(name: str) -> None:
    _, _, version = CONTAINERS[name]["image"].partition(":")
    assert re.match(r"v?\d+\.\d+", version)


def test_our_image_has_our_version() -> None:
    built = {each["image"] for each in CONTAINERS.values() if "build" in each}
    assert built == {f"contanos:{__version__}"}


def test_kafka_is_the_one_that_tests_run_on() -> None:
    assert CONTAINERS["kafka"]["image"] == f"apache/kafka:{kafka_version()}"


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_limited_and_come_back(name: str) -> None:
    container = CONTAINERS[name]
    assert {"cpus", "memory"} <= container["deploy"]["resources"]["limits"].keys()
    assert container["restart"] == ("on-failure:3" if name in ONE_SHOT else "unless-stopped")


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - ONE_SHOT))
def test_containers_have_a_health_check(name: str) -> None:
    check = CONTAINERS[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"} and check["retries"] and check["timeout"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_waits_for_health(name: str) -> None:
    for other, how in CONTAINERS[name].get("depends_on", {}).items():
        done = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert other in CONTAINERS and how["condition"] == done


def test_every_service_is_there_on_its_port() -> None:
    assert CONTAINERS.keys() >= SERVICES.keys()
    for name, service in SERVICES.items():
        container = CONTAINERS[name]
        start = ["python", "start_services.py", name, "--host", "0.0.0.0"]
        assert container["command"] == start
        said = [*container.get("expose", []), *container.get("ports", [])]
        assert [each.rpartition(":")[2] for each in said] == [str(service.port)]


def test_stages_can_be_scaled() -> None:
    for name in SERVICES.keys() - {"backend"}:
        assert not {"ports", "container_name", "hostname"} & CONTAINERS[name].keys()


def test_ports_are_this_machines_unless_asked_otherwise() -> None:
    ports = [port for each in CONTAINERS.values() for port in each.get("ports", [])]
    assert ports
    assert all(port.startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:")) for port in ports)


def test_every_setting_in_compose_is_one() -> None:
    fields = Settings.model_fields.keys() | BackendSettings.model_fields.keys()
    ours = {f"CONTANOS_{field.upper()}" for field in fields}
    ours |= {"CONTANOS_MODEL_DIR", "CONTANOS_CACHE_DIR"}
    files = [
        COMPOSE_TEXT,
        (DOCKER / "Dockerfile").read_text(),
        (DOCKER / ".env.example").read_text(),
    ]
    named = {name for text in files for name in re.findall(r"CONTANOS_[A-Z_]+\b(?!\*)", text)}
    assert "CONTANOS_BUS" in named
    assert named - {"CONTANOS_"} <= ours


def test_services_can_use_the_bus_that_they_are_given() -> None:
    bus = {CONTAINERS[name]["environment"]["CONTANOS_BUS"] for name in SERVICES}
    assert bus == {"kafka://kafka:9092"}


def test_secrets_have_no_default_and_are_asked_for() -> None:
    secrets = dict(re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEY|TOKEN)\w*)(.*?)\}", COMPOSE_TEXT))
    assert secrets and all(rest.startswith(":?") for rest in secrets.values())
    example = (DOCKER / ".env.example").read_text()
    assert all(re.search(rf"^{name}=$", example, re.MULTILINE) for name in secrets)
    literal = r"^\s*\w*(?:PASSWORD|SECRET|TOKEN)\w*:\s*(?!\$\{)\S"
    assert not re.search(literal, COMPOSE_TEXT, re.MULTILINE)


def test_every_variable_of_compose_is_in_the_example() -> None:
    example = (DOCKER / ".env.example").read_text()
    assert {
        name for name in re.findall(r"\$\{(\w+)", COMPOSE_TEXT) if f"{name}=" not in example
    } == set()


def test_volumes_and_mounted_files_are_there() -> None:
    mounts = [each.split(":")[0] for it in CONTAINERS.values() for each in it.get("volumes", [])]
    files = [mount for mount in mounts if mount.startswith(".")]
    named = {mount for mount in mounts if not mount.startswith((".", "/"))}
    assert files and all((DOCKER / file).exists() for file in files)
    assert named == COMPOSE["volumes"].keys()


# ---- the image


def test_the_builder_is_given_what_the_image_takes() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    copies = re.findall(r"^COPY (?!--from)(.+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    taken = {source for copy in copies for source in copy.split()[:-1]}
    assert "*" in allowed
    assert {line[1:] for line in allowed if line.startswith("!")} == taken
    assert all((ROOT / source).exists() for source in taken)


def test_the_health_check_says_what_services_say(monkeypatch: pytest.MonkeyPatch) -> None:
    check = _load(DOCKER / "ready.py")
    with ExitStack() as ends:
        sites = [_site("yolox", None), _site("rtmpose", "not loaded yet")]
        server = Server(sites)
        server.start()
        ends.callback(server.stop)
        fine, broken = (address.port for address in server.addresses)
        monkeypatch.setattr(check, "SERVICES", {"yolox": Service(fine, "")})
        assert check.main() is None
        monkeypatch.setattr(check, "SERVICES", {"rtmpose": Service(broken, "")})
        assert "not loaded yet" in check.main()
    assert check.main() == "no service listens here"


def _load(script: Path) -> Any:
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _site(name: str, broken: str | None) -> Site:
    bus = open_bus("memory://")
    board = Board(bus, Tasks(bus, read_task), name, graph_of, {"model": lambda: broken})
    app = service_app(ServiceInfo(name=name, summary=""), board, CollectorRegistry())
    return Site(app, Address("127.0.0.1", 0))


# ---- Kafka


def _properties(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_kafka_is_set_as_where_it_is_tested() -> None:
    theirs = _properties(DOCKER / "kafka.properties")
    ours = _properties(OURS_IN_KAFKA / "server.properties")
    where = {"controller.quorum.voters", "log.dirs", "listener.security.protocol.map"}
    shared = {key for key in theirs if not key.endswith("listeners")} - where
    assert shared <= ours.keys()
    assert {key: theirs[key] for key in shared} == {key: ours[key] for key in shared}
    assert {"auto.create.topics.enable", "message.max.bytes", "replica.fetch.max.bytes"} <= shared
