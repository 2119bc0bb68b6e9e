"""Controllers beside fixed choices and an oracle: by hand, by brute force, and in a run."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netsim
from netsim.analysis.adaptation import ControlledRow, choice_names, controlled_rows, course, gains
from netsim.errors import InputError
from netsim.figures import adaptation as figure
from netsim.runs.progress import Reporter
from netsim.scenario.plan import PlanRow
from netsim.studies.reproduce import reproduce
from tests.studies.conftest import MakeRecipe

RS = {"reed-solomon": "50%"}
SCENARIO = {
    "codecs": [
        {
            "jpeg": {
                "sent_bpp": 1.5,
                "packets": 10,
                "protection": ["none", {"reed-solomon": "50%"}],
                "control": [
                    "none",
                    {"fixed": {"choice": 1}},
                    {"previous-interval": {"interval_slots": 2, "factor": 2}},
                ],
            }
        }
    ],
    "channels": [{"switch": [{"loss_rate": 0, "name": "clear"}, {"loss_rate": 0.25, "name": "bad"}], "dwell_slots": 6}],
    "link": {"wlan": {"period_s": 0.1, "deadline_s": 0.1, "mtu_bytes": 65535, "jitter_s": 0}},
    "engine": "auto",
    "slots": 24,
    "trials": 6,
}


@pytest.fixture
def run(small: MakeRecipe, tmp_path: Path) -> tuple[netsim.Plan, netsim.Run]:
    plan = netsim.plan({**SCENARIO, "images": str(small().folder / "images"), "seed": 3})
    return plan, netsim.run(plan, out=tmp_path / "run")


def row_of(choice: Any, quality: Any, fixed: Any, interval_slots: int) -> ControlledRow:
    plan_row: Any = object.__new__(PlanRow)
    array = np.array(quality, dtype=float)
    none = np.zeros(array.shape)
    return ControlledRow(plan_row, interval_slots, np.array(choice), array, np.array(fixed, float), none, none > 0)


def test_the_oracle_makes_the_best_choice_of_each_interval() -> None:
    rng = np.random.default_rng(4)
    choices, trials, slots, interval = 3, 2, 7, 3  # the last interval has one slot
    fixed = rng.normal(30, 5, (choices, trials, slots))
    oracle = row_of(np.zeros((trials, slots)), fixed[0], fixed, interval).oracle_db
    for trial in range(trials):
        edges = [slice(0, 3), slice(3, 6), slice(6, 7)]
        best = max(
            product(range(choices), repeat=3),
            key=lambda plan, t=trial: sum(fixed[c, t, e].sum() for c, e in zip(plan, edges, strict=True)),
        )
        for chosen, edge in zip(best, edges, strict=True):
            assert oracle[trial, edge].tolist() == fixed[chosen, trial, edge].tolist()


def test_the_best_fixed_choice_has_the_highest_mean() -> None:
    fixed = [[[30.0, 20.0]], [[26.0, 26.0]], [[25.0, 26.0]]]
    assert row_of([[0, 0]], [[30, 20]], fixed, 1).best_fixed == 1


def test_a_fixed_controller_shows_what_its_choice_shows_alone(run: tuple[netsim.Plan, netsim.Run]) -> None:
    """So both meet the same losses, although two engines simulated them."""
    plan, done = run
    fixed, following = controlled_rows(plan, done.log)
    np.testing.assert_array_equal(fixed.quality_db, fixed.fixed_db[1])
    assert (fixed.choice == 1).all()
    picked = np.take_along_axis(following.fixed_db, following.choice[None], axis=0)[0]
    np.testing.assert_array_equal(following.quality_db, picked)


def test_gains_are_differences_trial_by_trial(run: tuple[netsim.Plan, netsim.Run]) -> None:
    plan, done = run
    rows = controlled_rows(plan, done.log)
    table = gains(plan, rows).set_index("scheme")
    summary = done.summary.set_index("scheme")
    for one, line in zip(rows, table.to_dict("records"), strict=True):
        assert line["psnr_db"] == pytest.approx(summary.loc[one.row.label, "psnr_db"])
        assert line["fixed_db"] == pytest.approx(summary["psnr_db"].iloc[:2].max())
        assert line["gain_db"] == pytest.approx(line["psnr_db"] - line["fixed_db"])
        assert line["regret_db"] >= 0
        assert line["oracle_db"] >= line["fixed_db"]
        means = (one.quality_db - one.fixed_db[one.best_fixed]).mean(axis=1)
        half = 2.5706 * means.std(ddof=1) / np.sqrt(6)  # t(.975) with 5 degrees of freedom
        assert line["gain_high"] - line["gain_db"] == pytest.approx(half, rel=1e-4, abs=1e-12)
    following = table.loc["jpeg + previous-interval 2×"]
    assert following["gain_db"] > 0  # six slots of one channel are three intervals
    assert following["interval_slots"] == 2


def test_course_and_figures_show_what_was_chosen(run: tuple[netsim.Plan, netsim.Run]) -> None:
    plan, done = run
    rows = controlled_rows(plan, done.log)
    numbers = course(rows, trial=2, slots=10)
    assert len(numbers) == 2 * 10
    mine = numbers[numbers["scheme"] == "jpeg + previous-interval 2×"]
    assert mine["choice_name"].tolist() == [["none", "50%"][i] for i in rows[1].choice[2, :10]]
    drawn = figure.draw(numbers)
    texts = [text.get_text() for text in drawn.axes[1].texts]
    assert set(texts) <= {"none", "50%"}
    assert "50%" in texts  # the fixed controller's strip is one long cell
    assert len(figure.draw_means(gains(plan, rows)).axes) == 1
    with pytest.raises(InputError, match="trials 0 … 5"):
        course(rows, trial=6)


def test_the_study_needs_each_choice_alone(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study="adaptation")
    with pytest.raises(InputError, match="no row of the run is controlled"):
        reproduce(recipe, False, tmp_path / "none", 1, Reporter())
    overrides = [
        "codecs=[{jpeg: {quality: 30, packets: 4, protection: [none, {reed-solomon: 50%}]}}]",
        "control=fixed",
        "engine=auto",
        "trials=1",
    ]
    with pytest.raises(InputError, match="does not run alone"):
        reproduce(recipe, False, tmp_path / "alone", 1, Reporter(), overrides=overrides)


def test_rows_of_unlike_numbers_of_trials_are_compared_over_those_that_all_have(
    small: MakeRecipe, tmp_path: Path
) -> None:
    keys = {"images": str(small().folder / "images"), "seed": 3, "trials": 200, "precision": 1.5}
    plan = netsim.plan({**SCENARIO, **keys})
    run = netsim.run(plan, out=tmp_path / "run")
    trials = run.summary.set_index("scheme")["trials"]
    assert trials.nunique() > 1
    rows = controlled_rows(plan, run.log)
    assert {len(row.choice) for row in rows} == {trials.min()}
    log = run.log[run.log["trial"] < trials.min()]
    means = (
        log.assign(quality=log["psnr_db"].where(log["status"] != "failed", 13.0)).groupby("scheme")["quality"].mean()
    )
    found = gains(plan, rows).set_index("scheme")
    assert found["psnr_db"].to_dict() == pytest.approx(means.loc[found.index].to_dict())
    assert found["fixed_db"].tolist() == pytest.approx([means[["jpeg", "jpeg + 50% FEC"]].max()] * 2)


def test_choices_that_the_exact_engine_answered_are_refused(small: MakeRecipe, tmp_path: Path) -> None:
    plan = netsim.plan({**SCENARIO, "images": str(small().folder / "images"), "channels": ["EP4"], "trials": 2})
    run = netsim.run(plan, out=tmp_path / "run")
    assert "exact" in set(run.summary["engine"])
    with pytest.raises(InputError, match=r"jpeg, a choice of jpeg \+ fixed 1, has no slots: engine exact"):
        controlled_rows(plan, run.log)


@pytest.mark.parametrize(
    ("codec", "names"),
    [
        ({"jpeg": {"choices": [{"quality": 30}, {"quality": 60}]}}, ["quality=30", "quality=60"]),
        (
            {"jpeg": {"quality": 30, "choices": [{"packets": 4}, {"packets": 8}], "protection": ["none", RS]}},
            ["none packets=4", "50% packets=2", "none packets=8", "50% packets=4"],
        ),
        ({"jpeg": {"quality": 30, "protection": ["none", RS]}}, ["none", "50%"]),
    ],
)
def test_names_tell_choices_apart(codec: Any, names: list[str]) -> None:
    plan = netsim.plan(codecs=[codec], channels=["EP4"], control="fixed")
    assert choice_names(plan.rows[0]) == names
