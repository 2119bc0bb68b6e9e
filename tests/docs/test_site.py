"""The site: pages generated from the code are complete, it builds without a warning, and loads nothing from outside."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import netsim
from netsim.scenario.schema import ScenarioModel

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generated_pages", ROOT / "docs" / "hooks" / "generated_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_rows(page: str) -> dict[str, list[str]]:
    """Cells of the tables' rows by the name in their first cell."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_keys_of_a_scenario_are_those_of_its_model_each_with_a_meaning(generated: ModuleType) -> None:
    page = generated.scenario_keys()
    keys = table_rows(page.partition("## Settings")[0])
    assert list(keys) == list(ScenarioModel.model_fields)
    assert all(len(cells) == 3 and len(cells[2]) > 10 for cells in keys.values())
    assert keys["codecs"][1] == "**needed**"
    assert keys["coverage"][:2] == ["number above 0 to 1", "`0.999`"]
    assert keys["log"][:2] == ["`slots`, `packets`", "`slots`"]
    assert "### jpeg2000" in page


def test_the_command_line_page_has_every_command(generated: ModuleType) -> None:
    import typer

    from netsim.cli import app

    page = generated.command_line()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) <= set(re.findall(r"^## `netsim ([a-z-]+)`", page, re.MULTILINE))
    assert "..." not in page.partition("## `netsim run`")[0].partition("**Commands**")[2]


def test_the_presets_page_shows_what_the_papers_misprint(generated: ModuleType) -> None:
    rows = [line.strip("| ").split(" | ") for line in generated.presets().splitlines() if line.startswith("| `EP5")]
    assert [row[1:5] for row in rows] == [
        ["corrected", "21.4 %", "10.00", "21.4 %"],
        ["released", "20 %", "2.50", "21.4 %"],
        ["printed", "50 %", "10.00", "21.4 %"],
    ]


def test_the_list_of_recipes_is_that_of_the_command(generated: ModuleType) -> None:
    found = set(table_rows(generated.recipes()))
    there = {"/".join(path.parts[-3:-1]) for path in (ROOT / "experiments").glob("*/*/recipe.yaml")}
    assert found == there
    assert len(found) > 10


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 15
    for path in pages:
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s>]*", text)
        loaded += re.findall(r"<link\b[^>]*\bhref=[\"']?(?:https?:)?//[^\s>]*", text)
        loaded += re.findall(r"(?:import|fetch)\b[^;]{0,80}[\"'](?:https?:)?//[^\"']*", text)
        assert loaded == [], path
    for path in (tmp_path / "site").rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"@import\s+[\"'](?:https?:)?//|url\([\"']?(?:https?:)?//", text) == [], path
    reference = (tmp_path / "site" / "reference" / "api.html").read_text(encoding="utf-8")
    anchors = set(re.findall(r'<h\d id="netsim[\w.]*?\.(\w+)"', reference))
    modules = {"channels", "codec", "__version__"}
    assert set(dir(netsim)) - modules <= anchors
