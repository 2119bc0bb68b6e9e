"""ResiComp's mode from slot to slot: scenarios/resicomp_switch.yaml, planned, and run small."""

from pathlib import Path

import pytest
from PIL import Image as PillowImage
from ruamel.yaml import YAML

import netsim
from netsim.api import plan
from netsim.codec import Image
from netsim.control.previous_interval import by_thresholds
from netsim.errors import InputError

SCENARIO = Path(__file__).parents[3] / "scenarios" / "resicomp_switch.yaml"


def written() -> dict:
    return YAML(typ="safe", pure=True).load(SCENARIO)


def test_modes_are_ways_to_send() -> None:
    """Each alone, and one row whose controller chooses among them."""
    *alone, chosen = plan(SCENARIO).rows
    assert [row.label for row in alone] == ["resicomp LC", "resicomp MDC-2", "resicomp ISC"]
    assert [scheme.codec.mode for scheme in chosen.schemes] == ["LC", "MDC-2", "ISC"]
    assert chosen.label.startswith("resicomp LC/MDC-2/ISC + previous-interval")


@pytest.mark.parametrize(("choices", "message"), [([], "choices"), ("LC", "choices 'LC'"), ([{"mod": "LC"}], "`mod`")])
def test_wrong_choices_are_refused(choices: object, message: str) -> None:
    scenario = written()
    scenario["codecs"][0]["resicomp"]["choices"] = choices
    with pytest.raises(InputError, match=message):
        plan(scenario)


def test_the_mode_follows_the_loss(tiny: Path, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first slots in the first mode; later ones in the mode that the loss of the interval before calls for."""
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    PillowImage.fromarray(image).save(tmp_path / "one.png")
    scenario = written() | {"images": str(tmp_path / "one.png"), "trials": 1, "slots": 30}
    del scenario["codecs"][0]["resicomp"]["bpp"]
    scenario["codecs"][0]["resicomp"] |= {"quality": 2, "weights": str(tiny), "slices": 4}
    scenario["control"] = scenario["control"][1:]
    slots = netsim.run(scenario, out=tmp_path / "run").slots.sort_values("slot")
    modes, interval = slots["mode"].to_numpy(), slots["slot"].to_numpy() // 5
    assert modes[0] == "LC"
    assert len(set(modes)) > 1
    for number in range(1, 6):
        before = slots[interval == number - 1]
        at_risk = before["packets_sent"].sum() - len(before)  # the head is never lost
        loss = 1 - (before["packets_delivered"].sum() - len(before)) / at_risk
        known = (interval == number) & (slots["slot"].to_numpy() % 5 > 1)  # all reports of the interval are there
        assert set(modes[known]) == {["LC", "MDC-2", "ISC"][by_thresholds(loss, [0.05, 0.2])]}
