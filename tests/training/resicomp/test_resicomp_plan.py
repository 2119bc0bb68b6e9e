"""Pieces of the training plan that train ResiComp."""

from __future__ import annotations

from pathlib import Path

import pytest
from netcodecs.training import plan
from netcodecs.training.plan import pieces_in

from netsim.errors import InputError

PIECE = "pieces:\n  - {{name: a, trains: resicomp, start: mbt-mean, steps: 2, settings: {{{}}}}}\n"


def test_the_plan_itself_trains_resicomp() -> None:
    assert any(piece.trains == "resicomp" for piece in pieces_in(plan.PLAN))


def test_settings_of_resicomp_are_known_and_others_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PIECE.format("alpha: 0.2, transforms_rate: 1, size: compact, separate: true, rate: 1.0e-3"))
    assert dict(pieces_in(path)[0].settings)["alpha"] == 0.2
    for settings, message in (("large: true", "unknown key `large`"), ("alpha: much", "settings.alpha is 'much'")):
        path.write_text(PIECE.format(settings))
        with pytest.raises(InputError, match=message):
            pieces_in(path)
