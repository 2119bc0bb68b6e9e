"""Files that a public project has agree with each other, and name what is still a placeholder."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PLACEHOLDER = "example.org"


def _yaml(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text(encoding="utf-8"))


def _addresses() -> dict[str, str]:
    """The project's own addresses, by the place where each is written."""
    found = {f"pyproject.toml, project.urls.{key}": address for key, address in PROJECT["urls"].items()}
    return found | {"CITATION.cff, repository-code": _yaml("CITATION.cff")["repository-code"]}


def test_addresses_are_all_placeholders_or_all_real() -> None:
    placeholders = {place for place, address in _addresses().items() if urlsplit(address).hostname == PLACEHOLDER}
    remaining = "placeholders remain at: " + "; ".join(sorted(placeholders))
    assert placeholders in (set(), set(_addresses())), remaining
    assert _addresses().keys() == {
        "CITATION.cff, repository-code",
        *(f"pyproject.toml, project.urls.{key}" for key in ("Homepage", "Repository", "Issues", "Changelog")),
    }


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["version"]
    assert _yaml("CITATION.cff")["version"] == version
    newest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_the_licence_is_the_same_everywhere() -> None:
    assert (PROJECT["license"], _yaml("CITATION.cff")["license"]) == ("MIT", "MIT")
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_the_citation_has_what_its_format_needs() -> None:
    citation = _yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_bibtex_entry_is_the_citation() -> None:
    page, citation = (ROOT / "docs/how-to/paper.md").read_text(encoding="utf-8"), _yaml("CITATION.cff")
    entry = page[page.index("@misc{netsim") :].partition("```")[0]
    assert re.sub(r"[{}]", "", entry).count(citation["title"]) == 1
    assert all(f"{{{{{author['name']}}}}}" in entry for author in citation["authors"])
    assert f"Version {citation['version']}," in entry


def test_pre_commit_runs_the_locked_ruff() -> None:
    locked = re.search(r"^ruff==(.+)$", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    assert locked is not None
    (ruff,) = [repo for repo in _yaml(".pre-commit-config.yaml")["repos"] if repo["repo"].endswith("/ruff-pre-commit")]
    assert ruff["rev"] == f"v{locked[1]}"
    assert [hook["id"] for hook in ruff["hooks"]] == ["ruff-check", "ruff-format"]


def test_ci_of_a_public_host_runs_the_repositorys_scripts() -> None:
    jobs = _yaml(".github/workflows/ci.yml")["jobs"]
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert scripts == [".ci/run", ".ci/wheel"]
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), f"{script} can't be run"
        subprocess.run(["bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_to_files_of_the_repository_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_contributing_names_commands_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make (\w+)", text, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == {"check", "test"}
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)
    assert all((ROOT / path).exists() for path in re.findall(r"\btests/[\w/.]+\.py|\.ci/\w+", text))
