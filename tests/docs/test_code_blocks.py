"""What the README and the documentation show is what runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, Reader, blocks_of

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


@pytest.fixture(autouse=True)
def _as_a_reader(empty_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def _try_all(page: Path, blocks: list[Block]) -> None:
    reader = Reader(page)
    for block in blocks:
        if not block.skipped:
            try:
                reader.tries(block)
            except Exception as error:
                raise AssertionError(
                    f"{page.relative_to(ROOT)}:{block.line}: {type(error).__name__}: {error}"
                ) from error


_SLOW = [page for page in PAGES if "<!-- slow" in page.read_text(encoding="utf-8")]
_LONG = [ROOT / "docs" / name for name in ("tutorial.md", "how-to/codec.md", "how-to/report.md", "how-to/traces.md")]
_SHORT = [page for page in PAGES if page not in _LONG]
_OTHERS = [page for page in _LONG if page not in _SLOW]


@pytest.mark.parametrize("page", _SHORT, ids=_names(_SHORT))
def test_the_blocks_of_a_page_run(page: Path) -> None:
    _try_all(page, [block for block in blocks_of(page) if not block.slow])


@pytest.mark.slow
@pytest.mark.parametrize("page", _OTHERS, ids=_names(_OTHERS))
def test_the_blocks_of_a_long_page_run(page: Path) -> None:
    _try_all(page, blocks_of(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", _SLOW, ids=_names(_SLOW))
def test_all_blocks_of_a_page_run(page: Path) -> None:
    _try_all(page, blocks_of(page))


FAULTS = {
    "python": "1 / 0",
    "pycon": ">>> 1 + 1\n3\n",
    "bash": "netsim run no_such_scenario",
    "console": "$ netsim --help\nsomething else\n",
    "yaml": "codecs: [{jpg: {quality: 30}}]",
    "toml": "a = = 1",
}


@pytest.mark.parametrize("language", FAULTS)
def test_a_faulty_block_is_found(language: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Some words.\n\n```{language}\n{FAULTS[language]}\n```\n", encoding="utf-8")
    (block,) = blocks_of(page)
    assert block.line == 3
    with pytest.raises(Exception, match=r"."):
        Reader(page).tries(block)


def test_a_block_is_left_out_only_for_a_reason(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- not run: needs a GPU -->\n\n```bash\nfalse\n```\n", encoding="utf-8")
    (block,) = blocks_of(page)
    assert block.skipped == "needs a GPU"
    for text in ("<!-- not run -->\n\n```bash\nfalse\n```\n", "```\nfalse\n```\n", "Words.\n\n    false\n"):
        page.write_text(text, encoding="utf-8")
        with pytest.raises(AssertionError, match=r"page.md:"):
            blocks_of(page)
