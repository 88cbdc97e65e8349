"""Prometheus and Grafana ask for what there is, and every alert is explained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from contanos.bus import open_bus
from contanos.service.board import Board
from contanos.service.gauges import service_registry
from contanos.service.metrics import PrometheusMeter, process_registry
from contanos.service.stalls import Stalls
from contanos.stage.tasks import Tasks
from video_analysis.backend.live.meter import LiveMeter
from video_analysis.job import read_task
from video_analysis.pipeline import graph_of
from video_analysis.services import SERVICES

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def parsed(*path: str) -> Any:
    return yaml.safe_load(DOCKER.joinpath(*path).read_text())


GRAFANA: dict[str, Any] = parsed("compose.yaml")["services"]["grafana"]
PROMETHEUS = parsed("prometheus.yml")
RULES = [rule for group in parsed("alerts.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
DASHBOARD = json.loads((DOCKER / "grafana" / "dashboards" / "contanos.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]

FOREIGN = {"up", "ALERTS", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"}

# Named by the bus at run time, where there is a broker; `memory://` counts nothing.
BUS_COUNTERS = {
    f"contanos_bus_{name}_total" for name in ("bytes_sent", "bytes_received", "retries", "errors")
}

_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
_NOT_NAMES = re.compile(
    r'"[^"]*"'  # text
    r"|\{[^}]*\}"  # matchers
    r"|\[[^\]]*\]"  # durations
    r"|\b(?:\w+\s+by|on)\s*\([^)]*\)"  # labels
    r"|\boffset\s+\w+"
    r"|\b\w+\s*\("  # functions
    r"|\b(?:and|or|unless)\b"
)


def exported() -> set[str]:
    bus = open_bus("memory://")
    registry = process_registry(bus)
    PrometheusMeter(registry, ["yolox"])
    Stalls(registry)
    LiveMeter().register(registry)
    board = Board(bus, Tasks(bus, read_task), "yolox", graph_of)
    served: Iterator[Metric] = service_registry(registry, ["yolox"], board).collect()
    return BUS_COUNTERS | {
        metric.name + suffix for metric in served for suffix in _SUFFIXES.get(metric.type, [""])
    }


def names(query: str) -> set[str]:
    bare = _NOT_NAMES.sub(lambda found: "(" if found[0].endswith("(") else " ", query)
    return set(re.findall(r"[A-Za-z_:][\w:]*", bare))


def test_names_are_found_in_queries() -> None:
    query = 'sum by (stage) (rate(a_total{b=~"$b"}[5m])) / on (c) x:y:z offset 2m > 1.5 and d'
    assert names(query) == {"a_total", "x:y:z", "d"}


def test_only_metrics_that_we_export_are_asked_for() -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    known = exported() | recorded | FOREIGN
    asked = set().union(*map(names, [*QUERIES, *(rule["expr"] for rule in RULES)]))
    assert "contanos_latency_seconds_bucket" in asked
    assert asked <= known


def test_every_metric_of_ours_is_shown() -> None:
    shown = set().union(*map(names, [*QUERIES, *(rule["expr"] for rule in RULES)]))
    ours = {name for name in exported() if name.startswith("contanos_")}
    assert ours - shown == {"contanos_latency_seconds_sum", "contanos_latency_seconds_count"}


def test_prometheus_finds_every_service() -> None:
    job = next(each for each in PROMETHEUS["scrape_configs"] if each["job_name"] == "contanos")
    found = {name: each["port"] for each in job["dns_sd_configs"] for name in each["names"]}
    assert found == {name: service.port for name, service in SERVICES.items()}
    assert {each["type"] for each in job["dns_sd_configs"]} == {"A"}


def test_absence_of_every_service_is_noticed() -> None:
    watched = set(re.findall(r'service="(\w+)"', ALERTS["ServiceAbsent"]["expr"]))
    assert watched == SERVICES.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_it_is_and_where_help_is(name: str) -> None:
    annotations = ALERTS[name]["annotations"]
    assert annotations["summary"]
    assert annotations["runbook"] == f"docs/operations.md#alert-{name.lower()}"
    assert f"\n### Alert {name}\n" in OPERATIONS


def test_no_alert_is_described_that_is_none() -> None:
    assert set(re.findall(r"^### Alert (\w+)$", OPERATIONS, re.MULTILINE)) == ALERTS.keys()


def test_panels_are_numbered_and_have_the_data_source() -> None:
    numbers = [panel["id"] for panel in PANELS]
    assert len(numbers) == len(set(numbers))
    (source,) = parsed("grafana", "provisioning", "datasources", "prometheus.yml")["datasources"]
    charts = [panel for panel in PANELS if panel["type"] != "row"]
    asking = [*charts, *(target for panel in charts for target in panel["targets"])]
    asking += DASHBOARD["templating"]["list"]
    assert {each["datasource"]["uid"] for each in asking} == {source["uid"]}


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in PANELS)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


def test_variables_of_the_dashboard_are_defined() -> None:
    defined = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = {name for query in QUERIES for name in re.findall(r"\$(\w+)", query)}
    assert used - {"__rate_interval"} == defined == {"stage", "task_id"}


def test_grafana_finds_its_files() -> None:
    volumes = dict(each.split(":")[:2] for each in GRAFANA["volumes"])
    (provider,) = parsed("grafana", "provisioning", "dashboards", "contanos.yml")["providers"]
    assert provider["options"]["path"] == volumes["./grafana/dashboards"]
    home = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/contanos.json"
