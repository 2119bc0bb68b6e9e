"""MkDocs hook: pages that are generated from the code."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))

import generated_pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    for name, page in generated_pages.PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files


_DIAGRAMS = re.compile(r'<script type="module">(?:(?!</script>).)*?mermaid.*?</script>', re.DOTALL)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Leave out the notebooks' script for diagrams: it names a server, and no notebook has a diagram."""
    return _DIAGRAMS.sub("", output)
