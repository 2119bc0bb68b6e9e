"""The golden scenarios give what they gave: a change of structure changes no number."""

from pathlib import Path

import pandas as pd
import pytest

from netsim import registry
from tests.golden.golden import FILES, LEARNED, SCENARIOS, differences, golden_frames, mean_error, run_frames


@pytest.fixture
def own_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """``mean_error`` as a registered metric, until the test ends."""
    known = {kind: dict(names) for kind, names in registry._registered.items()}
    monkeypatch.setattr(registry, "_registered", known)
    registry.register("metric", "mean_error")(mean_error)


@pytest.mark.parametrize("name", SCENARIOS)
def test_log_and_summary_are_the_golden_ones(name: str, own_metric: None, tmp_path: Path) -> None:
    if name in LEARNED:
        pytest.importorskip("torch")
    changes = differences(name, run_frames(name, tmp_path / "run"), golden_frames(name))
    assert not changes, "\n".join(changes)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_changed_value_of_any_column_is_found(name: str) -> None:
    golden = golden_frames(name)
    for file in FILES:
        first = [golden[file][column].first_valid_index() or 0 for column in golden[file].columns]
        golden[file] = golden[file].head(max(first) + 1)  # up to where each column has had a value
        for column in golden[file].columns:
            values = golden[file][column].astype(object)
            at = values.first_valid_index()
            if at is None:
                continue
            values[at] = values[at] + ("!" if isinstance(values[at], str) else 2)
            changed = {**golden, file: golden[file].assign(**{column: values.infer_objects()})}
            found = differences(name, changed, golden)
            assert [text.split(";")[0] for text in found] == [f"{file}, {column}: 1 differ"]


def test_the_scenarios_reach_every_engine_and_outcome() -> None:
    labels = pd.concat(golden_frames(name)["labels"] for name in SCENARIOS)
    logs = pd.concat(golden_frames(name)["log"] for name in SCENARIOS)
    assert set(labels["engine"]) == {"event", "array", "exact", "stratified"}
    codecs = {"jpeg", "webp", "jpeg2000", "vvc", "mbt-mean", "scr-mca-u", "resicomp"}
    assert set(labels["codec"]) == codecs
    assert {"LC", "ISC"} <= set(labels["mode"].dropna())
    protections = {text.split()[0] for text in labels["protection"]}
    assert {"none", "reed-solomon", "repeat", "arq"} <= protections
    assert {"ideal", "geo", "wlan", "mobile"} <= set(labels["link"])
    for outcome in ("delivered", "lost", "late", "dropped", "recovered"):
        assert logs[f"packets_{outcome}"].sum() > 0, outcome
    assert set(logs["status"]) >= {"full", "partial", "failed"}
