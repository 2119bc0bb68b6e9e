"""Controllers beside fixed choices and an oracle: by hand, by brute force, and in a run."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netsim
from netsim.analysis.adaptation import ControlledRow, choice_names, controlled_rows, course, gains
from netsim.analysis.paired import compare_schemes
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
    alone, none = np.array(fixed, float), np.zeros(array.shape)
    no_loss = np.zeros(alone.shape)
    can_fail = (True,) * (1 + len(alone))
    made = np.array(choice)
    return ControlledRow(plan_row, interval_slots, made, array, alone, none, none > 0, no_loss > 0, no_loss, can_fail)


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


def test_gains_are_differences_slot_by_slot(run: tuple[netsim.Plan, netsim.Run]) -> None:
    """The intervals are those of the summary and of ``netsim compare``."""
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
        alone = ["jpeg", "jpeg + 50% FEC"][one.best_fixed]
        assert line["psnr_low"] == pytest.approx(summary.loc[one.row.label, "psnr_low"])
        assert line["fixed_high"] == pytest.approx(summary.loc[alone, "psnr_high"])
        [pair] = compare_schemes(done.log, one.row.label, alone, plan.failure_db).to_dict("records")
        assert [line[f"gain_{end}"] for end in ("db", "low", "high")] == pytest.approx(
            [pair[f"difference_{end}"] for end in ("db", "low", "high")]
        )
    following = table.loc["jpeg + previous-interval 2×"]
    assert following["gain_db"] > 0  # six slots of one channel are three intervals
    assert following["interval_slots"] == 2


def test_a_gain_allows_for_failures_that_the_sample_did_not_meet(run: tuple[netsim.Plan, netsim.Run]) -> None:
    """Without a failure either of the two may fail alone in up to 1 - .025^(1/n) of n slots: 20 dB each time."""
    plan, _ = run
    one = replace(row_of(np.zeros((6, 4)), np.full((6, 4), 33.0), np.full((2, 6, 4), 33.0), 2), row=controlled(plan))
    [line] = gains(plan, [one]).to_dict("records")
    most = 20 * (1 - 0.025 ** (1 / 24))
    assert [line["gain_low"], line["gain_db"], line["gain_high"]] == pytest.approx([-most, 0, most])
    assert [line["regret_low"], line["regret_high"]] == pytest.approx([-most, most])


def controlled(plan: netsim.Plan) -> PlanRow:
    return next(row for row in plan.rows if row.control is not None)


@pytest.mark.parametrize(
    ("channel", "packets", "why"),
    [
        ({"loss_rate": 0.2}, (4, 8), ""),
        ({"switch": [{"loss_rate": 0.1}, {"loss_rate": 0.4}]}, (4, 8), ""),
        ({"loss_rate": 0.2, "mean_burst": 8}, (8, 8), ""),
        (
            {"loss_rate": 0.2, "mean_burst": 8},
            (4, 8),
            "its choices send unlike numbers of packets, over a channel with memory",
        ),
    ],
)
def test_choices_that_meet_other_losses_after_others_have_no_oracle(
    channel: dict[str, Any], packets: tuple[int, int], why: str, small: MakeRecipe, tmp_path: Path
) -> None:
    """After slots of four packets a chain is in another state than after slots of eight: the log's losses say so."""
    ways = [{"packets": packets[0], "quality": 30}, {"packets": packets[1], "quality": 60}]
    control = ["none", "fixed", {"previous-interval": {"interval_slots": 2, "thresholds": [0.15]}}]
    codec = {"jpeg": {"choices": ways, "control": control}}
    images = str(small().folder / "images")
    plan = netsim.plan({**SCENARIO, "codecs": [codec], "channels": [channel], "images": images, "engine": "event"})
    run = netsim.run(plan, out=tmp_path / "run")
    rows = controlled_rows(plan, run.log)
    assert [row.no_oracle for row in rows] == [why, why]  # also of a controller that never met them
    following = rows[1]
    assert set(following.choice.reshape(-1)) == {0, 1}
    alone = np.take_along_axis(following.fixed_loss_rate, following.choice[None], axis=0)[0]
    assert np.array_equal(following.loss_rate, alone) == (not why)
    table = gains(plan, rows)
    assert table["oracle_db"].isna().all() == table["regret_high"].isna().all() == bool(why)
    assert table["gain_db"].notna().all()
    [legend] = figure.draw_means(table).legends
    assert (f": {why}." in legend.get_title().get_text().replace("\n", " ")) == bool(why)


def test_a_queue_that_other_choices_fill_leaves_no_oracle(run: tuple[netsim.Plan, netsim.Run]) -> None:
    """A slot that shows less than its choice does alone, here by hand."""
    plan, done = run
    log = done.log.copy()
    one = log.index[(log["scheme"] == "jpeg + previous-interval 2×") & (log["status"] == "full")][0]
    log.loc[one, "psnr_db"] -= 1
    assert [bool(row.no_oracle) for row in controlled_rows(plan, log)] == [False, True]


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
