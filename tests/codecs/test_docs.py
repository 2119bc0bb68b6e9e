"""The codec that docs/reference/codecs.md shows works, and keeps the contract."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from netsim.codec import OperatingPoint
from netsim.conformance import check_codec

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "codecs.md"


def test_the_example_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n# mycodec.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "mycodec.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        codec = import_module("mycodec").MyCodec()
        levels = np.random.default_rng(0).integers(0, 5, (24, 32, 3), dtype=np.uint8)
        image = levels * np.uint8(40)
        results = check_codec(codec, [image], [OperatingPoint("bits", 4)])
    finally:
        sys.modules.pop("mycodec", None)
    assert [f"{r.name}: {r.detail}" for r in results if not r.passed] == []


def test_the_page_registers_its_codec_without_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netsim import registry

    monkeypatch.setattr(registry, "_registered", {kind: {} for kind in registry.KINDS})
    page = PAGE.read_text(encoding="utf-8")
    for name in ("mycodec.py", "register"):
        (example,) = re.findall(rf"```python\n# {name}\n(.*?)```", page, re.DOTALL)
        (tmp_path / f"docs_{name.removesuffix('.py')}.py").write_text(example.replace("mycodec", "docs_mycodec"))
    monkeypatch.syspath_prepend(tmp_path)
    try:
        plan = import_module("docs_register").plan
        assert [row.label for row in plan.rows] == ["mine"]
    finally:
        for module in ("docs_mycodec", "docs_register"):
            sys.modules.pop(module, None)


def test_the_page_names_every_check() -> None:
    from netsim.conformance import CHECKS

    rows = re.findall(r"^\| ([a-z ]+?) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row in CHECKS] == list(CHECKS)
