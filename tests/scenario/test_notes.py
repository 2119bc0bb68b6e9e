"""What ``validate`` and ``run`` say of numbers without effect; links with names; the largest seed."""

import pytest

import netsim
from netsim.api import plan
from netsim.scenario.notes import plan_notes
from netsim.scenario.show import plan_text


def scenario(**keys: object) -> dict[str, object]:
    base = {"images": {"samples": ["coffee"]}, "codecs": [{"jpeg": {"quality": 5}}], "channels": ["EP4"], "trials": 1}
    return base | keys


@pytest.mark.parametrize(
    ("keys", "note"),
    [
        (
            {"link": {"geo": {"rate_bps": 2400}}},
            "takes 3.09 s at most (rate_bps 2400): a higher rate_bps starts none sooner",
        ),
        ({"link": {"geo": {"feedback_delay_s": 3}}}, "feedback_delay_s has no effect"),
        ({"protection": {"reed-solomon": "70%"}, "codecs": [{"jpeg": {"quality": 5, "packets": 11}}]}, "packets 11"),
        ({"protection": {"reed-solomon": "30%"}, "codecs": [{"jpeg": {"quality": 5, "packets": 255}}]}, "sends 25"),
        ({"protection": {"reed-solomon": [7, 4]}, "codecs": [{"jpeg": {"quality": 5, "packets": 20}}]}, "sends 7"),
        ({"protection": {"reed-solomon": "4%"}}, "reed-solomon 4% adds no parity to 10 packets"),  # 1 of 11 is 9 %
        ({"engine": "exact"}, "trials has no effect"),
        (
            {"channels": [{"preset": "EP4", "step_s": 0.01}]},
            "over link ideal: step_s 0.01, but all packets of all slots",
        ),
        ({"link": {"geo": {"deadline_s": 0.25}}}, "every packet is late: propagation_s 0.252861 is longer than"),
    ],
)
def test_a_number_without_its_effect_is_noted(keys: dict[str, object], note: str) -> None:
    notes = plan_notes(plan(scenario(**keys)))
    assert len(notes) == 1
    assert note in notes[0]
    assert f"note      {notes[0]}" in plan_text(plan(scenario(**keys)))


@pytest.mark.parametrize(
    "keys",
    [
        {"link": "geo"},
        {"link": {"geo": {"rate_bps": 600}}},
        {"link": {"geo": {"rate_bps": 2400, "interval_s": 0}}},
        {"link": {"geo": {"feedback_delay_s": 3}}, "protection": {"arq": {"retries": 1}}},
        {"link": {"geo": {"deadline_s": 0.3}}},
        {"channels": [{"preset": "EP4", "step_s": 0.01}], "link": "wlan"},
        {"channels": [{"preset": "EP4", "step_s": 0.01}], "link": {"ideal": {"period_s": 0.1}}},
        {"protection": {"reed-solomon": "30%"}},
        {"protection": {"reed-solomon": "0%"}},  # it says so itself
    ],
)
def test_a_number_that_counts_is_not_noted(keys: dict[str, object]) -> None:
    assert plan_notes(plan(scenario(**keys))) == []


def test_two_links_of_one_profile_have_names(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    links = [{"geo": {"interval_s": 0}}, {"geo": {"name": "slow geo", "rate_bps": 2400, "interval_s": 0}}]
    run = netsim.run(scenario(link=links, engine="array", seed=2**63 - 1))
    took = run.slots.set_index("link")["time_s"]
    assert took["slow geo"] > took["geo"]
    assert set(run.slots["seed"]) == {2**63 - 1}
    assert set(run.summary["link"]) == {"geo", "slow geo"}


def test_one_of_a_kind_is_told_in_the_singular() -> None:
    text = plan_text(plan(scenario()))
    assert text.startswith("scenario: 1 row\n")
    assert "1 trial of 1 slot, seed 0" in text


def test_many_notes_of_one_kind_are_one_sentence() -> None:
    steps_s = (0.01, 0.02, 0.03, 0.04)
    channels = [{"preset": "EP4", "step_s": step_s, "name": f"EP4 of {step_s} s"} for step_s in steps_s]
    [note] = plan_notes(plan(scenario(channels=channels)))
    assert note.startswith("4 channels over links step in time where no time passes. The first: channel EP4")
    assert plan_notes(plan(scenario(channels=channels[:3])))[2].startswith("channel EP4")
