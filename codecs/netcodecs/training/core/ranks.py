"""Data-parallel training on one machine: single-threaded processes that average their gradients.

On a processor one thread in each of two processes is faster than two threads in one, and slows down less when
something else runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import distributed, nn

__all__ = ["Ranks"]


class Ranks:
    """This process's place among those of a run.

    Args:
        rank: 0 … count − 1. Rank 0 validates and writes.
        count: Processes of the run.
        meeting: A file by which they find each other; not used by a single one.
    """

    def __init__(self, rank: int = 0, count: int = 1, meeting: Path | None = None) -> None:
        self.rank, self.count = rank, count
        if count > 1:
            assert meeting is not None
            distributed.init_process_group("gloo", f"file://{meeting.absolute()}", rank=rank, world_size=count)

    @property
    def leads(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> float:
        """Replaces each gradient by its mean over the processes; returns the norm of all of them."""
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.count > 1:
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
            distributed.all_reduce(flat)
            for gradient, part in zip(
                gradients, (flat / self.count).split([g.numel() for g in gradients]), strict=True
            ):
                gradient.copy_(part.view_as(gradient))
        return float(torch.nn.utils.get_total_norm(gradients))

    def agree(self, *values: float) -> tuple[float, ...]:
        """Rank 0's values, in every process."""
        shown = torch.tensor(values, dtype=torch.float64)
        if self.count > 1:
            distributed.broadcast(shown, 0)
        return tuple(shown.tolist())
