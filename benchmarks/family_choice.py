"""Which family BIC chooses for packets sampled from each preset, and how near the fit comes.

``python -m benchmarks.family_choice --seeds 100 --packets 1000000``
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import numpy as np

from netsim.channels import preset, preset_names
from netsim.channels.fitting.families import families
from netsim.channels.fitting.fit import compare_families

__all__ = ["TRUE_FAMILIES", "choices", "main"]

TRUE_FAMILIES = {
    **dict.fromkeys(("uniform-5", "uniform-10", "uniform-20"), "bernoulli"),
    **dict.fromkeys(("EP1", "EP2", "EP3", "EP5"), "gilbert"),  # three states of which the third is never entered
    **dict.fromkeys(("ge-10", "ge-15"), "gilbert-elliott"),
    **dict.fromkeys(("EP4", "EP6"), "three-state"),
}
"""The smallest family that each preset is in."""


def choices(
    name: str, seeds: range, packets: int, chosen: list[str] | None = None, starts: int = 4
) -> list[tuple[str, float, float]]:
    """The family that BIC chooses and its channel's relative errors of loss rate and mean burst, seed by seed."""
    channel = preset(name)
    found = []
    for seed in seeds:
        received, _ = channel.sample(packets, np.random.default_rng([2026, seed]))
        best = compare_families([received], chosen, seed=seed, starts=starts, held_out=False)[0]
        found.append(
            (
                best.family.name,
                best.channel.loss_rate / channel.loss_rate - 1,
                best.channel.mean_burst / channel.mean_burst - 1,
            )
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print a line per preset."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.family_choice", description=__doc__)
    parser.add_argument("--presets", nargs="*", choices=preset_names(), default=preset_names())
    parser.add_argument("--families", nargs="*", choices=[family.name for family in families()])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--packets", type=int, default=1_000_000)
    asked = parser.parse_args(arguments)
    print("preset       family            chosen  within 5 % (loss, burst)  largest error (loss, burst)  others")
    for name in asked.presets:
        began = time.perf_counter()
        found = choices(name, range(asked.seeds), asked.packets, asked.families)
        names = Counter(family for family, _, _ in found)
        errors = np.abs([[loss, burst] for _, loss, burst in found])
        near, worst, true = (errors <= 0.05).sum(axis=0), errors.max(axis=0), TRUE_FAMILIES[name]
        others = ", ".join(f"{family} {count}" for family, count in names.items() if family != true)
        print(
            f"{name:<12} {true:<17} {names[true]:>3}/{len(found)}  {near[0]:>11} {near[1]:>3}"
            f"        {100 * worst[0]:>10.1f} % {100 * worst[1]:>5.1f} %     {others}"
            f"  ({(time.perf_counter() - began) / len(found):.1f} s each)",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
