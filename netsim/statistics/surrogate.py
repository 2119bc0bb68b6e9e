"""A linear surrogate of an image's quality as a function of its usable packets.

Decoding is costly, and quality in dB is nearly a function of the number of usable packets plus an effect of each
packet. So it is modelled as

    β₀ + Σ_i β_i·(u_i − ½) + Σ_j γ_j·([Σ u ≥ j] − ½),      u_i = 1 where packet i is usable,

fitted by least squares with a small ridge penalty on all but β₀. The steps γ_j take up the curve of dB over the number
of packets, which is what makes a plain additive model in dB, or in MSE, poor. β_i is the importance of packet i.

The fit is linear in the qualities: ``fit_operator`` maps qualities to coefficients and needs only the masks. So an
engine can turn the fit into weights before anything is decoded.

Source of the method: difference estimators and calibration, Särndal, Swensson, Wretman, "Model Assisted Survey
Sampling", §6.3; cross-fitting, Chernozhukov et al., "Double/debiased machine learning", Econometrics Journal 21, 2018.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fold", "features", "fit_operator", "fold", "residuals"]

BoolArray = NDArray[np.bool_]
Integers = NDArray[np.int64]
Vector = NDArray[np.float64]

_RIDGE = 0.1  # of features ±½; fits of 60 masks of ten packets hardly change between .03 and .3


def features(usable: BoolArray) -> Vector:
    """The surrogate's features.

    Args:
        usable: bool [m, k], masks of usable packets.

    Returns:
        float64 [m, 1 + 2k]: a constant, one feature per packet, one per number of usable packets.

    >>> features(np.array([[True, False]]))
    array([[ 1. ,  0.5, -0.5,  0.5, -0.5]])
    """
    count = usable.sum(axis=1)[:, None]
    steps = count > np.arange(usable.shape[1])
    return np.concatenate([np.ones((len(usable), 1)), usable - 0.5, steps - 0.5], axis=1)


def fit_operator(x: Vector) -> Vector:
    """The linear map from qualities to coefficients: ``fit_operator(x) @ values``.

    Args:
        x: float64 [m, p], features of m masks.

    Returns:
        float64 [p, m].
    """
    penalty = _RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 0
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T))


class Fold:
    """The fit that predicts one replicate of a sample from everything outside of it.

    Attributes:
        rows: int64 [f], one row of the sample for each distinct mask outside the replicate that shows an image.
        operator: float64 [p, f], from the qualities of these rows to coefficients.
    """

    __slots__ = ("operator", "rows")

    def __init__(self, rows: Integers, operator: Vector) -> None:
        self.rows, self.operator = rows, operator


def fold(usable: BoolArray, replicate: Integers, out: int) -> Fold:
    """Fit without one replicate.

    Args:
        usable: bool [r, k], the usable packets of each row of the sample.
        replicate: int64 [r], 0 for rows that every fit may use.
        out: The replicate that the fit must not use.

    Returns:
        The rows that it uses, and the fit.
    """
    rows = np.flatnonzero((replicate != out) & usable.any(axis=1))
    _, first = np.unique(usable[rows], axis=0, return_index=True)
    rows = rows[np.sort(first)]
    return Fold(rows, fit_operator(features(usable[rows])))


def residuals(usable: BoolArray, values: Vector, replicate: Integers) -> Vector:
    """Quality less the surrogate's prediction, which never uses a row's own replicate.

    Args:
        usable: bool [r, k].
        values: float64 [r].
        replicate: int64 [r]; rows of replicate 0 get 0.

    Returns:
        float64 [r].
    """
    found = np.zeros(len(values))
    for out in np.unique(replicate[replicate > 0]).tolist():
        fit, mine = fold(usable, replicate, out), replicate == out
        found[mine] = values[mine] - features(usable[mine]) @ (fit.operator @ values[fit.rows])
    return found
