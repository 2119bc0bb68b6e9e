"""Runs the code blocks of a page of the documentation as a reader would, from top to bottom, in an empty folder.

=========== ==================================================================================================
language    what is done
=========== ==================================================================================================
``python``  executed; all blocks of a page share their names; with ``title="name.py"`` written and imported
``pycon``   run as a doctest
``bash``    run as one script; it must end with code 0
``yaml``    planned as a scenario, also where it holds only some of the keys; with a title also written to a file;
            a file ``recipe.yaml`` is read as a recipe
``toml``    parsed
``console`` commands after ``$ ``, in one process each; each must print what stands below it
``text``    nothing: output, formulas, examples of files that are not scenarios; with a title written to a file
=========== ==================================================================================================

Comments of HTML in front of a block are for this test: ``<!-- not run: REASON -->``, ``<!-- slow -->`` (run by
``make test-all`` only), and ``<!-- setup: COMMAND -->``, which runs a command that the reader is not shown.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from markdown_it import MarkdownIt
from ruamel.yaml import YAML
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.errors import InputError
from netsim.scenario.schema import ScenarioModel
from netsim.studies.recipe import find_recipe

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("python", "pycon", "bash", "console", "yaml", "toml", "text")
_NEEDED = {"codecs": [{"jpeg": {"quality": 30}}], "channels": ["EP4"]}
_COMMENT = re.compile(r"<!-- (not run|slow|setup)(?:: (.*?))? -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block and what its page says about running it.

    Attributes:
        line: First line in the page, counted from 1.
        language: First word of the info string; ``bash`` for a command that is not shown.
        title: File that the block is, or empty.
        skipped: Reason why the block is not run, or empty.
    """

    line: int
    language: str
    text: str
    title: str = ""
    skipped: str = ""
    slow: bool = False


def blocks_of(page: Path) -> list[Block]:
    """All code blocks of a page, in order.

    Raises:
        AssertionError: A block has no language or one that this test does not know, or a reason is missing.
    """
    found: list[Block] = []
    marks: dict[str, str] = {}
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            for kind, words in _COMMENT.findall(token.content):
                if kind == "setup":
                    found.append(Block(line, "bash", " ".join(words.split()), slow="slow" in marks))
                else:
                    marks[kind] = words
        elif token.type == "code_block":
            raise AssertionError(f"{page.name}:{line}: an indented block has no language: fence it")
        elif token.type == "fence":
            language, _, rest = token.info.partition(" ")
            assert language in LANGUAGES, f"{page.name}:{line}: language {language!r}, known: {', '.join(LANGUAGES)}"
            title = re.search(r'title="([^"]+)"', rest)
            skipped = marks.get("not run", "")
            assert skipped or "not run" not in marks, f"{page.name}:{line}: not run without a reason"
            found.append(Block(line, language, token.content, title[1] if title else "", skipped, slow="slow" in marks))
            marks = {}
    return found


class Reader:
    """Somebody who tries out a page in the current folder."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.module = ModuleType("tried_page")
        sys.modules[self.module.__name__] = self.module

    def tries(self, block: Block) -> None:
        """Run one block. Raises what it raises, and AssertionError where a command fails."""
        getattr(self, f"_{block.language}")(block)

    def _python(self, block: Block) -> None:
        path = Path(block.title or f"block_{block.line}.py")
        path.write_text(block.text, encoding="utf-8")
        if block.title:
            import_module(path.stem)
        else:
            exec(compile(block.text, str(path.resolve()), "exec"), vars(self.module))

    def _pycon(self, block: Block) -> None:
        where = f"{self.page.name}:{block.line}"
        test = doctest.DocTestParser().get_doctest(block.text, vars(self.module), where, str(self.page), block.line)
        said: list[str] = []
        failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(
            test, out=said.append, clear_globs=False
        )
        vars(self.module).update(test.globs)
        assert not failed, "".join(said)

    def _bash(self, block: Block) -> None:
        search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        done = subprocess.run(
            ["bash", "-euc", block.text],
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, "PATH": search},
            preexec_fn=_one_core,
            check=False,
        )
        where = f"{self.page.name}:{block.line}"
        assert done.returncode == 0, f"{where}: code {done.returncode}\n{block.text}\n{done.stdout}\n{done.stderr}"

    def _yaml(self, block: Block) -> None:
        where = f"{self.page.name}:{block.line}"
        path = Path(block.title)
        if block.title:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if path.name == "recipe.yaml":
            find_recipe("/".join(path.parts[-3:-1]))
            return
        values = YAML(typ="safe").load(block.text)
        assert isinstance(values, Mapping), f"{where}: not a mapping"
        strange = set(values) - set(ScenarioModel.model_fields)
        assert not strange, f"{where}: {', '.join(strange)}: not the keys of a scenario"
        assert len(netsim.plan({**_NEEDED, **values}).rows) > 0

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)

    def _console(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            name, *arguments = shlex.split(command)
            assert name == "netsim", f"{self.page.name}:{block.line}: `{name}`"
            result = CliRunner().invoke(app, arguments)
            shown = str(result.exception) if isinstance(result.exception, InputError) else result.output
            same = [line.rstrip() for line in shown.splitlines()] == [line.rstrip() for line in expected.splitlines()]
            assert same, f"{self.page.name}:{block.line}: {command}\n{shown}"

    def _text(self, block: Block) -> None:
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")


def _one_core() -> None:
    """One core for a command: it then works without worker processes, whose start takes longer than a small run."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
