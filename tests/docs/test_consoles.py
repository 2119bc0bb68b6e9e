"""Commands on the pages give the output that stands below them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from netsim.cli import app
from netsim.errors import InputError

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "```console\n" in path.read_text(encoding="utf-8"))
BLOCK = re.compile(r"```(?:text title=\"([^\"]+)\"|yaml title=\"([^\"]+)\"|(console))\n(.*?)```", re.DOTALL)


def output(command: str) -> str:
    """What a terminal shows of a command."""
    name, *arguments = shlex.split(command)
    assert name == "netsim"
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, InputError):
        return f"{result.exception}\n"
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETSIM_CONFIG", str(tmp_path / "config"))
    for text_name, yaml_name, console, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if not console:
            Path(text_name or yaml_name).write_text(body, encoding="utf-8")
            continue
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            shown = [line.rstrip() for line in output(command).splitlines()]
            assert shown == [line.rstrip() for line in expected.splitlines()], command


def test_some_page_has_commands() -> None:
    assert "traces" in {page.stem for page in PAGES}
