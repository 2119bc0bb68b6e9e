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


@pytest.fixture
def probe(tmp_path):
    """A table of a packet every 20 ms, of which one is lost."""
    file = tmp_path / "probe.csv"
    file.write_text("seq,rx_ms\n" + "".join(f"{i},{20 * i}\n" for i in range(50) if i != 7))
    return {"trace": str(file), "columns": "seq=seq time_ms=rx_ms"}


@pytest.mark.parametrize(("step_s", "speed"), [(20, "1,000 times as slowly"), (0.001, "20 times as fast")])
def test_a_recording_played_at_another_speed_is_noted(probe, step_s: float, speed: str) -> None:
    note = f"step_s {step_s}, but the recording has a packet every 0.02 s: it is played {speed}"
    keys = {"link": "geo", "engine": "array"}
    for channel in (probe | {"step_s": step_s}, {"switch": [probe, "EP4"], "step_s": step_s}):
        made = plan(scenario(channels=[channel], **keys))
        assert [one for one in plan_notes(made) if note in one]
        assert note in plan_text(made)


@pytest.mark.parametrize("step_s", [None, 0.02, 0.0201])
def test_a_recording_played_as_it_was_recorded_is_not_noted(probe, step_s: float | None) -> None:
    channel = probe if step_s is None else probe | {"step_s": step_s}
    assert plan_notes(plan(scenario(channels=[channel], link="geo", engine="array"))) == []


def test_a_recording_without_times_has_no_speed(tmp_path) -> None:
    (tmp_path / "lost.txt").write_text("# 1=lost\n0010\n")
    channel = {"trace": str(tmp_path / "lost.txt"), "step_s": 20}
    assert plan_notes(plan(scenario(channels=[channel], link="geo", engine="array"))) == []
