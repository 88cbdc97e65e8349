"""What the documents say of the backend and the services is what these are."""

from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from contanos.bus import open_bus
from contanos.service.answers import ServiceInfo
from contanos.service.app import service_app
from contanos.service.board import Board
from contanos.stage.tasks import Tasks
from video_analysis.backend.database.tables import FINAL, Table, TaskState
from video_analysis.job import read_task
from video_analysis.pipeline import graph_of
from video_analysis.services import SERVICES

DOCS = Path(__file__).resolve().parents[2] / "docs"
BACKEND = (DOCS / "backend.md").read_text()
SERVICES_PAGE = (DOCS / "services.md").read_text()


def rows_of(page: str, heading: str) -> list[str]:
    """The first cells of the table after a heading."""
    lines = page[page.index(heading) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|---")) + 1
    cells = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells.append(line.split("|")[1].strip())
    return cells


def test_every_state_is_described() -> None:
    assert rows_of(BACKEND, "| state |") == [f"`{each}`" for each in get_args(TaskState)]
    assert set(get_args(TaskState)[-3:]) == FINAL


def test_every_database_table_is_described() -> None:
    assert set(rows_of(BACKEND, "| table |")) == {f"`{each}`" for each in Table.metadata.tables}


def test_every_service_and_its_stages_are_described() -> None:
    lines = SERVICES_PAGE.splitlines()
    for name, service in SERVICES.items():
        (row,) = [line for line in lines if line.startswith(f"| `{name}` | {service.port} |")]
        assert all(f"`{stage}`" in row for stage in service.stages)


def test_every_route_of_a_service_is_described() -> None:
    bus = open_bus("memory://")
    board = Board(bus, Tasks(bus, read_task), "yolox", graph_of)
    app = service_app(ServiceInfo(name="yolox", summary="x"), board, CollectorRegistry())
    bus.close()
    described = {
        each.strip("`") for row in rows_of(SERVICES_PAGE, "| route |") for each in row.split(", ")
    }
    assert set(app.openapi()["paths"]) == described - {"/docs", "/openapi.json"}


@pytest.mark.parametrize(
    "page", ["architecture.md", "messages.md", "services.md", "backend.md", "kafka.md"]
)
def test_the_five_subjects_are_found_from_the_first_page(page: str) -> None:
    assert f"docs/{page})" in (DOCS.parent / "README.md").read_text()
