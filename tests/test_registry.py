"""Plug-ins registered at run time: found by name, refused in one sentence, and had by worker processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import netsim
from netsim import registry
from netsim.channels import bernoulli, channel_from_spec
from netsim.control.spec import controller_from_spec
from netsim.errors import InputError
from netsim.links.profile import LinkProfile, link_from_spec
from netsim.protection.base import NoProtection
from netsim.protection.spec import protection_from_spec
from netsim.registry import KINDS, adopt, load_plugin, plugin_names, register, registrations
from netsim.studies.study import Study
from tests.plugin_files import GREY_CODEC

SCENARIO = {
    "images": {"samples": ["coffee"]},
    "codecs": [{"jpeg": {"quality": 30, "packets": 1}}],
    "channels": [{"loss_rate": 0.25}],
    "engine": "array",
    "trials": 4,
    "slots": 1,
    "seed": 2,
}


@pytest.fixture(autouse=True)
def _empty(empty_registry: None, in_tmp_path: Path) -> Iterator[None]:
    yield
    sys.modules.pop("registered_here", None)


def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Import a module that a worker process can import, too."""
    (tmp_path / "registered_here.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(filter(None, sys.path))}")
    __import__("registered_here")


def test_a_channel_registered_at_run_time_is_a_channel_of_a_scenario() -> None:
    @register("channel", "fading")
    def fading(loss_rate: float = 0.5):
        return bernoulli(loss_rate, name=f"fading {loss_rate:g}")

    assert channel_from_spec("fading").name == "fading 0.5"
    assert channel_from_spec({"fading": {"loss_rate": 0.2}}).name == "fading 0.2"
    with pytest.raises(InputError) as caught:
        channel_from_spec("fadding")
    assert "did you mean `fading`?" in caught.value.hint


def test_a_protection_registered_at_run_time_is_a_protection_of_a_scenario() -> None:
    @register("protection")
    class Named(NoProtection):
        name = "named"

        def __init__(self, settings):
            self.settings = settings

    assert protection_from_spec("named").settings is None
    assert protection_from_spec({"named": {"depth": 3}}).settings == {"depth": 3}
    with pytest.raises(InputError) as caught:
        protection_from_spec("nammed")
    assert "did you mean `named`?" in caught.value.hint


def test_a_link_registered_at_run_time_is_a_profile_whose_numbers_a_scenario_may_change() -> None:
    register("link")(LinkProfile("leo", rate_bps=1e6, propagation_s=0.01))
    assert link_from_spec("leo").propagation_s == 0.01
    assert link_from_spec({"leo": {"rate_bps": 5e5}}).rate_bps == 5e5
    with pytest.raises(InputError) as caught:
        link_from_spec("loe")
    assert "did you mean `leo`?" in caught.value.hint


def test_a_controller_registered_at_run_time_is_found_by_name() -> None:
    class Last:
        name = "last"

        def choose(self, slot, reports):
            return 0

    register("controller", "last")(lambda settings, protections: Last())
    assert controller_from_spec("last", [NoProtection()]).choose(0, []) == 0


STUDY = {"name": "nearly-this", "measure": lambda self, context: 0, "compare": lambda self, table, measured: None}


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_name_has_the_nearest_known_one_as_hint(kind: str) -> None:
    others = {"link": LinkProfile("nearly-this"), "study": type("Nearly", (Study,), STUDY)}
    known = others.get(kind, lambda first=None, second=None: None)
    if kind != "codec":
        register(kind, "nearly-this")(known)
        assert load_plugin(kind, "nearly-this") is known
        assert "nearly-this" in plugin_names(kind)
    asked, meant = ("jpg2000", "jpeg2000") if kind == "codec" else ("nearly-thiss", "nearly-this")
    with pytest.raises(InputError) as caught:
        load_plugin(kind, asked)
    assert f"unknown {kind} `{asked}`" in caught.value.message
    assert f"did you mean `{meant}`?" in caught.value.hint


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "protection"])
def test_a_name_like_no_other_has_the_ways_in_as_hint(kind: str) -> None:
    with pytest.raises(InputError) as caught:
        load_plugin(kind, "qqqqqqqq")
    group = "netsim.studies" if kind == "study" else f"netsim.{kind}s"
    first, second = caught.value.hint.splitlines()
    assert first.startswith("known: ")
    assert second == (
        f"a {kind} of your own: run netsim in the process that registers it, or install a package with an entry point "
        f"in the group `{group}`"
    )


class Own(netsim.Channel):
    """Not whole, but enough to have a name."""


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ({"channels": [Own]}, 'register it: netsim.register("channel", "Own")(Own); then give its name: "Own"'),
        ({"codecs": [netsim.Codec]}, 'netsim.register("codec", "Codec")(Codec)'),
        ({"link": LinkProfile("leo")}, 'netsim.register("link")'),
        ({"control": bernoulli}, 'netsim.register("controller", "bernoulli")(bernoulli)'),
        ({"codecs": [{"jpeg": {"quality": 30, "protection": NoProtection}}]}, 'netsim.register("protection", "none")'),
        ({"channels": ["qqqqqqqq"]}, "in the group `netsim.channels`"),
        ({"channels": [{"qqqqqqqq": {"period": 3}}]}, "in the group `netsim.channels`"),
        ({"link": "qqqqqqqq"}, "in the group `netsim.links`"),
        ({"codecs": [{"qqqqqqqq": {"quality": 30}}]}, "in the group `netsim.codecs`"),
        ({"codecs": [{"jpeg": {"quality": 30, "protection": "zzzzzz"}}]}, "in the group `netsim.protections`"),
        ({"metrics": ["qqqqqqqq"]}, "in the group `netsim.metrics`"),
    ],
    ids=range(11),  # a function in an id would bring its address, which differs between processes
)
def test_what_a_scenario_can_not_name_yet_is_refused_with_its_way_in(keys: dict[str, object], hint: str) -> None:
    with pytest.raises(InputError) as caught:
        netsim.plan({**SCENARIO, **keys})
    assert hint in caught.value.hint


@pytest.mark.parametrize("call", [lambda: netsim.codec(Own, bits=3), lambda: netsim.channels[Own]])
def test_a_class_in_place_of_a_name_is_refused_with_its_way_in(call) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert 'then give its name: "Own"' in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("channel", "EP4"),
        ("channel", "EP3-released"),
        ("channel", "trace"),
        ("protection", "arq"),
        ("controller", "fixed"),
        ("metric", "psnr_db"),
        ("figure", "radar"),
        ("trainer", "resicomp"),
    ],
)
def test_no_plug_in_takes_the_place_of_an_installed_or_built_in_one(kind: str, name: str) -> None:
    with pytest.raises(InputError, match=f"there is a {kind} `{name}` already"):
        register(kind, name)(lambda: None)
    with pytest.raises(InputError, match="there is a link `geo` already"):
        register("link")(LinkProfile("geo"))


@pytest.mark.parametrize(
    ("kind", "plugin", "telling"),
    [
        ("codecs", print, "did you mean `codec`?"),
        ("codec", print, "a subclass of netsim.Codec"),
        ("link", print, "a netsim.LinkProfile"),
        ("metric", 3, "my-name"),
        ("metric", lambda: None, "my-name"),
    ],
)
def test_what_can_not_be_registered_is_refused_at_once(kind: str, plugin: object, telling: str) -> None:
    with pytest.raises(InputError) as caught:
        register(kind)(plugin)
    assert telling in caught.value.hint


def test_a_second_registration_replaces_the_first() -> None:
    for level in (1, 2):
        register("metric", "level")(lambda reference, images, level=level: np.full(len(images), level))
    assert load_plugin("metric", "level")(None, [0])[0] == 2


LOCAL = """
import numpy as np
import netsim
from netsim.channels import bernoulli
from netsim.protection.base import NoProtection

{codec}

LEVEL = 128
netsim.register("codec")(Grey)


@netsim.register("metric")
def mean_level(reference, images):
    return images.reshape(len(images), -1).mean(axis=1)


@netsim.register("channel")
def fading(loss_rate):
    return bernoulli(loss_rate, name="fading")


@netsim.register("protection")
class Named(NoProtection):
    name = "named"

    def __init__(self, settings):
        pass


netsim.register("link")(netsim.LinkProfile("leo", rate_bps=1e6))
"""

EVERY_KIND = {
    **SCENARIO,
    "codecs": [{"grey": {"bits": 8, "protection": "named"}}],
    "channels": [{"fading": {"loss_rate": 0.25}}],
    "link": "leo",
    "metrics": ["mean_level"],
}


def test_workers_have_what_was_registered_and_write_the_same_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, monkeypatch, LOCAL.format(codec=GREY_CODEC))
    one = netsim.run(EVERY_KIND, out="one")
    two = netsim.run(EVERY_KIND, out="two", workers=2, fresh=True)
    assert (one.path / "log.parquet").read_bytes() == (two.path / "log.parquet").read_bytes()
    assert {"codec grey", "channel fading", "protection named", "link leo", "metric mean_level"} <= {
        " ".join(name.split()[:2]) for name in one.manifest["inputs"]["plugins"]
    }


@pytest.mark.slow
def test_what_a_worker_can_not_import_is_refused_in_one_sentence(tmp_path: Path) -> None:
    @register("metric", "local")
    def local(reference, images):
        return np.zeros(len(images))

    scenario = {**SCENARIO, "metrics": ["local"]}
    assert (netsim.run(scenario).log["local"].dropna() == 0).all()
    with pytest.raises(InputError, match="metric `local` is defined in tests") as caught:
        netsim.run(scenario, workers=2, fresh=True)
    assert "workers=1" in caught.value.hint
    netsim.run(SCENARIO, workers=2, fresh=True)  # what is not used is in nobody's way


def test_a_registration_that_can_not_be_adopted_raises_where_it_is_used() -> None:
    [sent] = [registry.Registration("metric", "gone", "no_such_module:gone")]
    adopt([sent])
    with pytest.raises(InputError, match="metric `gone` can't be imported in a worker process: ModuleNotFoundError"):
        load_plugin("metric", "gone")
    assert registrations()[0].refusal


def test_a_codec_typed_in_again_with_another_helper_takes_nothing_stale_from_the_store() -> None:
    """As cells of a notebook: neither the class nor its helper lies in a file."""
    scope: dict[str, object] = {"__name__": "typed_in"}
    exec(f"{GREY_CODEC}\nLEVEL = 0\n", scope)
    register("codec")(scope["Grey"])
    scenario = {**SCENARIO, "codecs": [{"grey": {"bits": 8}}]}
    quality = []
    for level in (0, 255):  # a global that the class's methods read
        scope["LEVEL"] = level
        log = netsim.run(scenario).log
        quality.append(log["psnr_db"][log["packets_lost"] > 0].mean())
    assert quality[0] > 0
    assert quality[0] != quality[1]


def test_a_figure_registered_at_run_time_is_drawn_with_its_options() -> None:
    from matplotlib.figure import Figure

    from netsim.analysis.summary import summarise
    from netsim.figures.kinds import figure_kind, make

    @register("figure")
    def sizes(log, summary, *, of: str = "bytes"):
        """Bytes of each slot."""
        numbers = log[["slot", of]]
        figure = Figure()
        figure.subplots().plot(numbers["slot"], numbers[of])
        return numbers, figure

    run = netsim.run(SCENARIO)
    summary = summarise(run.log, 13.0)
    assert figure_kind("sizes").title == "Bytes of each slot."
    numbers, figure = make("sizes", run.log, summary, of="bpp")
    assert (figure.axes[0].lines[0].get_ydata() == numbers["bpp"]).all()
    with pytest.raises(InputError, match="no option `off`"):
        make("sizes", run.log, summary, off=1)
    register("figure", "wrong")(lambda log, summary: 3)
    with pytest.raises(InputError, match="figure `wrong` returns int"):
        make("wrong", run.log, summary)
