"""A network of two small layers that learns to blur noise: a training run in milliseconds.

As a program: what one of two processes does in test_run.py.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from netcodecs.training.core.ranks import Ranks
from netcodecs.training.core.run import TrainingConfig, TrainingRun
from torch import Tensor, nn

CONFIG = TrainingConfig(steps=8, rate=0.01, batch=3, crop=8, validation_steps=4)


class Toy:
    """See the module. stop_at: the step in which a signal comes; die_at: the one in which the process is lost."""

    statistics = ("loss",)

    def __init__(self, stop_at: int = -1, die_at: int = -1) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 1))
        self.step, self.stop_at, self.die_at = 0, stop_at, die_at

    def grouping(self, name: str, parameter: nn.Parameter) -> tuple[str, float]:
        return ("soap", 1.0) if parameter.dim() == 4 else ("adam", 0.5)

    def batch(self, rng: np.random.Generator) -> Tensor:
        return torch.from_numpy(rng.normal(size=(CONFIG.batch, 3, 8, 8))).float()

    def error(self, images: Tensor) -> Tensor:
        blurred = nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
        return (self.network(images).float() - blurred).square().mean()

    def loss(self, rng: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
        step = round(share * CONFIG.steps)
        if step == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if step == self.die_at:
            raise MemoryError
        images = self.batch(rng)
        error = self.error(images + 0.1 * torch.rand_like(images))
        return error, error[None]

    def validate(self, network: nn.Module) -> list[dict[str, float]]:
        assert not network.training
        return [{"error": float(self.error(self.batch(np.random.default_rng(1))))}]


def main(rank: int, folder: Path) -> None:
    ranks = Ranks(rank, 2, folder / "meeting")
    toy = Toy()
    toy.error(toy.batch(np.random.default_rng(rank))).backward()
    norm = ranks.average_gradients(list(toy.network.parameters()))
    if ranks.leads:
        torch.save([norm, *(p.grad for p in toy.network.parameters())], folder / "gradients.pt")
    assert TrainingRun(Toy(), CONFIG, folder / "undisturbed", ranks=ranks).fit() == 0
    stopped = TrainingRun(Toy(stop_at=3 if ranks.leads else -1), CONFIG, folder / "stopped", ranks=ranks)
    assert stopped.fit() == (signal.SIGTERM if ranks.leads else 0)
    assert stopped.steps == 4
    ranks.agree(0.0)  # the checkpoint is written
    assert TrainingRun(Toy(), CONFIG, folder / "stopped", ranks=ranks).fit() == 0


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
