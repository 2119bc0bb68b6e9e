"""Baum–Welch for hidden Markov loss channels, over all recordings at once.

Source: L. Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 77 (1989), section III, with three changes.

- *Runs.* A run of n equal outcomes multiplies the forward vector by ``M**n``, with ``M = A diag(b)``, A the transition
  matrix and b the probability of the outcome in each state. Powers are computed once per length, and so are the
  expected transitions inside a run: ``sum_k (M')**k C (M')**(n-1-k)``, which is a block of a power of a matrix of
  twice the size. So an iteration takes time per run, not per packet.
- *Stationary start.* Each recording starts in the chain's stationary distribution, which the saved channel also does.
  That term has no closed form; where the ordinary update does not raise the expected log-likelihood with it, or where
  there are several recordings, the update is found numerically (a generalised EM step, which never lowers the
  likelihood either).
- *Extrapolation.* Pairs of steps are extrapolated (SQUAREM: R. Varadhan, C. Roland, Scand. J. Stat. 35 (2008)), and the
  extrapolation is dropped where it lowers the likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.channels.fitting.runs import LossRuns
from netsim.channels.statistics import stationary
from netsim.compiling import compiled
from netsim.errors import InputError

__all__ = ["Parameters", "Progress", "expectation", "log_likelihood", "maximise"]

Vector = NDArray[np.float64]

_LEAST = 1e-12  # probabilities that are not exactly 0 or 1 stay this far from it


@dataclass(frozen=True)
class Parameters:
    """A chain: transition float64 [S, S], loss float64 [S], the probability of a loss in each state."""

    transition: Vector
    loss: Vector

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.loss)


@dataclass(frozen=True)
class Progress:
    """What a maximisation found.

    Attributes:
        parameters: Of the last step.
        log_likelihood: Of the recordings, in nats.
        history: Log-likelihood after each accepted step; it never falls.
        converged: Whether the last steps gained less than the tolerance.
    """

    parameters: Parameters
    log_likelihood: float
    history: tuple[float, ...]
    converged: bool


@compiled
def _power(matrix: Any, exponent: int) -> Any:
    """A power of a matrix, by squaring."""
    size = matrix.shape[0]
    result, base = np.eye(size), matrix.copy()
    while exponent > 0:
        if exponent & 1:
            result = result @ base
        base = base @ base
        exponent >>= 1
    return result


@compiled
def _inside(matrix: Any, weights: Any, exponent: int) -> Any:
    """sum over k < n of ``matrix**k @ weights @ matrix**(n-1-k)``: the upper right block of [[m, w], [0, m]]**n."""
    size = matrix.shape[0]
    power, total = np.eye(size), np.zeros((size, size))
    base, base_total = matrix.copy(), weights.copy()
    while exponent > 0:
        if exponent & 1:
            total = power @ base_total + total @ base
            power = power @ base
        base_total = base @ base_total + base_total @ base
        base = base @ base
        exponent >>= 1
    return total


@compiled
def _powers(matrices: Any, lengths: Any) -> Any:
    """float64 [2, d, S, S]: each scaled matrix to the power of each length."""
    size = matrices.shape[1]
    found = np.empty((2, len(lengths), size, size))
    for symbol in range(2):
        last, power = 0, np.eye(size)
        for place in range(len(lengths)):
            power = power @ _power(matrices[symbol], lengths[place] - last)
            found[symbol, place] = power
            last = lengths[place]
    return found


@compiled
def _forward(powers: Any, start: Any, symbols: Any, which: Any, starts: Any, alphas: Any, norms: Any) -> None:
    """Writes the normalised state before each run, and the factor that each run brings."""
    size = len(start)
    state, after = np.empty(size), np.empty(size)
    for recording in range(len(starts) - 1):
        state[:] = start
        for run in range(starts[recording], starts[recording + 1]):
            symbol, place = symbols[run], which[run]
            norm = 0.0
            for j in range(size):
                alphas[run, j] = state[j]
                total = 0.0
                for i in range(size):
                    total += state[i] * powers[symbol, place, i, j]
                after[j] = total
                norm += total
            norms[run] = norm
            if norm > 0:
                for j in range(size):
                    state[j] = after[j] / norm


@compiled
def _backward(
    powers: Any, symbols: Any, which: Any, starts: Any, alphas: Any, norms: Any, weights: Any, begin: Any
) -> None:
    """Adds up, per symbol and length, the outer products of what comes before and after each run of that kind.

    weights: float64 [2, d, S, S]; begin: float64 [S], expected state before the first packet of all recordings.
    """
    size = alphas.shape[1]
    beta, before = np.empty(size), np.empty(size)
    for recording in range(len(starts) - 1):
        beta[:] = 1.0
        for run in range(starts[recording + 1] - 1, starts[recording] - 1, -1):
            symbol, place = symbols[run], which[run]
            inverse = 1 / norms[run]
            for i in range(size):
                total = 0.0
                for j in range(size):
                    weights[symbol, place, i, j] += alphas[run, i] * beta[j] * inverse
                    total += powers[symbol, place, i, j] * beta[j]
                before[i] = total * inverse
            beta[:] = before
        first = starts[recording]
        for i in range(size):
            begin[i] += alphas[first, i] * beta[i]


@compiled
def _transitions(matrices: Any, lengths: Any, weights: Any) -> Any:
    """Expected transitions [2, S, S] by the outcome of the packet after them."""
    size = matrices.shape[1]
    counts = np.zeros((2, size, size))
    for symbol in range(2):
        turned = matrices[symbol].T.copy()
        for place in range(len(lengths)):
            if weights[symbol, place].any():
                counts[symbol] += _inside(turned, weights[symbol, place].copy(), lengths[place])
        counts[symbol] *= matrices[symbol]
    return counts


def _scaled(parameters: Parameters) -> tuple[Vector, Vector]:
    """A diag(b) for received and lost, each over its spectral radius, so that no power over- or underflows; radii."""
    outcomes = np.stack([1 - parameters.loss, parameters.loss])
    matrices = parameters.transition[None] * outcomes[:, None, :]
    radii = np.abs(np.linalg.eigvals(matrices)).max(axis=1)
    radii = np.where(radii > 1e-6 * matrices.max(axis=(1, 2)), radii, matrices.max(axis=(1, 2)))
    radii = np.where(radii > 0, radii, 1.0)
    return np.ascontiguousarray(matrices / radii[:, None, None]), radii


def _filtered(runs: LossRuns, parameters: Parameters) -> tuple[Vector, Vector, Vector, Vector, float]:
    """Scaled matrices, their powers, states before each run, factors, and the log-likelihood."""
    matrices, radii = _scaled(parameters)
    powers = _powers(matrices, runs.lengths)
    alphas, norms = np.empty((len(runs.symbols), parameters.states)), np.empty(len(runs.symbols))
    start = stationary(parameters.transition)
    _forward(powers, start, runs.symbols, runs.which, runs.starts, alphas, norms)
    if not (norms > 0).all():
        return matrices, powers, alphas, norms, -np.inf
    total = float(np.log(norms).sum() + (runs.run_lengths * np.log(radii)[runs.symbols]).sum())
    return matrices, powers, alphas, norms, total


def log_likelihood(runs: LossRuns, parameters: Parameters) -> float:
    """Log-likelihood of recordings, in nats, each from the chain's stationary start.

    Args:
        runs: The recordings.
        parameters: A chain with one stationary distribution.

    Returns:
        The logarithm of the probability of all outcomes; minus infinity where one is impossible.

    >>> half = Parameters(np.eye(1), np.array([0.5]))
    >>> round(log_likelihood(LossRuns.of([np.array([True, False, True])]), half) / np.log(2), 12)
    -3.0
    """
    return _filtered(runs, parameters)[-1]


def expectation(runs: LossRuns, parameters: Parameters) -> tuple[Vector, Vector, float]:
    """What the states did, expected, given the recordings.

    Args:
        runs: The recordings.
        parameters: A chain.

    Returns:
        Transitions float64 [2, S, S] by the outcome of the packet after them (0: received), the state before the first
        packet float64 [S], summed over recordings, and the log-likelihood. The former two are zero where it is -inf.
    """
    matrices, powers, alphas, norms, total = _filtered(runs, parameters)
    size = parameters.states
    begin, weights = np.zeros(size), np.zeros((2, len(runs.lengths), size, size))
    if total == -np.inf:
        return np.zeros((2, size, size)), begin, total
    _backward(powers, runs.symbols, runs.which, runs.starts, alphas, norms, weights, begin)
    return _transitions(matrices, runs.lengths, weights), begin, total


def _step(runs: LossRuns, parameters: Parameters) -> tuple[Parameters, float]:
    """One step of (generalised) EM, and the log-likelihood before it."""
    by_outcome, begin, before = expectation(runs, parameters)
    if before == -np.inf:
        return parameters, before
    counts = by_outcome.sum(axis=0)
    arrivals = by_outcome.sum(axis=1)
    visited = arrivals.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = np.where(visited > 0, arrivals[1] / visited, parameters.loss)
    loss = np.where((parameters.loss > 0) & (parameters.loss < 1), loss.clip(_LEAST, 1 - _LEAST), parameters.loss)
    rows = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        transition = np.where(rows > 0, counts / rows, parameters.transition)
    transition = _inside_simplex(transition, parameters.transition > 0)
    kept = parameters.transition
    if parameters.states > 1:
        better = _expected(counts, begin, transition) >= _expected(counts, begin, kept)
        if not better or runs.recordings > 1:
            transition = _with_start(counts, begin, transition if better else kept)
    return Parameters(transition, loss), before


def _inside_simplex(transition: Vector, allowed: NDArray[np.bool_]) -> Vector:
    """Rows that sum to one, zero where not allowed and nowhere else."""
    clipped = np.where(allowed, np.maximum(transition, _LEAST), 0.0)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))


def _expected(counts: Vector, begin: Vector, transition: Vector) -> float:
    """Expected log-likelihood of transitions and of the stationary start."""
    allowed = counts > 0
    try:
        start = stationary(transition)
    except InputError:
        return -np.inf
    with np.errstate(divide="ignore"):
        return float((counts[allowed] * np.log(transition[allowed])).sum() + (begin * np.log(start.clip(1e-300))).sum())


def _with_start(counts: Vector, begin: Vector, transition: Vector) -> Vector:
    """A transition matrix with a higher expected log-likelihood, the stationary start's included; or the same."""
    from scipy.optimize import minimize

    allowed = transition > 0
    scale = counts.sum()

    def chain(logits: Vector) -> Vector:
        full = np.where(allowed, 0.0, -np.inf)
        full[allowed] = logits
        full = np.exp(full - full.max(axis=1, keepdims=True))
        return np.asarray(full / full.sum(axis=1, keepdims=True))

    def negative(logits: Vector) -> tuple[float, Vector]:
        matrix = chain(logits)
        value = _expected(counts, begin, matrix)
        if value == -np.inf:
            return 1e300, np.zeros_like(logits)
        start = stationary(matrix).clip(1e-300)
        size = len(matrix)
        deviation = np.linalg.inv(np.eye(size) - matrix + start[None, :]) - start[None, :]
        by_entry = np.where(allowed, counts / np.where(allowed, matrix, 1.0), 0.0)
        by_entry = by_entry + np.outer(start, deviation @ (begin / start))
        by_logit = matrix * (by_entry - (by_entry * matrix).sum(axis=1, keepdims=True))
        return -value / scale, -by_logit[allowed] / scale

    logits = np.log(transition[allowed])
    found = minimize(negative, logits, jac=True, method="L-BFGS-B", options={"maxiter": 25})
    better = _inside_simplex(chain(found.x), allowed)
    return better if _expected(counts, begin, better) >= _expected(counts, begin, transition) else transition


def maximise(
    runs: LossRuns,
    parameters: Parameters,
    *,
    tolerance: float = 0.01,
    cycles: int = 100,
    on_step: Callable[[float], None] | None = None,
) -> Progress:
    """Raise the likelihood of recordings until little is left to gain.

    Args:
        runs: The recordings.
        parameters: Where to start. Probabilities of exactly 0 or 1 stay, which is what makes a family.
        tolerance: Nats; the maximisation ends when what is left to gain, extrapolated, is below it.
        cycles: At most so many extrapolated pairs of steps.
        on_step: Called with each accepted log-likelihood.

    Returns:
        The parameters and the history of the log-likelihood, which never falls.
    """
    history: list[float] = []

    def accept(value: float) -> None:
        history.append(value)
        if on_step is not None:
            on_step(value)

    now = parameters
    gain_before = np.inf
    for _ in range(cycles):
        first, value = _step(runs, now)
        accept(value)
        if value == -np.inf:
            return Progress(now, value, tuple(history), False)
        second, value_first = _step(runs, first)
        accept(value_first)
        ahead = _extrapolated(now, first, second)
        value_second = log_likelihood(runs, second)
        if ahead is not None:
            value_ahead = log_likelihood(runs, ahead)
            if value_ahead > value_second:
                second, value_second = ahead, value_ahead
        gain = value_second - value
        now = second
        ratio = min(gain / gain_before, 0.99) if 0 < gain < gain_before else 0.9
        gain_before = gain
        if gain * max(1.0, ratio / (1 - ratio)) < tolerance:
            accept(value_second)
            return Progress(now, value_second, tuple(history), True)
    final = log_likelihood(runs, now)
    accept(final)
    return Progress(now, final, tuple(history), False)


def _extrapolated(now: Parameters, first: Parameters, second: Parameters) -> Parameters | None:
    """SQUAREM's third scheme, on the logarithms of odds; None where the steps no longer differ."""
    free = (now.transition > 0) & (now.transition < 1)
    free_loss = (now.loss > 0) & (now.loss < 1)

    def vector(one: Parameters) -> Vector:
        entries = np.concatenate([one.transition[free], one.loss[free_loss]]).clip(_LEAST, 1 - _LEAST)
        return np.asarray(np.log(entries) - np.log1p(-entries))

    start, middle, end = vector(now), vector(first), vector(second)
    step = middle - start
    bend = (end - middle) - step
    length = np.linalg.norm(bend)
    if not length > 0:
        return None
    reach = -max(1.0, float(np.linalg.norm(step) / length))
    moved = start - 2 * reach * step + reach**2 * bend
    entries = 1 / (1 + np.exp(-moved.clip(-27, 27)))
    transition, loss = now.transition.copy(), now.loss.copy()
    count = int(free.sum())
    transition[free], loss[free_loss] = entries[:count], entries[count:]
    return Parameters(_inside_simplex(transition, now.transition > 0), loss)
