"""Small packages to begin a plug-in with: ``netsim new codec|channel|metric|figure|study NAME``."""

from __future__ import annotations

import ast
import keyword
import re
from importlib.metadata import distributions
from importlib.resources import files
from pathlib import Path

from netsim.distribution import DISTRIBUTION
from netsim.errors import InputError, did_you_mean
from netsim.registry import check_free_name, check_plugin_name

__all__ = ["SCAFFOLDS", "write_scaffold"]

SCAFFOLDS = ("codec", "channel", "metric", "figure", "study")
"""Kinds of plug-ins that a package can be begun with."""

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", re.ASCII)
_LONGEST = 40
_YAML_WORDS = ("true", "false", "null")
_IDENTIFIERS = ("metric", "figure", "study")  # a metric is a column, a study a key with options; figures as they are


def write_scaffold(kind: str, name: str, folder: Path | None = None) -> list[Path]:
    """Write a package with one plug-in, a test of it, a scenario that uses it, and a README.

    Args:
        kind: One of ``SCAFFOLDS``.
        name: The plug-in's name.
        folder: The package's folder, which must not exist. Default: ``name`` in the working folder.

    Returns:
        The files' paths.

    Raises:
        InputError: The kind is unknown, the name can't be a plug-in's or is taken, or the folder exists or can't be
            written.
    """
    if kind not in SCAFFOLDS:
        raise InputError(f"no scaffold for `{kind}`", hint=did_you_mean(kind, SCAFFOLDS))
    _check_name(kind, name)
    target = Path(name) if folder is None else folder
    words = _words(kind, name)
    module = words["module"]
    _check_free(kind, name, words)
    texts = {target / path: _rendered(template, words) for path, template in _files(kind, module, name).items()}
    try:
        target.mkdir(parents=True)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise InputError(f"`{target}` exists", hint="another name, or another folder with --out") from None
    except OSError as error:
        raise InputError(f"can't write `{target}`: {error.strerror}", hint="another folder with --out") from None
    return list(texts)


def _words(kind: str, name: str) -> dict[str, str]:
    """What stands in place of the templates' words."""
    return {
        "kind": kind,
        "group": f"{kind}s" if kind != "study" else "studies",
        "name": name,
        "module": f"netsim_{name.replace('-', '_')}",
        "identifier": name.replace("-", "_"),
        "class_name": "".join(part.capitalize() for part in re.split("[-_]", name)),
        "distribution": f"netsim-{name.replace('_', '-')}",
        "netsim": DISTRIBUTION,
    }


def _check_free(kind: str, name: str, words: dict[str, str]) -> None:
    """The package neither replaces an installed one, nor does the plug-in hide a name that its own files use."""
    if words["distribution"] == DISTRIBUTION or any(distributions(name=words["distribution"])):
        raise InputError(f"there is a package `{words['distribution']}` already", hint="choose another name")
    ours = words["identifier"] if kind in ("metric", "figure") else words["class_name"]
    texts = [_rendered(f"{kind}{part}.py.j2", _words(kind, "zz_zz")) for part in ("", "_test")]
    if ours in _names_in(texts) or keyword.iskeyword(ours) or name in _YAML_WORDS:
        message = f"a {kind} can't be called `{name}`"
        raise InputError(message, hint=f"`{ours}` means something else in Python or YAML: `my_{words['identifier']}`")


def _names_in(texts: list[str]) -> set[str]:
    """Names that Python files bind or use."""
    found: set[str] = set()
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
    return found


def _check_name(kind: str, name: str) -> None:
    check_free_name(kind, name, any_case=True)
    check_plugin_name(kind, name)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        hint = f"small letters and digits, parts joined by `-` or `_`, at most {_LONGEST} characters"
        raise InputError(f"`{name}` can't be the name of a package", hint=hint)
    if kind in _IDENTIFIERS and "-" in name:
        raise InputError(f"a {kind} can't be called `{name}`", hint=f"`{name.replace('-', '_')}`")


def _files(kind: str, module: str, name: str) -> dict[str, str]:
    """Templates by path below the package's folder."""
    found = {
        "pyproject.toml": "pyproject.toml.j2",
        "README.md": f"{kind}_readme.md.j2",
        f"{module}.py": f"{kind}.py.j2",
        f"tests/test_{module}.py": f"{kind}_test.py.j2",
    }
    if kind == "study":
        experiment = f"experiments/{name}/example"
        return {
            **found,
            f"{experiment}/recipe.yaml": "study_recipe.yaml.j2",
            f"{experiment}/scenario.yaml": "study_scenario.yaml.j2",
        }
    return {**found, "scenario.yaml": f"{kind}_scenario.yaml.j2"}


def _rendered(template: str, words: dict[str, str]) -> str:
    import jinja2

    text = (files("netsim.scaffold") / "templates" / template).read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(text).render(words)
