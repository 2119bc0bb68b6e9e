"""Scenarios of every form, some of their values replaced by odd ones: a plan or an InputError."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image
from ruamel.yaml import YAML

from netsim.channels.markov import MarkovChannel
from netsim.registry import load_plugin
from netsim.scenario.document import Document
from netsim.scenario.load import plan_document
from netsim.scenario.show import plan_json

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1.5, 10**9, -(10**9), 2**63, 2**64, 10**400, 1e308, 1e-320),
    *(float("inf"), -float("inf"), float("nan"), "", " ", "none", "nan", "1.2.3%", "1..2%", "110%", "-5%", "30%", "٣%"),
    *("EP4", "EP1..EP3", "EP6..EP1", "EP1..", "..", "ge-15", "x" * 300, "a\0b", "~nobody/x", "../x", "$x_$"),
    *([], {}, [[]], [{}], [None], {"": None}, {"a": 1}, [1, 2], [10, 7], ["EP4", "EP4"], {"n": 10}, {"first": 1}),
    *({"geo": None}, {"trace": "trace.txt"}, {"loss_rate": "10%"}, {"switch": []}, {"reed-solomon": "30%"}, "vvc"),
]
CODECS: dict[str, dict[str, list[Any]]] = {
    "jpeg": {"quality": [50, [10, 20]], "packets": [1, 10], "bpp": [0.4]},
    "webp": {"quality": [50], "packets": [3]},
    "vvc": {"qp": [37], "preset": ["medium"], "bpp": [0.3], "engine": ["exact", "array"]},
    "hevc": {"qp": [37]},
    "jpeg2000": {"bpp": [0.5, [0.2, 0.4]], "receiver": ["prefix", "resilient"], "packets": [4], "layers": [3]},
}
PROTECTIONS: list[Any] = [
    *("none", None, {"reed-solomon": "30%"}, {"reed-solomon": 0.3}, {"reed-solomon": [10, 7]}),
    *({"reed-solomon": {"n": 10, "k": 7}}, {"repeat": {"packets": [1, 3]}}, {"repeat": {"first": 2, "times": 3}}),
    *({"arq": {"retries": 2}}, {"arq": {"retries": 1, "timeout_s": 0.1}}),
]
CHANNELS: list[Any] = [
    *("EP4", "EP1..EP6", "ge-15", "EP3-released", {"loss_rate": 0.1}, {"loss_rate": "10%", "mean_burst": 4}),
    *({"preset": "EP3", "variant": "released", "start": "uniform"}, {"p": 0.1, "r": 0.5, "h": 0.5, "k": 1}),
    *({"p": "1%", "r": "10%", "1-h": "70%", "1-k": 0}, {"switch": ["EP3", "EP5"], "probabilities": [0.7, 0.3]}),
    {"p_good": 0.94, "p_bad": 0.41, "p_intermediate": 0.57, "p_bad_to_good": 0.36, "name": "three"},
    {"states": ["G", "B"], "rows": [[0.9, 0.1], [0.5, 0.5]], "loss": [0, 1], "start": "B"},
    *({"trace": "trace.txt", "step_s": 0.1}, {"trace": "trace.txt", "link": "a"}),
]
LINKS: list[Any] = [
    *(None, "geo", "wlan", "ideal", {"geo": {"elevation_deg": [35, 42], "rate_bps": 9600}}),
    *(
        {"ideal": {"interval_s": 0.1, "deadline_s": 0.2, "period_s": 0.3}},
        {"mobile": {"jitter_s": 0, "mtu_bytes": 500}},
    ),
    {"wlan": {"queue_packets": 3, "overhead_bytes": 10, "feedback_delay_s": 0.1, "propagation_s": 0.2}},
]
CONTROLS: list[Any] = [
    *(None, "none", "fixed", {"fixed": {"choice": 0}}, {"previous-interval": {"factor": 2, "interval_slots": 5}}),
    {"previous-interval": {"thresholds": [0.1], "start": 0}},
]

ASSIGNED = ["name", "trials", "codecs.0", "codecs.0.jpeg.quality", "channels.0.loss_rate", "0", "a..b", "²", ""]
VALUES = ["2024-13-45", "2024-12-25", ".nan", "[1, 2]", "{a: 1}", "{[a]: 1}", "*a", "!x 1", "1", "", "\udcff"]


def attempt(rng: Random, folder: Path) -> object:
    """A plan and its printed forms."""
    _files(folder)
    data = _scenario(rng)
    if rng.random() < 0.7:
        for _ in range(rng.randint(1, 2)):
            _spoil(data, rng)
    document = _document(data, rng)
    if rng.random() < 0.2:
        document = document.with_overrides([_assignment(rng)])
    plan = plan_document(document, base_dir=folder)
    assert plan.rows
    for row in plan.rows:
        channel = row.channel
        assert not isinstance(channel, MarkovChannel) or 0 <= channel.loss_rate <= 1
    json.loads(plan_json(plan))
    json.dumps(plan.resolved, ensure_ascii=False).encode()
    return plan.run_id


def prepare() -> None:
    """Imports what the metrics need: on a busy machine that takes longer than a case may."""
    load_plugin("metric", "ms_ssim")


@cache
def _files(folder: Path) -> None:
    """What scenarios name: two images and a trace."""
    (folder / "images").mkdir()
    for name in "ab":
        Image.effect_noise((32, 24), 50).convert("RGB").save(folder / "images" / f"{name}.png")
    (folder / "trace.txt").write_text("# 1=lost\na 0010\nb 0110\n")


def _scenario(rng: Random) -> dict[str, Any]:
    def one_or_more(forms: list[Any]) -> Any:
        return rng.choice(forms) if rng.random() < 0.5 else rng.sample(forms, k=rng.randint(1, 3))

    codecs: list[Any] = []
    for name in rng.sample(sorted(CODECS), k=rng.randint(1, 2)):
        rate, *others = CODECS[name]
        keys = [rate, *rng.sample(others, k=rng.randint(0, len(others)))]
        settings = {key: rng.choice(CODECS[name][key]) for key in keys if key != "bpp" or rate == "bpp"}
        if rng.random() < 0.3:
            settings["protection"] = one_or_more(PROTECTIONS)
        codecs.append({name: settings})
    optional = {
        "name": ["mine", "two words"],
        "images": ["images", {"folder": "images", "limit": 1}, ["images/a.png"], {"samples": ["coffee"]}],
        "protection": [one_or_more(PROTECTIONS)],
        "link": [one_or_more(LINKS)],
        "control": [one_or_more(CONTROLS)],
        "engine": ["auto", "event", "array", "exact", "stratified"],
        "coverage": [0.99, 1],
        "trials": [1, 50],
        "precision": ["0.05 dB", 0.1],
        "slots": [1, 5],
        "seed": [0, 7],
        "log": ["slots", "packets"],
        "metrics": [["psnr_db"], ["psnr_db", "ms_ssim"]],
        "failure_db": [13, 10.0],
    }
    chosen = rng.sample(sorted(optional), k=rng.randint(0, 6))
    data = {"images": "images", "codecs": codecs, "channels": rng.sample(CHANNELS, k=rng.randint(1, 3))}
    return deepcopy({**data, **{key: rng.choice(optional[key]) for key in chosen}})


def _spoil(node: Any, rng: Random) -> None:
    """Replaces, adds or removes something at a random place."""
    places = [node]
    for container in places:
        inner = container.values() if isinstance(container, dict) else container
        places += [value for value in inner if isinstance(value, dict | list)]
    container = rng.choice(places)
    keys: list[Any] = list(container) if isinstance(container, dict) else list(range(len(container)))
    odd = deepcopy(rng.choice(ODD))
    way = rng.randrange(5)
    if way == 0 and keys:
        del container[rng.choice(keys)]
    elif way == 1 and isinstance(container, list):
        container.append(odd)
    elif way == 1:
        container[rng.choice(["name", "packets", "start", "limit", "choices", "weights", "$a_$", "x" * 300])] = odd
    elif keys:
        container[rng.choice(keys)] = odd


def _document(data: dict[str, Any], rng: Random) -> Document:
    """From YAML text in some cases, in others from values alone, which is quicker."""
    if rng.random() < 0.8:
        return Document("case.yaml", data)
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(data, text)
    return Document.parse(text.getvalue(), "case.yaml")


def _assignment(rng: Random) -> str:
    return f"{rng.choice(ASSIGNED)}={rng.choice(VALUES)}"
