"""The documents name every setting, command and option, and their links lead somewhere."""

import re
from pathlib import Path

import pytest
import typer
from pydantic_settings import BaseSettings

from video_analysis.backend.settings import BackendSettings
from video_analysis.cli import app
from video_analysis.pipeline import CHAINS, SINKS
from video_analysis.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
MESSAGES = (ROOT / "docs" / "messages.md").read_text()


def commands(group: object, name: str = "contanos") -> dict[str, object]:
    found: dict[str, object] = {}
    for child, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{name} {child}")
        else:
            found[f"{name} {child}"] = command
    return found


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize(
    ("settings", "field"),
    [(each, field) for each in (Settings, BackendSettings) for field in each.model_fields],
)
def test_every_setting_is_described_with_its_default(
    settings: type[BaseSettings], field: str
) -> None:
    start = f"| `CONTANOS_{field.upper()}` |"
    rows = [line for line in OPERATIONS.splitlines() if line.startswith(start)]
    assert len(rows) == 1
    shown = rows[0].split("|")[2].strip(" `")
    default = settings.model_fields[field].default
    if isinstance(default, int | float | str):
        assert shown == str(default)
    elif default == ():
        assert shown == "[]"


def test_no_setting_is_described_that_is_none() -> None:
    named = set(re.findall(r"^\| `CONTANOS_(\w+)`", OPERATIONS, re.MULTILINE))
    ours = {field.upper() for each in (Settings, BackendSettings) for field in each.model_fields}
    assert named == ours | {"MODEL_DIR", "CACHE_DIR"}  # these two the framework reads


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_described(command: str) -> None:
    assert f"`{command}" in OPERATIONS


FOR_SERVERS = [
    f"contanos {each}"
    for each in ("submit", "status", "watch", "fetch", "cancel", "login", "logout")
]


@pytest.mark.parametrize("command", ["contanos run", *FOR_SERVERS])
def test_every_option_is_described(command: str) -> None:
    options = {
        name
        for parameter in COMMANDS[command].params  # type: ignore[attr-defined]
        if not getattr(parameter, "hidden", False)
        for name in parameter.opts
        if name.startswith("--") and name != "--help"
    }
    assert not {name for name in options if f"`{name}" not in OPERATIONS}


@pytest.mark.parametrize("stage", sorted({step.stage.name for step in CHAINS["pose_first"]}))
def test_every_topic_is_described(stage: str) -> None:
    assert f"`{stage}_<task_id>`" in MESSAGES


def test_every_sink_is_described_as_a_consumer() -> None:
    assert not {step.stage.name for step in SINKS if f"`{step.stage.name}`" not in MESSAGES}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert not [target for target in local if not (document.parent / target).exists()]


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert phony == described
