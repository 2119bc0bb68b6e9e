"""Pages name what the code has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import griffe
import pytest

from netsim import conformance
from netsim.channels import conformance as channel_conformance
from tests.docs.blocks import ROOT


@pytest.mark.parametrize(
    ("page", "checks"), [("codec.md", conformance.CHECKS), ("channel.md", channel_conformance.CHECKS)]
)
def test_a_how_to_page_names_every_check_of_the_contract(page: str, checks: dict[str, object]) -> None:
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z ]+?) \| ", text, re.MULTILINE)
    assert [row for row in rows if row != "check"] == list(checks)


def _functions(names: list[str]) -> Iterator[griffe.Function]:
    loader = griffe.GriffeLoader(search_paths=[ROOT])
    loader.load("netsim")
    for name in names:
        found = loader.modules_collection[name]
        if isinstance(found, griffe.Class):
            yield from (
                one for one in found.members.values() if isinstance(one, griffe.Function) and one.name[0] != "_"
            )
        elif isinstance(found, griffe.Function):
            yield found


def test_every_function_of_the_api_page_documents_its_arguments() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    functions = list(_functions(re.findall(r"^::: ([\w.]+)", page, re.MULTILINE)))
    assert len(functions) > 30
    for function in functions:
        assert function.docstring is not None, function.path
        sections = {section.kind.value for section in function.docstring.parse("google")}
        arguments = {one.name for one in function.parameters} - {"self", "cls"}
        assert not arguments or "parameters" in sections, f"{function.path} has no Args"


def test_the_generated_page_names_no_folder_of_the_machine_that_made_it() -> None:
    page = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")
    assert re.findall(r"(?<![^\s(`])/\w[^\s)`]*", page) == []
