"""One run of ResiComp's training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from netcodecs.common.devices import check_device
from netcodecs.resicomp.model import ResiCompModel
from netcodecs.resicomp.sizes import SIZES, Size
from netcodecs.resicomp.weights import holds_resicomp, load_transforms, load_weights
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.crops import RandomCrops, load_folder
from netcodecs.training.core.ranks import Ranks
from netcodecs.training.core.run import TrainingConfig, TrainingRun
from netcodecs.training.core.settings import check_setting
from netcodecs.training.resicomp.objective import ResiCompObjective
from netcodecs.transforms.gained import STRIDE, TransformKind
from netcodecs.weight_files import tensors_below
from netsim.errors import InputError

__all__ = ["Session", "averaged_model", "initial_model", "measure_spread"]

_HELD_OUT, _CROPS = 8, 32


class Session:
    """Images, a model with initial weights, and its objective.

    Args:
        start: A file of weights: of ResiComp, to go on from; or of the baseline, whose transforms are taken.
        folders: Of training images.
        validation: Folder of images held out.
        size: Of a new Transformer; ignored where ``start`` has one.
        separate: Whether a new model has a second Transformer, for concealment.
        batch: Crops per step.
        crop: Side of a crop, in pixels.
        alpha: Weight of the concealed image's error.
        balance: Exponent of (.0067 / λ), by which an image's loss is weighted.
        transforms_rate: Learning rate of the transforms, as a multiple of the Transformer's.
        smaller_share: Share of crops that are cut from images made smaller.
        device: Where the model learns.
        seed: Of the run.

    Raises:
        InputError: If images or weights can't be read, or a setting is out of range.
    """

    def __init__(
        self,
        start: Path,
        folders: Sequence[Path],
        validation: Path,
        *,
        size: str = "compact",
        separate: bool = False,
        batch: int = 8,
        crop: int = 256,
        alpha: float = 0.1,
        balance: float = 0.4,
        transforms_rate: float = 0.5,
        smaller_share: float = 0.0,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        check_device(device, "--device")
        torch.manual_seed(seed)
        self._settings = {"alpha": alpha, "balance": balance, "transforms_rate": transforms_rate}
        for name, value in {"size": size, **self._settings}.items():
            check_setting(name, value)
        self._model = initial_model(start, SIZES[size], separate=separate)
        side = STRIDE * self._model.transformer.size.window
        if crop % side or crop < side:
            raise InputError(f"crop {crop}", hint=f"a multiple of {side} pixels, the Transformer's window")
        self._start, self._batch, self._crop, self._seed, self._device = start, batch, crop, seed, device
        images = [image for folder in folders for image in load_folder(folder, at_least=crop)]
        self._crops = crops = RandomCrops(images, crop, smaller_share=smaller_share, device=device)
        held_out = load_folder(validation, at_least=side, limit=_HELD_OUT)
        if not holds_resicomp(start):
            measure_spread(self._model, crops.draw(_CROPS, np.random.default_rng(seed)).cpu())
        self.objective = ResiCompObjective(
            self._model,
            crops,
            held_out,
            batch=batch,
            alpha=alpha,
            balance=balance,
            transforms_rate=transforms_rate,
            device=device,
        )

    def train(self, out: Path, *, steps: int, rate: float, ranks: Ranks | None = None, resume_at: int = 0) -> int:
        """Trains to the end or until stopped; returns 0, or 128 + the number of the signal that stopped it."""
        config = TrainingConfig(steps=steps, rate=rate, batch=self._batch, crop=self._crop, seed=self._seed)
        transforms = self._model.transforms
        facts = self._settings | {
            "trains": "resicomp",
            "start": self._start.name,
            "images": self._crops.images,
            "megapixels": self._crops.megapixels,
            "smaller_share": self._crops.smaller_share,
            "kind": transforms.kind.kind,
            "widths": transforms.kind.widths,
            "lambdas": transforms.lambdas,
            "size": asdict(self._model.transformer.size),
            "separate": self._model.second is not None,
            "processes": 1 if ranks is None else ranks.count,
        }
        run = TrainingRun(
            self.objective, config, out, ranks=ranks, device=self._device, facts=facts, resume_at=resume_at
        )
        asked = run.fit()
        return 128 + asked if asked else 0


def initial_model(start: Path, size: Size, *, separate: bool = False) -> ResiCompModel:
    """A model before its first step; of a new one, ``spread`` is still to be measured.

    Args:
        start: A file of weights, see :class:`Session`.
        size: Of a new Transformer.
        separate: With a second, new Transformer.

    Raises:
        InputError: If the file has no transforms for this.
    """
    if holds_resicomp(start):
        return load_weights(start)
    transforms = load_transforms(start)
    model = ResiCompModel(transforms.kind, size, transforms.lambdas, separate=separate)
    model.transforms.load_state_dict(transforms.state_dict())
    return model


@torch.no_grad()
def measure_spread(model: ResiCompModel, crops: torch.Tensor) -> None:
    """Sets a model's ``spread`` to the root mean square of each channel on crops (B, 3, H, W), 0…1."""
    model.spread.copy_(model.transforms.g_a(crops).square().mean((0, 2, 3)).sqrt().clamp(min=1e-3))


def averaged_model(checkpoint: Path) -> ResiCompModel:
    """The weight average in a checkpoint, in eval mode."""
    tensors, facts = load_tensors(checkpoint)
    kind = TransformKind(facts["kind"], tuple(facts["widths"]))
    model = ResiCompModel(kind, Size(**facts["size"]), tuple(facts["lambdas"]), separate=facts["separate"])
    average = tensors_below("average/", tensors)
    model.load_state_dict(model.state_dict() | average)
    return model.eval()
