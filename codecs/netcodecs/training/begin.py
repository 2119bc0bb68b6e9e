"""How a method begins: from the baseline's weights, its channels in order, its modules passing everything on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netcodecs.progressive.backbone import LAMBDAS, Backbone, M
from netcodecs.progressive.methods import Method
from netcodecs.progressive.rearrangement import GROUP
from netcodecs.training.descriptions import coded_at_all_rates, describe, loss_costs
from netcodecs.training.guesses import copies_for_mca, guesses_of
from netcodecs.training.ordering import in_order, put_in_order
from netsim.errors import InputError

__all__ = ["begun", "check_start", "for_all_rates", "prepare"]

PREPARED_FOR = {"uniform": 0.05, "gilbert-elliott": 0.1}  # share of the channels lost: about what training loses


@torch.no_grad()
def begun(baseline: Backbone, method: Method, pictures: Sequence[Tensor]) -> Backbone:
    """A method's network before its first step, from a trained baseline of the same widths.

    With tail drop, channels come in order of their bits on ``pictures`` ((B, 3, H, W), 0…1), most first, so that the
    first channels are worth the most from the beginning, and SCR joins channels that are alike. That alone leaves the
    baseline's pictures as they were; SCR's hyperprior has to learn its new neighbourhoods. MCA is not yet in use:
    :func:`prepare` comes when the hyperprior knows what can be known at once (``netcodecs.training.means``).
    Raises ValueError if ``baseline`` has modules of its own.
    """
    if baseline.scr or baseline.aggregation is not None:
        raise ValueError(f"{method.name} begins from a baseline, not from a network with modules of its own")
    network = Backbone(baseline.widths, scr=method.scr, mca=method.mca, lambdas=baseline.lambdas)
    network.load_state_dict(network.state_dict() | baseline.state_dict())
    if method.tail_drop:
        put_in_order(network, *in_order(baseline, pictures))
    return network


@torch.no_grad()
def prepare(network: Backbone, losses: str, pictures: Sequence[Tensor]) -> None:
    """Prepares a network with MCA for losses, in place: copies of the dearest channels, and an MCA that hears them.

    Copies take their scales and means from what the hyperprior says of the originals.
    network: its channels in order, its MCA not yet in use. losses: those of its method, not "none".
    pictures: (B, 3, H, W) of one size, 0…1, sides multiples of 64.
    """
    assert network.aggregation is not None
    network.eval()
    size, lost = GROUP if network.scr else 1, PREPARED_FOR[losses]
    dearest, costs = loss_costs(network, pictures)
    coded = coded_at_all_rates(network, pictures)
    described = describe(network, coded, copies_for_mca(coded, dearest, costs, size, lost))
    case = guesses_of(coded_at_all_rates(network, pictures), described, size, lost)
    copies = {copy + place for one in described for copy in one.copies for place in range(size)}
    passed = [channel for channel in range(M) if channel not in copies]
    for channel in network.aggregation.begin_in_front_of(network.model.g_s[0], passed, *case):
        network.model.g_a[-1].weight[channel] = 0  # nobody hears it
        network.model.g_a[-1].bias[channel] = 0


def check_start(start: Backbone, method: Method) -> None:
    """Raises InputError unless a method can begin from a network: a baseline, or one with the method's own modules."""
    has = [name for name, there in (("SCR", start.scr), ("MCA", start.aggregation is not None)) if there]
    wanted = [name for name, there in (("SCR", method.scr), ("MCA", method.mca)) if there]
    if has and has != wanted:
        hint = "give weights of mbt-mean, or of a method that has the same modules"
        raise InputError(f"{method.name} can't begin from weights with {' and '.join(has)}", hint=hint)


@torch.no_grad()
def for_all_rates(network: Backbone) -> Backbone:
    """A baseline for all λ from one for a single rate (a checkpoint of CompressAI), which becomes that of the largest.

    Gains of the others are what theory says at high rate: quantisation steps proportional to 1/√λ.
    Raises InputError if the network has several λ, but others than ``LAMBDAS``.
    """
    if network.lambdas == LAMBDAS:
        return network
    if len(network.lambdas) > 1:
        raise InputError(f"weights for λ = {', '.join(map(str, network.lambdas))}", hint=f"a run learns {LAMBDAS}")
    spread = Backbone(network.widths, scr=network.scr, mca=network.aggregation is not None)
    own = spread.state_dict()
    same = {name: value for name, value in network.state_dict().items() if own[name].shape == value.shape}
    gains = {name: own[name] + network.state_dict()[name] for name in ("log_gain", "log_inverse_gain")}
    spread.load_state_dict(own | same | gains)
    return spread.eval()
