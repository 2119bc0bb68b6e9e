"""One run of training of new blocks for g_s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from netcodecs.common.devices import check_device
from netcodecs.progressive.methods import METHODS, shipped_weights
from netcodecs.progressive.weights import load_weights
from netcodecs.training.core.checkpoint import load_tensors
from netcodecs.training.core.crops import RandomCrops, load_folder
from netcodecs.training.core.ranks import Ranks
from netcodecs.training.core.run import TrainingConfig, TrainingRun
from netcodecs.training.synthesis.objective import BASELINE, DeeperSynthesis, MoreBlocks
from netcodecs.transforms.residual import ResidualSize
from netcodecs.weight_files import fill, in_float16, read_weights, restored, shrunk, tensors_below, write_weights
from netsim.errors import InputError

__all__ = ["Session", "averaged_blocks", "save_blocks"]

_HELD_OUT, _VALIDATION_STEPS = 6, 800


class Session:
    """Images, the networks of all methods, and the new blocks that learn.

    Args:
        start: Weights of the baseline, beside which those of the other methods are; or blocks of :func:`save_blocks` to
            go on from, for the methods that ship.
        folders: Of training images.
        validation: Folder of images held out.
        batch: Crops per step.
        crop: Side of a crop, in pixels.
        more_8: New blocks at stride 8.
        more_16: New blocks at stride 16.
        device: Where they learn.
        seed: Of the run.

    Raises:
        InputError: If images or weights can't be read, or the blocks in ``start`` are of another size.
    """

    def __init__(
        self,
        start: Path,
        folders: Sequence[Path],
        validation: Path,
        *,
        batch: int = 8,
        crop: int = 256,
        more_8: int = 3,
        more_16: int = 4,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        check_device(device, "--device")
        torch.manual_seed(seed)
        begun = read_weights(start)[1].get("trains") == "synthesis"
        folder = shipped_weights(BASELINE).parent if begun else start.parent
        paths = [path for name in METHODS if (path := folder / f"{name}.safetensors").is_file()]
        networks = {path.stem: load_weights(path)[0] for path in paths}
        if BASELINE not in networks or networks[BASELINE].kind.kind != "residual":
            raise InputError(f"{folder} holds no residual {BASELINE}", hint="start from the weights that ship")
        self._more = {"more_8": more_8, "more_16": more_16}
        images = [image for folder in folders for image in load_folder(folder, at_least=crop)]
        self._crops = crops = RandomCrops(images, crop, device=device)
        held_out = load_folder(validation, at_least=64, limit=_HELD_OUT)
        size = replace(ResidualSize(*networks[BASELINE].kind.widths), **self._more)
        self.objective = DeeperSynthesis(networks, size, crops, held_out, batch=batch, device=device)
        if begun:
            fill(self.objective.network, restored(read_weights(start)[0]), start)
        self._start, self._methods, self._widths = start, list(networks), networks[BASELINE].kind.widths
        self._batch, self._crop, self._device, self._seed = batch, crop, device, seed

    def train(self, out: Path, *, steps: int, rate: float, ranks: Ranks | None = None, resume_at: int = 0) -> int:
        """Trains to the end or until stopped; returns 0, or 128 + the number of the signal that stopped it."""
        config = TrainingConfig(
            steps=steps,
            rate=rate,
            batch=self._batch,
            crop=self._crop,
            seed=self._seed,
            validation_steps=_VALIDATION_STEPS,
        )
        facts = self._more | {
            "trains": "synthesis",
            "start": self._start.name,
            "methods": self._methods,
            "images": self._crops.images,
            "megapixels": self._crops.megapixels,
            "widths": self._widths,
            "processes": 1 if ranks is None else ranks.count,
        }
        run = TrainingRun(
            self.objective, config, out, ranks=ranks, device=self._device, facts=facts, resume_at=resume_at
        )
        asked = run.fit()
        return 128 + asked if asked else 0


def averaged_blocks(checkpoint: Path) -> MoreBlocks:
    """The weight average in a checkpoint."""
    tensors, facts = load_tensors(checkpoint)
    size = replace(ResidualSize(*facts["widths"]), more_8=facts["more_8"], more_16=facts["more_16"])
    more = MoreBlocks(size)
    more.load_state_dict(tensors_below("average/", tensors))
    return more.eval()


def save_blocks(path: Path, more: MoreBlocks, facts: dict[str, object]) -> None:
    """Writes blocks as float16, for training to go on."""
    write_weights(path, shrunk(more.state_dict(), in_int8=in_float16), {"trains": "synthesis"} | facts)
