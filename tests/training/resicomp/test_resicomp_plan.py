"""Pieces of the training plan that train ResiComp."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from netcodecs.training import plan
from netcodecs.training.pieces import pieces_in

from netsim.errors import InputError

PIECE = "pieces:\n  - {{name: a, trains: resicomp, start: mbt-mean, steps: 2, settings: {{{}}}}}\n"


def test_the_plan_itself_trains_resicomp() -> None:
    assert any(piece.trains == "resicomp" for piece in pieces_in(plan.PLAN))


def test_settings_of_resicomp_are_known(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        PIECE.format("alpha: 0.2, balance: 0.25, transforms_rate: 1, size: compact, separate: true, rate: 1.0e-3")
    )
    assert dict(pieces_in(path)[0].settings)["alpha"] == 0.2


@pytest.mark.parametrize(
    ("settings", "words", "right"),
    [
        ("transforms: large", "resicomp has no setting `transforms`", "settings of resicomp: rate, batch, crop"),
        ("whole_share: 0.5", "resicomp has no setting `whole_share`", "settings of resicomp"),
        ("lossless_share: 0.5", "resicomp has no setting `lossless_share`", "settings of resicomp"),
        ("alpha: much", "settings.alpha is 'much'", "a finite number, at least 0"),
        ("alpha: -0.1", "settings.alpha is -0.1", "a finite number, at least 0"),
        ("transforms_rate: .inf", "settings.transforms_rate is inf", "a finite number, at least 0"),
        ("balance: .nan", "settings.balance is nan", "a finite exponent"),
        ("size: huge", "settings.size is 'huge'", "compact or paper"),
        ("separate: 1", "settings.separate is 1", "true or false"),
        ("crop: 72", "settings.crop is 72", "a multiple of 64 pixels"),
    ],
)
def test_a_wrong_setting_is_refused_when_the_plan_is_read(
    tmp_path: Path, settings: str, words: str, right: str
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PIECE.format(settings))
    with pytest.raises(InputError, match=re.escape(f"plan.yaml: piece `a`  {words}")) as caught:
        pieces_in(path)
    assert right in caught.value.hint


def test_trained_weights_keep_their_size(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    for setting in ("size: paper", "separate: true"):
        path.write_text(PIECE.format(setting).replace("mbt-mean", "resicomp"))
        with pytest.raises(InputError, match="the weights of start `resicomp` have a size of their own"):
            pieces_in(path)
