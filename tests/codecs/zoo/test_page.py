"""The scenario that docs/how-to/compressai.md shows runs, with small checkpoints under its file names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import netsim
from netsim import registry
from tests.codecs.zoo.conftest import CODECS

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "compressai.md"


@pytest.mark.slow
def test_the_scenario_of_the_page_runs(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in set(CODECS) - set(registry.plugin_names("codec")):  # an environment older than the zoo
        monkeypatch.setitem(registry._registered["codec"], name, CODECS[name])
    files = {"mbt2018-1": "mbt2018", "mbt2018-2": "mbt2018", "mean-1": "mbt2018-mean", "elic": "elic"}
    for file, name in files.items():
        shutil.copy(checkpoints[name], tmp_path / f"{file}.pth")
    (scenario,) = re.findall(r"```yaml\n(name: zoo\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "zoo.yaml").write_text(scenario)
    monkeypatch.chdir(tmp_path)
    plan = netsim.plan("zoo.yaml")
    labels = [row.label for row in plan.rows]
    assert labels == ["mbt2018", "mbt2018 + 30% FEC"] * 2 + ["mbt2018-mean lost=mean", "elic prefix"]
    run = netsim.run("zoo.yaml", workers=1)
    assert run.summary["bpp"].gt(0).all()
    assert run.summary.set_index("scheme").loc["elic prefix", "failure_ratio"] == 0


def test_the_page_names_every_codec() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in CODECS)
