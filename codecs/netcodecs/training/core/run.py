"""A training run: steps, validations and checkpoints, from the first step to the last, over any number of restarts."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from netcodecs.training.core.checkpoint import load_tensors, save_tensors
from netcodecs.training.core.interrupt import GracefulInterrupt
from netcodecs.training.core.optimisers import Optimisers, SpikeFilter, ema_update, rate_factor
from netcodecs.training.core.ranks import Ranks
from netsim.errors import InputError

__all__ = ["CHECKPOINT", "VALIDATION", "Objective", "TrainingConfig", "TrainingRun", "supports_bf16"]

CHECKPOINT, VALIDATION = "checkpoint.safetensors", "validation.csv"
_CHECKPOINT_S, _LINE_S = 300.0, 60.0
_SAME_RUN = (  # facts in which a run does not change
    *("trains", "kind", "widths", "lambdas"),
    *("emphasis", "balance", "smaller_share"),
)
_SAME_IF_RECORDED = ("alpha", "transforms_rate")  # the same; of runs that did not record them nothing is known
_EARLIER: dict[str, Any] = {  # facts of runs that did not record them
    "emphasis": {"balance": 0.4, "whole_share": 0.5, "lossless_share": 0.5},
    "balance": 0.4,
    "smaller_share": 0.0,
}
_RESTART_STEPS = 200  # over which rates rise again where a run continues without its optimisers' state


def supports_bf16(device: str) -> bool:
    """Whether bfloat16 is fast on a device."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512_bf16" in cpuinfo.read_text()


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a run that do not depend on what is trained.

    Attributes:
        steps: Length of the run. The learning rate falls to zero over it.
        rate: Maximal learning rate of SOAP; other rates are multiples of it.
        batch: Crops per step and process.
        crop: Side of a crop, in pixels.
        warm: Share of the run over which the rate rises.
        decay: Of the weight average, per step.
        validation_steps: Steps between two validations.
        seed: Of crops, noise and masks.
    """

    steps: int
    rate: float = 1e-3
    batch: int = 5
    crop: int = 256
    warm: float = 0.02
    decay: float = 0.998
    validation_steps: int = 1000
    seed: int = 0


class Objective(Protocol):
    """What is trained, and how well it does."""

    @property
    def network(self) -> nn.Module:
        """What learns, with its initial weights."""

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the values that :meth:`loss` returns for the log."""

    def grouping(self, name: str, parameter: nn.Parameter) -> tuple[str, float]:
        """See ``netcodecs.training.core.optimisers.Grouping``."""

    def loss(self, rng: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
        """The loss of a batch, and the values of ``statistics``, (n,), for the log. share: of the run that is over."""

    def validate(self, network: nn.Module) -> list[dict[str, float]]:
        """Rows of the validation table, for weights of the kind of ``network``."""


class TrainingRun:
    """One run of one objective in one folder.

    Args:
        objective: Its network holds the initial weights.
        config: Settings.
        out: The run's folder.
        ranks: Processes that train together.
        device: Where the network learns.
        facts: About the run, for its record and the model card; JSON-able.
        resume_at: Steps that the initial weights have behind them, where no checkpoint is at hand.

    Raises:
        InputError: If the folder holds another run, or can't be made.
    """

    def __init__(
        self,
        objective: Objective,
        config: TrainingConfig,
        out: Path,
        *,
        ranks: Ranks | None = None,
        device: str = "cpu",
        facts: Mapping[str, Any] | None = None,
        resume_at: int = 0,
    ) -> None:
        self.objective, self.config, self.out = objective, config, out
        self.ranks, self.device, self.facts = ranks or Ranks(), device, dict(facts or {})
        self.network = objective.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        self.optimisers = Optimisers(self.network, objective.grouping, config.rate)
        self.spikes = SpikeFilter()
        self.steps = self._restarted_at = resume_at
        self.active_s = 0.0
        self._autocast = supports_bf16(device)
        if (out / CHECKPOINT).is_file():
            self._load(out / CHECKPOINT)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out} can't be a folder: {error.strerror}", hint="give another one") from None

    def fit(self) -> int:
        """Trains to the end, or until somebody asks to stop; returns that signal's number, or 0."""
        torch.set_num_threads(1 if self.device == "cpu" else torch.get_num_threads())
        torch.set_flush_denormal(True)
        saved, printed, total, count = time.time(), time.time(), torch.zeros(len(self.objective.statistics)), 0
        if self.steps == 0:
            self._validate()
        with GracefulInterrupt() as interrupt:
            last = time.time()
            while self.steps < self.config.steps:
                now = time.time()
                self.active_s, last = self.active_s + min(now - last, 30.0), now
                stop, save = self.ranks.agree(float(interrupt.asked), float(now - saved > _CHECKPOINT_S))
                if stop:
                    break
                total, count = total + self._step(), count + 1
                if save:
                    self.save()
                    saved = time.time()
                if time.time() - printed > _LINE_S and self.ranks.leads:
                    self._print_line(total / count, (time.time() - printed) / count)
                    printed, total, count = time.time(), torch.zeros_like(total), 0
                if self.steps % self.config.validation_steps == 0 and self.steps < self.config.steps:
                    self._validate()
            if not interrupt.asked:
                self._validate()
            self.save()  # before signals mean again what they meant outside
        return interrupt.asked

    def _step(self) -> Tensor:
        config, share = self.config, self.steps / self.config.steps
        seeds = np.random.SeedSequence([config.seed, self.steps, self.ranks.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        self.network.train()
        for parameter in self.optimisers.parameters:
            parameter.grad = None
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self._autocast):
            loss, statistics = self.objective.loss(np.random.default_rng(seeds), share)
        loss.backward()
        norm = self.ranks.average_gradients(self.optimisers.parameters)
        scale = self.spikes.scale(norm, self.steps - self._restarted_at)
        if scale:
            if scale < 1:
                torch._foreach_mul_([p.grad for p in self.optimisers.parameters if p.grad is not None], scale)
            risen = min(1.0, (self.steps - self._restarted_at + 1) / _RESTART_STEPS) if self._restarted_at else 1.0
            self.optimisers.step(risen * rate_factor(share, config.warm))
        self.steps += 1
        ema_update(self.average.values(), self.network.state_dict().values(), config.decay, self.steps)
        return statistics.detach().float().cpu()

    def _print_line(self, statistics: Tensor, step_s: float) -> None:
        left = duration((self.config.steps - self.steps) * step_s)
        values_text = "  ".join(
            f"{name} {value:.4g}" for name, value in zip(self.objective.statistics, statistics.tolist(), strict=True)
        )
        skipped = f"  {self.spikes.skipped} skipped" if self.spikes.skipped else ""
        print(
            f"{datetime.now():%H:%M:%S}  step {self.steps:,}  {values_text}  {step_s:.2f} s/step{skipped}  {left} left",
            flush=True,
        )

    def _validate(self) -> None:
        if not self.ranks.leads:
            return
        now = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        with torch.no_grad():
            rows = self.objective.validate(self.network)
        self.network.load_state_dict(now)
        at = {"steps": self.steps, "active_s": round(self.active_s, 1)}
        add_rows(self.out / VALIDATION, [at | row for row in rows])
        for row in rows:
            print("           " + "  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)

    def save(self) -> None:
        """Writes everything that the next step depends on, atomically."""
        if not self.ranks.leads:
            return
        tensors = {f"model/{n}": t for n, t in self.network.state_dict().items()}
        tensors |= {f"average/{n}": t for n, t in self.average.items()} | self.optimisers.tensors()
        counters = {"steps": self.steps, "active_s": self.active_s, "restarted_at": self._restarted_at}
        counters |= {"skipped": self.spikes.skipped, "usual_norm": self.spikes.usual_norm}
        facts = self.facts | counters | {"config": asdict(self.config)}
        save_tensors(self.out / CHECKPOINT, {n: t for n, t in tensors.items() if t.numel()}, facts)
        (self.out / "run.json").write_text(json.dumps(facts, indent=1) + "\n")

    def _load(self, path: Path) -> None:
        """Goes on exactly where a checkpoint of the same run was written.

        Raises:
            InputError: If it is of another run: of other settings, or of another network.
        """
        tensors, facts = load_tensors(path)
        names = _SAME_RUN + tuple(name for name in _SAME_IF_RECORDED if name in facts)
        same = {name: self.facts[name] for name in names if name in self.facts} | asdict(self.config)
        before, now = _EARLIER | facts | facts["config"], json.loads(json.dumps(same))
        if differing := [f"{n} {before.get(n)}, not {now[n]}" for n in now if before.get(n) != now[n]]:
            raise InputError(f"{path} was trained with {', '.join(differing)}", hint="give another folder")
        fitted = {name for name, _ in self.network.named_buffers()}  # not trained: an earlier version had fewer
        for prefix, state in (("model/", self.network.state_dict()), ("average/", self.average)):
            wanted = {prefix + name: tensor.shape for name, tensor in state.items() if tensor.numel()}
            found = {name: tensor.shape for name, tensor in tensors.items() if name.startswith(prefix)}
            added = {prefix + name for name in fitted if prefix + name not in found}
            if found != {name: shape for name, shape in wanted.items() if name not in added}:
                raise InputError(f"{path} is of another network", hint="give another folder")
            with torch.no_grad():
                for name, tensor in state.items():
                    if prefix + name in found:
                        tensor.copy_(tensors[prefix + name])
        self.optimisers.restore(tensors)
        self.steps, self.active_s, self._restarted_at = facts["steps"], facts["active_s"], facts["restarted_at"]
        self.spikes.skipped, self.spikes.usual_norm = facts["skipped"], facts["usual_norm"]


def duration(seconds: float) -> str:
    """A time span for a reader.

    >>> duration(50), duration(130), duration(3900)
    ('50 s', '2 min', '1 h 05 min')
    """
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def add_rows(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Adds the rows of a step to a CSV file, in place of any of this step and of later ones.

    A killed run resumes from an earlier step: each step is in the file once.
    """
    kept: list[Mapping[str, Any]] = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if int(row["steps"]) < rows[0]["steps"]]
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([*kept, *rows])
    os.replace(partial, path)
