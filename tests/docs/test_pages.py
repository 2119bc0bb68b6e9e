"""Pages name what the code has."""

from __future__ import annotations

import re

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
