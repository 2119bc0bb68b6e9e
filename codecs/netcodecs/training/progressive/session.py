"""One run of training of the channel-progressive family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from netcodecs.common.devices import check_device
from netcodecs.progressive.backbone import MBT_WIDTHS, Backbone, TransformKind
from netcodecs.progressive.methods import Method, method_named
from netcodecs.progressive.weights import load_weights
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.crops import RandomCrops, load_folder
from netcodecs.training.core.ranks import Ranks
from netcodecs.training.core.run import TrainingConfig, TrainingRun
from netcodecs.training.init.lapped import initialise_lapped
from netcodecs.training.init.ordering import order_channels
from netcodecs.training.pieces import NEW
from netcodecs.training.progressive.channel_masks import received_by
from netcodecs.training.progressive.emphasis import Emphasis
from netcodecs.training.progressive.objective import ProgressiveObjective
from netcodecs.transforms.residual import LARGE
from netcodecs.weight_files import tensors_below

__all__ = ["Session", "averaged_network", "initial_network"]

_HELD_OUT, _CROPS = 8, 32
_KINDS = {
    "compact": TransformKind(),
    "large": TransformKind("residual", (LARGE.channels_8, LARGE.blocks_8, LARGE.channels_16, LARGE.blocks_16)),
    "mbt": TransformKind("mbt", MBT_WIDTHS),
    "elic": TransformKind("elic", (256, 256, 256)),
}


class Session:
    """Images, a network with initial weights, and what it learns.

    Args:
        method: What is trained.
        start: A file of weights, or ``new``.
        folders: Of training images.
        validation: Folder of images held out.
        batch: Crops per step.
        crop: Side of a crop, in pixels.
        transforms: Of a ``new`` network: compact, large, mbt or elic.
        smaller_share: Share of crops that are cut from images made smaller.
        device: Where the network learns.
        seed: Of the run.
        emphasis: What counts how much.

    Raises:
        InputError: If images or weights can't be read.
    """

    def __init__(
        self,
        method: Method,
        start: str,
        folders: Sequence[Path],
        validation: Path,
        *,
        batch: int,
        crop: int,
        transforms: str = "compact",
        smaller_share: float = 0.0,
        device: str = "cpu",
        seed: int = 0,
        emphasis: Emphasis | None = None,
    ) -> None:
        check_device(device, "--device")
        self._method, self._start, self._batch, self._crop = method, start, batch, crop
        self._device, self._seed, self._emphasis = device, seed, emphasis or Emphasis()
        images = [image for folder in folders for image in load_folder(folder, at_least=crop)]
        self._crops = crops = RandomCrops(images, crop, smaller_share=smaller_share, device=device)
        held_out = load_folder(validation, at_least=64, limit=_HELD_OUT)
        torch.manual_seed(seed)
        some = crops.draw(_CROPS, np.random.default_rng(seed)).cpu()
        self._network = initial_network(method, start, some, transforms=transforms, emphasis=self._emphasis)
        self.objective = ProgressiveObjective(
            self._network, method, crops, held_out, batch=batch, device=device, emphasis=self._emphasis
        )

    def train(self, out: Path, *, steps: int, rate: float, ranks: Ranks | None = None, resume_at: int = 0) -> int:
        """Trains to the end or until stopped; returns 0, or 128 + the number of the signal that stopped it."""
        config = TrainingConfig(steps=steps, rate=rate, batch=self._batch, crop=self._crop, seed=self._seed)
        facts = {
            "trains": self._method.name,
            "start": Path(self._start).name,
            "emphasis": asdict(self._emphasis),
            "images": self._crops.images,
            "megapixels": self._crops.megapixels,
            "smaller_share": self._crops.smaller_share,
            "kind": self._network.kind.kind,
            "widths": self._network.kind.widths,
            "lambdas": self._network.lambdas,
            "processes": 1 if ranks is None else ranks.count,
        }
        run = TrainingRun(
            self.objective, config, out, ranks=ranks, device=self._device, facts=facts, resume_at=resume_at
        )
        asked = run.fit()
        return 128 + asked if asked else 0


@torch.no_grad()
def initial_network(
    method: Method,
    start: str,
    crops: torch.Tensor | None,
    *,
    transforms: str = "compact",
    emphasis: Emphasis | None = None,
) -> Backbone:
    """A method's network before its first step.

    What it shares with ``start`` is taken over; new modules start as the identity. Modules of ``start`` that the method
    lacks are left out, as an ablation needs it. A method with tail drop that starts from one without gets its channels
    in order of their bits, if its transforms are residual.

    Args:
        method: What is to be trained.
        start: A file of weights, of any method; or ``new``.
        crops: (B, 3, H, W), 0…1; None where only the shapes matter.
        transforms: Of a ``new`` network: compact or large (residual, begun as a lapped-transform codec), mbt or elic
            (begun at random).
        emphasis: Of the training that follows: its share of lossless images counts where MCA starts.
    """
    if start == NEW:
        network = Backbone(_KINDS[transforms], scr=method.scr, mca=method.mca)
        if crops is not None and network.kind.kind == "residual":
            initialise_lapped(network, crops)
        ordered = has_mca = False
    else:
        given, of = load_weights(Path(start))
        network = Backbone(given.kind, scr=method.scr, mca=method.mca, lambdas=given.lambdas)
        own = network.state_dict()
        network.load_state_dict(own | {name: value for name, value in given.state_dict().items() if name in own})
        ordered, has_mca = of.tail_drop, of.mca
    if method.tail_drop and not ordered and crops is not None and network.kind.kind == "residual":
        order_channels(network, crops)
    if network.aggregation is not None and not has_mca and crops is not None:
        _fit_aggregation(network, method, crops, emphasis or Emphasis())
    return network


def _fit_aggregation(network: Backbone, method: Method, crops: torch.Tensor, emphasis: Emphasis) -> None:
    """Starts MCA as the best concealment by neighbours, under the losses of training at the middle λ."""
    assert network.aggregation is not None
    lam = torch.full((len(crops),), network.lambdas[len(network.lambdas) // 2])
    gain, inverse = network.gains(lam)
    latent = network.analysed(crops, gain) * inverse
    received = received_by(method.losses, len(crops), np.random.default_rng(0), emphasis.lossless_share)
    network.aggregation.fit_neighbours(
        latent, network.arranged(received[:, :, None, None].float().expand(latent.shape))
    )


def averaged_network(checkpoint: Path) -> Backbone:
    """The weight average in a checkpoint, in eval mode."""
    tensors, facts = load_tensors(checkpoint)
    method, kind = method_named(facts["trains"]), TransformKind(facts["kind"], tuple(facts["widths"]))
    network = Backbone(kind, scr=method.scr, mca=method.mca, lambdas=tuple(facts["lambdas"]))
    average = tensors_below("average/", tensors)
    network.load_state_dict(network.state_dict() | average)
    return network.eval()
